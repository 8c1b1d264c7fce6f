"""Positive means compared with predictions, with variances estimated from the same replicas.

τ of one replica is a mean of squares: skewed, and more so the more unequal replicas are. No test of its mean keeps a
level of 1e-6 for every such law from few replicas, because rare replicas not in the sample may dominate the mean
(Bahadur and Savage 1956). Two kinds of test are combined here: one that is exact for every law of positive numbers and
detects only gross errors, and a sharp one that is used only if there are enough replicas for its law to be known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from scipy.special import ndtr

from theory.errors import InvalidInput

FEWEST: Final = 1000  # the fewest replicas of the sharp test
# The fewest replicas of the sharp test per relative variance of one replica: a relative error of at most .045.
PER_VARIANCE: Final = 500
# The largest skewness of the sharp test's statistic, beyond noise, at which its tails can be corrected.
LARGEST_SKEWNESS: Final = 0.5
# Four standard errors of the statistic's skewness, times the number of blocks K, where blocks are normal.
SKEWNESS_NOISE: Final = 8 * 6.0**0.5
ROUNDING: Final = 1e-12  # the smallest relative standard error that is used: smaller ones are replaced by it
_BETS = 0.5 ** np.arange(1, 13)
_MOST = 1e12
_NODES, _WEIGHTS = (part / 2 for part in np.polynomial.legendre.leggauss(64))
_NODES = _NODES + 0.5
_LEAST = 5e-324  # the smallest float keeps normal scores finite


@dataclass(frozen=True, eq=False)
class EstimatedMeans:
    """The result of testing q predicted positive means with K independent block means.

    Attributes
    ----------
    pvalues : ndarray, shape (q,)
        The two-sided p-value of each mean alone.
    scores : ndarray, shape (q,)
        The cube-root statistic on the scale of normal deviations, uncorrected for skewness.
    means : ndarray, shape (q,)
        The means, as measured.
    errors : ndarray, shape (q,)
        Standard errors relative to the measured means.
    degrees, skewness : ndarray, shape (q,)
        Student's degrees of freedom of the statistic, and how skewed it still is.
    sharp : bool
        Whether the sharp test was used. Otherwise the p-values are those of the bounds, which detect only gross errors.
    blocks, replicas : int
        K and N.
    needed : int
        The number of replicas from which on the sharp test is used, estimated from these; N or fewer if it was used.
    """

    pvalues: np.ndarray
    scores: np.ndarray
    means: np.ndarray
    errors: np.ndarray
    degrees: np.ndarray
    skewness: np.ndarray
    sharp: bool
    blocks: int
    replicas: int
    needed: int

    @property
    def typical(self) -> np.ndarray:
        """Relative standard errors with the noise in their differences removed: shrunk to their mean (James and Stein).

        The largest of many estimated errors exceeds the true ones, and more so with fewer blocks.
        """
        logs, noise = np.log(self.errors), float(np.mean(1 / (2 * self.degrees)))
        scatter = float(np.var(logs, ddof=1)) if len(logs) > 1 else np.inf
        kept = max(0.0, 1 - noise / scatter) if scatter > 0 else 0.0
        return np.asarray(np.exp(np.mean(logs) + kept * (logs - np.mean(logs))))

    @property
    def variance_bound(self) -> float:
        """An upper 95 % bound for the relative variance of one replica, for the mean with the largest variance."""
        bounds = self.replicas * self.typical**2 * self.degrees / stats.chi2.ppf(0.05, self.degrees)
        return float(np.max(bounds))

    @property
    def pvalue(self) -> float:
        """The p-value of all means together, by Bonferroni."""
        return min(1.0, len(self.pvalues) * float(np.min(self.pvalues)))

    def interval(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Simultaneous confidence intervals (Bonferroni) for the true means, their ends (q,) each, by inverting T.

        Defined from two blocks on, and corrected for the full |λ|, which costs little at the usual confidences. The
        upper end is inf if the error is so large that nothing bounds the mean.
        """
        tail = (1 - confidence) / len(self.errors)
        reach = critical_values(self.degrees, self.skewness, tail) * self.errors / 3
        center, root = 1 - self.errors**2 / 9, np.cbrt(self.means)
        with np.errstate(divide="ignore", invalid="ignore"):
            high = np.where(center > reach, root / np.maximum(center - reach, 0), np.inf)
        return (root / (center + reach)) ** 3, high**3

    def detectable(self, level: float, power: float, tests: int) -> float:
        """The relative error of one mean that is detected with this power, on the harder side.

        It refers to the mean with the largest error, at the median degrees of freedom of all means, because few blocks
        say little about each. `tests` is the factor by which p-values are multiplied. inf if only gross errors are
        detected.
        """
        if not self.sharp:
            return np.inf
        worst = int(np.argmax(self.typical))
        skewness = float(beyond_noise(self.skewness, self.blocks)[worst])
        error, degrees = float(self.typical[worst]), float(np.median(self.degrees))
        return detectable_error(error, degrees, level / tests, power, skewness=skewness)


