"""The design of claim F8: settings drawn from a seed of their own, mechanism by mechanism.

Setting k of a mechanism is drawn from (DESIGN, mechanism, k), whatever the user's seed is, which draws rows, labels and
initial weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from reports.claims.transfer.kernel_gains import KeptOutput, PretrainedWeights
from reports.claims.transfer.pretraining import BUDGET, OUTPUTS
from reports.claims.transfer.pretraining import WIDTH as FEATURES
from reports.claims.transfer.sign_settings import Actual, Comparison, Linear, SlantedOutput, SlantedWeights, Wide
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

DESIGN = 20_061_045  # the entropy of the design, beside the mechanism and the number of a setting
WIDTH = 512  # the width of networks in the kernel regime
ACTUAL_WIDTH = 64  # the width of the actual networks

Route = Literal["initial weights", "frozen features", "kernel regime", "kept output", "actual network"]


def initial_weights(seed: int, rng: np.random.Generator) -> Linear:
    """The weights of linear models, over fresh ones as drawn or of the same trace."""
    return _linear(seed, rng, replicas=256, frozen=False)


def frozen_features(seed: int, rng: np.random.Generator) -> Linear:
    """Frozen features, eight networks of T1's width, over fresh ones of the same trace."""
    return _linear(seed, rng, replicas=8 * FEATURES // OUTPUTS, frozen=True)


def kernel_regime(seed: int, rng: np.random.Generator) -> Wide:
    """First-layer weights along or against the data's large directions, the second layer trained."""
    setting = _wide(seed, rng, Labels())
    length, exponent, slant = _length(rng, 30), rng.uniform(-1.5, 1.5), rng.uniform(-2, 2)
    study = SlantedWeights("slanted", (length,), exponent=exponent, slant=slant)
    return Wide(setting, study, int(rng.integers(2)))


def kept_output(seed: int, rng: np.random.Generator) -> Wide:
    """The whole network continues to train, on the same inputs or new ones."""
    setting = _wide(seed, rng, Labels(variance=_log_uniform(rng, 0.3, 50.0)))
    study = SlantedOutput(_length(rng, 100), bool(rng.integers(2)), (_length(rng, 30),), slant=rng.uniform(-2, 2))
    return Wide(setting, study, 0)


def actual_network(seed: int, rng: np.random.Generator) -> Actual:
    """Perceptrons of one to three hidden layers on digits, or filters on photographs, with random targets first.

    Tasks are short: the kernel that a network has says what it does while it keeps that kernel.
    """
    depth = int(rng.choice(4, p=[0.07, 0.31, 0.31, 0.31]))  # 0: filters
    filters: dict[str, Any] = {} if depth else {"filters": 8}
    network = Network(
        kind="mlp" if depth else "conv",
        hidden=(ACTUAL_WIDTH,) * max(depth, 1),
        activation=("relu", "tanh", "erf")[rng.integers(3)],
        parametrization="ntk",
        **filters,
    )
    setting = Setting(
        data=Data(kind="digits", samples=8) if depth else Data(kind="photographs", crop=(6, 6), samples=8),
        labels=Labels(variance=_log_uniform(rng, 0.5, 20.0), outputs=10 if depth else 2),
        network=network,
        training=Training(learning_rate=0.2, steps=_length(rng, 150)),
        ensemble=Ensemble(replicas=1, seed=seed),
    )
    return Actual(setting, 0.2, _length(rng, 6), bool(rng.integers(2)))


@dataclass(frozen=True)
class Mechanism:
    """How pre-training reaches the task.

    Attributes
    ----------
    number : int
        The place of the mechanism in the design.
    draw : callable
        A setting of the design, from a seed for rows, labels and weights, and a generator.
    margin : float
        What the form of the mechanism neglects of a gain: the budgets of T1 and F5; for actual networks, whose kernel
        is the one they have, that of weights.
    """

    number: int
    draw: Callable[[int, np.random.Generator], Comparison]
    margin: float = 0.0


MECHANISMS: Mapping[Route, Mechanism] = {
    "initial weights": Mechanism(0, initial_weights),
    "frozen features": Mechanism(1, frozen_features, BUDGET),
    "kernel regime": Mechanism(2, kernel_regime, PretrainedWeights.excess * WIDTH**-0.5),
    "kept output": Mechanism(3, kept_output, KeptOutput.excess * WIDTH**-0.5),
    "actual network": Mechanism(4, actual_network, PretrainedWeights.excess * ACTUAL_WIDTH**-0.5),
}


def comparison(route: Route, number: int, seed: int) -> Comparison:
    """Setting `number` of a mechanism's design, its rows, labels and weights drawn from `seed`."""
    mechanism = MECHANISMS[route]
    return mechanism.draw(seed + number, np.random.default_rng([DESIGN, mechanism.number, number]))


def _linear(seed: int, rng: np.random.Generator, *, replicas: int, frozen: bool) -> Linear:
    spectrum, samples = _data(rng)
    setting = Setting(
        data=Data(kind="gaussian", spectrum=spectrum, samples=samples, fixed=True),
        labels=Labels(variance=_log_uniform(rng, 0.1, 30.0), outputs=OUTPUTS),
        network=Network(init_variance=_log_uniform(rng, 0.1, 5.0)),
        training=Training(learning_rate=0.3 / spectrum[0], steps=_length(rng, 100)),
        ensemble=Ensemble(replicas=replicas, seed=seed),
    )
    slant, noise, matched = rng.uniform(-2, 2), _log_uniform(rng, 0.03, 1.0), bool(rng.integers(2))
    return Linear(setting, 0.3, _length(rng, 30), slant, noise, matched or frozen, frozen)


def _wide(seed: int, rng: np.random.Generator, labels: Labels) -> Setting:
    spectrum, samples = _data(rng)
    return Setting(
        data=Data(kind="gaussian", spectrum=spectrum, samples=samples, fixed=True),
        labels=labels,
        network=Network(kind="mlp", hidden=(WIDTH,), parametrization="ntk"),
        training=Training(learning_rate=1 / spectrum[0]),
        ensemble=Ensemble(replicas=8, seed=seed),
    )


def _data(rng: np.random.Generator) -> tuple[tuple[float, ...], int]:
    """A power law of mean 1 in 8 to 12 dimensions, and n from half of them to four times as many."""
    d, ratio = int(rng.choice([8, 10, 12])), float(rng.choice([0.5, 1, 2, 4]))
    values = np.arange(1.0, d + 1) ** -rng.uniform(0.3, 2.0)
    return tuple((values / values.mean()).round(4).tolist()), round(ratio * d)


def _length(rng: np.random.Generator, largest: int) -> int:
    return round(_log_uniform(rng, 1, largest))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
