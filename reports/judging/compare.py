"""Prediction against simulation: discrepancies, their error, and the verdict that follows by fixed rules.

Exact forms are refuted below p = 1e-6 and hold if not, provided that a discrepancy of 5 % would have been detected with
probability .9. Asymptotic forms hold when the whole interval of the discrepancy lies inside their error budget and are
refuted when it lies outside. A diverged replica forbids "holds". Everything else is undecided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import norm

from reports.judging.estimate import Estimate, estimate
from simulate.results import SimulatedReading, Simulation
from theory.prediction import PredictedReading, Prediction
from theory.setting import Setting
from theory.testing import whole_matrix_test

LEVEL = 1e-6  # an exact claim is refuted below this p-value; a negative control is detected below it
DISCREPANCY = 0.05  # what must be detectable, with probability `POWER`, before an exact claim may hold
POWER = 0.9
CONFIDENCE = 0.95

Verdict = Literal["holds", "refuted", "undecided"]


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
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class Verification:
    """A prediction, a simulation, and what came of holding one against the other."""

    prediction: Prediction
    simulation: Simulation
    estimates: tuple[Estimate, ...]
    comparison: tuple[ComparedReading, ...]

    @property
    def convinced(self) -> bool:
        """Whether every reading holds."""
        return all(reading.verdict == "holds" for reading in self.comparison)


def compare(prediction: Prediction, simulation: Simulation, *, mean: np.ndarray | None = None) -> Verification:
    """Hold every predicted reading against the simulated one of the same step."""
    estimates = estimate(simulation, mean=mean)
    compared = tuple(
        _compare(prediction, predicted, simulation, simulated, estimated)
        for predicted, simulated, estimated in zip(prediction.readings, simulation.readings, estimates, strict=True)
    )
    return Verification(prediction, simulation, estimates, compared)


def exact_verdict(pvalue: float | None, detectable: float | None, diverged: int) -> Verdict:
    """The rule for exact claims; without a p-value or a power nothing is decided."""
    if pvalue is None or detectable is None:
        return "undecided"
    if pvalue < LEVEL:
        return "refuted"
    return "holds" if detectable <= DISCREPANCY and not diverged else "undecided"


def asymptotic_verdict(low: float, high: float, budget: float, diverged: int) -> Verdict:
    """The rule for asymptotic claims: [low, high] is the interval of a signed relative discrepancy."""
    if low > budget or high < -budget:
        return "refuted"
    return "holds" if -budget <= low and high <= budget and not diverged else "undecided"


def found(detectable: float | None) -> str:
    """What would have been detected, in words."""
    return (
        "nothing is found with probability .9" if detectable is None else f"{detectable:.1%} found with probability .9"
    )


def control_verdict(pvalue: float, diverged: int) -> Verdict:
    """The rule for negative controls: detected below `LEVEL`, otherwise undecided; absence is never concluded."""
    return "holds" if pvalue < LEVEL and not diverged else "undecided"


def negative_verdict(low: float, high: float, diverged: int) -> Verdict:
    """The rule for a quantity that is predicted to be negative, by its confidence interval [low, high]."""
    if low > 0:
        return "refuted"
    return "holds" if high < 0 and not diverged else "undecided"


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
        verdicts = _within_budget(error, relative_se, prediction.error_budget or 0.0, simulation.diverged)
        return ComparedReading(predicted.step, z, None, float(np.max(np.abs(error))), None, verdicts)
    pvalue, detectable = _exact_test(simulation.setting, predicted, simulated, z, relative_se)
    verdict = exact_verdict(pvalue, detectable, simulation.diverged)
    return ComparedReading(predicted.step, z, pvalue, float(np.max(np.abs(error))), detectable, verdict)


def _exact_test(
    setting: Setting, predicted: PredictedReading, simulated: SimulatedReading, z: float | None, relative_se: np.ndarray
) -> tuple[float | None, float | None]:
    """The p-value of an exact form, and the relative error of one τ that it would have found."""
    if predicted.second_moment is None:
        if z is None:
            return None, None
        tests = len(relative_se)
        found = (norm.isf(LEVEL / 2 / tests) + norm.ppf(POWER)) * float(relative_se.max())
        return min(1.0, 2 * tests * float(norm.sf(z))), found
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


def _within_budget(error: np.ndarray, relative_se: np.ndarray, budget: float, diverged: int) -> Verdict:
    """The verdict on all τ of an asymptotic reading: simultaneous 95 % intervals against the budget."""
    if not np.all(np.isfinite(relative_se)):
        return "undecided"
    half = norm.isf((1 - CONFIDENCE) / 2 / len(error)) * relative_se
    verdicts = {
        asymptotic_verdict(low, high, budget, diverged) for low, high in zip(error - half, error + half, strict=True)
    }
    return "refuted" if "refuted" in verdicts else "undecided" if "undecided" in verdicts else "holds"


def _relative(difference: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """difference / unit, 0 where both vanish (a τ that is predicted to be 0, and is)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(difference == 0, 0.0, difference / unit)
