"""Every planted error turns a verdict, every finding is turned by one, and what is measured knows nothing of it.

The slow tests take the cases of the quick report, seed 0, each trained once in a process. With EIGENALIGN_RECORDS, the
folder of such a report's records, nothing is trained but to see that measurements stay the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from types import FrameType
from typing import Any

import numpy as np
import pytest

from reports.campaign.errors_found import with_smallest_errors
from reports.claims import CLAIMS
from reports.codec import pack
from reports.judging.rules import WORST_FIRST
from tests.plants.held import CLAIM, case_of, judged, judged_by, measured_by, outcome_of, turned
from tests.plants.linear import FULL_BATCH
from tests.plants.plant import Plant, planted, times
from tests.plants.quick import QUICK
from tests.plants.registry import NO_FORMULA, NOT_FINDABLE, PLANTS
from theory.linear import full_batch, mini_batch, propagators
from theory.setting import Training

CASES = list(dict.fromkeys((plant.claim, name) for plant in PLANTS for name in plant.cases))
WHOLE = ("F6", "C5")  # claims that are judged as a whole
SINGLE = [case for case in CASES if case[0] not in WHOLE]
FAST = [("A2", "distinct eigenvalues"), ("B2", "heavy ball"), ("F3", "ReLU, three outputs, NTK")]
WITH_FORMULAS = tuple(
    f"theory.{name}" for name in ("decomposition", "features", "linear", "network", "symmetry", "transfer")
)
OF_EACH_CLAIM = list({claim: (claim, name) for claim, name in reversed(CASES)}.values())[::-1]


def plants_of(claim: str, name: str) -> list[Plant]:
    return [plant for plant in PLANTS if plant.claim == claim and name in plant.cases]


def every_plant_turns(claim: str, name: str) -> None:
    """Each plant turns a finding of the case, and together they turn all of them."""
    right, found = outcome_of(claim, name), set()
    if (scaled := CLAIM[claim].scaled) is not None:
        same = CLAIM[claim].decide(right.case, scaled(right.prediction, 1.0), right.measurement)
        assert [each.verdict for each in same] == [each.verdict for each in right.judgements]
    for plant in plants_of(claim, name):
        there = turned(plant, name)
        assert there, f"{plant}: not noticed by {name!r}"
        found |= there
    left = {
        each.quantity
        for i, each in enumerate(right.judgements)
        if i not in found and judged(each) and (each.kind or right.case.kind) != "control"
    }
    excused = {quantity for quantity in left if any(words in quantity for words in excuses(claim, name))}
    assert left == excused, f"{name!r}: no plant turns {', '.join(left - excused)}"


def excuses(claim: str, name: str) -> Iterator[str]:
    return (words for (of, case, words) in NOT_FINDABLE if (of, case) == (claim, name))


@pytest.mark.parametrize(("claim", "name"), FAST)
def test_every_plant_turns_a_verdict(claim: str, name: str) -> None:
    every_plant_turns(claim, name)


@pytest.mark.slow
@pytest.mark.parametrize(("claim", "name"), [case for case in SINGLE if case not in FAST])
def test_every_plant_turns_a_verdict_of_every_case(claim: str, name: str) -> None:
    every_plant_turns(claim, name)


@pytest.mark.slow
@pytest.mark.parametrize("plant", [plant for plant in PLANTS if plant.claim in WHOLE], ids=str)
def test_every_plant_turns_the_verdict_of_the_whole(plant: Plant) -> None:
    claim = CLAIM[plant.claim]
    right = tuple(outcome_of(plant.claim, name) for name in plant.cases)
    wrong = []
    with planted(plant):
        for outcome in right:
            prediction = claim.predict(outcome.case)
            wrong.append(replace(outcome, prediction=prediction, judgements=()))
        found = claim.conclude(tuple(wrong))
    before = [judgement for judgement, _ in claim.conclude(right)]
    asked = [i for i, each in enumerate(before) if plant.quantity in each.quantity and judged(each)]
    assert asked
    assert any(
        WORST_FIRST.index(found[i][0].verdict) < WORST_FIRST.index(before[i].verdict) for i in asked if i < len(found)
    )


@pytest.mark.slow
@pytest.mark.parametrize(("claim", "name"), OF_EACH_CLAIM)
def test_what_is_measured_is_the_same_to_the_last_bit(claim: str, name: str) -> None:
    """No number of a measurement comes from a formula that it is to test: all are wrong at once here."""
    outcome = outcome_of(claim, name)
    with ExitStack() as errors:
        for plant in PLANTS:
            if plant.claim == claim:
                errors.enter_context(planted(plant))
        again = measured_by(CLAIM[claim], outcome.case)
    (plain, arrays), (kept, numbers) = pack(again), pack(outcome.measurement)
    assert plain == kept
    assert arrays.keys() == numbers.keys()
    for key, values in arrays.items():
        np.testing.assert_array_equal(values, numbers[key], err_msg=key)


def test_every_claim_has_plants_or_says_why_not() -> None:
    planted_claims = {plant.claim for plant in PLANTS}
    assert planted_claims | NO_FORMULA.keys() == {claim.id for claim in CLAIMS}
    assert not planted_claims & NO_FORMULA.keys()
    assert {(claim, case) for claim, case, _ in NOT_FINDABLE} <= set(CASES)


def test_plants_name_cases_and_are_unique() -> None:
    for plant in PLANTS:
        for name in plant.cases:
            assert case_of(plant.claim, name).name == name
        assert len(set(plant.cases)) == len(plant.cases), str(plant)
    assert len({(str(plant), plant.target, plant.quantity) for plant in PLANTS}) == len(PLANTS)


@pytest.mark.slow
@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_case_that_is_predicted_by_a_formula_has_a_plant(claim: Any) -> None:
    """Controls apart, which are predicted by wrong formulas, and what is outside the hypotheses: it has no verdict."""
    for case in claim.cases(QUICK):
        judged_by_it = case.kind not in ("control", "outside") and claim.id not in NO_FORMULA
        if judged_by_it and calls_theory(claim, case):
            assert (claim.id, case.name) in CASES, f"{claim.id}, {case.name!r} is predicted by theory: plant an error"
        if claim.id in NO_FORMULA:
            assert not calls_theory(claim, case), f"{claim.id} is predicted by theory: plant an error"


def calls_theory(claim: Any, case: Any) -> bool:
    """Whether the prediction of a case enters a formula of `theory`."""
    found = []

    def entered(frame: FrameType, event: str, argument: Any) -> None:
        module = str(frame.f_globals.get("__name__"))
        if event == "call" and module.startswith(WITH_FORMULAS):
            found.append(module)

    sys.setprofile(entered)
    try:
        claim.predict(case)
    finally:
        sys.setprofile(None)
    return bool(found)


def test_a_plant_is_put_everywhere_and_taken_away_again() -> None:
    plant = Plant("", "theory.linear.propagators:update", times(2.0), "B2", FULL_BATCH[:1])
    right, training = propagators.update, Training()
    with planted(plant):
        assert propagators.update is mini_batch.update is not right
        np.testing.assert_array_equal(
            mini_batch.update(training, np.ones(1), 0)[1], 2 * right(training, np.ones(1), 0)[1]
        )
    assert propagators.update is mini_batch.update is right
    whole = Plant("", "theory.linear.full_batch:FORM.predict", times(1.0), "B2", FULL_BATCH[:1])
    of_form = full_batch.FORM.predict
    with planted(whole):
        assert full_batch.FORM.predict is full_batch.predict is not of_form
    with pytest.raises(RuntimeError, match="in between"), planted(whole):
        raise RuntimeError("in between")
    assert full_batch.FORM.predict is of_form is full_batch.predict


def test_a_plant_that_is_right_turns_nothing() -> None:
    harmless = Plant("τ × 1", "theory.linear.propagators:propagators", times(1.0), "B2", ("heavy ball",))
    assert turned(harmless, "heavy ball") == set()
    assert judged_by(harmless, "heavy ball") == outcome_of("B2", "heavy ball").judgements


def test_ten_per_cent_are_found_by_the_claims_own_count() -> None:
    """The smallest error that the report prints is below what the plants are."""
    outcome = outcome_of("B2", "heavy ball")
    values, _ = with_smallest_errors(CLAIM["B2"], outcome.case, outcome.prediction, outcome.measurement)
    assert values.smallest_error < 0.1
