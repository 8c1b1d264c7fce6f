"""Claim F2: the points of the phase diagram, the shapes of online training, and that both can be refuted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import simulate
from reports.claims.shape.f2_criterion import CLAIM, HIGHEST, RATIOS, DescentShape, OnlineShape, ShapeLeft
from reports.judging.shape import ONE_LEFT
from tests.reports.claims.shape.outcomes import QUICK, outcome_of, smaller_case
from theory.linear.phase_diagram import phase_boundary
from theory.shape import FALLS, RISES, RISES_THEN_FALLS

CASES = CLAIM.cases(QUICK)
ONLINE = [case for case in CASES if case.setting.data.samples == "online"]
DESCENT = [case for case in CASES if case not in ONLINE]


def test_places_in_the_diagram_are_those_of_the_rows() -> None:
    assert (len(DESCENT), len(ONLINE)) == (12, 2)
    for case in DESCENT:
        predicted = CLAIM.predict(case)
        rows = simulate.rows(case.setting)
        s = np.linalg.svd(rows, compute_uv=False) ** 2 / len(rows)
        time = case.setting.training.learning_rate * 20
        assert predicted.highest == pytest.approx(time * s.max())
        # c = σ_0² n/(σ_y² ηt) with unit labels
        assert predicted.c == pytest.approx(case.setting.network.layer_variances[0] / 6 * 60 / time)
        np.testing.assert_allclose(predicted.falls_above, phase_boundary(s.min() / s.max() * HIGHEST))
        np.testing.assert_allclose(predicted.rises_below, phase_boundary(HIGHEST))


def test_online_settings_lie_on_both_sides_of_the_initial_variance() -> None:
    """In these settings the exact shape is that to leading order, so that a refutation is about the formula."""
    found = [CLAIM.predict(case) for case in ONLINE]
    np.testing.assert_allclose([each.ratio for each in found], RATIOS)
    assert [(each.leading, each.exact) for each in found] == [(RISES, RISES), (FALLS, FALLS)]


@pytest.mark.parametrize("case", ONLINE, ids=lambda case: case.name)
def test_online_training_has_the_shape_of_the_formula(case) -> None:
    outcome = outcome_of(CLAIM, case)
    (judgement,) = outcome.judgements
    assert (case.kind, judgement.verdict) == ("asymptotic", "holds")
    wrong = replace(outcome.prediction, leading=FALLS if outcome.prediction.leading == RISES else RISES)
    assert CLAIM.decide(case, wrong, outcome.measurement)[0].verdict == "refuted"


@pytest.mark.parametrize(
    ("shape", "diverged", "verdict"),
    [
        (RISES, 0, "holds"),
        (FALLS, 0, "refuted"),
        ("other", 0, "refuted"),
        (None, 0, "undecided"),
        (RISES, 1, "undecided"),
    ],
)
def test_a_wrong_shape_is_refuted(shape: str | None, diverged: int, verdict: str) -> None:
    lines = np.ones(len(HIGHEST))
    measured = ShapeLeft(shape, 10, diverged)
    descent = DescentShape(0.1, 1.0, RISES, RISES_THEN_FALLS, True, lines, lines)
    (judgement,) = CLAIM.decide(DESCENT[0], descent, measured)
    assert judgement.verdict == verdict
    assert RISES_THEN_FALLS in judgement.note  # a peak between eigenvalues, which a simulation cannot see
    assert judgement.about == "$c$ = 0.1, $\\eta t s_{\\max}$ = 1"
    (judgement,) = CLAIM.decide(ONLINE[0], OnlineShape(2.0, RISES, RISES), measured)
    assert judgement.verdict == verdict
    assert judgement.measurement == (shape or "not decided by the interval")
    assert judgement.power == (ONE_LEFT if shape else "several are possible")


@pytest.mark.parametrize(("measured", "verdict"), [(RISES, "refuted"), (RISES_THEN_FALLS, "holds")])
def test_the_criterion_is_judged_and_not_the_closed_form_beside_it(measured: str, verdict: str) -> None:
    """Where nothing is hidden between eigenvalues, a criterion that differs from the closed form stands alone."""
    lines = np.ones(len(HIGHEST))
    descent = DescentShape(0.1, 1.0, RISES, RISES_THEN_FALLS, False, lines, lines)
    (judgement,) = CLAIM.decide(DESCENT[0], descent, ShapeLeft(measured, 10, 0))
    assert (judgement.prediction, judgement.verdict, judgement.note) == (RISES_THEN_FALLS, verdict, "")


def test_a_turn_is_hidden_between_the_last_two_eigenvalues_at_an_end() -> None:
    """A turn is hidden if the criterion's τ on a dense grid peaks between the last two eigenvalues at an end."""
    seen = set()
    for case in DESCENT:
        predicted, rows = CLAIM.predict(case), simulate.rows(case.setting)
        s = np.linalg.eigvalsh(rows.T @ rows / len(rows))
        rate, variance = case.setting.training.learning_rate, case.setting.network.layer_variances[0] / 6
        grid = np.linspace(s[0], s[-1], 20_001)
        kept = (1 - rate * grid) ** 20
        tau = variance * kept**2 + (1 - kept) ** 2 / (grid * len(rows))
        peak = grid[np.argmax(tau)]
        turns = s[0] < peak < s[-1]
        assert predicted.hidden == (turns and not s[1] <= peak <= s[-2])
        seen.add(predicted.hidden)
    assert seen == {True, False}


def test_only_descent_lies_in_the_diagram() -> None:
    outcomes = tuple(outcome_of(CLAIM, smaller_case(case, 512)) for case in (*DESCENT[:4], *ONLINE))
    (figure,) = CLAIM.illustrate(outcomes).figures
    lines, points = figure.panels[0].series[:2], figure.panels[0].series[2:]
    assert [line.style for line in lines] == ["line", "dashed"]
    assert sum(len(each.x) for each in points) == 4
    middle = np.median([outcome.prediction.falls_above for outcome in outcomes[:4]], axis=0)
    np.testing.assert_array_equal(lines[1].y[middle > 0], middle[middle > 0])
