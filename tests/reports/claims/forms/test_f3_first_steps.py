"""Claim F3: what it judges, and that its rules can say no."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.claims.forms.f3_first_steps import CLAIM, SHRINKS, StepAsked, without_own_output
from reports.judging.verify import predict as predicted_readings
from tests.reports.claims.forms.outcomes import QUICK, case_of, first_block, outcome_of
from theory.catalogue import candidates
from theory.errors import InvalidInput

CONTROL = "ReLU, without the neuron's own output"
ENTROPY = "ReLU, cross-entropy, ten classes"
REPLICAS = 2048


def test_every_form_of_first_steps_is_judged_as_it_declares_itself() -> None:
    forms = {candidates(case.setting)[0] for case in CLAIM.cases(QUICK)}
    assert {form.name for form in forms} == {
        "network-first-step",
        "network-first-step-averaged",
        "softmax-first-step",
    }
    for case in CLAIM.cases(QUICK):
        assert case.kind in ("control", candidates(case.setting)[0].status), case.name


def test_the_control_is_seen_and_would_be_refuted() -> None:
    """A neuron without its own output is predicted to gain where it loses, which the rule of exact cases refutes."""
    outcome = outcome_of(CLAIM, case_of(CLAIM, CONTROL, REPLICAS))
    assert outcome.judgements[0].verdict == "holds"
    taken = replace(outcome.case, kind="exact")
    assert CLAIM.decide(taken, outcome.prediction, outcome.measurement)[0].verdict == "refuted"


def test_the_right_form_as_a_control_is_undecided() -> None:
    outcome = outcome_of(CLAIM, case_of(CLAIM, "ReLU, weights shrink", REPLICAS))
    control = replace(outcome.case, kind="control")
    assert CLAIM.decide(control, outcome.prediction, outcome.measurement)[0].verdict == "undecided"
    blind = first_block(outcome.measurement)
    assert CLAIM.decide(control, outcome.prediction, blind)[0].verdict == "undecided"


def test_cross_entropy_is_judged_by_its_budget() -> None:
    outcome = outcome_of(CLAIM, case_of(CLAIM, ENTROPY, REPLICAS))
    (judgement,) = outcome.judgements
    assert outcome.case.kind == "asymptotic"
    assert judgement.interval[0] < judgement.measurement < judgement.interval[1]
    assert judgement.verdict != "refuted"
    form = outcome.prediction.form
    off = replace(form, readings=tuple(replace(reading, tau=1.5 * reading.tau) for reading in form.readings))
    assert (
        CLAIM.decide(outcome.case, replace(outcome.prediction, form=off), outcome.measurement)[0].verdict == "refuted"
    )


def test_the_wrong_description_is_one_of_fixed_rows() -> None:
    averaged = case_of(CLAIM, "ReLU, rows redrawn", 64).setting
    with pytest.raises(InvalidInput, match="network-first-step-averaged"):
        without_own_output(averaged, predicted_readings(averaged))


def test_table_and_figure() -> None:
    """One row per case; the first panel has the wrong prediction beside the right one, above it."""
    names = ["ReLU, weights shrink", "erf, one-hot classes", "ReLU, weights grow"]
    outcomes = tuple(outcome_of(CLAIM, case_of(CLAIM, name, 1024)) for name in names)
    shown = CLAIM.illustrate(outcomes)
    (table,), (figure,) = shown.tables, shown.figures
    assert [row[0] for row in table.rows] == names
    shrinks, grows = figure.panels
    assert [series.label for series in shrinks.series] == ["prediction", "simulation", "without its own output"]
    assert [series.label for series in grows.series] == ["prediction", "simulation"]
    assert np.all(shrinks.series[2].y > shrinks.series[0].y)
    assert np.all(shrinks.series[0].y < 0)
    assert np.all(grows.series[0].y > 0)
    assert table.rows[0][2] == pytest.approx(shrinks.series[0].y[0])


def test_what_is_drawn_is_asked_for() -> None:
    """The setting that shrinks is described in two ways; only what its study asks for is drawn."""
    case = case_of(CLAIM, "ReLU, weights shrink", 64)
    assert case.setting.network == SHRINKS.network
    plain = outcome_of(CLAIM, replace(case, study=StepAsked()))
    assert plain.prediction.beside is None
    assert CLAIM.illustrate((plain,)).figures == ()
