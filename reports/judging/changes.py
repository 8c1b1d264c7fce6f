"""The change τ − τ_0 of an ensemble's weights, and the comparison of two ensembles by it.

τ_0 is known exactly, and the noise of the initial weights, which is most of the noise where weights have moved little,
is subtracted replica by replica.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from scipy.stats import t as student

from reports.judging.estimate import data_eigenspaces
from reports.judging.intervals import mean_with_error
from reports.judging.rules import CONFIDENCE
from simulate.results import Simulation
from theory.eigenspaces import weight_variances
from theory.errors import InvalidInput
from theory.setting import Setting


@dataclass(frozen=True, eq=False)
class Moved:
    """How far the weights of an ensemble have moved at one reading.

    Attributes
    ----------
    step : int
    initial : float
        τ_0, the exact variance of an initial weight.
    change, change_se : ndarray, shape (k,)
        τ − τ_0 by eigenspace, each replica's own initial value subtracted; NaN where all replicas have diverged.
    blocks : int
        How many independent values the standard error rests on.
    """

    step: int
    initial: float
    change: np.ndarray
    change_se: np.ndarray
    blocks: int

    @property
    def tau(self) -> np.ndarray:
        """τ (k,), with the standard error of its change."""
        return self.initial + self.change


def from_start(setting: Setting) -> Setting:
    """The setting, read at step 0 too."""
    steps = tuple(sorted({0, *setting.training.readings}))
    return msgspec.structs.replace(setting, training=msgspec.structs.replace(setting.training, steps=steps))


def movements(simulation: Simulation) -> tuple[Moved, ...]:
    """How far the weights have moved at every reading of a simulation, whose first is step 0."""
    spaces = data_eigenspaces(simulation)
    network = simulation.setting.network
    fan_in = 1 if network.parametrization == "ntk" else len(simulation.data_moment)
    initial = network.layer_variances[0] / fan_in
    start, *_ = simulation.readings
    if start.step != 0:
        raise InvalidInput("simulation.readings", start.step, "must begin with step 0, as `from_start` has them")
    before = weight_variances(spaces, start.second_moments)
    found = []
    for reading in simulation.readings:
        # diverged replicas are left out of every reading: blocks hold the same replicas throughout
        change = weight_variances(spaces, reading.second_moments) - before
        with np.errstate(over="ignore", invalid="ignore"):  # squares may overflow before a replica diverges
            mean, error = mean_with_error(change, reading.counts)
        found.append(Moved(reading.step, initial, mean, error, len(reading.counts)))
    return tuple(found)


def relative(measured: Moved, reference: Moved) -> tuple[np.ndarray, np.ndarray]:
    """τ / τ_ref − 1 of two independent ensembles (k,), and half of its simultaneous 95 % interval (k,).

    Student's law with the degrees of freedom of Welch and Satterthwaite, Bonferroni over the eigenspaces; the error of
    the reference counts in the difference and is neglected, being of second order, in the divisor.
    """
    with np.errstate(all="ignore"):  # what is not finite is judged as undecided
        error = over(measured.change - reference.change, reference.tau)
        total = np.hypot(measured.change_se, reference.change_se)
        tail = (1 - CONFIDENCE) / 2 / len(error)
        quantile = np.where(total == 0, 0.0, student.isf(tail, welch_degrees(measured, reference)))
        half_width = quantile * over(total, reference.tau)
    return error, half_width


def welch_degrees(one: Moved, other: Moved) -> np.ndarray:
    """The degrees of freedom (k,) of the errors of a difference, by Welch and Satterthwaite; NaN where both are 0."""
    freedom = np.array([[one.blocks - 1.0], [other.blocks - 1.0]])
    parts = np.stack([one.change_se, other.change_se]) ** 2
    with np.errstate(all="ignore"):
        return np.asarray(parts.sum(axis=0) ** 2 / (parts**2 / freedom).sum(axis=0))


def over(difference: np.ndarray, unit: np.ndarray | float) -> np.ndarray:
    """difference / unit, 0 where there is no difference (nothing is there, and nothing was predicted)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(difference == 0, 0.0, difference / unit)
