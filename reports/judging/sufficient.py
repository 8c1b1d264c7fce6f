"""Why a reading is undecided, and how many replicas would decide it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from scipy.stats import norm

from reports.judging.rules import CONFIDENCE, DISCREPANCY, LEVEL, POWER
from theory.testing import VariancesTest, WholeMatrixTest
from theory.testing.estimated import EstimatedMeans, replicas_to_find
from theory.testing.whole_matrix import detectable_variance

MANY = 10**12  # the most replicas that are practicable: more than anyone trains
GAUSSIAN = 2.0  # the relative variance of the square of a Gaussian number
HEAVY = 10 * GAUSSIAN  # the relative variance of one replica above which a few rare replicas are said to dominate


@dataclass(frozen=True)
class ExactTest:
    """The result of a test of an exact form, and the replicas it needs.

    Attributes
    ----------
    pvalue, detectable : float
        `detectable` is inf if only gross errors are detected.
    sharp : bool
        Whether the law of its statistic is known well enough for a level of `LEVEL`.
    count_needed : callable, () → int or None
        The number of replicas that suffice to detect an error of `DISCREPANCY`; None if more than `MANY`. This search
        costs more than the test, so it is a function, called only for undecided readings.
    variance : float
        The relative variance of one replica's τ from which they are computed: predicted, or a bound from the sample;
        2, that of the square of a Gaussian number, for Gaussian vectors.
    """

    pvalue: float
    detectable: float
    sharp: bool
    count_needed: Callable[[], int | None]
    variance: float


def of_matrix(test: WholeMatrixTest, outputs: int | None, predicted: np.ndarray | None, blocks: int) -> ExactTest:
    """A whole-matrix test; `outputs` Gaussian vectors per replica, None where they are not Gaussian."""
    if outputs is not None:
        return ExactTest(test.pvalue, test.detectable, True, partial(_gaussian_replicas, test.rank, outputs), GAUSSIAN)
    variance = _variance(test.variance_bound, predicted)
    tests = test.rank if test.joint_pvalue is None else 2 * test.rank
    needed = partial(_needed, variance, test.needed, blocks, tests)
    return ExactTest(float(test.pvalue), test.detectable, test.sharp, needed, variance)


def of_variances(test: VariancesTest, predicted: np.ndarray | None, blocks: int) -> ExactTest:
    """A test of every τ."""
    if test.means is None:
        return ExactTest(test.pvalue, test.detectable, True, lambda: None, GAUSSIAN)
    variance = _variance(test.means.variance_bound, predicted)
    needed = partial(_needed, variance, test.means.needed, blocks, len(test.means.errors))
    return ExactTest(test.pvalue, test.detectable, test.means.sharp, needed, variance)


@cache
def gaussian_vectors(rank: int) -> int:
    """How many Gaussian vectors of this rank detect an error of `DISCREPANCY`.

    >>> gaussian_vectors(3)
    35308
    """
    low, high = rank + 1, 2 * (rank + 1)
    while detectable_variance(high, rank, LEVEL, POWER) > DISCREPANCY:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if detectable_variance(middle, rank, LEVEL, POWER) <= DISCREPANCY else (middle, high)
    return high


def exact_reason(test: ExactTest, replicas: int) -> str:
    """Why an exact form is undecided."""
    rare = f"a few rare replicas dominate the mean (the variance of tau over replicas is {test.variance:.3g} tau^2)"
    needed = test.count_needed()
    if needed is None:
        return f"no practicable number of replicas decides this: {rare}"
    if test.sharp:
        return f"needs {needed:,} replicas: an error of {DISCREPANCY:.0%} in one tau would too often be missed"
    few = f"needs {needed:,} replicas: {replicas:,} are too few for a test at level {LEVEL:g}"
    return f"{few}; {rare}" if test.variance > HEAVY else few


def asymptotic_reason(means: EstimatedMeans, budget: float) -> str:
    """Why an asymptotic form is undecided, and how many replicas make the intervals narrow enough.

    The true error is taken as half the budget, or as the smallest that the intervals allow, up to three quarters of it.
    """
    low, high = means.interval(CONFIDENCE)
    off = float(np.max(np.maximum(low - 1, 1 - high)))  # the least that the largest error can be
    gap = min(max(budget - off, budget / 4), budget / 2)
    quantile = float(norm.isf((1 - CONFIDENCE) / 2 / len(low)) + norm.ppf(POWER))
    needed = means.variance_bound * (quantile / gap) ** 2 if gap else np.inf
    if needed > MANY:
        return "no practicable number of replicas makes the intervals as narrow as the error budget"
    needed = max(int(np.ceil(needed)), means.replicas + 1)
    return (
        f"needs some {needed:,} replicas: the intervals of the errors of tau extend beyond the budget of {budget:.2g}"
    )


def _gaussian_replicas(rank: int, outputs: int) -> int:
    """How many replicas suffice, with so many Gaussian vectors each."""
    return -(-gaussian_vectors(rank) // outputs)


def _variance(measured: float | None, predicted: np.ndarray | None) -> float:
    """The relative variance to use: the predicted one, perhaps an upper bound, or a smaller one that replicas show.

    They show nothing where rare ones dominate the mean.
    """
    bound = np.inf if measured is None else measured
    largest = bound if predicted is None else float(np.max(predicted))
    return largest if largest > HEAVY else min(largest, bound)


def _needed(variance: float, sharp: int, blocks: int, tests: int) -> int | None:
    found = replicas_to_find(DISCREPANCY, variance, blocks, LEVEL, POWER, tests)
    if found is None or sharp > MANY:
        return None
    margin = 1 + 2.5 * np.sqrt(2 / min(blocks, found))  # standard errors will be in error themselves
    return max(int(np.ceil(margin * found)), sharp)
