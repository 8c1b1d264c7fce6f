"""Claim B5: a rule that can say no, what the paper shows besides the shapes, and surrogates named so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from reports.claims.claim import BUDGETS, Case, Context, Outcome
from reports.claims.shape.b5_panels import CLAIM, FACTORS, PanelShapes, factor
from reports.claims.shape.panel_networks import BANDS, SEEDS
from reports.judging.scaling import warnings
from reports.typesetting.figures import render
from simulate.scaling import shrink
from tests.reports.claims.shape.outcomes import QUICK, case_of, outcome_of
from tests.reports.claims.shape.panels import SHAPES, planted
from theory.shape import FALLS, PANELS, RISES, RISES_THEN_FALLS


def case_that(shape: str) -> Case[Any]:
    """The first case in which the paper shows a shape."""
    return next(case for case in CLAIM.cases(QUICK) if case.study.panel.observed == shape)


def said(shape: str) -> PanelShapes:
    """The prediction where the paper shows a shape."""
    return PanelShapes(shape, FALLS)


@pytest.mark.parametrize("budget", BUDGETS)
def test_smaller_networks_are_named_and_left_without_verdict_out_of_reach(budget: str) -> None:
    for case in CLAIM.cases(Context(budget=budget, seed=5)):
        panel = case.study.panel
        b = factor(budget, panel.name)
        assert (b > 1) == (budget in FACTORS)
        shrink(case.setting, b)
        outside = bool(b > 1 and warnings(case.setting, len(case.setting.data.eigenvalues), b))
        assert outside == (b > 1 and panel.name == "left")
        measured = planted(SHAPES[panel.observed], b=b, reach=("too many rows",) if outside else ())
        shown = CLAIM.decide(case, CLAIM.predict(case), measured)
        assert all(("surrogate" in str(judgement.about)) == (b > 1) for judgement in shown)
        assert {judgement.verdict for judgement in shown[:-1]} == {"outside the hypotheses" if outside else "holds"}
        assert {judgement.kind for judgement in shown[:-1]} == {"outside" if outside else None}
        assert ("too many rows" in shown[0].note) == outside
        assert (shown[-1].kind, shown[-1].verdict) == ("outside", "outside the hypotheses")


def test_a_surrogate_that_moves_less_than_its_error_says_nothing_of_the_full_size() -> None:
    for b, scale, kind in ((8, 0.15, "outside"), (8, 1.0, None), (1, 0.15, None)):
        measured = planted(scale * np.array(SHAPES[RISES]), b=b, noise=1e-3)
        found = CLAIM.decide(case_that(RISES), said(RISES), measured)[0]
        assert found.kind == kind
        outside = kind == "outside"
        assert ("within the error" in found.note) == (found.verdict == "outside the hypotheses") == outside


@pytest.mark.parametrize("shown", PANELS)
@pytest.mark.parametrize("expected", PANELS)
def test_a_shape_holds_or_is_refuted(expected: str, shown: str) -> None:
    shape, *_ = CLAIM.decide(case_that(expected), said(expected), planted(SHAPES[shown]))
    assert (shape.measurement, shape.verdict) == (shown, "holds" if shown == expected else "refuted")


def test_a_shape_that_is_none_of_the_three_is_refuted() -> None:
    shape, *_ = CLAIM.decide(case_that(FALLS), said(FALLS), planted((3, 1, 3, 1, 3)))
    assert (shape.measurement, shape.verdict) == ("other", "refuted")


def test_noise_and_divergence_decide_nothing() -> None:
    for shape in PANELS:
        flat, *_ = CLAIM.decide(case_that(shape), said(shape), planted((0, 0, 0, 0, 0)))
        assert flat.verdict == "undecided"
        for judgement in CLAIM.decide(case_that(shape), said(shape), planted(SHAPES[shape], diverged=1))[:-1]:
            assert judgement.verdict == "undecided"


def test_the_right_shape_is_refuted_no_more_often_than_declared() -> None:
    """At 99 % confidence, of 600 draws of a hump near its noise: the chance of as many at a rate of 1 % is 1e-6."""
    case, refuted = case_that(RISES_THEN_FALLS), 0
    for seed in range(600):
        measured = planted((0.0, 0.05, 0.1, 0.05, 0.0), networks=20, seed=seed)
        refuted += CLAIM.decide(case, said(RISES_THEN_FALLS), measured)[0].verdict == "refuted"
    assert refuted <= stats.binom.isf(1e-6, 600, 0.01)


@pytest.mark.parametrize(
    ("shape", "bands", "verdict"),
    [
        (RISES_THEN_FALLS, (2, 4, 3, 1, -1), "holds"),
        (RISES_THEN_FALLS, (2, 4, 3, 2, 1), "refuted"),
        (RISES_THEN_FALLS, (2, 4, 3, 1, 0), "undecided"),
        (RISES, (0, 3, 4, 4.6, 5), "holds"),
        (RISES, (0, 0.4, 1, 2, 5), "refuted"),
    ],
)
def test_what_the_paper_shows_besides_the_shape(shape: str, bands: Sequence[float], verdict: str) -> None:
    _, besides, _ = CLAIM.decide(case_that(shape), said(shape), planted(bands))
    assert besides.verdict == verdict
    assert besides.interval is not None
    assert isinstance(besides.measurement, float)
    low, high = besides.interval
    assert low < besides.measurement < high


def test_a_straight_rise_does_not_level_off() -> None:
    f = np.linspace(1.0, 1.3, BANDS)
    straight = planted(10 * (f**2 - 1), noise=1e-9)
    _, besides, _ = CLAIM.decide(case_that(RISES), said(RISES), straight)
    assert isinstance(besides.measurement, float)
    assert abs(besides.measurement) < 1e-9


def test_a_small_effect_of_a_surrogate_is_said_to_lie_within_its_error() -> None:
    small, large = planted((0.1, 0.2, 0.4, 0.2, 0.1), b=8), planted((1, 2, 4, 2, 1), b=8)
    case = case_that(RISES_THEN_FALLS)
    for measured, within in ((small, True), (large, False), (replace(small, b=1), False)):
        note = CLAIM.decide(case, said(RISES_THEN_FALLS), measured)[0].note
        assert ("within the error that a surrogate declares" in note) == within


def test_the_criterion_beside_the_networks_agrees_with_the_paper_where_the_diagonal_is_a_variance() -> None:
    for case in CLAIM.cases(QUICK):
        predicted = CLAIM.predict(case)
        assert predicted.observed == case.study.panel.observed
        if case.study.reading == "variance":
            assert predicted.criterion == predicted.observed


def test_the_right_panel_end_to_end() -> None:
    """Surrogates, drawn and tabulated."""
    outcome = outcome_of(CLAIM, case_of(CLAIM, "right, diagonal as variances"))
    shown = CLAIM.illustrate((outcome,))
    (table,), (figure,) = shown.tables, shown.figures
    assert [row[:4] for row in table.rows] == [("as variances", "right", 8, RISES)]
    assert "surrogates" in table.caption
    assert "surrogates" in figure.caption
    (panel,) = figure.panels
    *curves, bands, start = panel.series
    assert panel.title == "right, variances, $b = 8$"
    assert len(curves) == SEEDS
    np.testing.assert_array_equal([curve.y for curve in curves], outcome.measurement.curves)
    np.testing.assert_allclose(start.y, 30**-0.5)
    np.testing.assert_allclose(bands.y**2, outcome.measurement.tau.mean(axis=0))
    np.testing.assert_allclose(bands.x[0], np.sqrt(np.arange(1, 7) / 10).mean())
    assert render(figure).pdf.startswith(b"%PDF")


def test_full_size_is_called_so() -> None:
    case, measured = case_that(RISES), planted(SHAPES[RISES])
    shown = CLAIM.illustrate((Outcome(case, said(RISES), measured, CLAIM.decide(case, said(RISES), measured)),))
    for caption in (shown.tables[0].caption, shown.figures[0].caption):
        assert "surrogate" not in caption
        assert "full size" in caption
