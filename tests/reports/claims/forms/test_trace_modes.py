"""The law of the trace as a claim judges it: its budget, its modes, and that it can be refuted."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from scipy.stats import t

import simulate
from reports.claims.forms.f4_lazy import CLAIM
from reports.claims.forms.trace_modes import TraceByModes, TraceRow, trace_by_modes, trace_judgement, trace_table
from reports.findings import OUTSIDE
from reports.judging.intervals import detected
from tests.oracles.lazy import terms_after
from tests.reports.claims.forms.outcomes import case_of
from tests.reports.claims.forms.test_lazy_evidence import imagined
from theory.network.lazy import kernel_limit, stretches
from theory.network.model import model_of

# the trace of the imagined changes is 5; two modes lengthen weights, two shorten them, one of these for good
LAW = TraceByModes(
    lengthening=np.array([4.0, 3.0, 0.5, 0.5]),
    shortening=np.array([1.0, 0.5, 1.0, 0.5 + 1e-9]),
    recovery=np.array([1.0, 2.0, 9.0, np.inf]),
)


@pytest.mark.parametrize("name", ["ReLU, first layer", "ReLU, three outputs", "ReLU, first layer, later"])
def test_the_budget_is_sharper_than_those_of_single_directions(name: str) -> None:
    """L − U is the trace of the terms, and L + U at most tr T_1 + |tr T_2|, at most d S."""
    setting = case_of(CLAIM, name, 4).setting
    law = trace_by_modes(setting)
    assert law is not None
    rows = simulate.rows(setting)
    model, felt = model_of(setting, rows)
    limit = kernel_limit(felt, "relu", model.s0, model.sa, both=False)
    ((_, stretch),) = stretches(setting.training, limit.kappa, len(rows))
    terms = terms_after(limit, stretch, model.sy).scaled(model.outputs)
    assert law.total == pytest.approx(np.trace(terms.total), rel=1e-10)
    both = model.outputs * float(np.sum(limit.kappa * stretch.sum**2 * np.diagonal(limit.start)))
    assert law.lengthening.sum() == pytest.approx(np.trace(terms.motion) - both, rel=1e-10)
    assert law.shortening.sum() == pytest.approx(-np.trace(terms.own_output) - both, rel=1e-10)
    assert law.size < np.trace(terms.motion) - np.trace(terms.own_output) < len(terms.motion) * terms.size


def test_modes_recover_about_when_a_flow_would() -> None:
    """Steps are short: a mode lengthens weights by the last reading where its recovery time has passed."""
    setting = case_of(CLAIM, "ReLU, first layer", 4).setting
    law = trace_by_modes(setting)
    assert law is not None
    passed = law.recovery < setting.training.learning_rate * setting.training.readings[-1]
    assert abs(law.lengthen - passed.sum()) <= 2
    assert law.lengthen + law.shorten == len(law.recovery) == 60
    assert 0 < law.never <= law.shorten


def test_a_law_of_other_layers_or_activations_is_not_exact() -> None:
    setting = case_of(CLAIM, "ReLU, first layer", 4).setting
    for changed in ({"activation": "erf"}, {"train": "all", "parametrization": "ntk"}):
        network = msgspec.structs.replace(setting.network, **changed)
        assert trace_by_modes(msgspec.structs.replace(setting, network=network)) is None


def test_a_trace_beyond_the_budget_is_refuted() -> None:
    """A share of 0.03 of both effects, L + U = 11, is 0.33; the directions' budgets add up to 0.45."""
    inside = imagined(0.2, 0.01)
    assert inside.prediction.share == pytest.approx(0.03)
    assert trace_judgement(LAW, inside, 0).verdict == "holds"
    assert trace_judgement(LAW, imagined(0.4, 0.01), 0).verdict == "refuted"
    assert trace_judgement(LAW, imagined(-0.4, 0.01), 0).verdict == "refuted"
    assert trace_judgement(LAW, imagined(0.2, 0.1), 0).verdict == "undecided"
    assert trace_judgement(LAW, inside, 1).verdict == "undecided"
    assert trace_judgement(LAW, imagined(0.2, 0.01, displacement=0.5), 0).verdict == "holds"
    assert trace_judgement(LAW, imagined(0.2, 0.01, displacement=0.6), 0).verdict == OUTSIDE


def test_weights_that_only_lengthen_are_refuted() -> None:
    """A law without the shortening by unlearning is L alone; its budget does not save it from being refuted."""
    alone = replace(LAW, shortening=np.zeros(4))
    assert trace_judgement(alone, imagined(0.0, 0.01), 0).verdict == "refuted"


def test_modes_are_counted() -> None:
    judgement = trace_judgement(LAW, imagined(0.2, 0.01), 0)
    assert judgement.note.endswith("2 modes lengthen weights, 2 shorten them, 1 of these for good")
    (row,) = trace_table([TraceRow("imagined", LAW, imagined(0.2, 0.01))]).rows
    assert row[-3:] == (2, 2, 1)
    assert row[2:5] == pytest.approx((8.0, -3.0, 5.0))


def test_the_trace_has_students_interval() -> None:
    inside = imagined(0.2, 0.01)
    judgement = trace_judgement(LAW, inside, 0)
    half = t.ppf(0.975, 399) * 0.01
    assert (judgement.measurement, judgement.standard_error) == pytest.approx((4.8, 0.01))
    assert judgement.interval == pytest.approx((4.8 - half, 4.8 + half))
    assert judgement.prediction == pytest.approx(5)
    assert judgement.note.startswith("within 0.33;")
    assert judgement.power == f"detects an error of {detected(0.01, degrees=399):.2g} with 90% power"
