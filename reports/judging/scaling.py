"""Finite-size scaling: a smaller network of the same proportions, trained in place of one that has no closed form.

A surrogate is measured, not derived: nothing is proved (the argument is in theory/derivations.md, section 5). Two sizes
are trained, b = 4 and 8 times smaller. The larger of the two networks gives τ. The convergence check compares the two;
if they differ, there is no verdict. If they agree, both may still be wrong; this happens for n ≫ d², which gives a
warning.

Errors of τ are those of the change τ − τ_0, see `reports.judging.changes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from reports.judging.changes import Moved, from_start, movements, over, relative, welch_degrees
from reports.judging.compare import ComparedReading, Verification
from reports.judging.estimate import data_eigenspaces, estimate
from reports.judging.rules import Ruling, within_budget
from simulate.results import Simulation
from simulate.scaling import operations, run_shrunken, shrink
from theory.errors import InvalidInput
from theory.prediction import PredictedReading, Prediction
from theory.setting import Setting

NAME = "scaling"
FACTORS = (4, 8)
TOLERANCE = 0.05  # the largest relative difference between the two sizes in any τ at which they have converged
ERROR_BUDGET = 0.1  # the error budget of any τ against the full size; declared for n up to a few times d²

# Beyond these limits the argument fails or is untested: a warning, not an error.
MOST_ROWS = 12  # the most rows, in units of d²: the argument was seen to hold at 11, to fail at 16
FEWEST_NEURONS = 16
FEWEST_BATCHES = 2  # the fewest batches in an epoch of the smallest network

Agreement = Literal["converged", "not converged", "undecided"]
AGREEMENT: dict[Ruling, Agreement] = {"holds": "converged", "refuted": "not converged", "undecided": "undecided"}


@dataclass(frozen=True, eq=False)
class SurrogateReading:
    """Both sizes at one step of the full-size setting.

    Attributes
    ----------
    step : int
    sigma : ndarray, shape (k,)
    multiplicity : tuple of int, length k
    sizes : tuple of Moved
        The sizes, one per factor, the larger network first.
    difference, half_width : ndarray, shape (k,)
        τ of the smaller network over that of the larger one, less 1; half of its simultaneous 95 % interval.
    agreement : "converged", "not converged" or "undecided"
        Whether all these intervals lie inside the tolerance, or one outside.
    """

    step: int
    sigma: np.ndarray
    multiplicity: tuple[int, ...]
    sizes: tuple[Moved, Moved]
    difference: np.ndarray
    half_width: np.ndarray
    agreement: Agreement


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Two smaller networks of the same proportions, in place of a closed form.

    Attributes
    ----------
    setting : Setting
        The full-size setting.
    factors : (int, int)
        b, ascending.
    replicas, diverged : (int, int)
    tolerance : float
    readings : tuple of SurrogateReading
    warnings : tuple of str
        Reasons why the argument may not apply to the setting.
    saving : float
        Operations of the full-size ensemble over those of both smaller ones, for about the same standard error.
    """

    setting: Setting
    factors: tuple[int, int]
    replicas: tuple[int, int]
    diverged: tuple[int, int]
    tolerance: float
    readings: tuple[SurrogateReading, ...]
    warnings: tuple[str, ...]
    saving: float

    @property
    def agreement(self) -> Agreement:
        """The convergence check over all readings: the worst result."""
        found = {reading.agreement for reading in self.readings}
        order: tuple[Agreement, ...] = ("not converged", "undecided", "converged")
        return next(agreement for agreement in order if agreement in found)


@dataclass(frozen=True)
class ScalingError:
    """One of the smaller networks against the full size, at one step.

    Attributes
    ----------
    step, b : int
    worst, worst_se : float
        The relative error of the τ that is furthest off, signed, and its standard error.
    degrees : float
        The degrees of freedom of that standard error, by Welch and Satterthwaite.
    rms, noise : float
        Root mean square over the eigenspaces of the relative error of τ, and of its standard error; the noise of both
        ensembles counts.
    interval : (float, float)
        The lowest and the highest end of the simultaneous 95 % intervals of all eigenspaces, signed.
    moved : float
        The largest |τ / τ_0 − 1| of the full size: the error of saying that nothing moves.
    change, change_noise : float or None
        ‖Δ − Δ_b‖ / ‖Δ‖ for Δ = τ − τ_0, and what noise alone would give; None at step 0, where nothing has changed.
    """

    step: int
    b: int
    worst: float
    worst_se: float
    degrees: float
    rms: float
    noise: float
    interval: tuple[float, float]
    moved: float
    change: float | None
    change_noise: float | None

    @property
    def largest(self) -> float:
        """The size of the worst error, |worst|."""
        return abs(self.worst)


