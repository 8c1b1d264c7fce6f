"""Signs that are seen, shares of signs, bounds to exceed: the rules, and the p-values and intervals behind them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reports.judging.intervals import (
    largest_pvalue,
    pvalue_beyond,
    share_interval,
    sign_words,
    signs_seen,
    variance_interval,
)
from reports.judging.rules import above_verdict, seen_verdict, share_verdict


def test_a_sign_is_seen_beyond_a_test_of_one_per_cent():
    just = stats.norm.isf(0.0025)  # two tests of two sides share .01
    values = np.array([just + 0.01, -just - 0.01, just - 0.01, np.nan])
    np.testing.assert_array_equal(signs_seen(values, np.ones(4), tests=2), [1, -1, 0, 0])
    student = stats.t.isf(0.005, np.array([1, 30]))
    np.testing.assert_array_equal(signs_seen(student * 0.99, np.ones(2), degrees=np.array([1, 30])), [0, 0])
    np.testing.assert_array_equal(signs_seen(-student * 1.01, np.ones(2), degrees=np.array([1, 30])), [-1, -1])
    assert sign_words(np.array([1.0, 0.0, -1.0])) == "positive, no sign, negative"


def test_what_holds_must_be_seen():
    predicted = np.array([0.3, -0.2])
    assert seen_verdict("holds", np.array([1.0, -1.0]), predicted) == "holds"
    assert seen_verdict("holds", np.array([1.0, 0.0]), predicted) == "undecided"
    assert seen_verdict("holds", np.array([1.0, 1.0]), predicted) == "undecided"
    assert seen_verdict("refuted", np.array([1.0, 0.0]), predicted) == "refuted"
    assert seen_verdict("undecided", np.array([1.0, -1.0]), predicted) == "undecided"


@pytest.mark.parametrize(
    ("pvalue", "interval", "diverged", "verdict"),
    [
        (1.0, (0.81, 1.0), 0, "holds"),
        (1.0, (0.81, 1.0), 1, "undecided"),
        (1.0, (0.79, 1.0), 0, "undecided"),
        (1.0, (0.5, 0.79), 0, "refuted"),
        (1e-7, (0.81, 1.0), 0, "refuted"),
        (1e-7, None, 0, "undecided"),
    ],
)
def test_a_share_of_signs_is_judged_by_its_interval_and_by_wrong_ones(pvalue, interval, diverged, verdict):
    assert share_verdict(pvalue, interval, diverged) == verdict


@pytest.mark.parametrize(
    ("interval", "diverged", "verdict"),
    [
        ((0.6, 1.2), 0, "holds"),
        ((0.6, 1.2), 1, "undecided"),
        ((-0.1, 0.4), 0, "refuted"),
        ((0.3, 0.9), 0, "undecided"),
        (None, 0, "undecided"),
    ],
)
def test_a_bound_is_exceeded_by_the_whole_interval(interval, diverged, verdict):
    assert above_verdict(interval, 0.5, diverged) == verdict


def test_pvalues_of_several_tests_together():
    assert largest_pvalue(np.array([-3.0, 1.0])) == pytest.approx(4 * stats.norm.sf(3))
    assert largest_pvalue(np.array([[-3.0], [1.0]]), 5) == pytest.approx(4 * stats.t.sf(3, 5))
    assert largest_pvalue(np.array([0.1, 0.2])) == 1
    off, error = np.array([0.3, -0.5]), np.array([0.1, 0.1])
    assert pvalue_beyond(off, error, 0.2, 7) == pytest.approx(2 * stats.t.sf(3, 7))
    assert pvalue_beyond(off, error, 0.6, 7) == 1


def test_the_interval_of_a_variance_is_exact():
    low, high = variance_interval(2.0, 7)
    assert stats.chi2.cdf(7 * 2.0 / low, 7) == pytest.approx(0.975)
    assert stats.chi2.cdf(7 * 2.0 / high, 7) == pytest.approx(0.025)


def test_the_interval_of_a_share_is_exact():
    found = share_interval(4, 7)
    assert found is not None
    assert stats.binom.sf(3, 7, found[0]) == pytest.approx(0.025)
    assert stats.binom.cdf(4, 7, found[1]) == pytest.approx(0.025)
    assert share_interval(0, 0) is None
