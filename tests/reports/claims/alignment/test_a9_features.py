"""What A9 finds of networks, and that each of its rules can say no."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

from reports.campaign.settle import judge_claim
from reports.claims.alignment import a9_features
from reports.claims.alignment.a9_features import FeaturePrediction
from reports.claims.alignment.evidence import AlignmentEvidence
from reports.claims.alignment.feature_networks import LEFT, BothAlignments, ConvergedFeatures, FeatureCourse
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


def test_the_course_is_read_at_its_end_with_the_jackknifes_errors():
    """Of 20 networks, each left out once: Student's interval with 19 degrees of freedom."""
    measured = course([1.0, 0.95, 0.8], [1.0, 0.93, 0.7], [0.9, 0.95, 0.99], 1e-3)
    found = a9_features.decide(REAL, FeaturePrediction(leaves=True), measured)
    agreement = measured.agreement[2] - measured.weights[2]
    for judgement, values in zip(
        found, (measured.weights[2], measured.gradients[2], agreement, measured.left), strict=True
    ):
        error = np.sqrt(19 / 20 * np.sum((values[1:] - values[1:].mean()) ** 2))
        half = t.ppf(0.975, 19) * error
        assert (judgement.measurement, judgement.standard_error) == pytest.approx((values[0], error))
        assert judgement.interval == pytest.approx((values[0] - half, values[0] + half))
    assert found[0].prediction == "below 0.9"
    assert found[2].note == "at the end; the correlation is 0.990"
    (kept, _) = a9_features.decide(REAL, FeaturePrediction(), measured)
    assert (kept.measurement, kept.prediction) == (pytest.approx(0.8), "above 0.9")


@pytest.mark.parametrize(
    ("epochs", "half", "verdict"),
    [(4.0, 1.9, "holds"), (4.0, 2.1, "undecided"), (2.0, 1.9, "holds"), (2.0, 2.1, "undecided"), (5.9, 0.09, "holds")],
)
def test_the_moment_lies_within_training_with_its_whole_interval(epochs, half, verdict, monkeypatch):
    """Training ends after 6 epochs."""
    away = half / t.ppf(0.975, 19) / np.sqrt(19 / 20 * 20)
    values = np.concatenate(([epochs], epochs + away * np.resize([1.0, -1.0], 20)))
    monkeypatch.setattr(FeatureCourse, "left", property(lambda _: values))
    measured = course([1.0, 0.95, 0.8], [1.0, 0.9, 0.7], [1.0, 1.0, 1.0], 1e-3)
    moment = a9_features.decide(REAL, FeaturePrediction(leaves=True), measured)[3]
    assert moment.interval == pytest.approx((epochs - half, epochs + half))
    assert (moment.measurement, moment.verdict) == (epochs, verdict)
    lost = a9_features.decide(REAL, FeaturePrediction(leaves=True), replace(measured, diverged=1))
    assert lost[3].verdict == "undecided"


def test_a_moment_that_one_network_decides_is_unknown():
    measured = course([1.0, 0.95, 0.8], [1.0, 0.9, 0.7], [1.0, 1.0, 1.0], 1e-3)
    measured.weights[2, 5] = 0.95
    moment = a9_features.decide(REAL, FeaturePrediction(leaves=True), measured)[3]
    assert (moment.measurement, moment.interval, moment.standard_error) == (np.inf, None, None)
    assert moment.verdict == "undecided"


def converged(exponents: list[float], residual: float = 0.0) -> ConvergedFeatures:
    """Three networks, whose products leave this residual at a factor of −2."""
    products = np.array([[1.0, -0.5, 0.25]] * 3)
    products[1, 2] += residual**2 / 4
    correlations, at_one = np.array([0.99, 0.999, 1.0]), np.array([0.9, 0.92, 0.97])
    return ConvergedFeatures(np.array(exponents), correlations, at_one, products, 3, 0)


def test_the_exponent_has_students_interval_over_networks():
    case, values = case_of(CLAIM, "linear, 2 layers"), [0.49, 0.5, 0.516]
    prediction = FeaturePrediction(exponent=0.5, factor=-2.0)
    exponent, residual = CLAIM.decide(case, prediction, converged(values, 0.3))
    half = t.ppf(0.975, 2) * np.std(values, ddof=1) / np.sqrt(3)
    assert exponent.measurement == pytest.approx(np.mean(values))
    assert (exponent.prediction, residual.prediction) == (0.5, 0.0)
    assert exponent.interval == pytest.approx((np.mean(values) - half, np.mean(values) + half))
    assert exponent.note == "mean over networks; smallest correlation 0.990000, 0.930 on average at $\\alpha=1$"
    assert (residual.measurement, residual.kind) == (pytest.approx(0.3), "exact")
    assert residual.verdict == "refuted"


@pytest.mark.parametrize("name", ["tanh, decay", "ReLU, decay"])
def test_a_residual_is_judged_where_rows_do_not_rest_on_kinks(name):
    case, prediction = case_of(CLAIM, name), FeaturePrediction(factor=-2.0)
    (small,), (large,) = (CLAIM.decide(case, prediction, converged([0.5] * 3, size)) for size in (0.0, 0.3))
    outside = "outside the hypotheses"
    assert (small.verdict, large.verdict) == (("holds", "refuted") if name.startswith("tanh") else (outside, outside))
    assert small.prediction == (0.0 if name.startswith("tanh") else "not 0: rows rest on kinks")
    assert large.power == ("" if name.startswith("ReLU") else f"anything above {a9_features.RESIDUAL:g} is seen")
