"""Evidence on forms: it holds what the ensemble says, and its interval is one of several that hold together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

import simulate
import theory
from reports.claims.claim import Case
from reports.claims.forms.form_evidence import form_evidence, form_judgement, scaled_change, scaled_form
from reports.judging.compare import compare
from reports.judging.intervals import detected, found
from reports.judging.needed import by_pvalue
from theory.prediction import Prediction
from theory.setting import Data, Ensemble, Network, Setting, Training

SETTING = Setting(
    data=Data(kind="gaussian", spectrum=(0.4, 1.0, 2.0), samples=12, fixed=True),
    network=Network(init_variance=0.3),
    training=Training(learning_rate=0.1, steps=(0, 8)),
    ensemble=Ensemble(replicas=900, seed=3),
)
CASE = Case("descent", SETTING, None, "asymptotic")


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    return theory.predict(SETTING, rows=simulate.rows(SETTING))


@pytest.fixture(scope="module")
def simulation() -> simulate.Simulation:
    return simulate.run(SETTING)


def test_evidence_is_the_last_reading_of_the_ensemble(prediction, simulation):
    evidence, last = form_evidence(simulation), simulation.readings[-1]
    (kept,) = evidence.simulation.readings
    for name in ("counts", "means", "losses"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(last, name))
    np.testing.assert_allclose(kept.second_moments, last.second_moments, rtol=1e-12, atol=1e-15)
    assert (evidence.replicas, evidence.diverged, evidence.step, evidence.degrees) == (900, 0, 8, len(last.counts) - 1)
    held, whole = evidence.against(prediction), compare(prediction, simulation).comparison[-1]
    assert (held.step, held.verdict) == (8, whole.verdict)
    assert held.pvalue == pytest.approx(whole.pvalue)
    assert held.max_abs_z == pytest.approx(whole.max_abs_z)


def test_the_interval_is_simultaneous_by_student_in_units_of_the_prediction(prediction, simulation):
    """A literal formula: the largest relative error, ± t at 95 %/k with the degrees of the blocks, times SE/τ."""
    evidence = form_evidence(simulation)
    budgeted = replace(prediction, status="asymptotic", error_budget=0.1, order="η")
    judgement = form_judgement(CASE, budgeted, evidence, "τ")
    tau, error = evidence.estimate.tau, evidence.estimate.tau_se
    predicted = prediction.readings[-1].tau
    worst = int(np.argmax(np.abs(tau / predicted - 1)))
    assert judgement.measurement == pytest.approx(tau[worst] / predicted[worst] - 1)
    assert judgement.standard_error == pytest.approx(error[worst] / predicted[worst])
    half = t.ppf(1 - 0.05 / 2 / 3, len(evidence.counts) - 1) * error[worst] / predicted[worst]
    assert judgement.interval == pytest.approx((judgement.measurement - half, judgement.measurement + half))
    assert "one of 3 simultaneous 95 % intervals" in judgement.note
    assert form_judgement(CASE, prediction, evidence, "τ").interval is None  # an exact form has a p-value


def test_few_blocks_have_wider_intervals(prediction, simulation):
    few = simulate.run(replace_replicas(4))
    budgeted = replace(prediction, status="asymptotic", error_budget=0.1, order="η")
    judgement = form_judgement(CASE, budgeted, form_evidence(few), "τ")
    low, high = judgement.interval
    assert (high - low) / (2 * judgement.standard_error) == pytest.approx(t.ppf(1 - 0.05 / 6, 3))


def replace_replicas(replicas: int) -> Setting:
    return Setting(
        data=SETTING.data,
        network=SETTING.network,
        training=SETTING.training,
        ensemble=Ensemble(replicas=replicas, seed=3),
    )


def test_forms_are_scaled_as_wholes_or_in_what_they_change(prediction):
    last = prediction.readings[-1]
    whole, moved = scaled_form(prediction, 1.5).readings[-1], scaled_change(prediction, 1.5, 0.1).readings[-1]
    np.testing.assert_allclose(whole.tau, 1.5 * last.tau)
    np.testing.assert_allclose(whole.second_moment, 1.5 * last.second_moment)
    np.testing.assert_allclose(moved.tau - 0.1, 1.5 * (last.tau - 0.1))
    np.testing.assert_allclose(moved.second_moment - 0.1 * np.eye(3), 1.5 * (last.second_moment - 0.1 * np.eye(3)))
    for same in (scaled_form(prediction, 1.0), scaled_change(prediction, 1.0, 0.1)):
        np.testing.assert_allclose(same.readings[-1].tau, last.tau)
    bare = replace(prediction, readings=tuple(replace(each, second_moment=None) for each in prediction.readings))
    for scaled in (scaled_form(bare, 2.0), scaled_change(bare, 2.0, 0.1)):
        assert all(each.second_moment is None for each in scaled.readings)


def test_what_a_form_is_said_to_detect(prediction, simulation):
    """An exact form by its own test; an asymptotic one by the interval that is shown, upwards."""
    evidence = form_evidence(simulation)
    exact = form_judgement(CASE, prediction, evidence, "τ")
    compared = evidence.against(prediction)
    assert (exact.power, exact.pvalue) == (found(compared.detectable), compared.pvalue)
    assert exact.prediction == 0.0
    assert exact.note == f"`{prediction.formula}` neglects nothing; {compared.reason}"
    refuted = form_judgement(CASE, scaled_form(prediction, 2.0), evidence, "τ")
    assert (refuted.verdict, refuted.note) == ("refuted", f"`{prediction.formula}` neglects nothing")
    budgeted = replace(prediction, status="asymptotic", error_budget=0.1, order="η", neglected=("one", "two"))
    judgement = form_judgement(CASE, budgeted, evidence, "τ")
    size = detected(judgement.standard_error, tests=3, degrees=evidence.degrees, relative=True)
    assert (judgement.power, judgement.pvalue, judgement.prediction) == (found(size), None, "within 0.1")
    assert judgement.note.startswith(f"`{prediction.formula}` neglects: one; two; ")


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "undecided"), (2.0, "holds")])
def test_a_wrong_description_is_to_be_refuted(prediction, simulation, factor, verdict):
    evidence = form_evidence(simulation)
    wrong = scaled_form(prediction, factor)
    judgement = form_judgement(replace(CASE, kind="control"), wrong, evidence, "τ")
    pvalue = evidence.against(wrong).pvalue
    assert (judgement.verdict, judgement.prediction, judgement.pvalue) == (verdict, "not 0", pvalue)
    needed = f"; {by_pvalue(900, pvalue)}" if verdict == "undecided" else ""
    assert judgement.note == f"a wrong form, to be refuted{needed}"
    budgeted = replace(wrong, status="asymptotic", error_budget=0.1, order="η")
    assert form_judgement(replace(CASE, kind="control"), budgeted, evidence, "τ").verdict == "undecided"  # has no p


@pytest.mark.parametrize("budget", [None, 0.1])
def test_a_form_is_held_against_its_last_reading(prediction, simulation, budget):
    """However many there are before it."""
    evidence, first = form_evidence(simulation), prediction.readings[0]
    if budget is not None:
        prediction = replace(prediction, status="asymptotic", error_budget=budget, order="η")
    longer = replace(prediction, readings=(first, first, *prediction.readings))
    assert form_judgement(CASE, longer, evidence, "τ") == form_judgement(CASE, prediction, evidence, "τ")
