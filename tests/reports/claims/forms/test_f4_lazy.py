"""Claim F4: what decides, and that its rules can say no."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

from reports.claims.forms import f4_lazy
from reports.claims.forms.f4_lazy import CLAIM
from reports.claims.forms.family_evidence import ErrorRate, FamilyChanges, FamilyEvidence, evidence_of
from reports.claims.forms.family_judging import EXPONENT_BUDGET, exponent_judgement
from reports.claims.forms.lazy_evidence import WidthEvidence
from reports.findings import OUTSIDE, Judgement
from reports.judging.intervals import detectable_excess
from reports.judging.needed import by_interval, by_pvalue
from tests.reports.claims.forms.outcomes import QUICK, case_of, outcome_of
from tests.reports.claims.forms.test_lazy_evidence import imagined
from theory.network.lazy import LazyTerms

EXPONENT = "exponent of $m$ in the error of the trace"
LARGEST = "largest relative error of $\\tau$"


def judged(*widths: WidthEvidence) -> dict[str, Judgement]:
    """What is decided of erf networks that decide the rate, by quantity."""
    case = case_of(CLAIM, "erf, first layer", 40)
    prediction = replace(CLAIM.predict(case), widths=tuple(each.prediction for each in widths))
    found = CLAIM.decide(case, prediction, FamilyChanges(tuple(each.measured for each in widths)))
    return {judgement.quantity.split(",")[0]: judgement for judgement in found}


def verdicts(*widths: WidthEvidence) -> dict[str, str]:
    return {quantity: judgement.verdict for quantity, judgement in judged(*widths).items()}


def test_a_wrong_exponent_is_refuted_and_a_vague_one_undecided() -> None:
    def falling(power: float, error: float) -> str:
        return verdicts(*(imagined(2.0 * (m / 16) ** power, error, m) for m in (16, 64, 256)))[EXPONENT]

    assert falling(-1.02, 0.002) == "holds"
    assert falling(-0.5, 0.002) == "refuted"
    assert falling(-1.0, 0.2) == "undecided"
    assert falling(0.0, 1.0) == "undecided"  # no gap is seen


def test_changes_within_the_budget_hold_and_others_are_refuted() -> None:
    """The declared error of three terms of size 1 is 3 ε² · 3 = 0.09 along every direction, 0.45 of the trace."""
    assert imagined(0.0, 0.01).prediction.declared == pytest.approx(0.09)
    assert verdicts(imagined(0.2, 0.01))[LARGEST] == "holds"
    assert verdicts(imagined(1.0, 0.01))[LARGEST] == "refuted"
    assert verdicts(imagined(0.45, 0.1))[LARGEST] == "undecided"
    assert verdicts(imagined(0.2, 0.01, diverged=1))[LARGEST] == "undecided"
    assert verdicts(imagined(0.2, 0.01, displacement=0.5))[LARGEST] == "holds"
    assert verdicts(imagined(0.2, 0.01, displacement=0.6))[LARGEST] == OUTSIDE


def test_errors_are_shares_of_the_variance_that_is_predicted() -> None:
    """τ = (m s_0² + 1)/m here: a gap of 1 in five directions is one of −.2 in each, over 64 · .09 + 1."""
    found, scale = judged(imagined(1.0, 0.01))[LARGEST], 64 * 0.09 + 1
    assert found.measurement == pytest.approx(-0.2 / scale)
    assert found.standard_error == pytest.approx(0.01 / np.sqrt(5) / scale)
    assert found.prediction == f"within {0.09 / scale:.2g}"
    assert found.power == f"changes of $\\tau$ by up to {1 / scale:.2g} are predicted"
    assert found.interval is not None
    low, high = found.interval
    assert low < found.measurement < high
    assert (high - low) / 2 == pytest.approx(t.isf(0.05 / 2 / 5, 399) * found.standard_error)


def test_the_budget_is_one_of_the_smallest_variance() -> None:
    """Changes of 0 to 4 along five directions: the size of the terms is 4, and m s_0² the smallest variance."""
    evidence, none = imagined(0.0, 0.01), np.zeros((5, 5))
    terms = LazyTerms(np.diag(np.arange(5.0)), none, none, none)
    found = judged(replace(evidence, prediction=replace(evidence.prediction, terms=terms)))[LARGEST]
    assert found.prediction == f"within {0.03 * 4 / (64 * 0.09):.2g}"


def test_the_narrowest_width_inside_the_regime_is_judged() -> None:
    wide = imagined(0.2, 0.01, 256)
    assert verdicts(imagined(1.0, 0.01, 16), wide)[LARGEST] == "refuted"
    assert verdicts(imagined(1.0, 0.01, 16, displacement=0.6), wide)[LARGEST] == "holds"


def test_a_control_that_is_not_seen_is_undecided() -> None:
    assert verdicts(imagined(0.01, 0.01))["share of $T_2$"] == "holds"
    assert verdicts(imagined(0.01, 1.0))["share of $T_2$"] == "undecided"
    assert verdicts(imagined(-5.0, 0.01))["share of $T_3$"] == "undecided"  # T_3 is not in the measured change


def test_the_interval_of_a_control_is_about_its_share() -> None:
    found = judged(imagined(0.01, 0.01))["share of $T_2$"]
    assert found.interval is not None
    assert isinstance(found.measurement, float)
    low, high = found.interval
    assert low < found.measurement < high
    assert (low + high) / 2 == pytest.approx(found.measurement)


def test_a_family_is_what_its_setting_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under other names both layers are still trained; names once decided which layers were."""
    both = f4_lazy.FAMILIES["ReLU, both layers"]
    monkeypatch.setattr(f4_lazy, "FAMILIES", {"ReLU, two layers": both, "three first layers": both})
    for case in CLAIM.cases(QUICK):
        network = case.setting.network
        assert (network.parametrization, network.train, network.activation) == ("ntk", "all", "relu")
        assert case.setting.labels.outputs == 1
        assert case.setting.training.learning_rate == 4.0
        assert (CLAIM.predict(case).rate, CLAIM.predict(case).trace) == (None, None)


