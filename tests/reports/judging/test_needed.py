"""The number of replicas that an undecided finding is said to need decides it nine times in ten."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from reports.judging.intervals import QUANTILE
from reports.judging.needed import by_interval, by_power, by_pvalue, by_share, with_need
from reports.judging.rules import LEVEL

DRAWS = 20_000


def count_of(needed: str) -> int:
    found = re.search(r"about (\d+) ", needed)
    assert found, needed
    return int(found[1])


def assert_nine_in_ten(decided: np.ndarray) -> None:
    """The rounding of the count to three digits may only help; false alarms below 1e-6."""
    hits = int(decided.sum())
    assert binomtest(hits, DRAWS, 0.9).pvalue > 1e-6 or 0.9 < hits / DRAWS < 0.915, hits / DRAWS


@pytest.mark.parametrize(("bounds", "middle"), [((0.0,), 0.3), ((0.0,), -0.4), ((-1.0, 1.0), 0.7), ((-1.0, 1.0), -1.3)])
def test_an_interval_of_the_said_number_leaves_the_bounds_on_one_side(bounds, middle):
    replicas, half = 40, 0.6
    wanted = count_of(by_interval(replicas, middle - half, middle + half, bounds))
    error = half / QUANTILE * (replicas / wanted) ** 0.5
    measured = middle + error * np.random.default_rng(1).standard_normal(DRAWS)
    low, high = measured - QUANTILE * error, measured + QUANTILE * error
    within = np.array([(low < bound) & (bound < high) for bound in bounds]).any(axis=0)
    assert_nine_in_ten(~within)


def test_a_control_of_the_said_number_is_detected():
    replicas, pvalue = 500, 1e-4
    wanted = count_of(by_pvalue(replicas, pvalue))
    effect = norm.isf(pvalue / 2) * (wanted / replicas) ** 0.5
    z = effect + np.random.default_rng(2).standard_normal(DRAWS)
    assert_nine_in_ten(2 * norm.sf(np.abs(z)) < LEVEL)


def test_what_is_found_falls_with_the_root_of_the_replicas():
    assert count_of(by_power(1000, 0.1)) == 4000
    assert count_of(by_power(1000, 0.1, wanted=0.02)) == 25000
    assert "unknown" in by_power(1000, None)


def test_what_may_lie_on_the_bound_is_decided_by_no_number():
    assert "if it lies on it" in by_interval(50, -1.0, 1.05, (0.0,))
    assert "if it lies on it" in by_interval(50, -1.0, 1.0, (0.0,))
    assert "if it lies on it" in by_share(80, 100, 100)
    assert "unknown" in by_pvalue(50, 0.3)


def test_shares_are_decided_by_their_exact_intervals():
    right = count_of(by_share(15, 18, 20)) // 20 * 15
    decided = right // 15 * 18
    assert binomtest(right, decided).proportion_ci(0.95, "exact").low > 0.8
    half = binomtest(right // 2, decided // 2).proportion_ci(0.95, "exact")
    assert half.low < 0.8 < half.high
    assert by_share(0, 0, 20) == "no sign is decided"


def test_only_what_is_undecided_needs_anything():
    assert with_need("a", "holds", "b") == "a"
    assert with_need("a", "refuted", "b") == "a"
    assert with_need("a", "undecided", "b") == "a; b"
    assert with_need("", "undecided", "b") == "b"
    assert with_need("a", "undecided", "") == "a"


def test_words_of_what_is_needed():
    assert by_power(18432, 0.078) == "would need about 44900 replicas, 2.4 times the budget"
    assert by_power(1000, 0.04) == "would need about 1000 replicas, 1 times the budget"
    assert by_pvalue(4000, 1.7e-5) == "would need about 8250 replicas, 2.1 times the budget"
    assert by_interval(7, -0.004, 0.050, (0.0,)) == "would need about 27 replicas, 3.8 times the budget"
    assert by_interval(7, -0.007, 0.008, (0.0,)).startswith(
        "the measured value is only 0.07 half-widths from the bound"
    )
    assert "is unknown" in by_interval(7, -0.1, np.inf, (0.0,))


@pytest.mark.parametrize(("distance", "known"), [(0.19, False), (0.21, True)])
def test_a_value_within_a_fifth_of_the_half_width_may_lie_on_the_bound(distance, known):
    assert ("would need" in by_interval(10, distance - 1, distance + 1, (0.0,))) == known


@pytest.mark.parametrize(("pvalue", "visible"), [(0.0499, True), (0.0501, False)])
def test_a_violation_is_visible_below_five_per_cent(pvalue, visible):
    assert ("would need" in by_pvalue(100, pvalue)) == visible


def test_shares_are_tried_at_twice_to_512_times_as_many():
    """17 of 21 and 29 of 36 are so near to the bound that it takes 320 and 550 times as many."""
    assert by_share(19, 20, 20) == "would need about 40 settings, 2 times the budget"
    assert by_share(17, 21, 21).endswith("settings, 5.1e+02 times the budget")
    assert by_share(29, 36, 36, "points") == "29 of 36 is close to 0.8: if it lies on it, no number of points decides"
    assert by_share(3, 6, 9) == "would need about 18 settings, 2 times the budget"