@dataclass(frozen=True, eq=False)
class ScalingVerification(Verification):
    """A verification of the surrogate, which also reports its convergence check and the errors of τ − τ_0.

    Attributes
    ----------
    surrogate : Surrogate
    full : tuple of Moved, one per reading
        The full size.
    errors : tuple of ScalingError, one per reading and factor, in this order
    """

    surrogate: Surrogate
    full: tuple[Moved, ...]
    errors: tuple[ScalingError, ...]

    @property
    def diverged(self) -> int:
        """How many replicas of all three ensembles diverged."""
        return self.simulation.diverged + sum(self.surrogate.diverged)

    def errors_at(self, step: int) -> tuple[ScalingError, ...]:
        """The errors of both sizes at one step, the larger network's first."""
        return tuple(error for error in self.errors if error.step == step)


def surrogate(
    setting: Setting,
    *,
    factors: Sequence[int] = FACTORS,
    replicas: int | None = None,
    tolerance: float = TOLERANCE,
    device: str = "cpu",
    progress: bool = False,
) -> Surrogate:
    """Train two smaller networks of the same proportions, and check whether they agree.

    Parameters
    ----------
    setting : Setting
        The full-size setting, which is not trained.
    factors : two int
        Divisors of rows, widths and updates, ascending, at least 2.
    replicas : int or None
        How many full-size replicas to match in standard error: b times as many are trained. If None, those of the
        setting.
    tolerance : float
        The most by which the two sizes may differ in any τ.

    Raises
    ------
    InvalidInput
        As for :func:`simulate.scaling.shrink`, before anything is trained.
    """
    chosen = tuple(factors)
    if len(chosen) != 2 or not 2 <= chosen[0] < chosen[1]:
        raise InvalidInput("factors", chosen, "must be two ascending numbers, at least 2")
    matched = setting.ensemble.replicas if replicas is None else replicas
    if matched < 1:
        raise InvalidInput("replicas", matched, "must be at least 1")
    started = from_start(setting)
    for b in chosen:
        shrink(started, b)
    larger, smaller = (run_shrunken(started, b, replicas=b * matched, device=device, progress=progress) for b in chosen)
    diverged = (larger.diverged, smaller.diverged)
    spaces, dimension = data_eigenspaces(larger), len(larger.data_moment)
    sigma = np.sqrt(np.maximum(spaces.eigenvalues, 0))
    readings = []
    for step, one, other in zip(started.training.readings, movements(larger), movements(smaller), strict=True):
        if step not in setting.training.readings:
            continue
        difference, half_width = relative(other, one)
        agreement = AGREEMENT[within_budget(difference, half_width, tolerance, sum(diverged))]
        sizes = replace(one, step=step), replace(other, step=step)
        readings.append(SurrogateReading(step, sigma, spaces.multiplicity, sizes, difference, half_width, agreement))
    spent = sum(simulation.replicas * operations(simulation.setting, dimension) for simulation in (larger, smaller))
    return Surrogate(
        setting=setting,
        factors=(chosen[0], chosen[1]),
        replicas=(larger.replicas, smaller.replicas),
        diverged=diverged,
        tolerance=tolerance,
        readings=tuple(readings),
        warnings=warnings(setting, dimension, chosen[1], sum(diverged)),
        saving=matched * operations(setting, dimension) / spent if spent else 1.0,
    )


def warnings(setting: Setting, dimension: int, b: int, diverged: int = 0) -> tuple[str, ...]:
    """Reasons why the argument may not apply to a setting; b is the larger factor."""
    small = shrink(setting, b)
    rows, size = setting.data.sample_count, small.training.batch_size
    found = []
    if rows > MOST_ROWS * dimension**2:
        found.append(f"n = {rows} exceeds {MOST_ROWS} d² = {MOST_ROWS * dimension**2}: the argument fails for n ≫ d²")
    if min(small.network.widths) < FEWEST_NEURONS:
        found.append(f"a layer has only {min(small.network.widths)} neurons at b = {b}: 1/width is not small")
    if size != "full" and small.data.sample_count < FEWEST_BATCHES * size:
        found.append(f"a batch of {size} holds most of the {small.data.sample_count} rows at b = {b}")
    if diverged:
        found.append(f"{diverged} of the smaller networks diverged")
    return tuple(found)


