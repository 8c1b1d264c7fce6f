"""Prediction against simulation: discrepancies, their errors, and the verdicts that follow by the rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from reports.judging.estimate import Estimate, estimate
from reports.judging.intervals import detectable, half_width
from reports.judging.rules import LEVEL, POWER, Ruling, exact_verdict, within_budget
from simulate.results import SimulatedReading, Simulation
from theory.prediction import PredictedReading, Prediction
from theory.setting import Setting
from theory.testing import whole_matrix_test


@dataclass(frozen=True)
class ComparedReading:
    """One step of a prediction held against the same step of a simulation.

    Attributes
    ----------
    step : int
    max_abs_z : float or None
        The largest |τ̂ − τ| / SE over the eigenspaces; None without a standard error.
    pvalue : float or None
        Of the prediction, by the whole-matrix test where the form gives the matrix, else Bonferroni over the z's.
    max_relative_error : float
        The largest |τ̂ / τ − 1|.
    detectable : float or None
        The relative error of one τ that would have been detected with probability .9.
    verdict : "holds", "refuted" or "undecided"
    """

    step: int
    max_abs_z: float | None
    pvalue: float | None
    max_relative_error: float
    detectable: float | None
    verdict: Ruling


@dataclass(frozen=True, eq=False)
class Verification:
    """A prediction, a simulation, and what came of holding one against the other."""

    prediction: Prediction
    simulation: Simulation
    estimates: tuple[Estimate, ...]
    comparison: tuple[ComparedReading, ...]

    @property
    def replicas(self) -> int:
        """How many were trained."""
        return self.simulation.replicas

    @property
    def diverged(self) -> int:
        """How many of them diverged."""
        return self.simulation.diverged

    @property
    def convinced(self) -> bool:
        """Whether every reading holds."""
        return all(reading.verdict == "holds" for reading in self.comparison)


def compare(
    prediction: Prediction,
    simulation: Simulation,
    *,
    mean: np.ndarray | None = None,
    estimates: tuple[Estimate, ...] | None = None,
) -> Verification:
    """Hold every predicted reading against the simulated one of the same step.

    `estimates` are those of the simulation, where they are at hand: they cost more than all the rest.
    """
    if estimates is None:
        estimates = estimate(simulation, mean=mean)
    compared = tuple(
        _compare(prediction, predicted, simulation, simulated, estimated)
        for predicted, simulated, estimated in zip(prediction.readings, simulation.readings, estimates, strict=True)
    )
    return Verification(prediction, simulation, estimates, compared)


def _compare(
    prediction: Prediction,
    predicted: PredictedReading,
    simulation: Simulation,
    simulated: SimulatedReading,
    estimated: Estimate,
) -> ComparedReading:
    error = _relative(estimated.tau - predicted.tau, predicted.tau)
    relative_se = _relative(estimated.tau_se, predicted.tau)
    known = bool(np.all(np.isfinite(relative_se)))
    z = float(np.max(np.abs(_relative(estimated.tau - predicted.tau, estimated.tau_se)))) if known else None
    if prediction.status == "asymptotic":
        half = half_width(relative_se, tests=len(error))
        verdict = within_budget(error, half, prediction.error_budget or 0.0, simulation.diverged)
        return ComparedReading(predicted.step, z, None, float(np.max(np.abs(error))), None, verdict)
    pvalue, smallest = _exact_test(simulation.setting, predicted, simulated, z, relative_se)
    verdict = exact_verdict(pvalue, smallest, simulation.diverged)
    return ComparedReading(predicted.step, z, pvalue, float(np.max(np.abs(error))), smallest, verdict)


def _exact_test(
    setting: Setting, predicted: PredictedReading, simulated: SimulatedReading, z: float | None, relative_se: np.ndarray
) -> tuple[float | None, float | None]:
    """The p-value of an exact form, and the relative error of one τ that it would have found."""
    if predicted.second_moment is None:
        if z is None:
            return None, None
        tests = len(relative_se)
        return min(1.0, 2 * tests * float(norm.sf(z))), detectable(float(relative_se.max()), tests=tests)
    # with Gaussian labels and init a linear model's outputs are independent Gaussian vectors, given X
    linear = setting.network.kind == "linear" and setting.labels.kind == "gaussian"
    gaussian = linear and setting.full_batch and setting.data.fixed
    vectors = simulated.replicas * (setting.labels.outputs if gaussian else 1)
    if vectors <= len(predicted.second_moment) if gaussian else len(simulated.counts) < 2:
        return None, None
    test = whole_matrix_test(
        predicted.second_moment,
        simulated.second_moments,
        vectors if gaussian else None,
        gaussian=gaussian,
        counts=simulated.counts,
        level=LEVEL,
        power=POWER,
    )
    return test.pvalue, test.detectable


def _relative(difference: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """difference / unit, 0 where both vanish (a τ that is predicted to be 0, and is)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(difference == 0, 0.0, difference / unit)
