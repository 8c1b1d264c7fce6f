"""Rules exactly at the numbers that they compare with, and what a diverged replica does to every ruling."""

from __future__ import annotations

import numpy as np
import pytest

from reports.judging import rules
from reports.judging.rules import (
    above_verdict,
    asymptotic_verdict,
    broken_identity_verdict,
    control_above_verdict,
    control_verdict,
    exact_verdict,
    identity_verdict,
    rate_verdict,
    recovered_verdict,
    same_sign_verdict,
    seen_verdict,
    share_verdict,
    sign_verdict,
    within_budget,
    worst,
)
from theory.testing import MeanRatio


def test_the_numbers_of_the_rules_are_those_of_the_guides() -> None:
    """What is published of a finding was judged by these."""
    assert (rules.LEVEL, rules.DISCREPANCY, rules.POWER, rules.CONFIDENCE) == (1e-6, 0.05, 0.9, 0.95)
    assert (rules.BROKEN, rules.LARGEST_RATE, rules.SEEN, rules.SHARE) == (1000.0, 0.1, 0.01, 0.8)
    assert (rules.RECOVERED, rules.MOST_OF_IT) == (0.8, 0.5)
    assert rules.WORST_FIRST == ("refuted", "undecided", "holds")


def test_a_level_itself_refutes_nothing() -> None:
    assert exact_verdict(1e-6, 0.05, 0) == rate_verdict(1e-6, 0.1, 0) == "holds"
    assert control_verdict(1e-6, 0) == "undecided"
    assert share_verdict(1e-6, (0.81, 0.9), 0) == "holds"
    below = np.nextafter(1e-6, 0)
    assert exact_verdict(below, 0.05, 0) == rate_verdict(below, 0.1, 0) == "refuted"
    assert control_verdict(below, 0) == "holds"
    assert share_verdict(below, (0.81, 0.9), 0) == "refuted"


@pytest.mark.parametrize(
    ("low", "high", "ruling"),
    [
        (-0.1, 0.1, "holds"),
        (0.1, 0.1, "holds"),
        (-0.1, -0.1, "holds"),
        (0.1, 0.2, "undecided"),
        (-0.2, -0.1, "undecided"),
        (np.nextafter(0.1, 1), 0.2, "refuted"),
        (-0.2, np.nextafter(-0.1, -1), "refuted"),
        (np.nextafter(-0.1, -1), 0.0, "undecided"),
        (0.0, np.nextafter(0.1, 1), "undecided"),
    ],
)
def test_intervals_that_end_at_the_budget(low: float, high: float, ruling: str) -> None:
    assert asymptotic_verdict(low, high, 0.1, 0) == ruling
    assert asymptotic_verdict(low, high, 0.1, 1) == ("undecided" if ruling == "holds" else ruling)
    middle, half = np.array([(low + high) / 2]), np.array([(high - low) / 2])
    if ruling == "refuted" and low + 1e-6 < high:
        assert within_budget(middle + np.sign(middle) * 1e-6, half, 0.1, 0) == ruling


def test_intervals_that_end_at_zero_say_nothing_of_a_sign() -> None:
    for sign, side in (("positive", 1.0), ("negative", -1.0)):
        away, towards = sorted((0.0, side)), sorted((0.0, -side))
        assert sign_verdict(*away, sign, 0) == sign_verdict(*towards, sign, 0) == "undecided"
        inside = sorted((side * 5e-324, side))
        assert sign_verdict(*inside, sign, 0) == "holds"
        assert sign_verdict(*inside, sign, 1) == "undecided"
        opposite = sorted((-side * 5e-324, -side))
        assert sign_verdict(*opposite, sign, 0) == sign_verdict(*opposite, sign, 1) == "refuted"
    assert same_sign_verdict((0.0, 1.0), (1.0, 2.0)) == same_sign_verdict((-2.0, -1.0), (-1.0, 0.0)) == "undecided"
    assert same_sign_verdict((-2.0, -1.0), (-2.0, -1.0)) == "holds"
    assert same_sign_verdict((1.0, 2.0), (-2.0, -1.0)) == same_sign_verdict((-2.0, -1.0), (1.0, 2.0)) == "refuted"


def test_identities_at_their_tolerance() -> None:
    assert identity_verdict(1e-10, 1e-10, 0) == "holds"
    assert broken_identity_verdict(1000 * 1e-10, 1e-10, 0) == "undecided"
    assert broken_identity_verdict(np.nextafter(1000 * 1e-10, 1), 1e-10, 0) == "holds"


