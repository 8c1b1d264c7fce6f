"""Student's and Fieller's intervals: against SciPy, against the tests that they invert, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from theory.errors import InvalidInput
from theory.testing import mean_ratio, paired_mean


@given(st.integers(2, 12), st.integers(0, 2**32 - 1), st.floats(0.5, 0.999))
def test_the_paired_mean_is_scipys_one_sample_test(replicas, seed, confidence):
    values = np.random.default_rng(seed).standard_normal(replicas) + 0.5
    found, known = paired_mean(values, confidence=confidence), stats.ttest_1samp(values, 0)
    interval = known.confidence_interval(confidence)
    np.testing.assert_allclose(
        [found.mean, found.standard_error, found.pvalue, found.low, found.high],
        [values.mean(), stats.sem(values), known.pvalue, interval.low, interval.high],
        rtol=1e-9,
        atol=1e-12,
    )
    assert found.replicas == replicas


@pytest.mark.parametrize("values", [[2.0, 2.0, 2.0], [0.0, 0.0], [0.1 + 0.2, 0.3, 0.3]])
def test_differences_that_are_all_the_same_have_no_interval(values):
    found = paired_mean(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert not found.estimable
    assert np.isnan([found.standard_error, found.low, found.high, found.pvalue]).all()
    assert not paired_mean([1.0, 2.0], bounds=([0.0, 0.0], [1.0, 2.0])).estimable
    assert mean_ratio(values, [1.0] * len(values)) is None
    assert mean_ratio([0.3, 0.6, 0.7], [0.6, 1.2, 1.4]) is None


def test_an_interval_within_bounds_is_that_of_the_bounds():
    lower, values, upper = np.array([[1.0, 2.0, 4.0], [1.5, 2.0, 5.0], [2.0, 4.0, 5.0]])
    found = paired_mean(values, bounds=(lower, upper), confidence=0.9)
    below, above = (stats.ttest_1samp(v, 0).confidence_interval(0.9) for v in (lower, upper))
    assert (found.low, found.high) == pytest.approx((below.low, above.high))
    assert (found.mean, found.standard_error) == pytest.approx((values.mean(), stats.sem(values)))
    assert found.pvalue == pytest.approx(stats.ttest_1samp(lower, 0).pvalue)
    negative = paired_mean(-values, bounds=(-upper, -lower), confidence=0.9)
    assert (negative.low, negative.high, negative.pvalue) == pytest.approx((-found.high, -found.low, found.pvalue))
    assert paired_mean(values, bounds=(lower - 9, upper), confidence=0.9).pvalue == 1


@given(st.integers(2, 12), st.integers(0, 2**32 - 1), st.floats(0.5, 0.999))
def test_an_interval_excludes_zero_where_its_p_value_is_small(replicas, seed, confidence):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(replicas) + 1
    found = paired_mean(
        values, bounds=(values - rng.random(replicas), values + rng.random(replicas)), confidence=confidence
    )
    assert (found.low > 0 or found.high < 0) == (found.pvalue < 1 - confidence)


def pairs(rng: np.random.Generator, replicas: int, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Correlated Gaussian pairs with E[a] = ratio · E[b]."""
    z = rng.standard_normal((2, replicas))
    return 3 * ratio + 0.7 * z[0] + 0.5 * z[1], 3 + z[1]


