"""Prediction against simulation: discrepancies, their errors, and the verdicts that follow by the rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.counted import counted
from reports.judging import sufficient
from reports.judging.estimate import Estimate, data_eigenspaces, estimate
from reports.judging.rules import CONFIDENCE, LEVEL, POWER, Ruling, exact_verdict, interval_within_budget
from reports.judging.sufficient import ExactTest
from simulate.moments import block_count
from simulate.results import SimulatedReading, Simulation
from theory.eigenspaces import weight_variances
from theory.prediction import PredictedReading, Prediction
from theory.testing import variances_test, whole_matrix_test
from theory.testing.estimated import estimated_means


@dataclass(frozen=True)
class ComparedReading:
    """One step of a prediction, compared with the same step of a simulation.

    Attributes
    ----------
    step : int
    max_abs_z : float or None
        The largest |τ̂ − τ| / SE over the eigenspaces; None without a standard error.
    pvalue : float or None
        The p-value of the prediction, by the whole-matrix test if the form gives the matrix, otherwise by Bonferroni
        over the τ.
    max_relative_error : float
        The largest |τ̂ / τ − 1|.
    detectable : float or None
        The relative error of one τ that the test detects with 90 % power; None if it detects only gross errors.
    verdict : "holds", "refuted" or "undecided"
    reason : str or None
        Why the reading is undecided, and how many replicas would decide it.
    """

    step: int
    max_abs_z: float | None
    pvalue: float | None
    max_relative_error: float
    detectable: float | None
    verdict: Ruling
    reason: str | None = None


@dataclass(frozen=True, eq=False)
class Verification:
    """A prediction, a simulation, and their comparison."""

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
    """Compare each predicted reading with the simulated one of the same step.

    Pass the `estimates` of the simulation if they are known: they cost more than the comparison.
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
    known = bool(np.all(np.isfinite(estimated.tau_se)))
    z = float(np.max(np.abs(_relative(estimated.tau - predicted.tau, estimated.tau_se)))) if known else None
    largest, diverged = float(np.max(np.abs(error))), simulation.diverged
    gaussian = prediction.status == "exact" and _gaussian(simulation, predicted)
    if few := _too_few(simulation, simulated, gaussian=gaussian):
        return ComparedReading(predicted.step, z, None, largest, None, "undecided", few)
    if prediction.status == "asymptotic":
        budget = prediction.error_budget or 0.0
        return ComparedReading(
            predicted.step, z, None, largest, None, *_asymptotic(predicted, simulation, simulated, budget)
        )
    test = _exact_test(simulation, predicted, simulated, gaussian=gaussian)
    found = test.detectable if np.isfinite(test.detectable) else None
    verdict = exact_verdict(test.pvalue, np.inf if found is None else found, diverged)
    reason: str | None = None
    if verdict == "undecided":
        reason = diverged_reason(diverged) if diverged else sufficient.exact_reason(test, simulated.replicas)
    return ComparedReading(predicted.step, z, test.pvalue, largest, found, verdict, reason)


def _gaussian(simulation: Simulation, predicted: PredictedReading) -> bool:
    """Whether the replicas' weights are independent Gaussian vectors whose second moment is predicted.

    With Gaussian labels and init a linear model's outputs are, given X.
    """
    setting = simulation.setting
    linear = setting.network.kind == "linear" and setting.labels.kind == "gaussian"
    return linear and predicted.second_moment is not None and setting.full_batch and setting.data.fixed


def _too_few(simulation: Simulation, simulated: SimulatedReading, *, gaussian: bool) -> str | None:
    """Why nothing can be tested: Gaussian vectors must span their space; otherwise an error needs two replicas."""
    outputs, dimension = simulation.setting.labels.outputs, len(simulation.data_moment)
    if simulated.replicas * outputs > dimension if gaussian else len(simulated.counts) > 1:
        return None
    if simulation.diverged:
        return diverged_reason(simulation.diverged)
    if gaussian:
        needed = -(-sufficient.gaussian_vectors(dimension) // outputs)
        return f"needs {needed:,} replicas: there are fewer vectors than dimensions"
    return "needs more than one replica"


def _exact_test(
    simulation: Simulation, predicted: PredictedReading, simulated: SimulatedReading, *, gaussian: bool
) -> ExactTest:
    """The test of an exact form: of the whole matrix where the form gives it, otherwise of every τ."""
    setting, spread = simulation.setting, predicted.relative_variance
    blocks = block_count(len(simulation.data_moment))
    if predicted.second_moment is None:
        values = weight_variances(data_eigenspaces(simulation), simulated.second_moments)
        of_tau = variances_test(
            predicted.tau, values, counts=simulated.counts, variance=spread, level=LEVEL, power=POWER
        )
        return sufficient.of_variances(of_tau, spread, blocks)
    test = whole_matrix_test(
        predicted.second_moment,
        simulated.second_moments,
        simulated.replicas * setting.labels.outputs if gaussian else None,
        gaussian=gaussian,
        counts=simulated.counts,
        variance=None if spread is None else float(np.max(spread)),
        level=LEVEL,
        power=POWER,
    )
    return sufficient.of_matrix(test, setting.labels.outputs if gaussian else None, spread, blocks)


def _asymptotic(
    predicted: PredictedReading, simulation: Simulation, simulated: SimulatedReading, budget: float
) -> tuple[Ruling, str | None]:
    """The ruling on an asymptotic form by simultaneous intervals of τ / τ predicted − 1, and why it is undecided."""
    values = weight_variances(data_eigenspaces(simulation), simulated.second_moments)
    zero = predicted.tau == 0
    if np.any(values[:, zero]) or np.all(zero):
        return "undecided", "a predicted tau is 0, so its relative error is undefined"
    means = estimated_means(values[:, ~zero] / predicted.tau[~zero], simulated.counts)
    low, high = means.interval(CONFIDENCE)
    verdict = interval_within_budget(low - 1, high - 1, budget, simulation.diverged)
    if verdict != "undecided":
        return verdict, None
    if simulation.diverged:
        return verdict, diverged_reason(simulation.diverged)
    return verdict, sufficient.asymptotic_reason(means, budget)


def diverged_reason(diverged: int) -> str:
    """Why nothing holds where replicas diverged."""
    return f"{counted(diverged, 'replica')} diverged, so nothing can hold"


def _relative(difference: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """difference / unit, 0 where both vanish (a τ that is predicted to be 0, and is)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(difference == 0, 0.0, difference / unit)
