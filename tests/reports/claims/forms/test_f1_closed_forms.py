"""Claim F1: every form is held against an ensemble, and its rules can say no."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reports.claims.forms import f1_closed_forms
from reports.claims.forms.f1_closed_forms import CLAIM, FormAsked
from tests.reports.claims.forms.outcomes import QUICK, case_of, first_block, outcome_of
from theory import linear
from theory.catalogue import candidates
from theory.prediction import Form

CONTROL = "shuffled epochs, taken for independent batches"


def form_of(case: f1_closed_forms.Case[FormAsked]) -> Form:
    """The form that a case is held against."""
    found = candidates(case.setting)
    return next(form for form in found if case.study.formula in (None, form.name))


def test_every_closed_form_of_linear_models_is_held_against_a_simulation() -> None:
    """The full batch is claim B2's."""
    named = {form_of(case).name for case in CLAIM.cases(QUICK) if case.kind != "control"}
    assert named | {"linear-full-batch"} == {form.name for form in linear.FORMS}


def test_cases_are_judged_as_their_forms_declare_themselves() -> None:
    for case in CLAIM.cases(QUICK):
        if case.kind != "control":
            assert case.kind == form_of(case).status, case.name


def test_the_control_is_seen_and_would_be_refuted() -> None:
    outcome = outcome_of(CLAIM, case_of(CLAIM, CONTROL, 4000))
    assert outcome.prediction.formula == "linear-mini-batch"
    assert outcome.judgements[0].verdict == "holds"
    taken = replace(outcome.case, kind="exact")
    assert CLAIM.decide(taken, outcome.prediction, outcome.measurement)[0].verdict == "refuted"


def test_a_wrong_form_without_a_pvalue_is_undecided_and_errors_lie_in_their_interval() -> None:
    outcome = outcome_of(CLAIM, case_of(CLAIM, CONTROL, 600))
    blind = first_block(outcome.measurement)
    assert CLAIM.decide(outcome.case, outcome.prediction, blind)[0].verdict == "undecided"
    budgeted = replace(outcome.prediction, error_budget=0.1)
    (judgement,) = CLAIM.decide(outcome.case, budgeted, outcome.measurement)
    assert judgement.interval[0] < judgement.measurement < judgement.interval[1]


def test_the_three_averages_over_rows_are_drawn() -> None:
    """The whole batch on rows that are redrawn: with mini-batches, or on fixed rows, a form is not drawn there."""
    names = ["rows redrawn, full batch", "rows redrawn, plug-in", "mini-batches, averaged over redrawn rows"]
    outcomes = tuple(outcome_of(CLAIM, case_of(CLAIM, name, 64)) for name in names)
    shown = CLAIM.illustrate(outcomes)
    curves, deviations = shown.figures[0].panels
    assert [series.label for series in curves.series] == ["linear-averaged", "linear-plug-in", "simulation"]
    assert [series.label for series in deviations.series] == ["simulation", "linear-averaged", "linear-plug-in"]
    assert [row[0] for row in shown.tables[0].rows] == names
    assert CLAIM.illustrate(outcomes[2:]).figures == ()


@pytest.mark.parametrize("name", [name for name, trial in f1_closed_forms.TRIALS.items() if trial.kind != "control"])
def test_orders_are_written_as_they_are_read(name: str) -> None:
    """No power is left in plain text."""
    case = case_of(CLAIM, name, 64)
    order = f1_closed_forms.order_in_math(CLAIM.predict(case))
    assert "^" not in order or order.count("$") == 2
    assert "eta" not in order
    assert (order == "exact") == (case.kind == "exact")
