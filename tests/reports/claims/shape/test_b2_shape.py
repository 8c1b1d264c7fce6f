"""Claim B2: a wrong shape is refuted, and what is drawn is the closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.claims.claim import Context
from reports.claims.shape.b2_shape import CLAIM
from reports.judging.shape import ONE_LEFT
from simulate.results import Simulation
from tests.reports.claims.shape.outcomes import QUICK, case_of, outcome_of, smaller_case
from theory.setting import Setting
from theory.shape import FALLS, PANELS, RISES_THEN_FALLS


def test_a_wrong_shape_would_be_refuted() -> None:
    falls = outcome_of(CLAIM, case_of(CLAIM, "falls: large init"))
    values, shape = falls.judgements
    assert (values.verdict, shape.verdict, shape.prediction) == ("holds", "holds", FALLS)
    compared = falls.measurement.evidence.against(falls.prediction.prediction)
    assert (values.prediction, values.measurement, values.pvalue) == (0.0, compared.max_relative_error, compared.pvalue)
    assert values.note.endswith(f"; largest |z| {compared.max_abs_z:.2f}")
    wrong = replace(falls.prediction, shape=RISES_THEN_FALLS)
    assert CLAIM.decide(falls.case, wrong, falls.measurement)[1].verdict == "refuted"
    several = replace(falls.measurement, shape=None)
    assert CLAIM.decide(falls.case, falls.prediction, several)[1].verdict == "undecided"


def test_where_a_predicted_shape_comes_from_is_said() -> None:
    """The note names the criterion for plain descent, and the predicted values for other optimizers."""
    for name, words in (
        ("falls: large init", f"criterion in closed form: {FALLS}"),
        ("heavy ball", "predicted shape read from the predicted values"),
    ):
        outcome = outcome_of(CLAIM, smaller_case(case_of(CLAIM, name), 64))
        assert outcome.judgements[1].note == words
        several = CLAIM.decide(outcome.case, outcome.prediction, replace(outcome.measurement, shape=None))[1]
        assert (several.measurement, several.power) == ("not decided by the interval", "several shapes are possible")
        one = CLAIM.decide(outcome.case, outcome.prediction, replace(outcome.measurement, shape=FALLS))[1]
        assert (one.measurement, one.power) == (FALLS, ONE_LEFT)


class OneDiverges(Context):
    """A context in which one replica of each ensemble diverges."""

    def run(self, setting: Setting) -> Simulation:
        return replace(super().run(setting), diverged=1)


def test_a_diverged_replica_is_counted_and_forbids_that_anything_holds() -> None:
    case = case_of(CLAIM, "falls: large init")
    right = CLAIM.predict(case)
    measured = CLAIM.measure(case, OneDiverges(seed=5))
    assert (measured.replicas, measured.diverged) == (8192, 1)
    assert [each.verdict for each in CLAIM.decide(case, right, measured)] == ["undecided"] * 2


def test_wrong_values_would_be_refuted() -> None:
    outcome = outcome_of(CLAIM, case_of(CLAIM, "heavy ball"))
    other = CLAIM.predict(case_of(CLAIM, "Nesterov, weight decay"))
    assert CLAIM.decide(outcome.case, other, outcome.measurement)[0].verdict == "refuted"


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
    found, predicted = outcomes[0].measurement.evidence.estimate, outcomes[0].prediction.prediction.readings[-1].tau
    assert shown.tables[0].rows[0][4] == pytest.approx(np.abs((found.tau - predicted) / found.tau_se).max())