def test_a_family_shares_its_rows_and_its_claim_is_judged() -> None:
    """One family with few replicas: findings of every kind, a row per width."""
    outcome = outcome_of(CLAIM, case_of(CLAIM, "erf, both layers", 4))
    first, second = outcome.measurement.widths
    assert (first.replicas, second.replicas) == (64, 4)
    assert outcome.measurement.replicas == 68
    np.testing.assert_array_equal(first.sigma, second.sigma)
    assert [judgement.kind for judgement in outcome.judgements] == [None, "control", "control", "control"]
    shown = CLAIM.illustrate((outcome,))
    assert len(shown.tables[0].rows) == 2
    assert shown.figures == ()


def test_families_of_relus_whose_first_layer_is_trained_have_a_law_of_the_trace() -> None:
    found = {case.name: CLAIM.predict(case).trace for case in CLAIM.cases(QUICK)}
    assert [name for name, law in found.items() if law is not None] == [
        "ReLU, first layer",
        "ReLU, three outputs",
        "ReLU, first layer, later",
    ]


def test_the_law_of_the_trace_is_judged_and_shown() -> None:
    """The law is the trace of the theory that is evaluated beside the measurement, on the same rows."""
    outcome = outcome_of(CLAIM, case_of(CLAIM, "ReLU, three outputs", 4))
    inside = evidence_of(outcome.prediction, outcome.measurement).inside
    law = outcome.prediction.trace
    assert inside.measured.width == 256
    assert law.total == pytest.approx(inside.predicted_trace, rel=1e-10)
    judgement = outcome.judgements[1]
    assert judgement.prediction == law.total
    assert judgement.verdict != "refuted"
    (row,) = CLAIM.illustrate((outcome,)).tables[1].rows
    assert row[0] == "ReLU, three outputs"
    assert row[2] + row[3] == pytest.approx(row[4])
    assert row[7] + row[8] == 60


def test_only_families_whose_rate_is_decided_are_drawn() -> None:
    case = case_of(CLAIM, "erf, first layer", 2)
    outcome = outcome_of(CLAIM, replace(case, study=replace(case.study, narrower=(100,))))
    precise, noisy = (
        replace(
            outcome,
            prediction=replace(outcome.prediction, widths=tuple(each.prediction for each in widths)),
            measurement=FamilyChanges(tuple(each.measured for each in widths)),
        )
        for widths in ([imagined(100 / m, error, m) for m in (100, 300, 1000)] for error in (0.001, 9.0))
    )
    (figure,) = CLAIM.illustrate((precise,)).figures
    assert [panel.title for panel in figure.panels] == ["erf, first layer", "error of the trace"]
    assert [series.label for series in figure.panels[1].series] == ["erf, first layer", "$m^{-1.00}$"]
    (figure,) = CLAIM.illustrate((noisy,)).figures
    assert len(figure.panels) == 1


