"""Means over replicas, their errors, half-widths of intervals, and what these would have detected."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import binomtest, norm, t

from reports.judging.rules import CONFIDENCE, LEVEL, POWER, SEEN
from theory.errors import Diverged

# Of the normal law: the half-width of a 95 % interval in standard errors, 1.96, and the effect that such an interval
# separates from 0 with probability `POWER`, 3.24.
QUANTILE = float(norm.isf((1 - CONFIDENCE) / 2))
DETECTED = QUANTILE + float(norm.isf(1 - POWER))


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
        For fewer than two values.
    """
    count = len(values)
    if count < 2:
        raise Diverged("networks", count, "at least two must not diverge for there to be an interval")
    return float(values.mean()), float(t.ppf((1 + CONFIDENCE) / 2, count - 1) * values.std(ddof=1) / np.sqrt(count))


def means_and_halves(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over replicas of values (R, K), and half-widths of their 95 % intervals, (K,) both."""
    mean, half = np.array([mean_and_half(column) for column in values.T]).T
    return mean, half


def bars(error: Any) -> Any:
    """Half-widths of pointwise 95 % intervals, from standard errors of any shape."""
    return QUANTILE * error


def root_bars(tau: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Half-widths of 95 % intervals of f = √τ, from τ and its standard errors, (k,) each."""
    return np.asarray(QUANTILE * error / (2 * np.sqrt(tau)))


def half_width(error: Any, *, tests: int = 1, confidence: float = CONFIDENCE, degrees: float | None = None) -> Any:
    """Half-widths of `tests` intervals that hold together (Bonferroni), by the normal law or Student's."""
    tail = (1 - confidence) / 2 / tests
    return (norm.isf(tail) if degrees is None else t.isf(tail, degrees)) * error


def bootstrap_interval(draws: np.ndarray, *, tests: int = 1) -> np.ndarray:
    """The interval between quantiles of resampled values (…, B), one of `tests` that hold together (Bonferroni).

    Its two ends have the shape (…, 2).
    """
    tail = (1 - CONFIDENCE) / 2 / tests
    return np.moveaxis(np.quantile(draws, [tail, 1 - tail], axis=-1), 0, -1)


def simultaneous(count: int) -> float:
    """The confidence of each of `count` intervals that hold together with 95 % (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / count


def share_interval(hits: int, count: int) -> tuple[float, float] | None:
    """Clopper and Pearson's 95 % interval for the share behind `hits` out of `count`; None where there are none."""
    if not count:
        return None
    low, high = binomtest(hits, count).proportion_ci(CONFIDENCE, "exact")
    return float(low), float(high)


def largest_pvalue(z: np.ndarray) -> float:
    """The p-value of several normal deviations (k,) together, by the largest (Bonferroni, two-sided)."""
    return min(1.0, 2 * len(z) * float(norm.sf(np.abs(z).max())))


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


def detectable(error: float, *, tests: int = 1) -> float:
    """The effect that the best of `tests` two-sided tests at `LEVEL` together would have detected with 90 % power."""
    return float((norm.isf(LEVEL / 2 / tests) + norm.ppf(POWER)) * error)


def exceeds_pvalue(effect: float, error: float, degrees: float) -> float:
    """The p-value of "no more than 0", by Student's one-sided test of an effect with this standard error."""
    return float(t.sf(effect / error, degrees))


def detectable_excess(error: float, degrees: float) -> float:
    """The positive effect that this one-sided test at `LEVEL` would have detected with 90 % power, nearly.

    The law of a shifted mean is taken for normal.
    """
    return float((t.isf(LEVEL, degrees) + norm.ppf(POWER)) * error)


def detected(error: float) -> float:
    """The effect that a 95 % interval of this standard error would have separated from 0 with 90 % power."""
    return DETECTED * error


def detected_together(error: float, tests: int) -> float:
    """The effect that one of `tests` intervals that hold together would have separated from 0 with 90 % power."""
    return float(half_width(error, tests=tests) + norm.ppf(POWER) * error)


def detected_by(half: float) -> float:
    """The same, from the half-width of that interval."""
    return DETECTED / QUANTILE * half


def error_of(low: float, high: float) -> float:
    """The standard error behind a 95 % interval [low, high]."""
    return (high - low) / (2 * QUANTILE)


def found(size: float | None) -> str:
    """What would have been detected, in words."""
    return "nothing is found with probability .9" if size is None else f"{size:.1%} found with probability .9"
