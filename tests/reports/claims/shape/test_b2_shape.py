"""Claim B2: a wrong shape is refuted, and what is drawn is the closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.claims.shape.b2_shape import CLAIM
from tests.reports.claims.shape.outcomes import QUICK, case_of, outcome_of, smaller_case
from theory.shape import FALLS, PANELS, RISES_THEN_FALLS


def test_a_wrong_shape_would_be_refuted() -> None:
    falls = outcome_of(CLAIM, case_of(CLAIM, "falls: large init"))
    values, shape = falls.judgements
    assert (values.verdict, shape.verdict, shape.prediction) == ("holds", "holds", FALLS)
    wrong = replace(falls.prediction, shape=RISES_THEN_FALLS)
    assert CLAIM.decide(falls.case, wrong, falls.measurement)[1].verdict == "refuted"
    for undecided in (replace(falls.measurement, shape=None), replace(falls.measurement, diverged=1)):
        assert CLAIM.decide(falls.case, falls.prediction, undecided)[1].verdict == "undecided"


def test_wrong_values_would_be_refuted() -> None:
    outcome = outcome_of(CLAIM, case_of(CLAIM, "heavy ball"))
    other = CLAIM.predict(case_of(CLAIM, "Nesterov, weight decay"))
    measured = CLAIM.measure(outcome.case, other, QUICK)
    assert measured.compared.verdict == "refuted"
    assert CLAIM.decide(outcome.case, other, measured)[0].verdict == "refuted"


def test_the_dense_curve_passes_through_the_predicted_values() -> None:
    for case in CLAIM.cases(QUICK):
        predicted = CLAIM.predict(case)
        reading = predicted.prediction.readings[-1]
        np.testing.assert_allclose(predicted.f[[0, -1]], reading.f[[0, -1]], rtol=1e-9)
        between = np.interp(reading.sigma, predicted.sigma, predicted.f)
        np.testing.assert_allclose(between, reading.f, rtol=1e-3)


def test_plain_descent_is_drawn_by_its_shapes_and_other_optimizers_by_their_names() -> None:
    outcomes = tuple(outcome_of(CLAIM, smaller_case(case, 64)) for case in CLAIM.cases(QUICK))
    shown = CLAIM.illustrate(outcomes)
    plain, variants = shown.figures
    assert [panel.title for panel in plain.panels] == list(PANELS)
    assert [panel.title for panel in variants.panels] == [
        "heavy ball",
        "Nesterov, weight decay",
        "a drop of the learning rate",
    ]
    for outcome in outcomes:
        assert outcome.prediction.criterion in (None, outcome.prediction.shape)
    assert [len(series.x) for series in plain.panels[0].series] == [200, 8]
    assert shown.tables[0].rows[0][4] == pytest.approx(outcomes[0].measurement.compared.max_abs_z)
