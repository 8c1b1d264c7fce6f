"""Claim F9: the form that it judges, its control, and that its rule can say no."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.claims.forms.f9_away_from_lazy import CLAIM, Described, near_the_limit, scaled
from tests.reports.claims.forms.outcomes import QUICK, case_of, outcome_of
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
