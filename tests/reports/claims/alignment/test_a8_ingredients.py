"""Ingredients that commute hold and their controls are seen; a wrong classification would be refuted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.campaign.settle import judge_claim
from reports.claims.alignment import a8_ingredients
from reports.claims.alignment.a8_ingredients import TOLERANCE, IngredientDiscrepancies
from reports.claims.alignment.evidence import AlignmentEvidence
from simulate.ingredients import INGREDIENTS
from tests.reports.claims.alignment.ensembles import QUICK, case_of, smaller_case

EXACT = case_of(a8_ingredients.CLAIM, "penalties")
CONTROL = case_of(a8_ingredients.CLAIM, "penalties that look at single coordinates")


@pytest.mark.slow
def test_all_ingredients_are_as_they_are_said_to_be():
    report = judge_claim(a8_ingredients.CLAIM, QUICK)
    assert {finding.verdict for finding in report.findings} == {"holds"}
    (table,) = report.tables
    assert {row[1] for row in table.rows} == set(INGREDIENTS)


def test_a_penalty_on_coordinates_that_is_said_to_commute_is_refuted():
    measured = a8_ingredients.measure(CONTROL, QUICK)
    (judgement,) = a8_ingredients.decide(CONTROL, "not 0", measured)
    assert judgement.verdict == "holds"
    (judgement,) = a8_ingredients.decide(replace(CONTROL, kind="exact"), 0.0, measured)
    assert judgement.verdict == "refuted"


@pytest.mark.parametrize(
    ("size", "of_exact", "of_control"),
    [(TOLERANCE, "holds", "undecided"), (100 * TOLERANCE, "refuted", "undecided"), (1e-6, "refuted", "holds")],
)
def test_one_ingredient_decides(size, of_exact, of_control):
    """The largest discrepancy of those that commute, and the smallest of those that do not."""
    values = np.array([[0.0, 0.0], [size, 0.0]])
    measured = IngredientDiscrepancies(("a", "b"), values, values, values)
    assert a8_ingredients.decide(EXACT, 0.0, measured)[0].verdict == of_exact
    values = np.array([[1.0, 1.0], [size, 1.0]])
    measured = IngredientDiscrepancies(("a", "b"), values, values, values)
    assert a8_ingredients.decide(CONTROL, "not 0", measured)[0].verdict == of_control


JOINT = ("a teacher drawn anew", "labels a function of |x|", "autoencoder", "a fixed teacher, on its complement")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*JOINT, "a fixed teacher, under all rotations"])
def test_joint_laws_are_as_they_are_said_to_be(name):
    case = case_of(a8_ingredients.CLAIM, name)
    (judgement,) = a8_ingredients.decide(case, a8_ingredients.predict(case), a8_ingredients.measure(case, QUICK))
    assert judgement.verdict == "holds"


@pytest.mark.slow
def test_a_fixed_teacher_that_is_said_to_leave_alignment_is_refuted():
    case = smaller_case(a8_ingredients.CLAIM, "a fixed teacher, under all rotations", 300)
    measured = a8_ingredients.measure(case, QUICK)
    (judgement,) = a8_ingredients.decide(replace(case, kind="exact"), 0.0, measured)
    assert judgement.verdict == "refuted"
    (judgement,) = a8_ingredients.decide(case, "rejected", measured)
    assert judgement.verdict == "holds"


def test_numbers_are_counted_in_words():
    """One ingredient is not "1 ingredients"."""
    values = np.zeros((1, 1))
    (judgement,) = a8_ingredients.decide(EXACT, 0.0, IngredientDiscrepancies(("a",), values, values, values))
    assert judgement.note.endswith("1 ingredient, 1 rotation")


@pytest.mark.parametrize(
    ("kind", "pvalue", "detectable", "diverged", "verdict"),
    [
        ("exact", 0.5, 0.04, 0, "holds"),
        ("exact", 0.5, 0.06, 0, "undecided"),
        ("exact", 0.5, 0.04, 1, "undecided"),
        ("exact", 1e-7, 0.04, 0, "refuted"),
        ("control", 1e-7, 0.04, 0, "holds"),
        ("control", 1e-7, 0.04, 1, "undecided"),
        ("control", 0.5, 0.04, 0, "undecided"),
    ],
)
def test_joint_laws_are_judged_by_their_kind(kind, pvalue, detectable, diverged, verdict):
    measured = AlignmentEvidence(pvalue, 0.2, detectable, 0.3, 100, diverged)
    name = JOINT[3] if kind == "exact" else "a fixed teacher, under all rotations"
    case = case_of(a8_ingredients.CLAIM, name)
    (judgement,) = a8_ingredients.decide(case, "", measured)
    assert (case.kind, judgement.verdict, judgement.measurement) == (kind, verdict, 0.2)
    assert ("that fixes" in judgement.quantity) == (kind == "exact")


def test_the_size_that_is_seen_is_said():
    values = np.array([[3e-11, 0.0, 1e-11], [2e-11, 5e-12, 0.0]])
    measured = IngredientDiscrepancies(("a", "b"), values, values, values)
    (exact,) = a8_ingredients.decide(EXACT, 0.0, measured)
    assert (exact.measurement, exact.power) == (3e-11, "detects anything above 1e-10")
    assert exact.note.endswith("2 ingredients, 3 rotations")
    (control,) = a8_ingredients.decide(CONTROL, "not 0", replace(measured, double=values + 0.5))
    assert (control.measurement, control.power) == (0.5, "each must exceed 1e-07")
