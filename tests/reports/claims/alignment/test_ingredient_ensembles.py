"""Ensembles of ingredients: what decides, what is shown, and that a break is seen where there is one."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from reports.claims.alignment import a8_ingredients
from reports.claims.alignment.evidence import AlignmentEvidence, AxisEvidence
from reports.claims.alignment.ingredient_ensembles import (
    SETTING,
    STRONGER,
    EnsembleStudy,
    IngredientEnsemble,
    IngredientEnsembles,
    alignment_figure,
    decide_ensembles,
    ingredients_in,
    measure_ensembles,
)
from reports.claims.claim import Context, Outcome
from reports.equivariance.__main__ import markdown
from simulate.ingredients import INGREDIENTS
from theory.setting import Ensemble


def found(name: str, pvalue: float, detectable: float | None = 0.03) -> IngredientEnsemble:
    alignment = AlignmentEvidence(pvalue, 0.02, detectable, 0.2, 2560, 0)
    return IngredientEnsemble(name, alignment, AxisEvidence(0.9, 0.05, 1 / 3), 0.7, 0.02)


def verdict(kind, *each: IngredientEnsemble) -> str:
    (judgement,) = decide_ensembles(kind, 0.0, IngredientEnsembles(each))
    return judgement.verdict


def test_one_ensemble_decides():
    fine = found("SGD", 0.3)
    assert verdict("exact", fine, fine) == "holds"
    assert verdict("exact", fine, found("SGD", 4e-7)) == "refuted"
    assert verdict("exact", fine, found("SGD", 6e-7)) == "holds"  # two are tested
    assert verdict("exact", fine, found("SGD", 0.3, 0.06)) == "undecided"
    assert verdict("exact", fine, found("SGD", 0.3, None)) == "undecided"


def test_how_much_is_broken_is_told_and_how_many_networks_would_show_the_rest():
    breaks = (found("Adam", 5e-7), found("Muon", 0.02), found("L-BFGS", 0.5))
    (judgement,) = decide_ensembles("control", "rejected", IngredientEnsembles(breaks))
    assert (judgement.verdict, judgement.kind) == ("outside the hypotheses", "outside")
    assert judgement.measurement == "seen in 1 of 3"
    assert "Adam" not in judgement.note
    assert "Muon would need about" in judgement.note
    assert "L-BFGS the violation is not visible" in judgement.note


def test_every_ingredient_has_an_ensemble_beyond_the_quick_budget():
    cases = a8_ingredients.CLAIM.cases(Context(budget="full"))
    trained = [case for case in cases if isinstance(case.study, EnsembleStudy)]
    assert set(INGREDIENTS) <= {name for case in trained for name in case.study.ingredients}
    assert set(STRONGER) <= {name for name, ingredient in INGREDIENTS.items() if not ingredient.commutes}
    assert not [c for c in a8_ingredients.CLAIM.cases(Context()) if isinstance(c.study, EnsembleStudy)]


def test_the_table_and_the_figure_show_ensembles_beside_single_trainings():
    (case,) = [
        c
        for c in a8_ingredients.CLAIM.cases(Context(budget="full"))
        if c.name == "penalties that look at single coordinates"
    ]
    names = case.study.ingredients
    values = np.full((len(names), 2), 0.25)
    single = a8_ingredients.IngredientDiscrepancies(names, values, values, values)
    ensembles = IngredientEnsembles((found(names[0], 5e-7), found(names[1], 0.3)))
    study = EnsembleStudy("penalty", names)
    outcomes = (Outcome(case, 0.0, single, ()), Outcome(replace(case, study=study), 0.0, ensembles, ()))
    exhibits = a8_ingredients.illustrate(outcomes)
    (table,), (figure,) = exhibits.tables, exhibits.figures
    assert [column.title for column in table.columns][-4:] == [
        "outside, %", "would be seen, %", "$p$", "along the axes, %",
    ]  # fmt: skip
    assert table.rows[0][-4:] == (2.0, 3.0, 5e-7, (90.0, 5.0))
    assert table.rows[1][-4:] == (2.0, 3.0, 0.3, None)
    assert [series.label for series in figure.panels[0].series] == [names[0], "by chance"]
    assert alignment_figure([found("SGD", 0.3)]) == ()
    assert markdown(table, "no")[2:] == [
        f"| {names[0]} | 2.5e-01 | 2.0 % | 5e-07 | 90 ± 10 % |",
        f"| {names[1]} | 2.5e-01 | 2.0 % | 0.3 |  |",
    ]
    assert markdown(table, "yes")[2:] == []


def test_the_parts_of_a_case_are_its_ingredients_and_join_to_the_whole():
    cases = a8_ingredients.CLAIM.cases(Context(budget="full"))
    for case in cases:
        if isinstance(case.study, EnsembleStudy):
            parts = case.parts or ("1/1",)
            shares = [ingredients_in(replace(case, parts=(part,))).ingredients for part in parts]
            assert shares == [(name,) for name in case.study.ingredients]
    measured = [(0.0, IngredientEnsembles((found(name, 0.3),))) for name in ("SGD", "Adam", "Muon")]
    prediction, whole = a8_ingredients.join(measured)
    assert (prediction, [each.name for each in whole.found]) == (0.0, ["SGD", "Adam", "Muon"])


@pytest.mark.slow
def test_what_is_joined_is_what_the_whole_would_be():
    cases = a8_ingredients.CLAIM.cases(Context(budget="full"))
    (case,) = [case for case in cases if case.name == "ensembles: penalties that look at single coordinates"]
    few = replace(case, trained=msgspec.structs.replace(case.setting, ensemble=Ensemble(replicas=8, dtype="float32")))
    parts = [replace(few, parts=(part,)) for part in case.parts]
    measured = [(0.0, a8_ingredients.measure(part, Context())) for part in parts]
    whole = a8_ingredients.measure(replace(few, parts=()), Context())
    assert repr(a8_ingredients.join(measured)) == repr((0.0, whole))  # some are NaN


@pytest.mark.slow
def test_ensembles_see_adam_and_not_descent():
    few = msgspec.structs.replace(SETTING, ensemble=Ensemble(replicas=800, dtype="float32"))
    descent, adam, clipped = measure_ensembles(few, EnsembleStudy("optimizer", ("SGD", "Adam", "L1 penalty"))).found
    assert descent.alignment.pvalue > 1e-6
    assert adam.alignment.pvalue < 1e-3
    assert adam.axes.share > adam.axes.chance
    assert clipped.broken


def test_the_smallest_p_is_that_of_all_ensembles_together():
    each = IngredientEnsembles((found("SGD", 0.3), found("Muon", 0.7, 0.04)))
    (judgement,) = decide_ensembles("exact", 0.0, each)
    assert (judgement.pvalue, judgement.power) == (0.6, "detects an error of 4.0% with 90% power")
    assert judgement.note == "2 ensembles, of which SGD gives the smallest p"
    (judgement,) = decide_ensembles("exact", 0.0, IngredientEnsembles((found("SGD", 0.7), found("Muon", 0.8))))
    assert judgement.pvalue == 1.0
