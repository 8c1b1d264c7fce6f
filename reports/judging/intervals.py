"""Means over replicas, their errors, half-widths of intervals, and their power.

Student's intervals have their nominal coverage for Gaussian values, and very nearly for symmetric ones with heavy
tails. They cover less where values are skewed and few: of 10 lognormal values (of a normal variable of variance 1) the
interval for the mean misses it in about 17 of 100 samples, not in 5. No known method repairs that at such a size:
Hall's transformation and the bootstrap of t still miss in 10 of 100, and lose more for symmetric heavy tails than they
gain here. The table of the guide on calibration shows both.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binomtest, chi2, norm, t

from reports.judging.rules import CONFIDENCE, LEVEL, POWER, SEEN
from theory.errors import Diverged

# Half the width of a 95 % interval of the normal law, in standard errors.
QUANTILE = float(norm.isf((1 - CONFIDENCE) / 2))


def mean_with_error(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weighted mean over K independent block means (K, …) and its standard error.

    Var(block mean) = σ²/c_b, so σ² is estimated by Σ_b c_b (v_b − mean)² / (K − 1), and SE² = σ²/N: unbiased for
    blocks of any sizes. NaN for K = 1, and both are NaN for K = 0.
    """
    if len(counts) == 0:
        return np.full(values.shape[1:], np.nan), np.full(values.shape[1:], np.nan)
    weights = counts / counts.sum()
    mean = np.tensordot(weights, values, axes=1)
    if len(counts) == 1:
        return mean, np.full_like(mean, np.nan)
    variance = np.tensordot(counts, (values - mean) ** 2, axes=1) / (len(counts) - 1)
    return mean, np.sqrt(variance / counts.sum())


def sample_mean(values: np.ndarray) -> tuple[float, float]:
    """The mean of independent values (G,) and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5)


def mean_and_half(values: np.ndarray) -> tuple[float, float]:
    """The mean of independent values (G,) and the half-width of its 95 % interval by Student's t.

    Raises
    ------
    Diverged
        If there are fewer than two values.
    """
    count = len(values)
    if count < 2:
        raise Diverged("networks", count, "an interval needs at least two that do not diverge")
    return float(values.mean()), float(t.ppf((1 + CONFIDENCE) / 2, count - 1) * values.std(ddof=1) / np.sqrt(count))


def means_and_halves(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over replicas of values (R, K), and half-widths of their 95 % intervals, (K,) both."""
    mean, half = np.array([mean_and_half(column) for column in values.T]).T
    return mean, half


def bars(error: Any, degrees: Any = None) -> Any:
    """Half-widths of pointwise 95 % intervals, from standard errors of any shape, by the normal law or Student's."""
    return half_width(error, degrees=degrees)


def root_bars(tau: np.ndarray, error: np.ndarray, degrees: float | None = None) -> np.ndarray:
    """Half-widths of pointwise 95 % intervals of f = √τ, from τ and its standard errors, (k,) each.

    To first order in error/τ: the coverage is right to a per cent up to errors of a fifth of τ.
    """
    return np.asarray(half_width(error, degrees=degrees) / (2 * np.sqrt(tau)))


def half_width(error: Any, *, tests: int = 1, confidence: float = CONFIDENCE, degrees: Any = None) -> Any:
    """Half-widths of `tests` simultaneous intervals (Bonferroni), by the normal law or Student's."""
    tail = (1 - confidence) / 2 / tests
    return (norm.isf(tail) if degrees is None else t.isf(tail, degrees)) * error


def bootstrap_interval(draws: np.ndarray, *, tests: int = 1) -> np.ndarray:
    """The interval between quantiles of resampled values (…, B), one of `tests` simultaneous ones (Bonferroni).

    Its two ends have the shape (…, 2).
    """
    tail = (1 - CONFIDENCE) / 2 / tests
    return np.moveaxis(np.quantile(draws, [tail, 1 - tail], axis=-1), 0, -1)


def simultaneous(count: int) -> float:
    """The confidence of each of `count` intervals that are simultaneous with 95 % (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / count


def share_interval(hits: int, count: int) -> tuple[float, float] | None:
    """Clopper and Pearson's 95 % interval for the share behind `hits` out of `count`; None where there are none."""
    if not count:
        return None
    low, high = binomtest(hits, count).proportion_ci(CONFIDENCE, "exact")
    return float(low), float(high)


def variance_interval(variance: float, degrees: float) -> tuple[float, float]:
    """The 95 % interval for the variance of Gaussian values, from an estimate with so many degrees of freedom.

    >>> low, high = variance_interval(1.0, 200)
    >>> round(low, 2), round(high, 2)
    (0.83, 1.23)
    """
    tail = (1 - CONFIDENCE) / 2
    return float(variance * degrees / chi2.isf(tail, degrees)), float(variance * degrees / chi2.ppf(tail, degrees))


