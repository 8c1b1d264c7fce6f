"""Fits of the two shape laws to a transfer function, with intervals, residuals and goodness of fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from theory.arrays import power_of_two, symmetric
from theory.decomposition.shape_laws import LAWS, LawName
from theory.errors import InvalidInput

CONFIDENCE = 0.95  # the confidence of the intervals of a fit
# The largest misfit, relative to f, of a law that describes it: one whose misfit is surely larger does not.
CLOSE = 0.05
GRID = np.geomspace(1e-3, 1e3, 49)  # the values of the rate U times σ², at the largest σ, from which fits start
# The range of the rate U times σ², at the largest σ: beyond it the curve is that of a limit, which determines
# one parameter fewer.
ENDS = (1e-4, 1e4)
LEAST = 1e-9  # the share of the largest τ below which a fitted c or f_0² is set to 0
OWN = 1e-6  # the least share of U's effect on τ that no other parameter has, for U to be determined
DAMPING = 1e-12  # the least damping of Fisher scoring, relative to the diagonal of its matrix
ROUNDS = 60  # the most steps of Fisher scoring in a fit

FitVerdict = Literal["describes", "rejected", "undecided"]


@dataclass(frozen=True, eq=False)
class LawFit:
    """One law fitted to a transfer function.

    Attributes
    ----------
    law : "ridge" or "flow"
    rate, written, initial : float
        U, c and f_0².
    rate_interval, written_interval : (float, float) or None
        The 95 % intervals; that of c is None where c = 0 fits best, so that its logarithm has no interval. Both are
        None where U moves τ as the other parameters do, which leaves it undetermined: in the limits U → 0 and U → ∞,
        which determine c U or c/U alone (`rate` is then a number at which the curve is that of the limit), and where c
        = f_0² fits best in the ridge law.
    residual : ndarray, shape (k,)
        f/f_law − 1 at every σ.
    misfit : float
        The root mean square of the residual over directions, corrected for noise.
    misfit_interval : (float, float)
        The 95 % interval of the misfit; its upper end is no smaller than the residual.
    pvalue : float
        The p-value of the hypothesis that the law holds exactly.
    verdict : "describes", "rejected" or "undecided"
        Whether the interval of the misfit lies below 5 %, above 5 %, or contains it.
    """

    law: LawName
    rate: float
    written: float
    initial: float
    rate_interval: tuple[float, float] | None
    written_interval: tuple[float, float] | None
    residual: np.ndarray
    misfit: float
    misfit_interval: tuple[float, float]
    pvalue: float
    verdict: FitVerdict


@dataclass(frozen=True, eq=False)
class ShapeFit:
    """Both laws, and the one with the smaller residual. Descriptions: the mechanism is not identified."""

    ridge: LawFit
    flow: LawFit

    @property
    def better(self) -> LawFit:
        """The law whose residual has the smaller root mean square."""
        return min((self.ridge, self.flow), key=lambda fit: float(np.mean(fit.residual**2)))


def fit_shape(
    sigma: np.ndarray,
    tau: np.ndarray,
    covariance: np.ndarray,
    *,
    groups: int,
    initial: float | None = None,
    multiplicity: Sequence[int] | None = None,
) -> ShapeFit:
    """Both laws fitted to τ(σ); parameters and errors as in `fit_law`."""
    given = {"groups": groups, "initial": initial, "multiplicity": multiplicity}
    ridge, flow = (fit_law(law, sigma, tau, covariance, **given) for law in LAWS)  # type: ignore[arg-type]
    return ShapeFit(ridge, flow)


def fit_law(
    law: LawName,
    sigma: np.ndarray,
    tau: np.ndarray,
    covariance: np.ndarray,
    *,
    groups: int,
    initial: float | None = None,
    multiplicity: Sequence[int] | None = None,
) -> LawFit:
    """U and c of one law from τ̂ with the covariance of its errors, estimated between groups.

    Solves Σ_k p_k (τ̂_k − τ_k)/τ_k² ∂τ_k = 0, which has the expectation 0 at the true parameters, for any law of τ̂.
    Intervals of log U and log c are linear in the errors of τ̂, by Student's law with n − 1 degrees of freedom. The
    goodness of fit is Box's F test of the mean squared relative residual of f, which distinguishes misfit from noise;
    the interval of the misfit comes from its noncentrality. Derived in theory/derivations.md, section 1.9.

    Parameters
    ----------
    law : "ridge" or "flow"
    sigma, tau : ndarray, shape (k,)
        σ >= 0, τ > 0.
    covariance : ndarray, shape (k, k)
        The covariance of τ: the sample covariance between independent groups, over n.
    groups : int
        n >= 4.
    initial : float or None
        f_0² = τ before training; if None, a third parameter, which small σ must determine.
    multiplicity : sequence of int, length k
        p, the dimensions of the eigenspaces; 1 each if None.

    Raises
    ------
    InvalidInput
        If shapes do not fit, numbers are not positive, the covariance is not symmetric or has a negative variance, or
        there are too few σ for the parameters or too few groups.

    Examples
    --------
    >>> from theory.decomposition.shape_laws import law_tau
    >>> sigma = np.linspace(0.2, 3, 12)
    >>> tau = law_tau("flow", sigma, rate=0.4, written=0.1, initial=0.03)
    >>> fit = fit_law("flow", sigma, tau, np.diag(1e-6 * tau**2), groups=20, initial=0.03)
    >>> round(fit.rate, 6), round(fit.written, 6), fit.verdict
    (0.4, 0.1, 'describes')
    """
    sigma, tau, covariance = (np.asarray(each, dtype=float) for each in (sigma, tau, covariance))
    sizes = np.array(multiplicity if multiplicity is not None else (1,) * len(sigma), dtype=float)
    _check(sigma, tau, covariance, sizes, groups, initial)
    scale = float(power_of_two(tau.max()))  # so that no number depends on the unit of τ
    tau, covariance = tau / scale, covariance / scale / scale
    initial = None if initial is None else initial / scale
    parameters = _fitted(law, sigma, tau, sizes, initial)
    found, jacobian = _curve(law, sigma, parameters, initial)
    weights = sizes / found**2
    kept = np.array([True, *(parameters[1:] > -np.inf)])
    kept[0] = inside = parameters[0] not in _ends(sigma) and _determined(jacobian[:, kept], weights)
    slopes = jacobian[:, kept]
    answer = np.linalg.pinv(slopes.T @ (weights[:, None] * slopes)) @ (slopes.T * weights)
    errors = np.full(len(kept), np.nan)
    errors[kept] = np.sqrt(np.maximum(np.einsum("ak,kl,al->a", answer, covariance, answer), 0))
    half = stats.t.isf((1 - CONFIDENCE) / 2, groups - 1) * errors
    with np.errstate(over="ignore"):
        ends = [(float(np.exp(p - h)), float(np.exp(p + h))) for p, h in zip(parameters, half, strict=False)]
    share = sizes / (4 * found**2 * sizes.sum())
    pvalue, misfit, interval = _goodness(_left(covariance, slopes, answer), tau - found, share, groups, int(kept.sum()))
    verdict: FitVerdict = "undecided"
    if interval[1] <= CLOSE or interval[0] > CLOSE:
        verdict = "describes" if interval[1] <= CLOSE else "rejected"
    return LawFit(
        law=law,
        rate=float(np.exp(parameters[0])),
        written=scale * float(np.exp(parameters[1])),
        initial=scale * (float(np.exp(parameters[2])) if initial is None else initial),
        rate_interval=ends[0] if inside else None,
        written_interval=(scale * ends[1][0], scale * ends[1][1]) if inside and kept[1] else None,
        residual=np.sqrt(tau / found) - 1,
        misfit=misfit,
        misfit_interval=interval,
        pvalue=pvalue,
        verdict=verdict,
    )


def _determined(slopes: np.ndarray, weights: np.ndarray) -> bool:
    """Whether U moves τ in a way in which no other parameter does."""
    columns = np.sqrt(weights)[:, None] * slopes
    others = np.linalg.qr(columns[:, 1:])[0]
    first = columns[:, 0]
    own = first - others @ (others.T @ first)
    return bool(np.linalg.norm(own) > OWN * np.linalg.norm(first))


def _check(
    sigma: np.ndarray, tau: np.ndarray, covariance: np.ndarray, sizes: np.ndarray, groups: int, initial: float | None
) -> None:
    k = len(sigma)
    if sigma.shape != (k,) or tau.shape != (k,) or covariance.shape != (k, k) or sizes.shape != (k,):
        raise InvalidInput(
            "tau", tau.shape, f"must have one entry for each of {k} sigma, as multiplicity and covariance"
        )
    if not (np.all(np.isfinite(tau)) and np.all(tau > 0)):
        raise InvalidInput("tau", float(np.min(tau)), "must be positive")
    if not (np.all(np.isfinite(sigma)) and np.all(sigma >= 0)):
        raise InvalidInput("sigma", float(np.min(sigma)), "must not be negative")
    if np.min(np.diagonal(symmetric("covariance", covariance))) < 0:
        raise InvalidInput("covariance", float(np.min(np.diagonal(covariance))), "must have no negative variance")
    if initial is not None and not initial > 0:
        raise InvalidInput("initial", initial, "must be positive")
    fewest = 4 if initial is None else 3
    if len(np.unique(sigma)) < fewest:
        raise InvalidInput(
            "sigma", len(np.unique(sigma)), f"must have at least {fewest} values: the law has parameters"
        )
    if groups < 4:
        raise InvalidInput("groups", groups, "must be at least 4: the goodness of fit needs errors that are known")


def _curve(
    law: LawName, sigma: np.ndarray, parameters: np.ndarray, initial: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """τ (k,) and its derivatives by log U, log c and, where it is fitted, log f_0²: (k, 2 or 3)."""
    rate, written = np.exp(parameters[:2])
    start = float(np.exp(parameters[2])) if initial is None else initial
    kept, gain, kept_slope, gain_slope = LAWS[law](rate * sigma**2)
    columns = [start * kept_slope + written * gain_slope, written * gain]
    if initial is None:
        columns.append(start * kept)
    return start * kept + written * gain, np.stack(columns, axis=1)


def _fitted(law: LawName, sigma: np.ndarray, tau: np.ndarray, sizes: np.ndarray, initial: float | None) -> np.ndarray:
    """log U, log c (and log f_0²) of the largest gamma likelihood: from the best of a grid of U by Fisher scoring.

    U stays within `ENDS`; where it reaches one, the others are fitted beside it.
    """
    parameters, (low, high) = _start(law, sigma, tau, sizes, initial), _ends(sigma)
    deviance = _deviance(_curve(law, sigma, parameters, initial)[0], tau, sizes)
    damping = 1e6 * DAMPING
    for _ in range(ROUNDS):
        found, jacobian = _curve(law, sigma, parameters, initial)
        weights = sizes / found**2
        gradient = jacobian.T @ (weights * (tau - found))
        matrix = jacobian.T @ (weights[:, None] * jacobian)
        # in units of its own: a parameter that moves nothing has a step of 0
        unit = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
        scaled = matrix / np.outer(unit, unit) + damping * np.eye(len(unit))
        step = np.clip(np.linalg.solve(scaled, gradient / unit) / unit, -2, 2)
        end = low if step[0] < 0 else high
        if beyond := not low < parameters[0] + step[0] < high:
            step[0] = end - parameters[0]
            given = (gradient / unit)[1:] - scaled[1:, 0] * unit[0] * step[0]
            step[1:] = np.clip(np.linalg.solve(scaled[1:, 1:], given) / unit[1:], -2, 2)
        tried = parameters + step
        if beyond:
            tried[0] = end  # to the last bit
        value = _deviance(_curve(law, sigma, tried, initial)[0], tau, sizes)
        if value <= deviance:
            done = np.max(np.abs(step)) < 1e-10
            parameters, deviance = tried, value
            damping = max(damping / 10, DAMPING)  # never so small that parameters which move τ alike are singular
            if done:
                break
        elif damping > 1e6:
            break
        else:
            damping *= 10
    parameters[1:] = np.where(np.exp(parameters[1:]) < LEAST * tau.max(), -np.inf, parameters[1:])
    return parameters


def _ends(sigma: np.ndarray) -> tuple[float, float]:
    """The least and the largest log U."""
    low, high = np.log(np.array(ENDS) / float(sigma.max()) ** 2)
    return float(low), float(high)


def _start(law: LawName, sigma: np.ndarray, tau: np.ndarray, sizes: np.ndarray, initial: float | None) -> np.ndarray:
    """The best parameters on a grid of U; c (and f_0²) from a few reweighted linear fits at each, not negative."""
    rates = GRID / float(sigma.max()) ** 2
    kept, gain, _, _ = LAWS[law](rates[:, None] * sigma**2)
    tiny, mean = LEAST * float(tau.max()), float(tau.mean())
    level = np.full(len(rates), mean if initial is None else initial)
    written = np.full(len(rates), mean)
    for _ in range(4):
        weights = sizes / np.maximum(level[:, None] * kept + written[:, None] * gain, tiny) ** 2
        gains, both, starts = (np.sum(weights * each, axis=1) for each in (gain**2, gain * kept, kept**2))
        seen, left = (np.sum(weights * each * tau, axis=1) for each in (gain, kept))
        if initial is None:
            # Cramer's rule for the normal equations of c and f_0²
            determinant = np.maximum(gains * starts - both**2, 1e-300)
            written = np.maximum((seen * starts - left * both) / determinant, tiny)
            level = np.maximum((left * gains - seen * both) / determinant, tiny)
        else:
            written = np.maximum((seen - initial * both) / np.maximum(gains, 1e-300), tiny)
    ratio = tau / np.maximum(level[:, None] * kept + written[:, None] * gain, tiny)
    best = int(np.argmin((ratio - 1 - np.log(ratio)) @ sizes))
    return np.log([rates[best], written[best]] + ([level[best]] if initial is None else []))


def _deviance(found: np.ndarray, tau: np.ndarray, sizes: np.ndarray) -> float:
    """2 Σ p (τ̂/τ − 1 − log τ̂/τ)."""
    if not np.all(found > 0):
        return np.inf
    ratio = tau / found
    return float(2 * sizes @ (ratio - 1 - np.log(ratio)))


def _left(covariance: np.ndarray, slopes: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """M Σ Mᵀ with M = 1 − J G, the covariance of the residual, in O(k²)."""
    moved = answer @ covariance
    crossed = slopes @ moved
    found: np.ndarray = covariance - crossed - crossed.T + slopes @ (moved @ answer.T) @ slopes.T
    return found


def _goodness(
    left: np.ndarray, residual: np.ndarray, share: np.ndarray, groups: int, fitted: int
) -> tuple[float, float, tuple[float, float]]:
    """The p-value of an exact law, the misfit and its interval, from the residuals and their covariance `left`."""
    observed = float(share @ residual**2)
    root = np.sqrt(share)[:, None]
    noise = root * left * root.T
    first = float(np.trace(noise))
    if first <= 0:
        size = observed**0.5
        return float(observed <= 1e-20), size, (size, size)
    second = _square_trace(noise, first, groups)
    effective = float(np.clip(first**2 / second if second > 0 else np.inf, 1.0, len(residual) - fitted))
    degrees = (groups - 1) * effective
    ratio = observed / first
    pvalue = float(stats.f.sf(ratio, effective, degrees))

    def excess(extra: float, tail: float) -> float:
        """How far P(F <= ratio) at this noncentrality is above `tail`, by Patnaik's approximation."""
        spread = (effective + extra) ** 2 / (effective + 2 * extra)
        return float(stats.f.cdf(ratio * effective / (effective + extra), spread, degrees)) - tail

    def end(tail: float) -> float:
        if excess(0.0, tail) <= 0:
            return 0.0
        high = effective * max(ratio, 1.0)
        while excess(high, tail) > 0:
            high *= 2
        return float(np.sqrt(brentq(excess, 0.0, high, args=(tail,)) * first / effective))

    tail = (1 - CONFIDENCE) / 2
    # noise that is larger than the residual leaves no misfit; the residual itself is then its upper end
    high = max(end(tail), observed**0.5)
    return pvalue, float(np.sqrt(max(observed - first, 0.0))), (end(1 - tail), high)


def _square_trace(noise: np.ndarray, first: float, groups: int) -> float:
    """tr K² from an estimate of K with n − 1 degrees of freedom, unbiased for Gaussian values; the form of n groups."""
    n = groups
    square = float(np.sum(noise**2))
    return (n - 1) ** 2 / ((n - 2) * (n + 1)) * (square - first**2 / (n - 1))
