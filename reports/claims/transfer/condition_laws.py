"""The laws of claim C5's settings, family by family: data, networks, and what differs in training.

All laws draw from the generator that they are given, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from theory.setting import Data, Labels, Network

CLASSES = 5  # the number of classes, where the data do not say how many


@dataclass(frozen=True)
class Drawn:
    """What a family's own law says of a setting.

    Attributes
    ----------
    data : Data
    network : Network
    upstream, real : Labels
    adverse : bool
        Whether transfer is made negative more often, by larger weights and rates.
    entropy : bool
        Whether the loss is the cross-entropy; otherwise it is the squared error.
    fresh : float
        The probability that labels downstream are random, with the law of the upstream ones.
    updates : (int, int)
        The range of the length of upstream training.
    speeds : (float, float) or None
        The range of learning rate/(1 − momentum), if it is not that of all families.
    """

    data: Data
    network: Network
    upstream: Labels
    real: Labels
    adverse: bool
    entropy: bool = True
    fresh: float = 0.15
    updates: tuple[int, int] = (300, 1000)
    speeds: tuple[float, float] | None = None

    @property
    def rates(self) -> tuple[float, float]:
        """The range of learning rate/(1 − momentum)."""
        if self.speeds is not None:
            return self.speeds
        if self.adverse and self.entropy and self.network.activation != "relu":
            return 0.2, 0.5  # units saturate
        return (0.05, 0.2) if self.entropy else (0.03, 0.15)


def _digits(rng: np.random.Generator, size: int, depths: tuple[int, int], *, entropy: bool = True) -> Drawn:
    rows = _rows(rng, size)
    network, adverse = _dense(rng, size, depths, 2.0 if entropy else 1.2)
    data, labels = Data(kind="digits", samples=rows), Labels(kind="classes", classes=10)
    return Drawn(data, network, labels, Labels(kind="real"), adverse, entropy)


def _shallow_digits(rng: np.random.Generator, size: int) -> Drawn:
    return _digits(rng, size, (1, 2))


def _deep_digits(rng: np.random.Generator, size: int) -> Drawn:
    return _digits(rng, size, (3, 4))


def _digits_by_squared_error(rng: np.random.Generator, size: int) -> Drawn:
    return _digits(rng, size, (1, 4), entropy=False)


def _teacher(rng: np.random.Generator, size: int) -> Drawn:
    """Squared error; accuracy is of the largest output."""
    rows = _rows(rng, size)
    real = Labels(kind="teacher", outputs=CLASSES)
    network, adverse = _dense(rng, size, (1, 4), 1.2)
    return Drawn(_gaussian(rng, rows), network, Labels(outputs=CLASSES), real, adverse, False)


def _random_classes(rng: np.random.Generator, size: int) -> Drawn:
    """Fresh random labels downstream."""
    rows = size * int(rng.choice([64, 96]))
    labels = Labels(kind="classes", classes=CLASSES)
    network, adverse = _dense(rng, size, (1, 4), 2.0)
    return Drawn(_gaussian(rng, rows), network, labels, labels, adverse)


def _filters(rng: np.random.Generator, size: int) -> Drawn:
    """Which of two photographs a crop is from."""
    labels = Labels(kind="classes", classes=2)
    init, adverse = _init(rng, 2.0)
    dense = round(log_uniform(rng, 6, 24))
    network = Network(kind="conv", filters=size * int(rng.integers(4, 9)), hidden=(size * dense,), **init)
    data = Data(kind="photographs", crop=(4, 4), samples=size * 160)
    return Drawn(data, network, labels, Labels(kind="real"), adverse, updates=(100, 250))


def _large_weights(rng: np.random.Generator, size: int) -> Drawn:
    """Digits, three or four hidden layers, all weights large: where pilots saw negative transfer in most settings."""
    activation = str(rng.choice(["relu", "relu", "tanh", "erf"]))
    low, high, speeds = (1.3, 2.1, (0.08, 0.25)) if activation == "relu" else (0.8, 1.4, (0.3, 0.6))
    widths = [round(log_uniform(rng, 16, 96)) for _ in range(int(rng.integers(2, 4)))]
    widths.append(round(log_uniform(rng, 12, 32)))
    network = Network(
        kind="mlp",
        hidden=tuple(size * width for width in widths),
        activation=activation,  # type: ignore[arg-type]  # one of the three
        init_variance=to_four_digits(2 * log_uniform(rng, low, high) ** 2),
    )
    data, labels = Data(kind="digits", samples=_rows(rng, size)), Labels(kind="classes", classes=10)
    return Drawn(data, network, labels, Labels(kind="real"), True, fresh=0.05, updates=(400, 1200), speeds=speeds)


def _mnist(rng: np.random.Generator, size: int) -> Drawn:
    """MNIST, like the digits: one to four hidden layers, a twelfth of the rates, for twelve times the coordinates."""
    rows = _rows(rng, size)
    network, adverse = _dense(rng, size, (1, 4), 2.0)
    digits = Drawn(
        Data(kind="mnist", samples=rows), network, Labels(kind="classes", classes=10), Labels(kind="real"), adverse
    )
    slow, fast = digits.rates
    return replace(digits, speeds=(slow / 12, fast / 12))


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
    return {"activation": activation, "init_variance": to_four_digits(2 * log_uniform(rng, low, high) ** 2)}, adverse


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


def to_four_digits(value: float) -> float:
    """The value to four significant digits."""
    return float(f"{value:.4g}")


SettingLaw = Callable[[np.random.Generator, int], Drawn]
# The name and the law of every family, by its number; 6 is that of double size, which has the laws of others.
LAWS: Mapping[int, tuple[str, SettingLaw]] = {
    0: ("digits, one or two hidden layers", _shallow_digits),
    1: ("Gaussian rows, a teacher", _teacher),
    2: ("digits, three or four hidden layers", _deep_digits),
    3: ("Gaussian rows, fresh random classes", _random_classes),
    4: ("photograph crops, filters", _filters),
    5: ("digits, squared error", _digits_by_squared_error),
    7: ("digits, large weights", _large_weights),
    8: ("MNIST-5k", _mnist),
}
