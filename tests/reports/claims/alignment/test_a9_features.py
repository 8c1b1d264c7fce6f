"""What A9 finds of networks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reports.campaign.settle import judge_claim
from reports.claims.alignment.a9_features import CLAIM
from tests.reports.claims.alignment.ensembles import QUICK, case_of, outcome_of, smaller_case


def verdicts(outcome):
    return [each.verdict for each in outcome]


@pytest.mark.slow
def test_all_findings_hold():
    report = judge_claim(CLAIM, QUICK)
    assert {(each.case, each.verdict) for each in report.findings if each.verdict != "holds"} == {
        ("ReLU, decay", "outside the hypotheses")
    }
    (residual,) = (each.measurement for each in report.findings if each.case == "ReLU, decay")
    assert residual > 0.1
    assert len(report.tables[0].rows) == 5
    assert [panel.title for panel in report.figures[0].panels] == [
        "digits 8x8, random labels",
        "digits 8x8, real labels",
    ]


def test_linear_networks_and_decay():
    outcome = outcome_of(CLAIM, case_of(CLAIM, "linear, 2 layers"))
    assert verdicts(outcome.judgements) == ["holds", "holds"]
    for wrong in (
        replace(outcome.prediction, exponent=0.53),
        replace(outcome.prediction, factor=1.01 * outcome.prediction.factor),
    ):
        found = CLAIM.decide(outcome.case, wrong, outcome.measurement)
        assert sorted(verdicts(found)) == ["holds", "refuted"]
    assert CLAIM.scaled(outcome.prediction, 1.0) == outcome.prediction


def test_networks_that_are_not_yet_stationary_are_refuted():
    found = outcome_of(CLAIM, smaller_case(CLAIM, "linear, 2 layers", 12, steps=40))
    assert verdicts(found.judgements)[1] == "refuted"