def test_a_theory_without_a_term_has_no_row_without_it() -> None:
    row = f4_lazy.LazyRow("imagined", imagined(0.0, 0.01))
    assert row.without("output_weights") is None
    assert row.without("gates") == pytest.approx(1.0, rel=0.01)


def test_a_prediction_is_scaled_and_its_declared_errors_are_not() -> None:
    prediction = CLAIM.predict(case_of(CLAIM, "ReLU, first layer, later", 40))
    twice = f4_lazy.scaled(prediction, 2.0)
    for right, wrong in zip(prediction.widths, twice.widths, strict=True):
        np.testing.assert_allclose(wrong.change, 2 * right.change)
        assert wrong.declared == pytest.approx(right.declared)
        assert wrong.initial == right.initial
    assert twice.trace.total == pytest.approx(2 * prediction.trace.total)
    budget = prediction.widths[0].share * prediction.trace.size
    assert twice.widths[0].share * twice.trace.size == pytest.approx(budget)
    assert twice.rate == prediction.rate


def test_the_exponent_has_its_interval_and_says_what_it_needs() -> None:
    widths = [imagined(2.0 * (m / 16) ** -1.0, error, m) for m, error in ((16, 0.05), (64, 0.03), (256, 0.02))]
    found = judged(*widths)[EXPONENT]
    assert found.interval is not None
    assert isinstance(found.measurement, float)
    low, high = found.interval
    assert (low + high) / 2 == pytest.approx(found.measurement)
    assert low < -1.1 < high
    assert (found.verdict, found.power) == ("undecided", f"holds within {EXPONENT_BUDGET}")
    bounds = (-1 - EXPONENT_BUDGET, -1 + EXPONENT_BUDGET)
    evidence = FamilyEvidence(tuple(widths), 0)
    rate = CLAIM.predict(case_of(CLAIM, "erf, first layer", 40)).rate
    law = evidence.law(rate)
    widest = f"widths with $\\varepsilon \\le {rate.largest:g}$"
    fit = f"a power times $1 + b/m$ over {widest} fits with $p$ = {law.quality:.2g}"
    assert found.note == f"{fit}; {by_interval(1200, low, high, bounds)}"
    assert (found.prediction, found.measurement, found.standard_error) == (-1.0, law.exponent, law.error)
    plain = exponent_judgement(replace(rate, corrected=False), FamilyEvidence((*widths, imagined(0.1, 0.02, 512)), 0))
    assert plain.note.startswith("one power law over widths")


def test_a_share_that_is_not_seen_says_what_it_needs() -> None:
    case = case_of(CLAIM, "erf, first layer", 40)
    widths = [imagined(0.01, 1.0, width) for width in (16, 32, 64)]
    prediction = replace(CLAIM.predict(case), widths=tuple(each.prediction for each in widths))
    found = CLAIM.decide(case, prediction, FamilyChanges(tuple(each.measured for each in widths)))[-1]
    assert (found.quantity, found.prediction) == ("share of $T_3$, $m = 64$", 1.0)
    found = judged(imagined(0.01, 1.0))["share of $T_2$"]
    assert found.standard_error is not None
    assert found.pvalue is not None
    size = 0.5 + detectable_excess(found.standard_error, 399)
    assert found.power == f"detects a share of {size:.2g} with 90% power"
    assert found.note.endswith(by_pvalue(400, found.pvalue))


@pytest.mark.parametrize("power", [-1.1, -0.9])
def test_an_exponent_needs_to_leave_the_nearer_end_of_its_budget(power: float) -> None:
    widths = [imagined(2.0 * (m / 16) ** power, error, m) for m, error in ((16, 0.05), (64, 0.03), (256, 0.02))]
    found = exponent_judgement(ErrorRate(-1.0, 0.5), FamilyEvidence(tuple(widths), 0))
    assert found.interval is not None
    assert found.verdict == "undecided"
    end = -1 + math.copysign(EXPONENT_BUDGET, power + 1)
    assert found.note.endswith(by_interval(1200, *found.interval, (end, end)))
