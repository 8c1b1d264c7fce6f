"""What claim F9 trains: one hidden layer, at rates at which most weights move by a third of their size or more.

All settings and numbers of networks were fixed before the report's networks were trained. Pilot networks of other seeds
served to choose learning rates at which weights move far and no network diverges, the numbers of replicas, and settings
whose predictions take seconds.

The networks of several sizes were chosen after pilots of two families. In one, whose weights move farther, the error
fell as d^-0.5 to d^-0.7 with 1,024 rows of the solver, whose own error of order one over the rows is then as large
as that of the networks; it was left. In this one the exponent was -0.7 with 1,024 rows and -1.0 with 4,096, and
16,384 were taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
import numpy as np

from reports.claims.claim import Trial
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

REPLICAS, WRONG_REPLICAS = 256, 64  # of the quick budget


@dataclass(frozen=True)
class Described:
    """The theory that describes a case.

    Attributes
    ----------
    lazy : bool
        Whether the kernel limit, which must fail, takes the place of `network-dmft`.
    """

    lazy: bool = False


@dataclass(frozen=True)
class Sizes:
    """Networks of fewer directions and the same limit, which are trained too, all at given output weights.

    Attributes
    ----------
    smaller : tuple of int
        The numbers of directions of these networks, ascending.
    """

    smaller: tuple[int, ...]


Study = Described | Sizes


def in_steps(levels: tuple[float, ...], directions: int) -> tuple[float, ...]:
    """A spectrum of `directions` directions, as many at every level."""
    return tuple(float(level) for level in np.repeat(levels, directions // len(levels)))


# no direction has more than a thirtieth of a row's variance
FLAT, TWO, EVEN = in_steps((1.0,), 80), in_steps((0.5, 1.5), 80), in_steps((0.1, 0.7, 1.3, 1.9), 80)
POWER = in_steps(tuple((1.45 * np.arange(1, 9) ** -0.5).round(2)), 80)  # a spectrum with σ² ∝ rank^(−½), in eight steps
STEEP = in_steps(tuple((2.2 * np.arange(1, 6) ** -1.0).round(2)), 80)  # a spectrum with σ² ∝ 1/rank, in five steps
DOMINATED = (*in_steps((0.5, 1.5), 40), 18.0)  # a spectrum with a third of the variance in one direction
LOUD, CLASSES, FOUR = Labels(variance=4.0), Labels(kind="classes", classes=3), Labels(variance=16.0, outputs=4)
LOUDER = Labels(variance=64.0, outputs=4)


def trained(
    activation: str,
    width: int,
    training: Training,
    *,
    labels: Labels = LOUD,
    spectrum: tuple[float, ...] = TWO,
    rows: int = 160,
    train: str = "first",
    replicas: int = REPLICAS,
    bias: bool = False,
) -> Setting:
    """One hidden layer in the ntk parametrization; with biases in the standard one, where they move as weights do."""
    network = {
        "kind": "mlp",
        "hidden": [width],
        "activation": activation,
        "parametrization": "standard" if bias else "ntk",
        "train": train,
        "bias": bias,
    }
    return Setting(
        data=Data(kind="gaussian", spectrum=spectrum, samples=rows, rotate=False),
        labels=labels,
        network=msgspec.convert(network, Network),
        training=training,
        ensemble=Ensemble(replicas=replicas),
    )


def _asymptotic(setting: Setting) -> Trial[Study]:
    return Trial(setting, Described(), "asymptotic")


PLAIN = trained("erf", 3, Training(learning_rate=24.0, steps=24))
# The plain training, half as long: weights have moved by a third, where the theory of the kernel limit is off by
# five times the budget.
HALF_AS_LONG = trained("erf", 3, Training(learning_rate=24.0, steps=12), replicas=WRONG_REPLICAS)
SMALL: dict[str, Trial[Study]] = {
    "ReLU, momentum": _asymptotic(trained("relu", 2, Training(learning_rate=5.0, momentum=0.7, steps=16))),
    "tanh, cross-entropy, shuffled batches, momentum": _asymptotic(
        trained(
            "tanh",
            3,
            Training(loss="cross-entropy", learning_rate=32.0, momentum=0.5, batch_size=40, steps=16),
            labels=CLASSES,
        )
    ),
    "erf, full batch, as if near the kernel limit": Trial(HALF_AS_LONG, Described(lazy=True), "control"),
}
LARGER: dict[str, Trial[Study]] = {
    "erf, full batch": _asymptotic(PLAIN),
    "erf, one neuron, power law": _asymptotic(
        trained("erf", 1, Training(learning_rate=12.0, steps=20), spectrum=POWER)
    ),
    "erf, four outputs": _asymptotic(
        trained("erf", 4, Training(learning_rate=20.0, steps=16), spectrum=EVEN, labels=FOUR)
    ),
    "ReLU, sixteen neurons, flat spectrum, momentum": _asymptotic(
        trained("relu", 16, Training(learning_rate=12.0, momentum=0.5, steps=8), spectrum=FLAT, labels=FOUR)
    ),
    "ReLU, cross-entropy, steep power law": _asymptotic(
        trained(
            "relu",
            3,
            Training(loss="cross-entropy", learning_rate=20.0, momentum=0.5, steps=12),
            spectrum=STEEP,
            labels=CLASSES,
        )
    ),
    "tanh, both layers, shuffled batches, power law": _asymptotic(
        trained("tanh", 4, Training(learning_rate=12.0, batch_size=40, steps=12), spectrum=POWER, train="all")
    ),
    "ReLU, both layers, biases": _asymptotic(
        trained("relu", 4, Training(learning_rate=0.1, steps=12), train="all", bias=True)
    ),
    "erf, one direction dominates": _asymptotic(
        trained("erf", 3, Training(learning_rate=3.0, steps=24), spectrum=DOMINATED, rows=120)
    ),
    "ReLU, one direction dominates": _asymptotic(
        trained("relu", 4, Training(learning_rate=1.0, steps=20), spectrum=DOMINATED, rows=120)
    ),
    "erf, 20, 40 and 80 directions": Trial(
        trained("erf", 4, Training(learning_rate=8.0, steps=12), spectrum=EVEN, labels=LOUDER, replicas=1280),
        Sizes((20, 40)),
        "asymptotic",
    ),
}
TRIALS = SMALL | {name: replace(trial, since="full") for name, trial in LARGER.items()}
