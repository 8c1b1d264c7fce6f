"""What networks of one width, and of several, say of the theory of order 1/m: changes, gaps, shares, a power law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize, stats

from reports.claims.forms.lazy_changes import Changes
from reports.claims.forms.lazy_predictions import LazyPrediction
from reports.judging.intervals import exceeds_pvalue
from theory.network.lazy import LARGEST_DISPLACEMENT

CLEAR = 3.0  # how many standard errors a gap must exceed at the narrowest width before a power of the width is fitted

TermName = Literal["own_output", "gates", "output_weights"]
DROPPED: dict[TermName, str] = {"own_output": "$T_2$", "gates": "$T_3$", "output_weights": "$T_4$"}


@dataclass(frozen=True, eq=False)
class WidthChanges:
    """The changes of τ in networks of one width at the last reading, as measured; single replicas are left out.

    Attributes
    ----------
    width, replicas, diverged : int
    degrees : int
        The degrees of freedom of the standard errors.
    sigma, change : ndarray, shape (d,)
        The root mean square of the rows, and m(τ − s_0²), along every direction.
    covariance : ndarray, shape (d, d)
        The covariance of the errors of the change.
    """

    width: int
    replicas: int
    diverged: int
    degrees: int
    sigma: np.ndarray
    change: np.ndarray
    covariance: np.ndarray


def width_changes(width: int, changes: Changes) -> WidthChanges:
    """The last reading of networks of this width."""
    return WidthChanges(
        width=width,
        replicas=changes.replicas,
        diverged=changes.diverged,
        degrees=changes.degrees,
        sigma=changes.sigma,
        change=changes.change[-1],
        covariance=changes.covariance(-1),
    )


@dataclass(frozen=True, eq=False)
class WidthEvidence:
    """Networks of one width, and what is predicted of them."""

    prediction: LazyPrediction
    measured: WidthChanges

    @property
    def change_se(self) -> np.ndarray:
        """The standard error of the change along every direction, (d,)."""
        return np.sqrt(np.diagonal(self.measured.covariance))

    @property
    def trace(self) -> float:
        """The sum over all directions, as measured."""
        return float(self.measured.change.sum())

    @property
    def trace_se(self) -> float:
        """The standard error of the measured trace."""
        return float(np.sqrt(self.measured.covariance.sum()))

    @property
    def predicted_trace(self) -> float:
        """The sum over all directions, as predicted."""
        return float(self.prediction.change.sum())

    @property
    def gap(self) -> float:
        """The predicted less the measured trace."""
        return self.predicted_trace - self.trace

    def part(self, term: TermName) -> np.ndarray:
        """One of the terms along every direction, (d,)."""
        return np.diagonal(getattr(self.prediction.terms, term))

    def distance(self, predicted: np.ndarray) -> float:
        """‖measured − predicted‖ over the norm of the theory, with Σ SE² subtracted from the square; 0 if below."""
        square = float(np.sum((self.measured.change - predicted) ** 2 - self.change_se**2))
        return float(np.sqrt(max(square, 0.0)) / np.linalg.norm(self.prediction.change))


@dataclass(frozen=True)
class TermShare:
    """The coefficient of a term in the measured change, with all other terms as predicted.

    1 if the theory holds; above ½ if and only if the whole theory is nearer to the measured change than without it.

    Attributes
    ----------
    term : "own_output", "gates" or "output_weights"
    value, error : float
    degrees : int
        The degrees of freedom of the standard error.
    pvalue : float
        The p-value of the hypothesis that the share is no more than ½.
    """

    term: TermName
    value: float
    error: float
    degrees: int
    pvalue: float


def term_share(evidence: WidthEvidence, term: TermName) -> TermShare | None:
    """The share of a term; None where the theory does not have it."""
    part, measured = evidence.part(term), evidence.measured
    if not part.any():
        return None
    along = part / (part @ part)
    value = float(along @ (measured.change - evidence.prediction.change + part))
    error = float(np.sqrt(along @ measured.covariance @ along))
    return TermShare(term, value, error, measured.degrees, exceeds_pvalue(value - 0.5, error, measured.degrees))


@dataclass(frozen=True)
class FittedPower:
    """gap = c m^p, or c m^p (1 + b/m), fitted over the widths whose weights move little.

    Attributes
    ----------
    exponent, error : float
        p, and its standard error.
    degrees : int
        The degrees of freedom, the fewest of these widths.
    quality : float
        The p-value of one such law over all these widths; 1 where it has as many numbers as there are widths.
    """

    exponent: float
    error: float
    degrees: int
    quality: float


def fitted_power(widths: Sequence[WidthEvidence], largest: float, *, corrected: bool = False) -> FittedPower | None:
    """Least squares with the gaps' errors, over widths whose displacement is at most `largest`.

    If `corrected`, b is fitted, too. None where no gap is seen: less than three times its error at the narrowest of
    these widths, which has the largest. None, too, where no power is found, as where gaps change their sign.
    """
    fitted = widths[first_inside(widths, largest) :]
    m, gaps, errors = np.array([(each.measured.width, each.gap, each.trace_se) for each in fitted]).T
    start = [gaps[0], -0.5, *([0.0] if corrected else [])]
    if len(m) < len(start) or not abs(gaps[0]) > CLEAR * errors[0]:
        return None

    def residuals(parameters: np.ndarray) -> np.ndarray:
        size, power, *further = parameters
        law = size * (m / m[0]) ** power
        return np.asarray((gaps - law * (1 + sum(further) * m[0] / m)) / errors)

    fit = optimize.least_squares(residuals, start)
    information = fit.jac.T @ fit.jac
    if not np.linalg.cond(information) < 1 / np.finfo(float).eps:
        return None
    covariance = np.linalg.inv(information)
    spare = len(m) - len(start)
    quality = float(stats.chi2.sf(2 * fit.cost, spare)) if spare else 1.0
    degrees = min(each.measured.degrees for each in fitted)
    return FittedPower(float(fit.x[1]), float(np.sqrt(covariance[1, 1])), degrees, quality)


def first_inside(widths: Sequence[WidthEvidence], largest: float = LARGEST_DISPLACEMENT) -> int:
    """The narrowest width at which weights move by no more than `largest` of what they were; the last one if none."""
    return next((i for i, each in enumerate(widths) if each.prediction.displacement <= largest), len(widths) - 1)
