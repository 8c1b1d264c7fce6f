"""Signs on maps by linearised training: planted failures that the rule detects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.claims.transfer import map_signs
from reports.claims.transfer.map_signs import condition_verdict, judge_maps
from reports.claims.transfer.sign_counts import RealisedSigns, shuffled_shares
from reports.judging.intervals import share_interval
from reports.judging.needed import by_share
from tests.reports.claims.transfer.made import scattered


def point(real: float, predicted: float, *, loss: float = 0.3, squared: float = 0.9, noise: float = 0.01):
    """Eight replicas that gain about `real` over scratch in accuracy, and what is predicted of them."""
    return scattered(real, noise=noise, predicted=predicted, loss=loss, squared=squared)


REAL = [*np.linspace(0.05, 0.3, 13), *np.linspace(-0.4, -0.05, 12)]


def verdicts(points):
    return [found.verdict for found in judge_maps(points)]


def test_signs_that_are_all_right_hold_and_the_squared_error_is_seen_to_fail():
    """In loss all signs are positive, which a constant predicts as well: undecided."""
    found = judge_maps([point(real, real) for real in REAL])
    assert [each.verdict for each in found] == ["holds", "undecided", "holds", "holds"]
    assert [each.measurement for each in found] == [1.0, 1.0, 1.0, 13 / 25]
    assert found[3].kind == "control"
    assert "13 right by the better constant" in found[0].note
    assert "size of the outputs when training begins" in found[3].note


@pytest.mark.parametrize("wrong", [3, 12, 25])
def test_planted_flips_are_detected(wrong):
    """Three of 25 leave the lower end below .8; half of them, and all, refute."""
    points = [point(real, -real if number < wrong else real) for number, real in enumerate(REAL)]
    assert verdicts(points)[0] == ("undecided" if wrong == 3 else "refuted")


def test_predictions_of_other_points_are_detected():
    shuffled = np.random.default_rng(0).permutation(REAL)
    assert verdicts([point(real, other) for real, other in zip(REAL, shuffled, strict=True)])[0] == "refuted"


def test_a_condition_that_calls_all_points_positive_is_detected():
    assert verdicts([point(real, 1.0) for real in REAL])[0] == "refuted"


def test_one_sign_alone_shows_nothing():
    """25 of 25 right, as a constant has it; and with two exceptions, one of them missed, no better than it."""
    assert verdicts([point(abs(real), abs(real)) for real in REAL])[0] == "undecided"
    reals = [*np.abs(REAL), *np.abs(REAL), -0.1]
    assert verdicts([point(real, abs(real)) for real in reals])[0] == "undecided"


def test_a_control_that_is_right_does_not_hold():
    assert verdicts([point(real, real, squared=real) for real in REAL])[3] == "undecided"


def test_divergence_forbids_holds():
    points = [point(real, real) for real in REAL]
    assert verdicts([replace(points[0], diverged=1), *points[1:]])[0] == "undecided"


def test_nothing_decided_is_said():
    found = judge_maps([point(0.001, 1.0, noise=0.1, loss=0.0)])
    assert [each.measurement for each in found] == ["no sign is decided"] * 4
    assert [each.verdict for each in found] == ["undecided"] * 4
    assert not any("nan" in each.note for each in found)


def test_points_without_a_sign_are_counted_and_the_control_needs_finite_networks():
    """Two of 27 gains are nothing; three of the others are wrong."""
    reals = (*REAL, 0.0, 0.0)
    points = [point(real, -real if number < 3 else real, noise=0.02) for number, real in enumerate(reals)]
    accuracy, _, _, control = judge_maps(points)
    assert accuracy.power == control.power == "27 points, 2 of them undecided"
    assert accuracy.interval == share_interval(22, 25)
    assert accuracy.note.endswith(by_share(22, 25, 27, "points"))
    assert control.verdict == "holds"
    assert judge_maps([replace(points[0], diverged=1), *points[1:]])[3].verdict == "undecided"


def judged_by(condition, wrong: int) -> str:
    """The verdict on 100 points, 92 of which gain, if `wrong` positive signs and no negative ones are mispredicted."""
    signs = np.where(np.arange(100) < 92, 1.0, -1.0)
    predicted = np.where(np.arange(100) < wrong, -1.0, signs)
    return condition(predicted, RealisedSigns(0.1 * signs, np.full(100, 0.01), signs, 100, 0))


@pytest.mark.parametrize(("wrong", "verdict"), [(7, "holds"), (8, "undecided")])
def test_more_signs_are_to_be_right_than_by_the_commoner_one(wrong, verdict):
    """The commoner sign alone is right at 92 points, as many as are right with eight wrong ones."""
    assert judged_by(condition_verdict, wrong) == verdict


def test_chances_and_shares_themselves_decide_nothing(monkeypatch):
    found = judged_by(lambda predicted, realised: shuffled_shares(predicted, realised)[1], 7)
    for chance, verdict in ((found, "undecided"), (np.nextafter(found, 1), "holds")):
        monkeypatch.setattr(map_signs, "CHANCE", chance)
        assert judged_by(condition_verdict, 7) == verdict
    points = [point(real, -real if number < 3 else real) for number, real in enumerate(REAL)]
    *_, control = judge_maps(points)
    upper = control.interval[1]
    for share, verdict in ((upper, "undecided"), (np.nextafter(upper, 1), "holds")):
        monkeypatch.setattr(map_signs, "SHARE", share)
        assert verdicts(points)[3] == verdict
