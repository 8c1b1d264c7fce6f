"""What networks of one width, and of several, say of the theory of order 1/m: changes, gaps, shares, a power law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize, stats

from reports.claims.forms.lazy_changes import Changes
from reports.judging.intervals import exceeds_pvalue, sample_mean
from theory.network.lazy import LARGEST_DISPLACEMENT, LazyTerms, declared_share
from theory.network.model import Model

SEEN = 3.0  # standard errors that a gap must exceed at the narrowest width before a power of the width is fitted

TermName = Literal["own_output", "gates", "output_weights"]
DROPPED: dict[TermName, str] = {"own_output": "$T_2$", "gates": "$T_3$", "output_weights": "$T_4$"}


@dataclass(frozen=True, eq=False)
class WidthEvidence:
    """The changes of τ in networks of one width at the last reading; the values of single replicas are left out.

    Attributes
    ----------
    width, replicas, diverged : int
    degrees : int
        Of freedom, of the standard errors.
    displacement : float
        ε of `theory.network.lazy`.
    initial : float
        m s_0².
    share : float
        The share of its terms' sizes by which the theory declares to be off at most.
    predicted : LazyTerms
        In the basis of the directions, (d, d) each.
    sigma, change, change_se : ndarray, shape (d,)
        m(τ − s_0²) along every direction as measured, and its standard error.
    trace, trace_se : float
        The sum over all directions.
    """

    width: int
    replicas: int
    diverged: int
    degrees: int
    displacement: float
    initial: float
    share: float
    predicted: LazyTerms
    sigma: np.ndarray
    change: np.ndarray
    change_se: np.ndarray
    trace: float
    trace_se: float

    @property
    def declared(self) -> float:
        """By how much the theory declares to be off, at most, in m(τ − s_0²) along any direction."""
        return self.share * self.predicted.size

    @property
    def predicted_change(self) -> np.ndarray:
        """m(τ − s_0²) along every direction as predicted, (d,)."""
        return np.diagonal(self.predicted.total)

    @property
    def predicted_trace(self) -> float:
        """The sum over all directions, as predicted."""
        return float(np.trace(self.predicted.total))

    @property
    def gap(self) -> float:
        """The predicted less the measured trace."""
        return self.predicted_trace - self.trace

    def part(self, term: TermName) -> np.ndarray:
        """One of the terms along every direction, (d,)."""
        return np.diagonal(getattr(self.predicted, term))

    def distance(self, predicted: np.ndarray) -> float:
        """‖measured − predicted‖ over the norm of the theory, with Σ SE² subtracted from the square; 0 if below."""
        square = float(np.sum((self.change - predicted) ** 2 - self.change_se**2))
        return float(np.sqrt(max(square, 0.0)) / np.linalg.norm(self.predicted_change))


def width_evidence(model: Model, changes: Changes) -> WidthEvidence:
    """The last reading of networks with these constants."""
    (change, change_se), (trace, trace_se) = changes.measured(-1), changes.trace(-1)
    terms, epsilon = changes.predicted[-1], changes.displacement[-1]
    return WidthEvidence(
        width=model.width,
        replicas=changes.replicas,
        diverged=changes.diverged,
        degrees=len(changes.values) - 1,
        displacement=epsilon,
        initial=model.width * model.s0,
        share=declared_share(model, epsilon),
        predicted=terms,
        sigma=changes.sigma,
        change=change,
        change_se=change_se,
        trace=trace,
        trace_se=trace_se,
    )


@dataclass(frozen=True)
class TermShare:
    """With which coefficient a term stands in the measured change, all other terms taken as predicted.

    1 if the theory holds; above ½ if and only if the whole theory is nearer to the measured change than without it.

    Attributes
    ----------
    term : "own_output", "gates" or "output_weights"
    value, error : float
    degrees : int
        Of freedom, of the standard error.
    pvalue : float
        Of a share of no more than ½.
    """

    term: TermName
    value: float
    error: float
    degrees: int
    pvalue: float


def term_share(changes: Changes, term: TermName) -> TermShare | None:
    """The share of a term at the last reading; None where the theory does not have it."""
    predicted = changes.predicted[-1]
    part = np.diagonal(getattr(predicted, term))
    if not part.any():
        return None
    rest = np.diagonal(predicted.total) - part
    value, error = sample_mean((changes.values[:, -1] - rest) @ part / (part @ part))
    degrees = len(changes.values) - 1
    return TermShare(term, value, error, degrees, exceeds_pvalue(value - 0.5, error, degrees))


@dataclass(frozen=True)
class FittedPower:
    """gap = c m^p, fitted over the widths whose weights move little.

    Attributes
    ----------
    exponent, error : float
        p, and its standard error.
    degrees : int
        Of freedom, the fewest of any width.
    quality : float
        The p-value of one power law over all these widths; 1 for two of them.
    """

    exponent: float
    error: float
    degrees: int
    quality: float


def fitted_power(widths: Sequence[WidthEvidence], largest: float) -> FittedPower | None:
    """Least squares with the gaps' errors, over widths whose displacement is at most `largest`.

    None where no gap is seen: less than three times its error at the narrowest of them, which has the largest.
    """
    fitted = widths[first_inside(widths, largest) :]
    m, gaps, errors = np.array([(each.width, each.gap, each.trace_se) for each in fitted]).T
    if len(m) < 2 or not abs(gaps[0]) > SEEN * errors[0]:
        return None

    def residuals(parameters: np.ndarray) -> np.ndarray:
        return np.asarray((gaps - parameters[0] * (m / m[0]) ** parameters[1]) / errors)

    fit = optimize.least_squares(residuals, [gaps[0], -0.5])
    covariance = np.linalg.inv(fit.jac.T @ fit.jac)
    quality = float(stats.chi2.sf(2 * fit.cost, len(m) - 2)) if len(m) > 2 else 1.0
    degrees = min(each.degrees for each in widths)
    return FittedPower(float(fit.x[1]), float(np.sqrt(covariance[1, 1])), degrees, quality)


def first_inside(widths: Sequence[WidthEvidence], largest: float = LARGEST_DISPLACEMENT) -> int:
    """The narrowest width at which weights move by no more than `largest` of what they were; the last one if none."""
    return next((i for i, each in enumerate(widths) if each.displacement <= largest), len(widths) - 1)
