"""Claim F3: what it judges, and that its rules can say no."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from reports.claims.claim import Case, Context, Outcome
from reports.claims.forms import f3_first_steps
from theory.catalogue import candidates

QUICK = Context(seed=5)


def small(name: str, replicas: int = 2048) -> Case:
    """A case of the claim at fewer replicas."""
    case = next(case for case in f3_first_steps.cases(QUICK) if case.name == name)
    ensemble = msgspec.structs.replace(case.setting.ensemble, replicas=replicas)
    return replace(case, setting=msgspec.structs.replace(case.setting, ensemble=ensemble))


def judged(case: Case) -> Outcome:
    prediction, measured = f3_first_steps.predict(case), f3_first_steps.measure(case, QUICK)
    return Outcome(case, prediction, measured, f3_first_steps.decide(case, prediction, measured))


def test_every_form_of_first_steps_is_judged() -> None:
    names = {candidates(case.setting)[0].name for case in f3_first_steps.cases(QUICK)}
    assert names == {"network-first-step", "network-first-step-averaged", "softmax-first-step"}


def test_the_control_is_seen_and_would_be_refuted() -> None:
    """Without its own output a neuron is predicted to gain where it loses."""
    (finding,) = judged(small(f3_first_steps.CONTROL)).findings
    assert (finding.kind, finding.verdict) == ("control", "holds")
    case = replace(small(f3_first_steps.CONTROL), kind="exact")
    wrong = f3_first_steps.without_own_output(case.setting)
    (finding,) = f3_first_steps.decide(case, wrong, f3_first_steps.compare(wrong, QUICK.run(case.setting)))
    assert finding.verdict == "refuted"


def test_the_right_form_as_a_control_is_undecided() -> None:
    case = small(f3_first_steps.SHRINKS)
    prediction, measured = f3_first_steps.predict(case), f3_first_steps.measure(case, QUICK)
    assert f3_first_steps.decide(replace(case, kind="control"), prediction, measured)[0].verdict == "undecided"
    blind = replace(measured, comparison=tuple(replace(reading, pvalue=None) for reading in measured.comparison))
    assert f3_first_steps.decide(replace(case, kind="control"), prediction, blind)[0].verdict == "undecided"


def test_cross_entropy_is_judged_by_its_budget() -> None:
    outcome = judged(small(f3_first_steps.ENTROPY))
    (finding,) = outcome.findings
    assert finding.kind == "asymptotic"
    assert finding.interval[0] < finding.measurement < finding.interval[1]
    assert finding.verdict != "refuted"
    off = replace(
        outcome.prediction,
        readings=tuple(replace(reading, tau=1.5 * reading.tau) for reading in outcome.prediction.readings),
    )
    measured = f3_first_steps.compare(off, outcome.measurement.simulation)
    assert f3_first_steps.decide(outcome.case, off, measured)[0].verdict == "refuted"


def test_table_and_figure() -> None:
    """One row a case; the first panel has the wrong prediction beside the right one, above it."""
    outcomes = tuple(judged(small(case.name, 1024)) for case in f3_first_steps.cases(QUICK)[:2])
    (table,), (figure,) = f3_first_steps.illustrate(outcomes)
    assert [row[0] for row in table.rows] == [outcome.case.name for outcome in outcomes]
    shrinks, grows = figure.panels
    assert [series.label for series in shrinks.series] == ["prediction", "simulation", "without the own output"]
    assert np.all(shrinks.series[2].y > shrinks.series[0].y)
    assert np.all(shrinks.series[0].y < 0)
    assert np.all(grows.series[0].y > 0)
    assert table.rows[0][2] == pytest.approx(shrinks.series[0].y[0])
