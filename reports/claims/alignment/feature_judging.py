"""How A9 judges features: α and WᵀW of networks that are stationary, alignment by exact tests, courses by intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.claims.alignment.feature_networks import LEFT, BothAlignments, ConvergedFeatures, FeatureCourse
from reports.findings import OUTSIDE, Judgement, Kind
from reports.judging.intervals import bars, found, mean_and_half
from reports.judging.rules import (
    Ruling,
    above_verdict,
    control_verdict,
    exact_verdict,
    identity_verdict,
    sign_verdict,
    within_budget,
)
from theory.features import jackknife

EXPONENT_BUDGET = 0.02  # the largest error of α, absolute
RESIDUAL = 1e-3  # the largest residual of WᵀW at convergence, relative to the norm of WᵀW


@dataclass(frozen=True)
class FeaturePrediction:
    """What is predicted of a case.

    Attributes
    ----------
    exponent : float or None
        α.
    factor : float or None
        The factor c in WᵀW = c (1/n) Σ ∇ℓ xᵀ.
    leaves : bool
        Whether weights leave the eigenspaces of the data.
    """

    exponent: float | None = None
    factor: float | None = None
    leaves: bool = False


def converged_judgements(
    prediction: FeaturePrediction, measured: ConvergedFeatures, kind: Kind
) -> tuple[Judgement, ...]:
    """α and the residual of WᵀW, as far as predicted; outside the hypotheses the residual has no verdict."""
    judged = []
    if prediction.exponent is not None:
        mean, half = mean_and_half(measured.exponents)
        error = np.array([mean - prediction.exponent])
        verdict = within_budget(error, np.array([half]), EXPONENT_BUDGET, measured.diverged)
        judged.append(
            Judgement(
                quantity=r"$\alpha$ of $W_1^\top W_1\propto\mathrm{AGOP}^\alpha$",
                prediction=prediction.exponent,
                measurement=mean,
                interval=(mean - half, mean + half),
                verdict=verdict,
                power=f"detects an error of {EXPONENT_BUDGET:g}",
                note=f"mean over networks; smallest correlation {measured.correlations.min():.6f}, "
                f"{measured.at_one.mean():.3f} on average at $\\alpha=1$",
            )
        )
    if prediction.factor is not None:
        residual = float(_residuals(measured, prediction.factor).max())
        outside = kind == "outside"
        judged.append(
            Judgement(
                kind="outside" if outside else "exact",
                quantity=r"residual of $W_1^\top W_1=-\frac{1}{n\lambda}\sum\nabla\ell\,x^\top$",
                prediction="not 0: some rows lie on kinks" if outside else 0.0,
                measurement=residual,
                verdict=OUTSIDE if outside else identity_verdict(residual, RESIDUAL, measured.diverged),
                power="" if outside else f"detects anything above {RESIDUAL:g}",
                note=r"largest over networks, relative to $\|W_1^\top W_1\|$",
            )
        )
    return tuple(judged)


def _residuals(measured: ConvergedFeatures, factor: float) -> np.ndarray:
    """‖N − cG‖/‖N‖ of every network."""
    squares = measured.products @ np.array([1.0, -2 * factor, factor**2])
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


def alignment_judgements(prediction: FeaturePrediction, measured: BothAlignments) -> tuple[Judgement, ...]:
    """The exact test of the mean AGOP and, where it was made, that of Σ_w."""
    judged = []
    for name, evidence in (("the mean AGOP", measured.gradients), (r"$\Sigma_w$", measured.weights)):
        if evidence is None:
            continue
        verdict: Ruling = (
            control_verdict(evidence.pvalue, measured.diverged)
            if prediction.leaves
            else exact_verdict(evidence.pvalue, evidence.detectable, measured.diverged)
        )
        judged.append(
            Judgement(
                quantity=f"part of {name} outside the commutant of $\\Sigma_x$",
                prediction="rejected" if prediction.leaves else 0.0,
                measurement=evidence.outside,
                pvalue=evidence.pvalue,
                power=found(evidence.detectable),
                verdict=verdict,
            )
        )
    return tuple(judged)


def course_judgements(prediction: FeaturePrediction, measured: FeatureCourse) -> tuple[Judgement, ...]:
    """Which part of both means is aligned with Σ_x at the end; where they leave it, that they stay with each other."""
    quantities = (
        (r"part of $\mathrm{E}\,W_1^\top W_1$ aligned with $\Sigma_x$", measured.weights[-1] - LEFT, LEFT),
        (r"part of the mean AGOP aligned with $\Sigma_x$", measured.gradients[-1] - LEFT, LEFT),
    )
    judged = []
    for quantity, values, bound in quantities:
        value, (low, high), error = _interval(values)
        verdict = (
            sign_verdict(low, high, "negative", measured.diverged)
            if prediction.leaves
            else above_verdict((low, high), 0.0, measured.diverged)
        )
        judged.append(
            Judgement(
                quantity=f"{quantity}, at the end",
                prediction=f"below {LEFT:g}" if prediction.leaves else f"above {LEFT:g}",
                measurement=value + bound,
                standard_error=error,
                interval=(low + bound, high + bound),
                verdict=verdict,
                note="for the change since initialisation; jackknife over networks",
            )
        )
    if prediction.leaves:
        judged += [_joined(measured), _moment(measured)]
    return tuple(judged)


def _joined(measured: FeatureCourse) -> Judgement:
    value, (low, high), error = _interval(measured.agreement[-1] - measured.weights[-1])
    return Judgement(
        quantity=r"correlation of $\mathrm{E}\,W_1^\top W_1$ with the mean AGOP, less its part aligned with $\Sigma_x$",
        prediction="positive",
        measurement=value,
        standard_error=error,
        interval=(low, high),
        verdict=sign_verdict(low, high, "positive", measured.diverged),
        note=f"at the end; the correlation is {measured.agreement[-1, 0]:.3f}",
    )


def _moment(measured: FeatureCourse) -> Judgement:
    epochs = measured.left
    known = bool(np.isfinite(epochs).all())
    value, (low, high), error = _interval(epochs) if known else (float("inf"), (0.0, float("inf")), float("inf"))
    verdict: Ruling = (
        "holds" if known and low > 0 and high < measured.epochs[-1] and not measured.diverged else "undecided"
    )
    return Judgement(
        quantity=rf"epoch at which the aligned part of $\mathrm{{E}}\,W_1^\top W_1$ falls below {LEFT:g}",
        prediction="during training",
        measurement=value,
        standard_error=error if known else None,
        interval=(low, high) if known else None,
        verdict=verdict,
        note="for the change since initialisation, interpolated between readings; jackknife over networks",
    )


def _interval(values: np.ndarray) -> tuple[float, tuple[float, float], float]:
    """A value, its 95 % interval and its standard error, from values (R + 1,) of all networks and without each."""
    value, error = jackknife(values)
    half = bars(error, len(values) - 2)
    return float(value), (float(value - half), float(value + half)), float(error)