@pytest.mark.parametrize(
    ("pvalue", "interval", "diverged", "ruling"),
    [
        (0.5, None, 0, "undecided"),
        (1e-9, None, 0, "undecided"),
        (0.5, (0.5, 0.8), 0, "undecided"),
        (0.5, (0.5, 0.79), 0, "refuted"),
        (0.5, (0.5, 0.79), 2, "refuted"),
        (0.5, (0.8, 0.9), 0, "undecided"),
        (0.5, (0.81, 0.9), 0, "holds"),
        (0.5, (0.81, 0.9), 1, "undecided"),
        (1e-9, (0.81, 0.9), 0, "refuted"),
        (0.5, (0.7, 0.9), 0, "undecided"),
    ],
)
def test_shares_of_signs(pvalue: float, interval: tuple | None, diverged: int, ruling: str) -> None:
    assert share_verdict(pvalue, interval, diverged) == ruling


@pytest.mark.parametrize(
    ("interval", "diverged", "ruling"),
    [
        (None, 0, "undecided"),
        ((2.0, 3.0), 0, "undecided"),
        ((2.1, 3.0), 0, "holds"),
        ((2.1, 3.0), 1, "undecided"),
        ((1.0, 1.9), 0, "refuted"),
        ((1.0, 2.0), 0, "undecided"),
        ((1.0, 3.0), 0, "undecided"),
    ],
)
def test_quantities_that_are_to_exceed_two(interval: tuple | None, diverged: int, ruling: str) -> None:
    assert above_verdict(interval, 2.0, diverged) == ruling


@pytest.mark.parametrize("ruling", ["holds", "refuted", "undecided"])
def test_what_holds_needs_the_signs_that_were_predicted(ruling: rules.Ruling) -> None:
    predicted = np.array([0.3, -2.0])
    assert seen_verdict(ruling, np.array([1.0, -1.0]), predicted) == ruling
    for seen in ([1.0, 1.0], [0.0, -1.0], [0.0, 0.0], [-1.0, 1.0]):
        expected = "undecided" if ruling == "holds" else ruling
        assert seen_verdict(ruling, np.array(seen), predicted) == expected


def test_diverged_replicas_let_nothing_hold() -> None:
    """One is as bad as many; refutations stand."""
    for diverged in (1, 7):
        assert exact_verdict(0.5, 0.01, diverged) == rate_verdict(0.5, 0.01, diverged) == "undecided"
        assert control_verdict(1e-9, diverged) == control_above_verdict(3.0, 2.0, diverged) == "undecided"
        assert identity_verdict(0.0, 1.0, diverged) == identity_verdict(2.0, 1.0, diverged) == "undecided"
        assert broken_identity_verdict(1.0, 1e-10, diverged) == "undecided"
        zero, half = np.zeros(2), np.full(2, 0.01)
        assert within_budget(zero, half, 0.1, diverged) == "undecided"
        assert within_budget(zero + 1, half, 0.1, diverged) == "refuted"
        assert exact_verdict(1e-9, 0.01, diverged) == rate_verdict(1e-9, 0.01, diverged) == "refuted"


def test_the_worst_of_none_is_no_ruling() -> None:
    with pytest.raises(StopIteration):
        worst([])
    assert worst(["undecided", "refuted"]) == worst(["refuted", "holds"]) == "refuted"


@pytest.mark.parametrize(
    ("ratio", "low", "high", "diverged", "ruling"),
    [
        (0.8, 0.51, 0.9, 0, "holds"),
        (0.8, 0.51, 0.9, 1, "undecided"),
        (0.8, 0.5, 0.9, 0, "undecided"),
        (0.79, 0.51, 0.9, 0, "undecided"),
        (0.7, 0.51, 0.8, 0, "undecided"),
        (0.7, 0.51, 0.79, 0, "refuted"),
        (0.7, 0.51, 0.79, 3, "refuted"),
        (0.7, -np.inf, np.inf, 0, "undecided"),
    ],
)
def test_shares_of_a_gain(ratio: float, low: float, high: float, diverged: int, ruling: str) -> None:
    assert recovered_verdict(MeanRatio(ratio, low, high), diverged) == ruling
    assert recovered_verdict(None, diverged) == "undecided"


@pytest.mark.parametrize("ends", [(0.0, np.nan), (np.nan, 0.0)])
def test_an_end_that_is_no_number_decides_nothing(ends: tuple[float, float]) -> None:
    low, high = np.array([-0.01, ends[0]]), np.array([0.01, ends[1]])
    assert rules.interval_within_budget(low, high, 0.1, 0) == "undecided"
    assert rules.interval_within_budget(np.array([0.2, ends[0]]), np.array([0.3, ends[1]]), 0.1, 0) == "undecided"


def test_an_end_at_infinity_is_a_bound_like_any_other() -> None:
    low, high = np.array([-0.05, 0.0]), np.array([0.05, np.inf])
    assert rules.interval_within_budget(low, high, 0.1, 0) == "undecided"
    assert rules.interval_within_budget(low + 0.2, high, 0.1, 0) == "refuted"
    assert within_budget(np.array([0.2]), np.array([np.inf]), 0.1, 0) == "undecided"
    assert within_budget(np.array([np.inf]), np.array([0.0]), 0.1, 0) == "undecided"
