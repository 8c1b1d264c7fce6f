"""Claim C3: ends of the line of widths, kernels and their signs, and maps that show every point in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

import reports
from reports.claims.claim import Case, Context, Outcome
from reports.claims.transfer.c3_specialisation import CLAIM, LinearisedInit
from reports.claims.transfer.map_points import LINE, SMALL, MapPoint, points_of
from reports.claims.transfer.tangent_gains import TangentGains
from reports.experiment_file import load
from reports.typesetting.figures import render
from tests.reports.claims.transfer.made import PLAIN, made, modes_of_gains
from tests.reports.claims.transfer.made import mapped as mapped_effects
from theory.setting import Training
from theory.testing import paired_mean

CASES = {case.study: case for case in CLAIM.cases(Context(seed=999))}


def verdicts(case: Case, measured) -> list[str]:
    return [judgement.verdict for judgement in CLAIM.decide(case, CLAIM.predict(case), measured)]


def mapped(gain_of: Callable[[MapPoint], float]) -> tuple[Outcome, ...]:
    """Outcomes of the quick points, whose gains are a function of the point; by kernels they are tanh(gain − 1)."""
    found = []
    for point in points_of(SMALL):
        gain = gain_of(point)
        measured = made({"pretrained": gain, "rescaled": gain})
        case = CASES[point]
        measured = mapped_effects(measured, np.tanh(gain - 1))
        found.append(Outcome(case, CLAIM.predict(case), measured, ()))
    return tuple(found)


def test_specialised_layers_are_judged_by_gain_and_active_units():
    narrow, wide = (CASES[MapPoint(width=width)] for width in (32, 256))
    hurt = made({"pretrained": -0.1, "rescaled": -0.1})
    assert verdicts(narrow, hurt) == ["holds", "holds"]
    assert verdicts(narrow, replace(PLAIN, active=1 - PLAIN.active)) == ["refuted"] * 2
    assert verdicts(wide, PLAIN) == ["holds"]
    assert verdicts(wide, hurt) == ["refuted"]
    assert verdicts(CASES[MapPoint(factor=0.5)], PLAIN) == []
    assert verdicts(CASES[MapPoint(width=128)], PLAIN) == []


def test_intervals_are_as_many_together_as_a_point_has_findings():
    """The narrow end has two findings, the gain and the active units; the wide end has the gain alone."""
    for width, measured, count in ((32, made({"pretrained": -0.1, "rescaled": -0.1}), 2), (256, PLAIN, 1)):
        case = CASES[MapPoint(width=width)]
        gain, *_ = CLAIM.decide(case, CLAIM.predict(case), measured)
        expected = measured.difference("pretrained", confidence=1 - 0.05 / count)
        assert gain.interval == pytest.approx((expected.low, expected.high))


def test_the_sign_of_the_wrong_kernel_is_refuted():
    case = CASES[LinearisedInit(0.5)]
    gains = 0.3 + 0.01 * np.random.default_rng(0).standard_normal(6)
    measured = np.array([[0.0, 1.0, 0.7]]) * (gains[:, None] + 0.01)

    def judged(predicted: np.ndarray) -> list[str]:
        training = Training(learning_rate=0.1, steps=(0, 5, 20))
        found = TangentGains(training, *modes_of_gains(predicted), measured)
        np.testing.assert_allclose(found.predicted, np.tile(predicted[:, None], 3))
        return verdicts(case, found)

    assert judged(gains) == ["holds", "holds"]
    assert judged(-gains) == ["refuted", "refuted"]
    assert judged(gains * np.resize([1, -1], 6)) == ["undecided", "undecided"]


def slope(point: MapPoint) -> float:
    return 0.1 * point.factor + 0.01 * point.width + 10 * point.rate + 0.02 * point.epochs


def test_maps_show_every_point_in_its_place():
    outcomes = mapped(slope)
    shown = CLAIM.illustrate(outcomes)
    (table,), (switch, maps, mechanism) = shown.tables, shown.figures
    assert len(table.rows) == len(outcomes)
    assert [len(panel.series[0].x) for panel in mechanism.panels] == [len(LINE)] * 2
    for panel, rows in zip(maps.panels, (SMALL.scale, SMALL.length), strict=True):
        for i, row in enumerate(rows):
            for j, point in enumerate(row):
                expected = next(o for o in outcomes if o.case.study == point).measurement.difference("pretrained")
                assert panel.pictures[0].values[i, j] == expected.mean
                marks = panel.pictures[0].marks
                assert marks is not None
                assert marks[i, j] == pytest.approx(np.tanh(slope(point) - 1))
    assert len({*maps.panels[1].pictures[0].values.ravel()}) == 9
    assert switch.panels[0].series[1].y[1] == pytest.approx(maps.panels[0].pictures[0].values[2, 1])  # both width 32
    assert render(maps).svg
    (judgement, of), *others = CLAIM.conclude(outcomes)
    assert len(others) == 3
    assert of == outcomes
    positive = sum(slope(point) > 1 for point in points_of(SMALL))
    assert 0 < positive < len(outcomes)
    assert judgement.measurement == positive / len(outcomes)  # all gains are surely positive


def test_points_whose_networks_diverged_leave_gaps():
    """Points of diverged networks are missing from the line, the maps and the texts; all others are shown."""
    lost = (MapPoint(), LINE[0])
    outcomes = tuple(outcome for outcome in mapped(slope) if outcome.case.study not in lost)
    shown = CLAIM.illustrate(outcomes)
    (table,), (switch, maps, _) = shown.tables, shown.figures
    assert len(table.rows) == len(outcomes)
    assert "changes by" not in table.caption
    assert np.isnan(maps.panels[0].pictures[0].values).tolist() == [[False] * 3, [False] * 3, [False, True, False]]
    assert len(switch.panels[0].series[1].x) == len(LINE) - 2
    assert all(render(figure).svg for figure in (switch, maps))
    assert CLAIM.illustrate(()).tables == ()
    assert CLAIM.conclude(()) == ()


def test_the_example_is_a_case_of_the_claim():
    """The example differs from the case in replicas and seed alone, so that one command reproduces it."""
    assert reports.__file__ is not None
    example = load(Path(reports.__file__).parent / "examples/transfer_specialised.toml")
    assert msgspec.structs.replace(CASES[MapPoint()].experiment, ensemble=example.ensemble) == example


def test_active_units_are_those_of_the_upper_layer():
    measured = made({"pretrained": -0.1, "rescaled": -0.1})
    lower = np.full((*measured.active.shape[:3], 2), 0.9)
    measured = replace(measured, active=np.concatenate((lower, measured.active[..., 1:]), axis=-1))
    gain, active = CLAIM.decide(CASES[MapPoint(width=32)], "negative", measured)
    before, after = (measured.active[k, :, 0, 2] for k in (0, 1))
    expected = paired_mean(after - before, confidence=0.975)
    assert active.measurement == pytest.approx(expected.mean)
    assert active.interval == pytest.approx((expected.low, expected.high))
    assert active.note == f"{before.mean():.3f} before, {after.mean():.3f} at the switch"
    rescaled = measured.difference("rescaled")
    assert gain.note.startswith(f"rescaled {rescaled.mean:+.4f} (standard error {rescaled.standard_error:.4f})")


def test_kernels_are_judged_at_every_step_by_intervals_that_hold_together():
    """Three steps after the start, each predicted and measured, make six intervals."""
    rng = np.random.default_rng(2)
    gains = 0.3 + 0.02 * rng.standard_normal(6)
    measured = np.array([0.0, 1.0, 0.7, 0.5]) * (gains[:, None] + 0.02 * rng.standard_normal((6, 4)))
    steps = (0, 5, 20, 30)
    found = TangentGains(Training(learning_rate=0.1, steps=steps), *modes_of_gains(gains), measured)
    judged = CLAIM.decide(CASES[LinearisedInit(0.5)], None, found)
    assert len(judged) == 3
    for judgement, k in zip(judged, (1, 2, 3), strict=True):
        seen, predicted = (paired_mean(each[:, k], confidence=1 - 0.05 / 6) for each in (measured, found.predicted))
        assert (judgement.measurement, judgement.prediction) == (seen.mean, predicted.mean)
        assert judgement.interval == (seen.low, seen.high)
        assert judgement.power.startswith(f"predicted with standard error {predicted.standard_error:.2g};")
        assert f"gain after step {steps[k]} as" in judgement.quantity
