"""Claim F6, the map of where the theory of the shape stops: its rule, its coordinates, one case for real."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

import simulate
from reports.claims.claim import Case, Outcome
from reports.claims.shape.f6_regimes import CLAIM, LEVELS, SPECTRUM, TRAININGS, times
from reports.claims.shape.regime_points import RegimePoint, regime_points
from tests.reports.claims.shape.outcomes import QUICK, outcome_of
from tests.reports.claims.shape.regimes import AGREES, APART, NOISY, OUTSIDE, WITHIN, networks_of, theory_of
from theory.network.duals import dual, gram
from theory.network.lazy import kernel_limit

CASES = CLAIM.cases(QUICK)


def outcome(*points: RegimePoint, diverged: int = 0, case: Case[Any] = CASES[0]) -> Outcome[Any, Any, Any]:
    """A case with these points, one at each time."""
    return Outcome(case, theory_of(*points), networks_of(*points, diverged=diverged), ())


@pytest.mark.parametrize(
    ("points", "verdict", "measured"),
    [
        ((AGREES, AGREES), "holds", "2 of 2 agree, 0 differ"),
        ((AGREES, NOISY, OUTSIDE), "holds", "1 of 1 agree, 0 differ"),
        ((AGREES, APART), "refuted", "1 of 2 agree, 1 differ"),
        ((AGREES, WITHIN), "undecided", "1 of 2 agree, 0 differ"),
        ((NOISY, OUTSIDE), "undecided", "0 of 0 agree, 0 differ"),
    ],
)
def test_rule_of_the_map(points: tuple[RegimePoint, ...], verdict: str, measured: str) -> None:
    outcomes = (outcome(*points[:1]), outcome(*points[1:], case=CASES[1]))
    ((judgement, of),) = CLAIM.conclude(outcomes)
    assert judgement.verdict == verdict
    assert isinstance(judgement.measurement, str)
    assert judgement.measurement.startswith(measured)
    assert (judgement.kind, of) == ("asymptotic", outcomes)
    assert judgement.about == f"{len(points)} points of the map"


def test_no_single_case_is_judged_and_divergence_decides_nothing() -> None:
    alone = outcome(APART)
    assert CLAIM.decide(CASES[0], alone.prediction, alone.measurement) == ()
    for only in (AGREES, APART):
        ((judgement, _),) = CLAIM.conclude((outcome(only, diverged=1),))
        assert judgement.verdict == "undecided"


def test_what_is_outside_is_said_and_not_judged() -> None:
    ((judgement, _),) = CLAIM.conclude((outcome(AGREES, NOISY, OUTSIDE),))
    assert judgement.power.startswith("1 more are not decided")
    assert "at 1, not judged" in judgement.power
    assert "at 1 of the 2 points at which the theory rises" in judgement.note


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_coordinates(case: Case[Any]) -> None:
    """V_0 from E φφ at rows of the law's mean length, u from the trace; descent is stable on the rows."""
    setting = case.setting
    s0 = setting.network.layer_variances[0] / 4
    typical = np.diag(np.sqrt(SPECTRUM)) * 2.0  # four rows whose X'X/n is Σ
    output = np.diagonal(dual("relu", gram(typical, covariance=s0))).mean()
    assert case.study.level == pytest.approx(1 / output)
    assert (case.study.samples, case.study.width) == (setting.data.samples, setting.network.widths[0])
    early, late = times(case)
    assert 0.8 < early < 1.2
    assert 4.5 < late < 5.5
    for seed in range(20):
        drawn = msgspec.structs.replace(setting, ensemble=msgspec.structs.replace(setting.ensemble, seed=seed))
        limit = kernel_limit(simulate.rows(drawn), "relu", s0, 1.0, both=False)
        assert setting.training.learning_rate * limit.kappa.max() / case.study.samples < 2


def test_a_point_for_real() -> None:
    """Few draws of the rows: theory and networks are on the same rows, and agree where networks are wide."""
    case = CASES[3]
    assert case.study.networks == 6
    ensemble = msgspec.structs.replace(case.setting.ensemble, replicas=60)
    case = replace(case, trained=msgspec.structs.replace(case.setting, ensemble=ensemble))
    real = outcome_of(CLAIM, case)
    points = regime_points(real.prediction, real.measurement)
    assert [len(found.predicted) for found in points] == [10, 10]
    assert real.measurement.replicas == 60
    early = points[0]
    noise = (early.simulated - early.predicted).std(axis=0, ddof=1).max() / np.sqrt(10)
    assert early.distance <= early.declared + 6 * noise
    assert early.distance < np.abs(early.predicted.mean(axis=0)).max()
    shown = CLAIM.illustrate((real,))
    assert len(shown.tables[0].rows) == 2


def test_the_level_that_is_drawn_is_read_from_the_study() -> None:
    outcomes = tuple(outcome(AGREES, OUTSIDE, case=case) for case in CASES)
    (figure,) = CLAIM.illustrate(outcomes).figures
    *curves, every = figure.panels
    assert [panel.title for panel in curves] == [
        f"$n/d$ = {samples / 4:g}, $s_y^2/V_0$ = {LEVELS[1]:g}" for samples in TRAININGS
    ]
    for panel in curves:
        assert [series.label for series in panel.series] == ["theory", "$m = 32$", "$m = 256$"]
    inside, outside, equal = every.series
    assert len(inside.x) == len(outside.x) == len(CASES)
    np.testing.assert_array_equal(equal.x, equal.y)
