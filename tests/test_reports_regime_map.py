"""The map of where the theory of the shape stops: its rule, its coordinates, one point for real."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

import simulate
from reports.claims.claim import Context, Outcome
from reports.claims.shape import f6_regimes
from theory.network.duals import dual, gram
from theory.network.lazy import kernel_limit

CASES = f6_regimes.cases(Context(seed=5))


def point(
    predicted: list[float], simulated: list[float], epsilon: float = 0.1, noise: float = 0.01, declared: float = 0.5
) -> f6_regimes.Point:
    scatter = np.random.default_rng(1).standard_normal((40, 4)) * noise
    return f6_regimes.Point(1.0, epsilon, declared, np.array(predicted) + scatter, np.array(simulated) + scatter)


RISES, PEAK = [1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("found", "diverged", "verdict"),
    [
        (point(RISES, RISES), 0, "holds"),
        (point(RISES, PEAK), 0, "refuted"),
        (point(RISES, PEAK, declared=3.5), 0, "undecided"),
        (point(RISES, RISES, noise=30.0), 0, "undecided"),
        (point(RISES, RISES), 1, "undecided"),
        (point(RISES, PEAK, epsilon=0.6), 0, "outside the hypotheses"),
    ],
)
def test_rule(found: f6_regimes.Point, diverged: int, verdict: str) -> None:
    assert f6_regimes.verdict(found, diverged) == verdict


def test_bend_is_negative_where_the_curve_comes_down() -> None:
    found = point(RISES, PEAK)
    assert f6_regimes.bend(found.predicted)[0] == pytest.approx(1.5 / 2.5, abs=0.01)
    assert f6_regimes.bend(found.simulated)[0] == pytest.approx(-1.5 / 1.75, abs=0.01)
    assert f6_regimes.bend(found.simulated)[1] < 0.01


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_coordinates(case: f6_regimes.Case) -> None:
    """V_0 from E φφ at rows of the law's mean length, u from the trace; descent is stable on the rows."""
    setting = case.setting
    s0 = setting.network.layer_variances[0] / 4
    typical = np.diag(np.sqrt(f6_regimes.SPECTRUM)) * 2.0  # four rows whose X'X/n is Σ
    output = np.diagonal(dual("relu", gram(typical, covariance=s0))).mean()
    assert f"s_y²/V_0 = {1 / output:.3g}," in case.name
    early, late = f6_regimes.times(setting)
    assert 0.8 < early < 1.2
    assert 4.5 < late < 5.5
    for seed in range(20):
        drawn = msgspec.structs.replace(setting, ensemble=msgspec.structs.replace(setting.ensemble, seed=seed))
        limit = kernel_limit(simulate.rows(drawn), "relu", s0, 1.0, both=False)
        assert setting.training.learning_rate * limit.kappa.max() / setting.data.samples < 2


def test_a_point_for_real() -> None:
    """Few draws of the rows: theory and networks are on the same rows, and agree where networks are wide."""
    case = CASES[3]
    ensemble = msgspec.structs.replace(case.setting.ensemble, replicas=60)
    network = msgspec.structs.replace(case.setting.network, hidden=(256,))
    case = replace(case, setting=msgspec.structs.replace(case.setting, ensemble=ensemble, network=network))
    measured = f6_regimes.measure(case, Context(seed=5))
    assert [len(found.predicted) for found in measured.points] == [10, 10]
    assert measured.replicas == 60
    early = measured.points[0]
    noise = (early.simulated - early.predicted).std(axis=0, ddof=1).max() / np.sqrt(10)
    assert f6_regimes.distance(early) <= early.declared + 6 * noise
    assert f6_regimes.distance(early) < np.abs(early.predicted.mean(axis=0)).max()
    findings = f6_regimes.decide(case, f6_regimes.predict(case), measured)
    assert [finding.claim for finding in findings] == ["F6", "F6"]
    (table,), (figure,) = f6_regimes.illustrate((Outcome(case, "", measured, findings),))
    assert len(table.rows) == 2
    assert len(figure.panels) == 2