def estimated_means(ratios: np.ndarray, counts: np.ndarray, variance: np.ndarray | None = None) -> EstimatedMeans:
    """Test that each of q positive quantities has mean 1, from K independent block means of them.

    **The sharp test** assumes that a mean of squares has a gamma law of unknown shape. Then (Lukacs 1955) the mean is
    independent of every statistic that a common factor does not change, such as the relative standard error c = SE /
    mean, and the cube root of the mean is nearly N(1 − c²/9, c²/9) (Wilson and Hilferty):

        T = 3 (mean^{1/3} − 1 + c²/9) / c,    Student's t with ν = min(K − 1, 2K / (κ + 2 − γ²)) degrees of freedom,

    γ and κ the skewness and excess kurtosis of the block means ((κ + 2 − γ²)/K is the relative variance of c² given the
    mean). The remaining skewness of T is λ = 4c − 2γ/√K, 0 for a gamma law. With λ' the part of |λ| that exceeds noise,
    8√6/K, p-values are those of the smaller normal score z' that solves z' + 2λ' (z'² − 1)/6 = z; the factor 2 allows
    for what rare replicas hide. The test is used if N is at least 1,000 and at least 500 times the relative variance of
    one replica, N c² (or the predicted one if that is larger), and if λ' ≤ .5.

    **The bounds**, exact at every K, are used otherwise. Upwards: Π_b (1 + g (x_b − 1)) has expectation 1 for 0 ≤ g ≤
    1, and so has its average over a fixed set of g; p = 1/average (Markov's inequality). Downwards, where a relative
    variance v of one replica is predicted: e^{−gx} ≤ 1 − gx + g²x²/2 gives, by Chernoff's bound, p = min_g [e^{g·mean}
    (1 − g + g²(1 + v)/2)]^N. Without v, no error downwards is detected: replicas too rare to appear could dominate the
    mean.

    Parameters
    ----------
    ratios : ndarray, shape (K, q)
        Block means over predictions, K ≥ 2.
    counts : ndarray, shape (K,)
        The number of replicas in each block.
    variance : ndarray, shape (q,), optional
        The predicted relative variance of one replica, or an upper bound for it; may be infinite.

    Raises
    ------
    InvalidInput
        If there are fewer than two blocks.
    """
    blocks = len(counts)
    if blocks < 2:
        raise InvalidInput("counts", blocks, "must be at least 2 blocks: one alone says nothing of their spread")
    total = counts.sum()
    mean, error, skewness, kurtosis = block_shape(ratios, counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(mean > 0, np.maximum(error / mean, ROUNDING), 1.0)
    degrees = np.minimum(blocks - 1, 2 * blocks / np.maximum(kurtosis + 2 - skewness**2, 1e-9))
    remaining = 4 * relative - 2 * skewness / np.sqrt(blocks)
    statistic = 3 * (np.cbrt(np.maximum(mean, 0)) - 1 + relative**2 / 9) / relative
    scores = normal_scores(statistic, degrees)
    predicted = np.zeros_like(mean) if variance is None else variance
    spread = float(np.max(np.maximum(total * relative**2, predicted)))
    wanted = max(float(FEWEST), PER_VARIANCE * spread)
    beyond = beyond_noise(remaining, blocks)
    if (most := float(np.max(beyond)) / LARGEST_SKEWNESS) > 1:
        wanted = max(wanted, total * most**2)
    sharp = bool(total >= wanted)
    if sharp:
        pvalues = 2 * stats.norm.sf(unskewed(np.abs(scores), beyond))
    else:
        below = np.ones_like(mean) if variance is None else _bound_below(mean, total, variance)
        pvalues = np.minimum(1.0, 2 * np.minimum(_bound_above(ratios), below))
    needed = int(np.ceil(min(wanted, 2.0**62)))
    return EstimatedMeans(
        pvalues, scores, np.maximum(mean, 0.0), relative, degrees, remaining, sharp, blocks, int(total), needed
    )


def block_shape(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The weighted mean of block means (K, q), its standard error, and skewness and excess kurtosis of the blocks.

    Var(block k) = s²/N_k gives SE² = s²/ΣN_k; deviations are multiplied by √N_k, after which they have one variance.
    """
    blocks = len(counts)
    mean = counts / counts.sum() @ values
    deviations = np.sqrt(counts)[:, None] * (values - mean)
    second = np.mean(deviations**2, axis=0)
    safe = np.where(second > 0, second, 1.0)
    skewness = np.mean(deviations**3, axis=0) / safe**1.5
    kurtosis = np.mean(deviations**4, axis=0) / safe**2 - 3 * (second > 0)
    return mean, np.sqrt(second * blocks / (blocks - 1) / counts.sum()), skewness, kurtosis


def normal_scores(statistic: np.ndarray, degrees: np.ndarray | float) -> np.ndarray:
    """Student's t on the scale of normal deviations: the same tail, the same sign."""
    tail = stats.t.sf(np.abs(statistic), degrees)
    return np.asarray(np.sign(statistic) * stats.norm.isf(np.maximum(tail, _LEAST)))


def beyond_noise(skewness: np.ndarray, blocks: int) -> np.ndarray:
    """How far |skewness| of a statistic of K blocks exceeds four of its standard errors, or 0."""
    return np.asarray(np.maximum(np.abs(skewness) - SKEWNESS_NOISE / blocks, 0.0))


def unskewed(score: np.ndarray, skewness: np.ndarray) -> np.ndarray:
    """The z' ≤ z with z' + 2|λ| (z'² − 1)/6 = z for scores z ≥ 1, and z itself below (Cornish and Fisher's expansion).

    >>> unskewed(np.array([5.0]), np.array([0.15])).round(2).tolist()
    [4.18]
    """
    a = np.abs(skewness) / 3
    corrected = 2 * (score + a) / (np.sqrt(1 + 4 * a * (score + a)) + 1)
    return np.asarray(np.where(score > 1, np.minimum(score, corrected), score))


def critical_values(degrees: np.ndarray, skewness: np.ndarray, level: float) -> np.ndarray:
    """The |T| from which on a two-sided p-value of the sharp test lies below `level`."""
    corrected = stats.norm.isf(level / 2)
    return np.asarray(stats.t.isf(stats.norm.sf(corrected + np.abs(skewness) * (corrected**2 - 1) / 3), degrees))


def detectable_error(error: float, degrees: float, level: float, power: float, *, skewness: float = 0.0) -> float:
    """The relative error ε of one mean that the sharp test detects at `level` with probability `power`.

    If the true mean is (1 + ε) times the predicted one, T is u = (1 + ε)^{1/3} times a noncentral t with noncentrality
    3 (1 − 1/u)(1 − c²/9) / c, since the standard error grows with the true mean. The result is the larger of the two
    signs; inf if no error is detected.
    """
    critical = float(critical_values(np.array(degrees), np.array(skewness), level))
    center = 1 - error**2 / 9
    # a noncentral t is normal given the estimated spread, s² = χ²_ν/ν, over whose quantiles its tail is averaged
    spreads, chances = np.sqrt(stats.chi2.ppf(_NODES, degrees) / degrees), _WEIGHTS

    def surplus(u: float, sign: int) -> float:
        shift = 3 * sign * (1 - 1 / u) * center / error
        return float(chances @ ndtr(shift - critical * spreads / u)) - power

    largest, smallest = 10.0, 0.1
    if surplus(largest, 1) < 0 or surplus(smallest, -1) < 0:
        return float(np.inf)
    above = float(brentq(lambda u: surplus(u, 1), 1.0, largest, xtol=1e-9)) ** 3 - 1
    below = 1 - float(brentq(lambda u: surplus(u, -1), smallest, 1.0, xtol=1e-9)) ** 3
    return max(above, below)


def replicas_to_find(
    discrepancy: float, variance: float, blocks: int, level: float, power: float, tests: int = 1
) -> int | None:
    """How many replicas the sharp test needs to detect a relative error of `discrepancy` in one of `tests` means.

    Parameters
    ----------
    discrepancy : float
    variance : float
        The relative variance of one replica.
    blocks : int
        The largest number of blocks in which replicas are averaged.
    level, power : float

    Returns
    -------
    int or None
        None if more than 10¹² are needed, which is impracticable.

    Examples
    --------
    >>> replicas_to_find(0.05, 2.0, 512, 1e-6, 0.9)
    32469
    """

    def enough(replicas: float) -> bool:
        degrees = min(blocks, replicas) - 1
        return detectable_error(float(np.sqrt(variance / replicas)), degrees, level / tests, power) <= discrepancy

    high = float(max(FEWEST, np.ceil(PER_VARIANCE * variance)))
    if not np.isfinite(high):
        return None
    if enough(high):
        return int(high)
    while not enough(high):
        high *= 2
        if high > _MOST:
            return None
    low = high / 2
    while high - low > max(1.0, 1e-4 * high):
        middle = np.ceil((low + high) / 2)
        low, high = (low, middle) if enough(middle) else (middle, high)
    return int(np.ceil(high))


def _bound_above(ratios: np.ndarray) -> np.ndarray:
    """P-values of "the mean is at most 1", exact for independent numbers that are never negative, (q,)."""
    with np.errstate(divide="ignore"):
        growth = np.stack([np.sum(np.log1p(g * (np.maximum(ratios, 0) - 1)), axis=0) for g in _BETS])
    return np.asarray(np.exp(-np.maximum(np.logaddexp.reduce(growth, axis=0) - np.log(len(_BETS)), 0.0)))


def _bound_below(mean: np.ndarray, total: float, variance: np.ndarray) -> np.ndarray:
    """P-values of "the mean is at least 1" for positive numbers of relative variance at most `variance`, (q,)."""
    q = np.clip(mean, ROUNDING, 1.0)
    second = 1 + np.where(np.isfinite(variance), variance, 0.0)
    # the g at which the derivative vanishes: (q m/2) g² + (m − q) g = 1 − q
    g = (np.sqrt((second - q) ** 2 + 2 * q * second * (1 - q)) - (second - q)) / (q * second)
    exponent = total * (g * q + np.log(1 - g + g**2 * second / 2))
    return np.where(np.isfinite(variance), np.exp(np.minimum(exponent, 0.0)), 1.0)