def largest_pvalue(z: np.ndarray, degrees: float | None = None) -> float:
    """The p-value of several normal or Student's deviations together, by the largest (Bonferroni, two-sided)."""
    largest = np.abs(z).max()
    tail = norm.sf(largest) if degrees is None else t.sf(largest, degrees)
    return min(1.0, 2 * z.size * float(tail))


def pvalue_beyond(off: np.ndarray, error: np.ndarray, budget: float, degrees: int) -> float:
    """The p-value of the hypothesis that no discrepancy (k,) exceeds the budget, by Student's law and Bonferroni."""
    return min(1.0, len(off) * float(t.sf(((np.abs(off) - budget) / error).max(), degrees)))


def signs_seen(values: np.ndarray, error: np.ndarray, *, tests: int = 1, degrees: Any = None) -> np.ndarray:
    """The signs of values where `tests` tests of size `SEEN` together exclude 0, by the normal law or Student's.

    0 where they do not; a value that is not a number has no sign.
    """
    tail = SEEN / 2 / tests
    quantile = norm.isf(tail) if degrees is None else t.isf(tail, degrees)
    return np.where(np.abs(values) > quantile * error, np.sign(values), 0.0)


def sign_words(signs: np.ndarray) -> str:
    """Signs in words."""
    return ", ".join("positive" if sign > 0 else "negative" if sign < 0 else "no sign" for sign in signs)


def detectable(error: float, *, tests: int = 1, degrees: float | None = None, relative: bool = False) -> float:
    """The effect that any one of `tests` two-sided tests at `LEVEL` together detects with 90 % power, for either sign.

    From the standard error of one of them, `degrees` and `relative` as in `effect_found`.
    """
    return effect_found(error, LEVEL / 2 / tests, degrees=degrees, relative=relative)


def detected(error: float, *, tests: int = 1, degrees: float | None = None, relative: bool = False) -> float:
    """The effect that one of `tests` simultaneous 95 % intervals separates from 0 with 90 % power.

    From the standard error of one of them, `degrees` and `relative` as in `effect_found`.
    """
    return effect_found(error, (1 - CONFIDENCE) / 2 / tests, degrees=degrees, relative=relative)


def detectable_excess(error: float, degrees: float) -> float:
    """The positive effect that the one-sided test of `exceeds_pvalue` at `LEVEL` detects with 90 % power."""
    return effect_found(error, LEVEL, degrees=degrees)


def effect_found(error: float, tail: float, *, degrees: float | None = None, relative: bool = False) -> float:
    """The effect that a test detects with probability `POWER` if it rejects beyond the upper quantile of `tail`.

    With a known standard error s that is (z_tail + z_power) s. With one that is estimated with `degrees` degrees of
    freedom it is larger, because the error is estimated twice: here, to compute the power, and by the test itself. The
    multiple m solves

        P(Z + m S ≥ t_tail S') = POWER,    Z ~ N(0, 1),    S², S'² ~ χ²_degrees / degrees, independent.

    Parameters
    ----------
    error : float
        The standard error of the estimate.
    tail : float
        The size of the test on the side on which the effect lies.
    degrees : float or None
        The degrees of freedom of the estimated error; None if it is known.
    relative : bool
        Whether effect and error are relative to a scale, as τ̂/τ − 1 is. The standard error then grows with the effect,
        to (1 + ε) s, and ε/(1 + ε) = m s: upward effects are the harder ones, and the answer is theirs. It is infinite
        where m s ≥ 1.
    """
    multiple = norm.isf(tail) + norm.ppf(POWER) if degrees is None else _multiple(tail, degrees)
    effect = float(multiple * error)
    if not relative:
        return effect
    return effect / (1 - effect) if effect < 1 else np.inf


@lru_cache(maxsize=1024)
def _multiple(tail: float, degrees: float) -> float:
    """The multiple m of `effect_found`, the expectations taken over 200 quantiles of S and of S'."""
    scale = np.sqrt(chi2.ppf((np.arange(200) + 0.5) / 200, degrees) / degrees)
    needed = t.isf(tail, degrees) * scale

    def excess(log_multiple: float) -> float:
        return float(norm.cdf(np.exp(log_multiple) * scale[:, None] - needed).mean()) - POWER

    return float(np.exp(brentq(excess, -3.0, 100.0, xtol=1e-6)))


def exceeds_pvalue(effect: float, error: float, degrees: float | None = None) -> float:
    """The p-value of "no more than 0", by the one-sided test of an effect with this standard error.

    Student's, or the normal law's where the error is known.
    """
    return float(norm.sf(effect / error) if degrees is None else t.sf(effect / error, degrees))


def error_of(low: float, high: float) -> float:
    """The standard error behind a 95 % interval [low, high]."""
    return (high - low) / (2 * QUANTILE)


def found(size: float | None) -> str:
    """The power of a test in words; `size` is the relative error it detects with probability `POWER`, None if none is.

    >>> found(0.043), found(None)
    ('detects an error of 4.3% with 90% power', 'detects no error with 90% power')
    """
    return f"detects {'no error' if size is None else f'an error of {size:.1%}'} with {POWER:.0%} power"
