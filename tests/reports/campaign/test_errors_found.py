"""How small an error of a prediction a finding would have shown: literally, and where none is asked or found."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest

from reports.campaign.errors_found import ASKED, smallest_error, with_smallest_errors
from reports.claims.claim import Case, Claim
from reports.findings import Exhibits, Judgement
from theory.errors import InvalidInput
from theory.setting import Data, Setting

CASE = Case("toy", Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0))), None, "exact")


@dataclass(frozen=True)
class Number:
    """A measured number."""

    value: float
    replicas: int = 1
    diverged: int = 0


def claim(tolerance: float, *, kind: str | None = None, refuses: bool = False, scaled: bool = True) -> Claim:
    """A number that holds within a tolerance of what is predicted, and its sign."""

    def decide(case: Case[None], prediction: float, measured: Number) -> tuple[Judgement, ...]:
        if refuses and prediction < 1:
            raise InvalidInput("prediction", prediction, "must be at least 1")
        near = abs(measured.value - prediction) <= tolerance
        value = Judgement("value", prediction, measured.value, "holds" if near else "undecided", kind=kind)
        same = (measured.value > 0) == (prediction > 0)
        return value, Judgement("sign", "positive", "positive", "holds" if same else "refuted", note="a sign")

    return Claim(
        id="X1",
        title="",
        statement="",
        reference="",
        method="",
        trials=lambda context: {},
        predict=lambda case: 2.0,
        measure=None,
        decide=decide,
        illustrate=lambda outcomes: Exhibits(),
        scaled=(lambda prediction, factor: prediction * factor) if scaled else None,
    )


@pytest.mark.parametrize(("measured", "tolerance"), [(2.0, 0.1), (2.05, 0.1), (1.93, 0.1), (2.0, 0.02)])
def test_it_is_the_larger_of_the_errors_to_both_sides(measured, tolerance):
    value, _ = with_smallest_errors(claim(tolerance), CASE, 2.0, Number(measured))
    literal = max(measured + tolerance - 2, 2 - (measured - tolerance)) / 2
    assert literal < value.smallest_error <= 1.05 * literal
    assert value.note == ""


def test_what_would_not_show_ten_per_cent_says_so():
    value, _ = with_smallest_errors(claim(0.5), CASE, 2.0, Number(2.0))
    assert value.smallest_error > ASKED
    assert value.note == f"an error of the prediction below {value.smallest_error:.0%} would not have been detected"
    blind, _ = with_smallest_errors(claim(5.0), CASE, 2.0, Number(2.0))
    assert math.isinf(blind.smallest_error)
    assert blind.note == "an error of the prediction of any size would not have been detected"


def test_signs_and_shapes_say_that_no_factor_changes_them():
    _, sign = with_smallest_errors(claim(0.1), CASE, 2.0, Number(2.0))
    assert sign.smallest_error is None
    assert sign.note == "a sign; a factor common to all predicted values would not be detected"


def test_nothing_is_asked_of_controls_of_what_does_not_hold_and_where_no_number_is_predicted():
    for unasked, measured in ((claim(0.1, kind="control"), 2.0), (claim(0.1), 3.0), (claim(0.1, scaled=False), 2.0)):
        value, _ = with_smallest_errors(unasked, CASE, 2.0, Number(measured))
        assert value == unasked.decide(CASE, 2.0, Number(measured))[0]
        assert value.smallest_error is None
    wrong = with_smallest_errors(claim(0.1), replace(CASE, kind="control"), 2.0, Number(2.0))
    assert all(judgement.smallest_error is None for judgement in wrong)


def test_a_prediction_that_cannot_be_does_not_hold():
    value, _ = with_smallest_errors(claim(5.0, refuses=True), CASE, 2.0, Number(2.0))
    assert math.isinf(value.smallest_error)  # twice as much would still hold
    low = claim(0.9, refuses=True)
    assert with_smallest_errors(low, CASE, 2.0, Number(2.0))[0].smallest_error == pytest.approx(0.45, rel=0.05)


def test_the_smallest_error_is_found_from_either_side():
    for low, high in ((0.9, 1.002), (0.998, 1.1)):
        assert smallest_error(lambda factor, low=low, high=high: low < factor < high) == pytest.approx(0.1, rel=0.05)
    assert smallest_error(lambda factor: factor < 1.2) == math.inf
    assert smallest_error(lambda factor: factor == 1) <= 1.05e-3
