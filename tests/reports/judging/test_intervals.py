"""Intervals cover as often as they say, and detect with the power that they say."""

import numpy as np
import pytest
from scipy import stats

from reports.judging import intervals
from reports.judging.rules import LEVEL, POWER
from theory.errors import Diverged

SEED, TRIALS = 20061045, 20_000


def within(share: float, expected: float) -> bool:
    """Whether a share of TRIALS is what is expected, but for an event of probability 1e-7."""
    return abs(stats.norm.sf(abs(share - expected) / (expected * (1 - expected) / TRIALS) ** 0.5)) > 5e-8


def test_means_of_blocks_of_any_size_are_unbiased_with_their_error():
    rng = np.random.default_rng(SEED)
    counts = np.array([1, 4, 9])
    blocks = rng.standard_normal((TRIALS, 3)) / np.sqrt(counts)
    found = np.array([intervals.mean_with_error(block, counts) for block in blocks])
    assert abs(found[:, 0].mean()) < 6 * found[:, 0].std() / TRIALS**0.5
    squares = found[:, 1] ** 2
    assert abs(squares.mean() - 1 / counts.sum()) < 6 * squares.std() / TRIALS**0.5


def test_one_block_has_no_error_and_none_no_mean():
    mean, error = intervals.mean_with_error(np.ones((1, 2, 3)), np.array([3]))
    np.testing.assert_array_equal(mean, np.ones((2, 3)))
    np.testing.assert_array_equal(error, np.full((2, 3), np.nan))
    for part in intervals.mean_with_error(np.ones((0, 2, 3)), np.array([])):
        np.testing.assert_array_equal(part, np.full((2, 3), np.nan))


@pytest.mark.parametrize("count", [2, 3, 10])
@pytest.mark.slow
def test_students_interval_covers(count):
    values = np.random.default_rng(SEED + count).standard_normal((count, TRIALS))
    mean, half = intervals.means_and_halves(values)
    assert within(float(np.mean(np.abs(mean) <= half)), 0.95)


def test_one_value_has_no_interval():
    with pytest.raises(Diverged, match="at least two"):
        intervals.mean_and_half(np.ones(1))


@pytest.mark.parametrize(("tests", "degrees"), [(1, None), (5, None), (5, 7)])
def test_simultaneous_half_widths_cover_together(tests, degrees):
    """Bonferroni over independent errors: 1 − (1 − .05/k)^k of them miss at least one."""
    rng = np.random.default_rng(SEED)
    law = rng.standard_normal if degrees is None else lambda size: rng.standard_t(degrees, size)
    half = intervals.half_width(1.0, tests=tests, degrees=degrees)
    assert within(float(np.mean(np.abs(law((TRIALS, tests))).max(axis=1) > half)), 1 - (1 - 0.05 / tests) ** tests)
    assert intervals.simultaneous(tests) == pytest.approx(1 - 0.05 / tests)


@pytest.mark.parametrize("tests", [1, 6])
def test_a_detectable_effect_is_detected_with_the_stated_power(tests):
    size = intervals.detectable(0.3, tests=tests)
    critical = stats.norm.isf(LEVEL / 2 / tests)
    assert stats.norm.sf(critical - size / 0.3) == pytest.approx(POWER, rel=1e-9)


def test_what_an_interval_separates_from_zero():
    """An effect of the detected size leaves 0 outside its 95 % interval with the same power, nine times in ten."""
    error = 0.2
    for tests in (1, 10):
        power = stats.norm.sf(
            (intervals.half_width(error, tests=tests) - intervals.detected(error, tests=tests)) / error
        )
        assert power == pytest.approx(POWER, rel=1e-9)
    low, high = 1 - float(intervals.bars(error)), 1 + float(intervals.bars(error))
    assert intervals.error_of(low, high) == pytest.approx(error)


def test_bars_of_a_root_are_those_of_the_square_to_first_order():
    tau, error = np.array([4.0, 9.0]), np.array([1e-4, 2e-4])
    ends = np.sqrt(tau + intervals.bars(error)) - np.sqrt(tau)
    np.testing.assert_allclose(intervals.root_bars(tau, error), ends, rtol=1e-4)


def test_words_for_what_would_have_been_detected():
    assert intervals.found(0.043) == "detects an error of 4.3% with 90% power"
    assert intervals.found(None).startswith("detects no error")