@given(st.integers(3, 20), st.integers(0, 2**32 - 1), st.floats(-1, 2))
def test_the_ends_are_where_a_test_of_the_ratio_turns(replicas, seed, ratio):
    """The t-test of E[a − ρ b] = 0 has p = 1 − confidence at each end, and the docstring's formula gives these ends."""
    a, b = pairs(np.random.default_rng(seed), replicas, ratio)
    found = mean_ratio(a, b, confidence=0.9)
    significant = stats.ttest_1samp(b, 0).pvalue < 0.1
    assert (found is not None) == significant
    if found is None:
        return
    for end in (found.low, found.high):
        np.testing.assert_allclose(stats.ttest_1samp(a - end * b, 0).pvalue, 0.1, rtol=1e-6)
    t, n = stats.t.ppf(0.95, replicas - 1), replicas
    (s_aa, s_ab), (_, s_bb) = np.cov(a, b)
    rho, g = a.mean() / b.mean(), t**2 * s_bb / (n * b.mean() ** 2)
    root = np.sqrt(s_aa - 2 * rho * s_ab + rho**2 * s_bb - g * (s_aa - s_ab**2 / s_bb))
    half = t / (b.mean() * np.sqrt(n)) * root
    middle = rho - g * s_ab / s_bb
    ends = sorted(((middle - half) / (1 - g), (middle + half) / (1 - g)))
    np.testing.assert_allclose([found.low, found.high], ends, rtol=1e-6, atol=1e-8)
    assert found.ratio == rho


def test_a_ratio_to_a_number_is_its_interval():
    a = np.array([1.0, 2.0, 4.0])
    found, plain = mean_ratio(a, [2.0, 2.0, 2.0]), paired_mean(a / 2)
    assert found is not None
    np.testing.assert_allclose([found.ratio, found.low, found.high], [plain.mean, plain.low, plain.high])


@pytest.mark.parametrize("replicas", [4, 10])
def test_coverage_is_what_is_declared(replicas):
    """The share of 2,000 intervals that hold the ratio passes an exact binomial test of 95 % at 1e-6.

    Normal quantiles fail it at R = 4.
    """
    rng = np.random.default_rng(0)
    covered = normal = 0
    for _ in range(2000):
        a, b = pairs(rng, replicas, 0.6)
        found = mean_ratio(a, b)
        # Where no bounded interval exists the set of ratios that are not rejected is asked instead.
        covered += _kept(a, b) if found is None else found.low <= 0.6 <= found.high
        difference = a - 0.6 * b
        normal += abs(difference.mean()) <= 1.96 * difference.std(ddof=1) / np.sqrt(replicas)
    assert stats.binomtest(covered, 2000, 0.95).pvalue > 1e-6
    if replicas == 4:
        assert stats.binomtest(normal, 2000, 0.95).pvalue < 1e-6


def _kept(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(stats.ttest_1samp(a - 0.6 * b, 0).pvalue > 0.05)


def test_an_end_by_bisection():
    """The slow way to one end: where the p-value crosses."""
    a, b = pairs(np.random.default_rng(7), 10, 0.4)
    found = mean_ratio(a, b)
    assert found is not None
    end = optimize.brentq(lambda rho: stats.ttest_1samp(a - rho * b, 0).pvalue - 0.05, found.ratio, 10)
    np.testing.assert_allclose(found.high, end, rtol=1e-8)


@pytest.mark.parametrize(
    ("call", "key"),
    [
        (lambda: paired_mean([1.0]), "differences.shape"),
        (lambda: paired_mean([[1.0, 2.0]]), "differences.shape"),
        (lambda: paired_mean([1.0, np.nan]), "differences"),
        (lambda: paired_mean([1.0, 2.0], confidence=1.0), "confidence"),
        (lambda: paired_mean([1.0, 2.0], bounds=([0.0, 2.5], [1.0, 3.0])), "bounds"),
        (lambda: paired_mean([1.0, 2.0], bounds=([0.0, 1.0], [0.5, 3.0])), "bounds"),
        (lambda: paired_mean([1.0, 2.0], bounds=([0.0, 1.0, 1.0], [1.0, 3.0])), "bounds"),
        (lambda: mean_ratio([1.0, 2.0], [1.0, np.inf]), "denominators"),
        (lambda: mean_ratio([1.0, 2.0], [1.0, 2.0, 3.0]), "denominators.shape"),
        (lambda: mean_ratio([1.0], [1.0]), "numerators.shape"),
    ],
)
def test_bad_input(call, key):
    with pytest.raises(InvalidInput) as caught:
        call()
    assert caught.value.key == key
