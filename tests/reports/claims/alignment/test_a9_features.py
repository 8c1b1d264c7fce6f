"""What A9 finds of networks, and that each of its rules can say no."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.campaign.settle import judge_claim
from reports.claims.alignment import a9_features
from reports.claims.alignment.a9_features import FeaturePrediction
from reports.claims.alignment.evidence import AlignmentEvidence
from reports.claims.alignment.feature_networks import LEFT, BothAlignments, FeatureCourse
from tests.reports.claims.alignment.ensembles import QUICK, case_of, outcome_of, smaller_case

CLAIM = a9_features.CLAIM
REAL = case_of(CLAIM, "digits 8x8, real labels")
EPOCHS = np.array([2.0, 4.0, 6.0])


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


def course(weights: list[float], gradients: list[float], agreement: list[float], noise: float = 0.0) -> FeatureCourse:
    """Of 20 networks; leaving one out changes values by the noise."""
    drawn = noise * np.random.default_rng(0).standard_normal((3, 3, 20))
    values = [
        np.concatenate((np.array(each)[:, None], np.array(each)[:, None] + of), axis=1)
        for each, of in zip((weights, gradients, agreement), drawn, strict=True)
    ]
    return FeatureCourse(EPOCHS, *values, diverged=0)


@pytest.mark.parametrize(
    ("leaves", "measured", "expected"),
    [
        (False, course([1.0, 1.0, 1.0], [1.0, 1.0, 0.99], [1.0, 1.0, 1.0], 1e-3), ["holds", "holds"]),
        (False, course([1.0, 1.0, 0.8], [1.0, 1.0, 0.89], [1.0, 1.0, 1.0], 1e-3), ["refuted", "refuted"]),
        (False, course([1.0, 1.0, 0.91], [1.0, 1.0, 0.89], [1.0, 1.0, 1.0], 1e-1), ["undecided", "undecided"]),
        (True, course([1.0, 0.95, 0.8], [1.0, 0.9, 0.7], [1.0, 1.0, 1.0], 1e-3), ["holds"] * 4),
        (
            True,
            course([1.0, 0.95, 0.92], [1.0, 0.9, 0.7], [1.0, 1.0, 0.6], 1e-3),
            ["refuted", "holds", "refuted", "undecided"],
        ),
    ],
)
def test_who_is_with_whom_at_the_end(leaves, measured, expected):
    found = a9_features.decide(REAL, FeaturePrediction(leaves=leaves), measured)
    assert verdicts(found) == expected


def test_the_moment_is_interpolated_and_must_be_for_good():
    assert course([1.0, 0.95, 0.8], [1.0] * 3, [1.0] * 3).left == pytest.approx(4 + 2 * (0.95 - LEFT) / 0.15)
    assert course([0.8, 0.95, 0.8], [1.0] * 3, [1.0] * 3).left == pytest.approx(4 + 2 * (0.95 - LEFT) / 0.15)
    assert np.isinf(course([0.8, 0.8, 0.95], [1.0] * 3, [1.0] * 3).left).all()
    assert (course([0.8, 0.8, 0.7], [1.0] * 3, [1.0] * 3).left == 2).all()


@pytest.mark.parametrize(("pvalue", "aligned", "broken"), [(0.5, "holds", "undecided"), (1e-7, "refuted", "holds")])
def test_alignment_is_rejected_of_a_teacher_only(pvalue, aligned, broken):
    evidence = AlignmentEvidence(pvalue, 0.01, 0.04, 0.3, 100, 0)
    measured = BothAlignments(evidence, evidence)
    assert verdicts(a9_features.decide(REAL, FeaturePrediction(), measured)) == [aligned] * 2
    assert verdicts(a9_features.decide(REAL, FeaturePrediction(leaves=True), measured)) == [broken] * 2
