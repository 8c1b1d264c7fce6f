"""The design of claim C5: settings of real networks drawn by a fixed law, before anything runs.

Setting k is drawn from (`DESIGN`, k), whatever the user's seed is, which draws rows, labels, weights and batches. Its
family follows from k: `CYCLE` repeats. A smaller budget takes the first settings of the same list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from theory.setting import (
    Data,
    Downstream,
    Ensemble,
    Experiment,
    Labels,
    Network,
    Training,
    Treatment,
    Treatments,
    Upstream,
)

DESIGN, DOUBLE = 20_061_051, 20_061_052  # entropies of the design, and of the settings at double size
REPLICAS = 12
HORIZONS = (1, 3, 6, 20, 60)  # epochs downstream; the last two of a part of the settings
SHORT = 3  # how many horizons every setting has
# at which training downstream is read
EPOCHS = (0, 0.25, 0.5, 0.75, *range(1, 7), 8, 10, 12, 14, 17, 20, 25, 30, 40, 50, 60)  # fmt: skip
AGAIN, LONG, LONGEST = 4, 8, 16  # of so many rounds the last is linearised again, or has one long horizon, or both
UPDATES = 12  # of an epoch
CLASSES = 5  # where the data do not say how many


@dataclass(frozen=True)
class Family:
    """What the settings of a family share; a case of the claim holds all of its settings.

    Attributes
    ----------
    name : str
    number : int
        Its place in the design.
    double : bool
        Whether its settings have twice the widths and rows, and are drawn from `DOUBLE`; these are of all families.
    """

    name: str
    number: int
    double: bool = False


@dataclass(frozen=True)
class DrawnSetting:
    """Setting `number` of the design: an experiment of two treatments, from scratch and pretrained in some way.

    `horizons` counts the leading `HORIZONS` that its downstream training has; `again` says whether its networks are
    linearised again after the first epoch.
    """

    number: int
    experiment: Experiment
    horizons: int
    again: bool

    @property
    def treatment(self) -> Treatment:
        """Of the pretrained network."""
        return self.experiment.treatment.each[1]


def drawn_setting(number: int, seed: int, *, double: bool = False) -> DrawnSetting:
    """Setting `number` of the design, or of that at double size; rows, labels and weights are drawn from `seed`."""
    rng = np.random.default_rng([DOUBLE if double else DESIGN, number])
    turn, place = divmod(number, len(CYCLE))
    horizons = SHORT if double else SHORT + (turn % LONG == LONG - 1) + (turn % LONGEST == LONGEST - 1)
    drawn = _LAWS[CYCLE[place]](rng, 2 if double else 1)
    return DrawnSetting(
        number, _experiment(rng, drawn, HORIZONS[horizons - 1], seed), horizons, turn % AGAIN == AGAIN - 1
    )


def settings_of(family: Family, count: int, seed: int) -> tuple[DrawnSetting, ...]:
    """The first `count` settings of a family, or at double size; each has a seed of its own."""
    numbers = range(count) if family.double else numbers_of(family, count)
    return tuple(drawn_setting(number, seed + number, double=family.double) for number in numbers)


def numbers_of(family: Family, count: int) -> tuple[int, ...]:
    """Where the first `count` settings of a family stand in the design."""
    places = [place for place, number in enumerate(CYCLE) if number == family.number]
    turns = range(-(-count // len(places)))
    return tuple(turn * len(CYCLE) + place for turn in turns for place in places)[:count]


@dataclass(frozen=True)
class _Drawn:
    """What a family's own law says of a setting.

    Half of the settings are `adverse`, so that transfer is negative more often. `fresh` is the probability of random
    labels downstream, of the law of upstream ones, and `updates` the range of the length of upstream training.
    """

    data: Data
    network: Network
    upstream: Labels
    real: Labels
    adverse: bool
    entropy: bool = True
    fresh: float = 0.15
    updates: tuple[int, int] = (300, 1000)


def _experiment(rng: np.random.Generator, drawn: _Drawn, epochs: int, seed: int) -> Experiment:
    """Learning rate and momentum, length upstream, treatment, and labels downstream: the same law in all families."""
    rows, hidden = drawn.data.sample_count, drawn.network.layers - 1
    momentum = float(rng.choice([0.0, 0.5, 0.9]))
    slow, fast = (0.05, 0.2) if drawn.entropy else (0.03, 0.15)
    if drawn.adverse and drawn.entropy and drawn.network.activation != "relu":
        slow, fast = 0.2, 0.5  # units saturate
    speed = log_uniform(rng, slow, fast)
    training = Training(
        loss="cross-entropy" if drawn.entropy else "mse",
        learning_rate=_rounded(speed * (1 - momentum)),
        momentum=momentum,
        batch_size=rows // UPDATES,
    )
    upstream = _of_steps(training, UPDATES * round(log_uniform(rng, *drawn.updates) / UPDATES))
    layers = int(rng.integers(1, hidden + 1))
    treatments: list[Any] = [*["pretrained"] * 8, "rescaled", {"kind": "first-layers", "layers": layers}]
    treatment = treatments[rng.integers(len(treatments))]
    fresh = rng.random() < drawn.fresh
    readings = tuple(round(UPDATES * epoch) for epoch in EPOCHS if epoch <= epochs)
    return Experiment(
        upstream=Upstream(data=drawn.data, labels=drawn.upstream, network=drawn.network, training=upstream),
        treatment=Treatments(kinds=("scratch", treatment)),
        downstream=Downstream(
            samples=rows,
            labels=drawn.upstream if fresh else drawn.real,
            training=_of_steps(training, readings),
        ),
        ensemble=Ensemble(replicas=REPLICAS, seed=seed, dtype="float32"),
    )


def _of_steps(training: Training, steps: int | tuple[int, ...]) -> Training:
    return msgspec.structs.replace(training, steps=steps)


def _digits(rng: np.random.Generator, size: int, depths: tuple[int, int], *, entropy: bool = True) -> _Drawn:
    rows = _rows(rng, size)
    network, adverse = _dense(rng, size, depths, 2.0 if entropy else 1.2)
    data, labels = Data(kind="digits", samples=rows), Labels(kind="classes", classes=10)
    return _Drawn(data, network, labels, Labels(kind="real"), adverse, entropy)


def _shallow_digits(rng: np.random.Generator, size: int) -> _Drawn:
    return _digits(rng, size, (1, 2))


def _deep_digits(rng: np.random.Generator, size: int) -> _Drawn:
    return _digits(rng, size, (3, 4))


def _digits_by_squared_error(rng: np.random.Generator, size: int) -> _Drawn:
    return _digits(rng, size, (1, 4), entropy=False)


def _teacher(rng: np.random.Generator, size: int) -> _Drawn:
    """Squared error; accuracy is of the largest output."""
    rows = _rows(rng, size)
    real = Labels(kind="teacher", outputs=CLASSES)
    network, adverse = _dense(rng, size, (1, 4), 1.2)
    return _Drawn(_gaussian(rng, rows), network, Labels(outputs=CLASSES), real, adverse, False)


def _random_classes(rng: np.random.Generator, size: int) -> _Drawn:
    """Fresh random labels downstream."""
    rows = size * int(rng.choice([64, 96]))
    labels = Labels(kind="classes", classes=CLASSES)
    network, adverse = _dense(rng, size, (1, 4), 2.0)
    return _Drawn(_gaussian(rng, rows), network, labels, labels, adverse)


def _filters(rng: np.random.Generator, size: int) -> _Drawn:
    """Which of two photographs a crop is from."""
    labels = Labels(kind="classes", classes=2)
    init, adverse = _init(rng, 2.0)
    dense = round(log_uniform(rng, 6, 24))
    network = Network(kind="conv", filters=size * int(rng.integers(4, 9)), hidden=(size * dense,), **init)
    data = Data(kind="photographs", crop=(4, 4), samples=size * 160)
    return _Drawn(data, network, labels, Labels(kind="real"), adverse, updates=(100, 250))


def _dense(rng: np.random.Generator, size: int, depths: tuple[int, int], largest: float) -> tuple[Network, bool]:
    """Hidden layers, each of a width of its own, the last one the narrowest as a rule; and whether it is adverse."""
    depth = int(rng.integers(depths[0], depths[1] + 1))
    init, adverse = _init(rng, largest)
    widths = [round(log_uniform(rng, 16, 96)) for _ in range(depth - 1)]
    widths.append(round(log_uniform(rng, 8, 40)))
    return Network(kind="mlp", hidden=tuple(size * width for width in widths), **init), adverse


def _init(rng: np.random.Generator, largest: float) -> tuple[dict[str, Any], bool]:
    """The activation, and a factor on He's standard deviation; and whether the setting is adverse."""
    adverse = bool(rng.random() < 0.5)
    activation = str(rng.choice(["relu", "relu", "tanh", "erf"]))
    low, high = 0.4, 1.0
    if adverse:
        low, high = (0.6 * largest, largest) if activation == "relu" else (0.6, 0.8 * largest)
    return {"activation": activation, "init_variance": _rounded(2 * log_uniform(rng, low, high) ** 2)}, adverse


