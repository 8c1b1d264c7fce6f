"""Every rule says each of its words where it should, and a diverged replica forbids "holds"."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.judging.rules import (
    asymptotic_verdict,
    both_shapes_verdict,
    control_above_verdict,
    control_verdict,
    exact_verdict,
    one_left_verdict,
    refusal_verdict,
    same_sign_verdict,
    sign_verdict,
    within_budget,
    worst,
)

BOUNDS = st.floats(-10, 10)


@pytest.mark.parametrize(
    ("pvalue", "detectable", "diverged", "verdict"),
    [
        (0.5, 0.05, 0, "holds"),
        (1.1e-6, 0.01, 0, "holds"),
        (0.9e-6, 0.01, 0, "refuted"),
        (0.9e-6, 9.0, 3, "refuted"),
        (0.5, 0.051, 0, "undecided"),
        (0.5, 0.01, 1, "undecided"),
        (None, 0.01, 0, "undecided"),
        (0.5, None, 0, "undecided"),
    ],
)
def test_exact_rule(pvalue, detectable, diverged, verdict):
    assert exact_verdict(pvalue, detectable, diverged) == verdict


@pytest.mark.parametrize(
    ("low", "high", "diverged", "verdict"),
    [
        (-0.04, 0.09, 0, "holds"),
        (-0.04, 0.09, 1, "undecided"),
        (-0.04, 0.11, 0, "undecided"),
        (0.11, 0.2, 0, "refuted"),
        (-0.3, -0.101, 0, "refuted"),
        (-0.3, 0.3, 0, "undecided"),
    ],
)
def test_asymptotic_rule(low, high, diverged, verdict):
    assert asymptotic_verdict(low, high, 0.1, diverged) == verdict


@pytest.mark.parametrize(
    ("error", "half", "verdict"),
    [
        ([0.0, 0.01], [0.05, 0.05], "holds"),
        ([0.0, 0.2], [0.05, 0.05], "refuted"),
        ([0.0, 0.08], [0.05, 0.05], "undecided"),
        ([0.08, 0.2], [0.05, 0.05], "refuted"),
        ([0.0, np.nan], [0.05, 0.05], "undecided"),
        ([0.0, 0.2], [0.05, np.nan], "undecided"),
    ],
)
def test_several_discrepancies_have_the_worst_of_their_rulings(error, half, verdict):
    assert within_budget(np.array(error), np.array(half), 0.1, 0) == verdict


def test_controls():
    assert [control_verdict(p, 0) for p in (1e-7, 1e-5)] == ["holds", "undecided"]
    assert control_verdict(1e-7, 1) == "undecided"


@pytest.mark.parametrize("interval", [(-2.0, -1.0), (-1.0, 1.0), (1.0, 2.0)])
def test_signs(interval):
    expected = {(-2.0, -1.0): "holds", (-1.0, 1.0): "undecided", (1.0, 2.0): "refuted"}[interval]
    assert sign_verdict(*interval, "negative", 0) == expected
    low, high = interval
    assert sign_verdict(-high, -low, "positive", 0) == expected
    assert sign_verdict(*interval, "negative", 1) == ("undecided" if expected == "holds" else expected)


@given(BOUNDS, BOUNDS)
def test_a_sign_and_its_opposite_are_never_both_right(a, b):
    low, high = sorted((a, b))
    both = {sign_verdict(low, high, sign, 0) for sign in ("positive", "negative")}
    assert both in ({"holds", "refuted"}, {"undecided"})


@pytest.mark.parametrize(
    ("measured", "verdict"), [((1.0, 2.0), "holds"), ((-2.0, -1.0), "refuted"), ((-1.0, 2.0), "undecided")]
)
def test_two_signs(measured, verdict):
    assert same_sign_verdict((0.5, 1.0), measured) == verdict
    assert same_sign_verdict((-0.5, 1.0), measured) == "undecided"


def test_the_one_that_is_left():
    assert one_left_verdict("rises", "rises", 0) == "holds"
    assert one_left_verdict("falls", "rises", 0) == "refuted"
    assert one_left_verdict(None, "rises", 0) == "undecided"
    assert one_left_verdict("rises", "rises", 1) == "undecided"


def test_the_worst_of_several():
    assert worst(["holds", "undecided", "refuted"]) == "refuted"
    assert worst(["holds", "undecided"]) == "undecided"
    assert worst(["holds"]) == "holds"


def test_a_control_that_must_exceed_a_bound():
    assert [control_above_verdict(low, -0.25, 0) for low in (-0.2, -0.25, -0.3)] == ["holds", "undecided", "undecided"]
    assert control_above_verdict(-0.2, -0.25, 1) == "undecided"


def test_a_check_that_has_to_say_no():
    assert [refusal_verdict(said, 0) for said in (True, False, None)] == ["holds", "refuted", "undecided"]
    assert {refusal_verdict(said, 1) for said in (True, False, None)} == {"undecided"}


@pytest.mark.parametrize("apart", [False, True])
def test_two_shapes_that_are_both_read_from_noise(apart):
    assert both_shapes_verdict("rises", "rises", apart=apart, diverged=0) == "holds"
    assert both_shapes_verdict("rises", "falls", apart=apart, diverged=0) == ("refuted" if apart else "undecided")
    for predicted, measured, diverged in ((None, "rises", 0), ("rises", None, 0), ("rises", "rises", 1)):
        assert both_shapes_verdict(predicted, measured, apart=apart, diverged=diverged) == "undecided"