@pytest.mark.parametrize("tests", [1, 10])
def test_a_bootstrap_interval_leaves_its_share_of_draws_on_both_sides(tests):
    draws = np.random.default_rng(SEED).standard_normal((2, TRIALS))
    found = intervals.bootstrap_interval(draws, tests=tests)
    assert found.shape == (2, 2)
    for row, (low, high) in zip(draws, found, strict=True):
        for outside in (row < low, row > high):
            assert np.mean(outside) == pytest.approx(0.025 / tests, abs=1 / TRIALS)


@pytest.mark.parametrize("degrees", [2, 9, 63])
@pytest.mark.parametrize("tail", [0.025, 0.025 / 6, LEVEL / 2])
def test_effects_are_found_as_often_as_said_where_errors_are_estimated_twice(degrees, tail):
    rng = np.random.default_rng([SEED, degrees])
    named, tested = np.sqrt(rng.chisquare(degrees, (2, TRIALS)) / degrees)
    size = named * intervals.effect_found(1.0, tail, degrees=degrees)
    found = rng.standard_normal(TRIALS) + size > stats.t.isf(tail, degrees) * tested
    assert within(float(np.mean(found)), POWER)


def test_of_a_relative_effect_the_harder_sign_is_named():
    """The standard error grows with τ: upward effects of that size are found with the stated power, downward more."""
    rng, relative = np.random.default_rng(SEED), 0.04
    size = intervals.detected(relative, relative=True)
    up, down = ((1 + sign * size) * (1 + relative * rng.standard_normal(TRIALS)) for sign in (1, -1))
    half = intervals.bars(relative)
    assert within(float(np.mean((up - 1) / (1 + size) > half)), POWER)
    assert np.mean((1 - down) / (1 - size) > half) > POWER
    assert intervals.detected(0.4, relative=True) == np.inf
    assert intervals.detectable(1e-3, degrees=40, relative=True) > intervals.detectable(1e-3, degrees=40)


@pytest.mark.parametrize("degrees", [3, 10, 31, 100])
@pytest.mark.parametrize("tail", [0.025, LEVEL / 2])
def test_effects_that_are_found_solve_their_equation(degrees, tail):
    """The double expectation by 400 Gauss-Legendre nodes each: what 200 midpoints cost is 3e-4 of the power."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    scale = np.sqrt(stats.chi2.ppf((nodes + 1) / 2, degrees) / degrees)
    size = intervals.effect_found(1.0, tail, degrees=degrees)
    power = stats.norm.cdf(size * scale[:, None] - stats.t.isf(tail, degrees) * scale)
    assert float(weights / 2 @ power @ (weights / 2)) == pytest.approx(POWER, abs=3e-4)


def test_students_interval_by_hand():
    values = np.array([1.0, 2.0, 3.0, 5.0])
    half = stats.t.ppf(0.975, 3) * values.std(ddof=1) / 2
    assert intervals.mean_and_half(values) == pytest.approx((2.75, half))
    assert intervals.sample_mean(values) == pytest.approx((2.75, values.std(ddof=1) / 2))
    mean, halves = intervals.means_and_halves(np.stack([values, 2 * values], axis=1))
    np.testing.assert_allclose([mean, halves], [[2.75, 5.5], [half, 2 * half]])


def test_two_values_are_enough_for_an_interval():
    assert intervals.mean_and_half(np.array([1.0, 3.0])) == pytest.approx((2.0, stats.t.ppf(0.975, 1)))


def test_bars_are_of_a_single_interval_by_the_degrees_that_are_given():
    assert intervals.bars(2.0) == pytest.approx(2 * stats.norm.isf(0.025))
    assert intervals.bars(2.0, 4) == pytest.approx(2 * stats.t.isf(0.025, 4))
    assert intervals.root_bars(4.0, 0.2, 4) == pytest.approx(0.05 * stats.t.isf(0.025, 4))
    assert intervals.half_width(2.0, tests=3, confidence=0.9, degrees=4) == pytest.approx(2 * stats.t.isf(0.05 / 3, 4))


@pytest.mark.parametrize("error", [0.05, 0.2, 0.3, 0.4])
def test_a_relative_effect_is_its_own_multiple_of_an_error_that_grows_with_it(error):
    """ε/(1 + ε) = m s, which has no solution from m s = 1 on."""
    multiple = stats.norm.isf(0.025) + stats.norm.ppf(0.9)
    size = intervals.detected(error, relative=True)
    assert size == (np.inf if multiple * error >= 1 else pytest.approx(multiple * error / (1 - multiple * error)))
    assert intervals.detected(error) == pytest.approx(multiple * error)