def _gaussian(rng: np.random.Generator, rows: int) -> Data:
    """Variances by a power law of mean 1, in 16 to 32 dimensions."""
    values = np.arange(1.0, rng.integers(17, 34)) ** -rng.uniform(0.0, 1.5)
    return Data(kind="gaussian", spectrum=tuple((values / values.mean()).round(4).tolist()), samples=rows)


def _rows(rng: np.random.Generator, size: int) -> int:
    """Rows of either task."""
    return size * int(rng.choice([160, 240, 320]))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between, its logarithm uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _rounded(value: float) -> float:
    """To four significant digits."""
    return float(f"{value:.4g}")


_Law = Callable[[np.random.Generator, int], _Drawn]
_NAMED: tuple[tuple[str, _Law], ...] = (
    ("digits, one or two hidden layers", _shallow_digits),
    ("Gaussian rows, a teacher", _teacher),
    ("digits, three or four hidden layers", _deep_digits),
    ("Gaussian rows, fresh random classes", _random_classes),
    ("photograph crops, filters", _filters),
    ("digits, squared error", _digits_by_squared_error),
)
_LAWS = tuple(law for _, law in _NAMED)
CYCLE = (0, 1, 2, 3, 0, 4, 2, 5)  # the families of consecutive settings
FAMILIES = tuple(Family(name, number) for number, (name, _) in enumerate(_NAMED))
TWICE = Family("double size", len(FAMILIES), double=True)
