"""Each of A9's rules can say no."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

from reports.claims.alignment.evidence import AlignmentEvidence
from reports.claims.alignment.feature_judging import (
    RESIDUAL,
    FeaturePrediction,
    alignment_judgements,
    converged_judgements,
    course_judgements,
)
from reports.claims.alignment.feature_networks import BothAlignments, ConvergedFeatures, FeatureCourse
from tests.reports.claims.alignment.courses import course


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
    found = course_judgements(FeaturePrediction(leaves=leaves), measured)
    assert [each.verdict for each in found] == expected


@pytest.mark.parametrize(("pvalue", "aligned", "broken"), [(0.5, "holds", "undecided"), (1e-7, "refuted", "holds")])
def test_alignment_is_rejected_of_a_teacher_only(pvalue, aligned, broken):
    evidence = AlignmentEvidence(pvalue, 0.01, 0.04, 0.3, 100, 0)
    measured = BothAlignments(evidence, evidence)
    for leaves, expected in ((False, aligned), (True, broken)):
        found = alignment_judgements(FeaturePrediction(leaves=leaves), measured)
        assert [each.verdict for each in found] == [expected] * 2
        assert [each.prediction for each in found] == ["rejected" if leaves else 0.0] * 2
    (alone,) = alignment_judgements(FeaturePrediction(), BothAlignments(evidence, None))
    assert "the mean AGOP" in alone.quantity


def test_the_course_is_read_at_its_end_with_the_jackknifes_errors():
    """The interval is Student's with 19 degrees of freedom, from 20 networks each left out once."""
    measured = course([1.0, 0.95, 0.8], [1.0, 0.93, 0.7], [0.9, 0.95, 0.99], 1e-3)
    measured.agreement[2, 0] = 0.97
    found = course_judgements(FeaturePrediction(leaves=True), measured)
    agreement = measured.agreement[2] - measured.weights[2]
    for judgement, values in zip(
        found, (measured.weights[2], measured.gradients[2], agreement, measured.left), strict=True
    ):
        error = np.sqrt(19 / 20 * np.sum((values[1:] - values[1:].mean()) ** 2))
        half = t.ppf(0.975, 19) * error
        assert (judgement.measurement, judgement.standard_error) == pytest.approx((values[0], error))
        assert judgement.interval == pytest.approx((values[0] - half, values[0] + half))
    assert found[0].prediction == "below 0.9"
    assert found[2].note == "at the end; the correlation is 0.970"
    (kept, _) = course_judgements(FeaturePrediction(), measured)
    assert (kept.measurement, kept.prediction) == (pytest.approx(0.8), "above 0.9")


@pytest.mark.parametrize(
    ("epochs", "half", "verdict"),
    [
        *((4.0, 1.9, "holds"), (4.0, 2.1, "undecided"), (2.0, 1.9, "holds"), (2.0, 2.1, "undecided")),
        *((5.9, 0.09, "holds"), (6.0, 0.0, "undecided"), (0.0, 0.0, "undecided")),
    ],
)
def test_the_moment_lies_within_training_with_its_whole_interval(epochs, half, verdict, monkeypatch):
    """Training ends after 6 epochs; at its very ends nothing is known."""
    away = half / t.ppf(0.975, 19) / np.sqrt(19 / 20 * 20)
    values = np.concatenate(([epochs], epochs + away * np.resize([1.0, -1.0], 20)))
    monkeypatch.setattr(FeatureCourse, "left", property(lambda _: values))
    measured = course([1.0, 0.95, 0.8], [1.0, 0.9, 0.7], [1.0, 1.0, 1.0], 1e-3)
    moment = course_judgements(FeaturePrediction(leaves=True), measured)[3]
    assert moment.interval == pytest.approx((epochs - half, epochs + half))
    assert (moment.measurement, moment.verdict) == (epochs, verdict)
    lost = course_judgements(FeaturePrediction(leaves=True), replace(measured, diverged=1))
    assert lost[3].verdict == "undecided"


def test_a_moment_that_one_network_decides_is_unknown():
    measured = course([1.0, 0.95, 0.8], [1.0, 0.9, 0.7], [1.0, 1.0, 1.0], 1e-3)
    measured.weights[2, 5] = 0.95
    moment = course_judgements(FeaturePrediction(leaves=True), measured)[3]
    assert (moment.measurement, moment.interval, moment.standard_error) == (np.inf, None, None)
    assert moment.verdict == "undecided"


def converged(exponents: list[float], residual: float = 0.0) -> ConvergedFeatures:
    """Three networks, whose products leave this residual at a factor of −2."""
    products = np.array([[1.0, -0.5, 0.25]] * 3)
    products[1, 2] += residual**2 / 4
    correlations, at_one = np.array([0.99, 0.999, 1.0]), np.array([0.9, 0.92, 0.97])
    return ConvergedFeatures(np.array(exponents), correlations, at_one, products, 3, 0)


def test_the_exponent_has_students_interval_over_networks():
    values = [0.49, 0.5, 0.516]
    prediction = FeaturePrediction(exponent=0.5, factor=-2.0)
    exponent, residual = converged_judgements(prediction, converged(values, 0.3), "exact")
    half = t.ppf(0.975, 2) * np.std(values, ddof=1) / np.sqrt(3)
    assert exponent.measurement == pytest.approx(np.mean(values))
    assert (exponent.prediction, residual.prediction) == (0.5, 0.0)
    assert exponent.verdict == "undecided"
    assert exponent.interval == pytest.approx((np.mean(values) - half, np.mean(values) + half))
    assert exponent.note == "mean over networks; smallest correlation 0.990000, 0.930 on average at $\\alpha=1$"
    assert (residual.measurement, residual.kind) == (pytest.approx(0.3), "exact")
    assert residual.verdict == "refuted"


@pytest.mark.parametrize("kind", ["exact", "outside"])
def test_a_residual_is_judged_where_rows_do_not_rest_on_kinks(kind):
    prediction = FeaturePrediction(factor=-2.0)
    (small,), (large,) = (converged_judgements(prediction, converged([0.5] * 3, size), kind) for size in (0.0, 0.3))
    outside = "outside the hypotheses"
    assert (small.verdict, large.verdict) == (("holds", "refuted") if kind == "exact" else (outside, outside))
    assert small.prediction == (0.0 if kind == "exact" else "not 0: some rows lie on kinks")
    assert large.power == ("" if kind == "outside" else f"detects anything above {RESIDUAL:g}")


@pytest.mark.parametrize(
    ("predicted", "verdict"), [(0.5, "holds"), (0.52, "holds"), (0.5301, "undecided"), (0.56, "refuted")]
)
def test_an_exponent_is_judged_by_the_budget_around_its_prediction(predicted, verdict):
    """The exponent is .51, measured to .001 or so, and must lie within .02 of the prediction."""
    found = converged_judgements(FeaturePrediction(exponent=predicted), converged([0.51, 0.5101, 0.5102]), "exact")
    assert [each.verdict for each in found] == [verdict]
