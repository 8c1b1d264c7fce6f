"""The controls of the theorem: what breaks nothing is never said to have been seen."""

from __future__ import annotations

from dataclasses import replace

from reports.claims.alignment import a3_theorem, a4_hypotheses
from tests.reports.claims.alignment.ensembles import outcome_of, smaller_case


def test_a_control_that_breaks_nothing_is_undecided():
    """A4's rule on a setting inside the hypotheses: never "holds"."""
    case = smaller_case(a3_theorem.CLAIM, "ReLU network, Gaussian data", 1500)
    outcome = outcome_of(a4_hypotheses.CLAIM, replace(case, kind="control", study=None))
    (judgement,) = outcome.judgements
    assert judgement.verdict == "undecided"
    seen = replace(outcome.measurement, whole=replace(outcome.measurement.whole, pvalue=1e-7))
    assert a4_hypotheses.decide(case, "", seen)[0].verdict == "holds"
    (table,) = a4_hypotheses.illustrate((outcome,)).tables
    assert table.rows[0][3] == 1500 // 16
