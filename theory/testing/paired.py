"""Paired replicas: the mean of a difference, and the ratio of two mean differences, with their intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from theory.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class PairedMean:
    """The mean of independent differences, with Student's interval.

    Attributes
    ----------
    mean, standard_error : float
    low, high : float
        mean ± t_{R−1} · standard error.
    pvalue : float
        Two-sided, of the hypothesis that the mean is zero.
    replicas : int
    """

    mean: float
    standard_error: float
    low: float
    high: float
    pvalue: float
    replicas: int


@dataclass(frozen=True, eq=False)
class MeanRatio:
    """E[a]/E[b] of independent pairs (a, b), with Fieller's interval.

    Attributes
    ----------
    ratio : float
    low, high : float
    """

    ratio: float
    low: float
    high: float


def paired_mean(differences: ArrayLike, *, confidence: float = 0.95) -> PairedMean:
    """The mean of differences (R,) between two treatments of the same replicas, with Student's t interval.

    Exact for Gaussian differences, to leading order in 1/R for others.

    Raises
    ------
    InvalidInput
        For fewer than two differences, or any that is not finite.

    >>> result = paired_mean([1.0, 2.0, 3.0])
    >>> result.mean, round(result.low, 3), round(result.high, 3)
    (2.0, -0.484, 4.484)
    """
    values = _replicas("differences", differences)
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    half = _quantile(confidence, len(values)) * error
    # Differences that are all the same number leave nothing to chance.
    pvalue = 2 * stats.t.sf(abs(mean) / error, len(values) - 1) if error else float(mean == 0)
    return PairedMean(mean, error, mean - half, mean + half, float(pvalue), len(values))


def mean_ratio(numerators: ArrayLike, denominators: ArrayLike, *, confidence: float = 0.95) -> MeanRatio | None:
    """E[a]/E[b] from independent pairs (a, b), both (R,), with Fieller's interval; None where E[b] may be zero.

    The interval (E. C. Fieller, J. R. Stat. Soc. B 16 (1954) 175) holds the ρ that a t-test of E[a − ρ b] = 0 does not
    reject: (ā − ρ b̄)² ≤ t² (s_aa − 2 ρ s_ab + ρ² s_bb)/R. With g = t² s_bb/(R b̄²) its ends are

        [ā/b̄ − g s_ab/s_bb ± (t/(b̄ √R)) √(s_aa − 2 (ā/b̄) s_ab + (ā/b̄)² s_bb − g (s_aa − s_ab²/s_bb))] / (1 − g),

    and it is bounded where g < 1, which is where a t-test at the same level rejects E[b] = 0. Exact for Gaussian pairs.

    Raises
    ------
    InvalidInput
        For fewer than two pairs, different numbers of a and b, or any that is not finite.

    >>> result = mean_ratio([1.0, 1.2, 0.9, 1.1], [2.0, 2.2, 2.1, 1.9])
    >>> round(result.low, 3), round(result.ratio, 3), round(result.high, 3)
    (0.412, 0.512, 0.619)
    >>> mean_ratio([1.0, 1.2], [-2.0, 2.2]) is None
    True
    """
    a, b = _replicas("numerators", numerators), _replicas("denominators", denominators)
    if len(a) != len(b):
        raise InvalidInput("denominators.shape", b.shape, f"must be that of the numerators, {a.shape}")
    n, t = len(a), _quantile(confidence, len(a))
    (s_aa, s_ab), (_, s_bb) = np.cov(a, b)
    # The quadratic A ρ² − 2 B ρ + C ≤ 0, without a division by s_bb, which may be zero.
    square = b.mean() ** 2 - t**2 * s_bb / n
    linear = a.mean() * b.mean() - t**2 * s_ab / n
    constant = a.mean() ** 2 - t**2 * s_aa / n
    if square <= 0:
        return None
    half = np.sqrt(max(linear**2 - square * constant, 0.0))
    return MeanRatio(float(a.mean() / b.mean()), float((linear - half) / square), float((linear + half) / square))


def _replicas(name: str, values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or len(array) < 2:
        raise InvalidInput(f"{name}.shape", array.shape, "must be (R,) with at least two replicas")
    if not np.isfinite(array).all():
        raise InvalidInput(name, array[~np.isfinite(array)][0].item(), "must be finite")
    return array


def _quantile(confidence: float, replicas: int) -> float:
    if not 0 < confidence < 1:
        raise InvalidInput("confidence", confidence, "must lie between 0 and 1")
    return float(stats.t.ppf((1 + confidence) / 2, replicas - 1))
