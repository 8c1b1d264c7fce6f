"""Claim F9: the form that it judges, its control, and that its rule can say no."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import simulate
import theory
from reports.claims.forms.f9_away_from_lazy import CLAIM, Described, MovedPrediction, near_the_limit, scaled
from reports.claims.forms.form_evidence import form_evidence, scaled_form
from tests.reports.claims.forms.outcomes import QUICK, case_of, outcome_of
from tests.reports.claims.forms.test_form_evidence import CASE, SETTING
from theory.catalogue import candidates
from theory.network.dmft.problem import problem_of

CONTROL = "erf, full batch, as if near the kernel limit"


def test_every_case_has_this_form_alone() -> None:
    quick, full = CLAIM.cases(QUICK), CLAIM.cases(replace(QUICK, budget="full"))
    for case in full:
        assert [form.name for form in candidates(case.setting)] == ["network-dmft"]
    assert [case.name for case in full[: len(quick)]] == [case.name for case in quick]
    assert [problem_of(case.setting).explicit for case in full] == [0, 0, 0, 0, 1, 1]


@pytest.mark.slow
def test_the_control_is_outside_and_the_form_within() -> None:
    """The same networks: by the theory of the kernel limit weights grow too fast; a wrong change is refuted."""
    outcome = outcome_of(CLAIM, case_of(CLAIM, CONTROL, 64))
    assert outcome.judgements[0].verdict == "holds"
    taken = replace(outcome.case, study=Described(), kind="asymptotic")
    right = CLAIM.predict(taken)
    assert CLAIM.decide(taken, right, outcome.measurement)[0].verdict != "refuted"
    assert CLAIM.decide(taken, scaled(right, 2.0), outcome.measurement)[0].verdict == "refuted"
    assert CLAIM.decide(outcome.case, right, outcome.measurement)[0].verdict == "undecided"
    lazy = near_the_limit(taken.setting, right.form)
    apart = lazy.readings[-1].tau / right.form.readings[-1].tau - 1
    np.testing.assert_array_less(2 * right.form.error_budget, apart)


@pytest.mark.parametrize(
    ("factor", "budget", "verdict"),
    [
        (1.0, 0.02, "undecided"),
        (1.5, 0.02, "holds"),
        (0.6, 0.02, "holds"),
        (1.5, 0.45, "undecided"),
        (0.6, 0.9, "undecided"),
    ],
)
def test_a_theory_of_another_regime_is_seen_to_be_beyond_its_budget(factor: float, budget: float, verdict: str) -> None:
    """τ over 1.5 of it is −.33 off, over .6 of it .67; nothing is seen of 0."""
    right = theory.predict(SETTING, rows=simulate.rows(SETTING))
    form = replace(scaled_form(right, factor), status="asymptotic", error_budget=budget, order="η")
    control, moved = replace(CASE, kind="control"), MovedPrediction(form, 0.1)
    evidence = form_evidence(simulate.run(SETTING))
    (judgement,) = CLAIM.decide(control, moved, evidence)
    assert (judgement.verdict, judgement.prediction) == (verdict, f"above {budget:.2g}")
    lost = replace(evidence, ensemble=replace(evidence.ensemble, diverged=1))
    assert CLAIM.decide(control, moved, lost)[0].verdict == "undecided"
    (judged,) = CLAIM.decide(CASE, moved, evidence)
    assert judged.prediction == f"within {budget:.2g}"
