"""Claim F8: bins of the distance from the boundary, verdicts that can say no, and a control that only shuffles."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from scipy.stats import binom

from reports.claims.claim import Case, Context, Outcome
from reports.claims.transfer import f8_transfer_sign as f8
from reports.claims.transfer.f8_transfer_sign import PredictedSigns
from reports.claims.transfer.sign_counts import RealisedSigns, count_signs
from reports.claims.transfer.sign_design import Route

QUICK = Context(seed=999)
PREDICTED = np.array([0.5, -0.2, 0.04, -0.02, 0.002, -0.2, 0.4, 0.001])
SIGNS = np.array([1.0, -1.0, 0.0, 1.0, -1.0, -1.0, -1.0, 1.0])


def case_of(route: Route, *, control: bool = False, context: Context = QUICK) -> Case[Route]:
    (found,) = (case for case in f8.CLAIM.cases(context) if case.study == route and (case.kind == "control") is control)
    return found


def few(route: Route, settings: int, *, control: bool = False) -> Case[Route]:
    """A case with some of its settings."""
    case = case_of(route, control=control)
    ensemble = case.setting.ensemble
    each = ensemble.replicas // len(f8.comparisons_of(case))
    ensemble = msgspec.structs.replace(ensemble, replicas=settings * each)
    return replace(case, trained=msgspec.structs.replace(case.setting, ensemble=ensemble))


def predicted(gains: np.ndarray) -> PredictedSigns:
    return PredictedSigns(gains)


def realised(signs: np.ndarray, diverged: int = 0) -> RealisedSigns:
    return RealisedSigns(signs * 0.1, np.full(len(signs), 0.01), signs, len(signs), diverged)


def test_a_larger_budget_goes_on_with_the_same_settings() -> None:
    some, more = (f8.comparisons_of(few("initial weights", settings)) for settings in (2, 5))
    assert len(more) == 5
    assert more[:2] == some
    quick, full = f8.CLAIM.cases(QUICK), f8.CLAIM.cases(Context(budget="full", seed=999))
    counts = [len(f8.comparisons_of(case)) for case in quick]
    assert counts == [settings for _, settings, _ in f8.STUDIED.values()]
    assert [len(f8.comparisons_of(case)) for case in full] == [6 * count for count in counts]
    assert [case.setting.ensemble.seed for case in full] == [case.setting.ensemble.seed for case in quick]
    assert sum(len(f8.comparisons_of(case)) for case in full if case.kind != "control") >= 100


def test_bins() -> None:
    parts = f8.binned(PREDICTED, realised(SIGNS))
    assert [(part.settings, part.decided, part.right) for part in parts] == [
        (2, 2, 1),
        (0, 0, 0),
        (1, 1, 0),
        (1, 0, 0),
        (4, 4, 3),
    ]


def verdict(case: Case[Route], gains: np.ndarray, signs: np.ndarray, diverged: int = 0) -> str:
    (judgement,) = f8.decide(case, predicted(gains), realised(signs, diverged))
    return judgement.verdict


def test_verdicts() -> None:
    rng = np.random.default_rng(999)
    gains = rng.uniform(0.1, 1, 40) * rng.choice([-1, 1], 40)
    signs = np.sign(gains)
    initial, kernel = case_of("initial weights"), case_of("kernel regime")
    for case in (initial, kernel):
        assert verdict(case, gains, signs) == "holds"
        assert verdict(case, gains, signs, diverged=1) == "undecided"
        assert verdict(case, gains[:10], signs[:10]) == "undecided"
        assert verdict(case, gains, 0 * signs) == "undecided"
        assert verdict(case, -gains, signs) == "refuted"
        assert verdict(case, rng.permutation(gains), signs) == "refuted"
    wrong = np.arange(40) < 6
    six = np.where(wrong, -signs, signs)  # of forty: more than chance makes of a size of .005
    assert verdict(initial, gains, six) == "refuted"
    assert verdict(kernel, np.where(wrong, 0.02 * signs, gains), six) == "undecided"
    control = case_of("initial weights", control=True)
    assert verdict(control, rng.permutation(gains), signs) == "holds"
    assert verdict(control, gains, signs) == "undecided"


def test_opposite_signs_are_refuted() -> None:
    case = few("initial weights", 7)
    prediction = f8.predict(case)
    measured = f8.measure(case, QUICK)
    every = count_signs(prediction.gains, measured)
    assert every.right == every.decided >= 4
    for gains, verdict in ((prediction.gains, "undecided"), (-prediction.gains, "refuted")):
        assert f8.decide(case, predicted(gains), measured)[0].verdict == verdict


def test_the_control_shuffles_and_nothing_else() -> None:
    case = few("initial weights", 6, control=True)
    honest, shuffled = f8.predict(replace(case, kind="exact")), f8.predict(case)
    assert sorted(shuffled.gains) == sorted(honest.gains)
    assert not np.array_equal(shuffled.gains, honest.gains)
    np.testing.assert_array_equal(shuffled.gains, f8.predict(case).gains)


def test_table_and_figure() -> None:
    outcomes = []
    for case in (case_of("initial weights"), case_of("actual network")):
        given, found = predicted(PREDICTED), realised(SIGNS)
        outcomes.append(Outcome(case, given, found, f8.decide(case, given, found)))
    shown = f8.illustrate(tuple(outcomes))
    (table,), (figure,) = shown.tables, shown.figures
    assert len(table.rows) == 2 * len(f8.EDGES)
    assert table.rows[len(f8.EDGES) - 1][1:6] == ("all", 8, 1, 4, 3)
    assert [panel.title for panel in figure.panels] == [outcome.case.name for outcome in outcomes]
    _, band, points = figure.panels[0].series
    np.testing.assert_allclose(points.y, [0.5, 0, 0.75])
    assert band.error is not None
    assert np.all((band.y - band.error <= points.y) & (points.y <= band.y + band.error))
    np.testing.assert_allclose(points.x, [np.sqrt(0.002 * 0.001), 0.02, (0.5 * 0.2 * 0.2 * 0.4) ** 0.25])


def test_signs_beyond_the_margin_are_counted_apart() -> None:
    """Three of eight signs are wrong, one has none; by chance none would be."""
    case = case_of("initial weights")
    (judgement,) = f8.decide(case, predicted(PREDICTED), realised(SIGNS))
    margin = f8.MECHANISMS["initial weights"].margin
    beyond = np.abs(PREDICTED) > margin
    decided = beyond & (SIGNS != 0)
    right = decided & (np.sign(PREDICTED) == SIGNS)
    assert judgement.measurement == 4 / 7
    assert judgement.power == "8 settings, 1 of them undecided"
    counted = f"{right.sum()} of {decided.sum()} where the predicted gain exceeds {margin:.2g};"
    assert f"4 of 7 right; {counted}" in judgement.note
    wrong = int(decided.sum() - right.sum())
    assert judgement.pvalue == pytest.approx(binom.sf(wrong - 1, beyond.sum(), 0.005))


def test_a_gain_that_is_the_margin_is_not_beyond_it() -> None:
    case = case_of("kernel regime")
    margin = f8.MECHANISMS["kernel regime"].margin
    assert margin > 0
    gains = np.array([margin, -margin, np.nextafter(margin, 1), 10 * margin])
    (judgement,) = f8.decide(case, predicted(gains), realised(np.sign(gains)))
    assert f"4 of 4 right; 2 of 2 where the predicted gain exceeds {margin:.2g};" in judgement.note
