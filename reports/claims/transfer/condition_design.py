"""The design of claim C5: settings of real networks drawn by a fixed law, before anything runs.

Setting k is drawn from (`DESIGN`, k), whatever the user's seed is, which draws rows, labels, weights and batches. Its
family follows from k: `CYCLE` repeats. A smaller budget takes the first settings of the same list, of which the quick
one reads all after the first round over one epoch alone. Larger budgets add families of their own, `LARGE` and
`MNIST`, whose setting k is drawn from (`FURTHER`, family, k).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from reports.claims.transfer.condition_laws import LAWS, Drawn, log_uniform, to_four_digits
from simulate.datasets import installed
from theory.setting import (
    Downstream,
    Ensemble,
    Experiment,
    Training,
    Treatment,
    Treatments,
    Upstream,
)

# entropies of the design, of the settings at double size, and of further families
DESIGN, DOUBLE, FURTHER = 20_061_051, 20_061_052, 20_061_053
REPLICAS = 12
# The epochs downstream up to which gains are averaged; only a part of the settings has the last two.
HORIZONS = (1, 3, 6, 20, 60)
SHORT = 3  # the number of horizons of every setting that is neither long nor brief
# The epochs at which training downstream is read.
EPOCHS = (0, 0.25, 0.5, 0.75, *range(1, 7), 8, 10, 12, 14, 17, 20, 25, 30, 40, 50, 60)  # fmt: skip
AGAIN, LONG, LONGEST = 4, 8, 16  # of so many rounds the last is linearised again, or has one long horizon, or both
UPDATES = 12  # the number of updates per epoch
CYCLE = (0, 1, 2, 3, 0, 4, 2, 5)  # the families of consecutive settings, by their numbers
QUICK, FULL = 6, 46  # rounds of the design by budget
MIXED = 20  # the number of settings at double size that are of all families; those after them have large weights


@dataclass(frozen=True)
class Family:
    """What the settings of a family share; a case of the claim holds all of its settings.

    Attributes
    ----------
    name : str
    number : int
        The number of the family's law in `LAWS`.
    double : bool
        Whether its settings have twice the widths and rows, and are drawn from `DOUBLE`: `MIXED` of all families of the
        design in turn, then those of large weights.
    """

    name: str
    number: int
    double: bool = False


FAMILIES = tuple(Family(LAWS[number][0], number) for number in sorted(set(CYCLE)))
FILTERS = FAMILIES[4]
TWICE = Family("double size", 6, double=True)
LARGE, MNIST = (Family(LAWS[number][0], number) for number in (7, 8))


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
        """The treatment of the pretrained network."""
        return self.experiment.treatment.each[1]

    @property
    def installed(self) -> bool:
        """Whether its data are there."""
        return installed(self.experiment.upstream.data)


def drawn_setting(number: int, seed: int, *, double: bool = False, brief: bool = False) -> DrawnSetting:
    """Setting `number` of the design, or of that at double size; rows, labels and weights are drawn from `seed`.

    If `brief`, it has the first horizon alone.
    """
    turn, place = divmod(number, len(CYCLE))
    if double:
        rng = np.random.default_rng([DOUBLE, number])
        _, law = LAWS[CYCLE[place] if number < MIXED else LARGE.number]
        return DrawnSetting(number, _experiment(rng, law(rng, 2), HORIZONS[SHORT - 1], seed), SHORT, again=False)
    rng = np.random.default_rng([DESIGN, number])
    _, law = LAWS[CYCLE[place]]
    horizons = 1 if brief else SHORT + (turn % LONG == LONG - 1) + (turn % LONGEST == LONGEST - 1)
    drawn = _experiment(rng, law(rng, 1), HORIZONS[horizons - 1], seed)
    return DrawnSetting(number, drawn, horizons, turn % AGAIN == AGAIN - 1 and not brief)


def further_setting(family: Family, number: int, seed: int) -> DrawnSetting:
    """Setting `number` of `LARGE` or `MNIST`, at the short horizons; rows, labels and weights are drawn from `seed`."""
    rng = np.random.default_rng([FURTHER, family.number, number])
    _, law = LAWS[family.number]
    return DrawnSetting(number, _experiment(rng, law(rng, 1), HORIZONS[SHORT - 1], seed), SHORT, again=False)


def settings_of(family: Family, count: int, seed: int) -> tuple[DrawnSetting, ...]:
    """The first `count` settings of a family, or at double size; each has a seed of its own.

    If there are no more than in `QUICK` rounds, those after the first round are brief.
    """
    if family in FAMILIES:
        quick = count <= QUICK * CYCLE.count(family.number)
        return tuple(
            drawn_setting(number, seed + number, brief=quick and number >= len(CYCLE))
            for number in numbers_of(family, count)
        )
    if family.double:
        return tuple(drawn_setting(number, seed + number, double=True) for number in range(count))
    return tuple(further_setting(family, number, seed + number) for number in range(count))


def numbers_of(family: Family, count: int) -> tuple[int, ...]:
    """The places in the design of the first `count` settings of a family."""
    places = [place for place, number in enumerate(CYCLE) if number == family.number]
    turns = range(-(-count // len(places)))
    return tuple(turn * len(CYCLE) + place for turn in turns for place in places)[:count]


def _experiment(rng: np.random.Generator, drawn: Drawn, epochs: int, seed: int) -> Experiment:
    """Learning rate and momentum, length upstream, treatment, and labels downstream: the same law in all families."""
    rows, hidden = drawn.data.sample_count, drawn.network.layers - 1
    momentum = float(rng.choice([0.0, 0.5, 0.9]))
    speed = log_uniform(rng, *drawn.rates)
    training = Training(
        loss="cross-entropy" if drawn.entropy else "mse",
        learning_rate=to_four_digits(speed * (1 - momentum)),
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