def predict(found: Surrogate) -> Prediction:
    """The larger of the two networks as a prediction for the full size, with its assumptions."""
    b, other = found.factors
    return Prediction(
        formula=NAME,
        status="asymptotic",
        order=f"1/width at b = {b}, measured; no rate is proved",
        error_budget=ERROR_BUDGET,
        assumptions=(
            "a surrogate, not a closed form: a smaller network of the same proportions is simulated",
            f"rows, hidden widths and updates divided by {b}, in {found.replicas[0]} replicas; everything else is kept",
            f"convergence check, b = {b} against b = {other} within {found.tolerance:.0%}: {found.agreement}",
            *(f"warning: {text}" for text in found.warnings),
        ),
        neglected=("corrections of order 1/width", "a drift as more levels of the kernel saturate"),
        readings=tuple(
            PredictedReading(reading.step, reading.sigma, reading.multiplicity, reading.sizes[0].tau)
            for reading in found.readings
        ),
    )


def compare(found: Surrogate, full: Simulation, *, mean: np.ndarray | None = None) -> ScalingVerification:
    """Compare a surrogate with a full-size ensemble that was also read at step 0, see `from_start`.

    A reading holds where the simultaneous 95 % interval of every τ's relative error, both ensembles' noise included,
    lies inside the error budget, and is refuted where one lies outside. It is undecided unless the convergence check
    says "converged".
    """
    by_step = {moved.step: moved for moved in movements(full)}
    measured = tuple(by_step[reading.step] for reading in found.readings)
    compared, errors = [], []
    for reading, moved in zip(found.readings, measured, strict=True):
        predicted = reading.sizes[0]
        error, half_width = relative(moved, predicted)
        verdict: Ruling = "undecided"
        if reading.agreement == "converged":
            verdict = within_budget(error, half_width, ERROR_BUDGET, full.diverged + sum(found.diverged))
        largest = float(np.max(np.abs(error)))
        compared.append(ComparedReading(reading.step, _largest_z(moved, predicted), None, largest, None, verdict))
        errors += [_error(b, moved, size) for b, size in zip(found.factors, reading.sizes, strict=True)]
    asked = tuple(reading for reading in full.readings if reading.step in found.setting.training.readings)
    simulation = replace(full, setting=found.setting, readings=asked)
    return ScalingVerification(
        prediction=predict(found),
        simulation=simulation,
        estimates=estimate(simulation, mean=mean),
        comparison=tuple(compared),
        surrogate=found,
        full=measured,
        errors=tuple(errors),
    )


def _error(b: int, measured: Moved, predicted: Moved) -> ScalingError:
    error, half_width = relative(measured, predicted)
    noise = np.hypot(measured.change_se, predicted.change_se)
    worst, size = int(np.argmax(np.abs(error))), float(np.linalg.norm(measured.change))
    return ScalingError(
        step=measured.step,
        b=b,
        worst=float(error[worst]),
        worst_se=float(over(noise, predicted.tau)[worst]),
        degrees=float(welch_degrees(measured, predicted)[worst]),
        rms=_rms(error),
        noise=_rms(over(noise, predicted.tau)),
        interval=(float(np.min(error - half_width)), float(np.max(error + half_width))),
        moved=float(np.max(np.abs(over(measured.change, measured.initial)))),
        change=float(np.linalg.norm(measured.change - predicted.change)) / size if size else None,
        change_noise=float(np.linalg.norm(noise)) / size if size else None,
    )


def _largest_z(measured: Moved, predicted: Moved) -> float | None:
    noise = np.hypot(measured.change_se, predicted.change_se)
    difference = np.abs(measured.change - predicted.change)
    if not np.all(np.isfinite(noise)):
        return None
    return float(np.max(np.divide(difference, noise, out=np.zeros_like(noise), where=noise > 0)))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
