"""Signs of claim C5: planted failures that the rules detect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from reports.claims.transfer import condition_signs
from reports.claims.transfer.condition_design import REPLICAS
from reports.claims.transfer.condition_signs import (
    joined_measurements,
    joined_predictions,
    judge_design,
    score_signs,
    within_settings,
)
from reports.judging.intervals import share_interval
from reports.judging.needed import by_share
from tests.reports.claims.transfer.made_design import REAL, made_design
from theory.testing import paired_mean


def verdicts(predicted, measured):
    return [judgement.verdict for judgement in judge_design(predicted, measured)]


def test_signs_that_are_all_right_hold_and_the_squared_error_is_seen_to_fail():
    found = judge_design(*made_design(REAL, REAL))
    assert [each.verdict for each in found] == ["holds"] * 4 + ["outside the hypotheses"]
    assert [each.measurement for each in found[:2]] == [1.0, 1.0]
    assert found[2].measurement == pytest.approx(1.0)
    assert found[3].measurement == 0.0
    assert found[3].kind == "control"
    assert found[4].measurement == "not up to 6 epochs"
    assert "25 of 25 right, 13 positive and 12 negative; 13 right by the better constant" in found[0].note


@pytest.mark.parametrize("wrong", [3, 12, 25])
def test_planted_flips_are_detected(wrong):
    """Three of 25 leave the lower end below .8; half of them, and all, refute, and the horizon is the first."""
    said = [-real if number < wrong else real for number, real in enumerate(REAL)]
    found = judge_design(*made_design(REAL, said))
    assert found[0].verdict == ("undecided" if wrong == 3 else "refuted")
    assert found[4].measurement == ("not up to 6 epochs" if wrong == 3 else 1.0)


def test_parameters_of_other_networks_are_detected():
    """Fresh networks taken for the pretrained ones, and the networks of other settings."""
    assert verdicts(*made_design(REAL, [-real for real in REAL]))[0] == "refuted"
    shuffled = np.random.default_rng(0).permutation(REAL)
    assert verdicts(*made_design(REAL, shuffled))[0] == "refuted"
    assert verdicts(*made_design(REAL, [1.0] * 25))[0] == "refuted"


def test_settings_without_data_are_counted_and_nothing_else():
    """Settings without data, beside others, change only what is said about power."""
    whole = made_design(REAL, REAL)
    nothing = tuple(
        replace(each, **{name: np.full_like(value, np.nan) for name, value in vars(each).items() if np.ndim(value)})
        for each in made_design(REAL[:3], REAL[:3])
    )
    lost = replace(nothing[1], replicas=0, diverged=0, missing=3)
    joined = joined_predictions([whole[0], nothing[0]]), joined_measurements([whole[1], lost])
    before, after = judge_design(*whole), judge_design(*joined)
    assert after[0].power == f"{before[0].power}; 3 more are left out, whose data are not installed"
    assert [replace(each, power="") for each in after] == [replace(each, power="") for each in before]


def test_exchanged_replicas_are_detected():
    """Exchanged replicas keep all signs, but lose what distinguishes networks of one setting."""
    predicted, measured = made_design(REAL, REAL)
    rolled = replace(predicted, accuracy=np.roll(predicted.accuracy, 1, axis=2))
    assert verdicts(rolled, measured)[:3] == ["holds", "holds", "undecided"]
    assert verdicts(*made_design(REAL, REAL, follow=-1.0))[2] == "refuted"


def test_the_correlation_is_as_exact_as_exchanged_replicas_make_it():
    """The error is the scatter of the correlation over 4,000 independent draws.

    The limits are such that false alarms are rarer than one in a million.
    """
    rng = np.random.default_rng(1)
    found = np.array([within_settings(*rng.standard_t(3, (2, 5, REPLICAS))) for _ in range(4000)])
    mean, error = found[:, 0], found[0, 1]
    assert abs(mean.mean()) < 5 * error / 4000**0.5
    assert mean.std() == pytest.approx(error, rel=5 / (2 * 4000) ** 0.5)


def test_one_sign_alone_shows_nothing():
    reals = np.abs(REAL)
    assert verdicts(*made_design(reals, reals))[0] == "undecided"


def test_a_control_that_is_right_does_not_hold():
    predicted, measured = made_design(REAL, REAL)
    assert verdicts(replace(predicted, squared=-predicted.squared), measured)[3] == "undecided"


def test_a_setting_with_a_diverged_network_has_no_gain():
    predicted, measured = made_design(REAL, REAL)
    measured.accuracy[3, 0, 5] = np.nan
    scores = score_signs(predicted.accuracy[:, 0], measured.accuracy[:, 0])
    assert (scores.count.settings, scores.count.right) == (24, 24)
    assert 3 not in scores.places


def test_signs_are_those_of_paired_intervals():
    gains = np.random.default_rng(2).standard_normal((200, REPLICAS)) + np.linspace(-2, 2, 200)[:, None]
    means = [paired_mean(each) for each in gains]
    found = score_signs(gains, gains).realised
    np.testing.assert_array_equal(found.signs, [float(each.low > 0) - float(each.high < 0) for each in means])
    np.testing.assert_allclose(found.errors, [each.standard_error for each in means])
    assert score_signs(np.ones((1, 4)), np.ones((1, 4))).count.decided == 0  # nothing varies


def test_nothing_predicted_is_no_sign():
    """A setting whose linearised training diverges has no predicted sign and counts as wrong."""
    predicted, measured = made_design(REAL, REAL)
    predicted.accuracy[3, 0] = np.nan
    scores = score_signs(predicted.accuracy[:, 0], measured.accuracy[:, 0])
    assert (scores.count.decided, scores.count.right) == (25, 24)


def test_distance_is_in_units_of_the_spread_between_networks():
    predicted, measured = made_design((0.2, -0.2, 0.02), (0.2, -0.2, 0.02))
    scores = score_signs(predicted.accuracy[:, 0], measured.accuracy[:, 0])
    spread = measured.accuracy[:, 0].std(axis=1, ddof=1)
    np.testing.assert_allclose(scores.distance, np.array([0.2, 0.2, 0.02]) / spread)
    assert scores.beyond.settings == int((scores.distance > 2 * np.median(scores.distance)).sum())


def test_horizons_at_which_few_signs_are_decided_are_noted_and_not_told():
    """The quick budget has eight settings beyond an epoch: two wrong ones of four would not say where it stops."""
    predicted, measured = made_design(REAL, REAL)
    predicted.accuracy[8:, 1:], measured.accuracy[8:, 1:] = np.nan, np.nan
    predicted.accuracy[:2, 1:] *= -1
    judged = judge_design(predicted, measured)[4]
    assert judged.measurement == "not up to 1 epoch"
    assert judged.note == "1 epoch: 25 of 25; 3 epochs: 6 of 8; 6 epochs: 6 of 8"


def test_nothing_decided_is_said():
    found = judge_design(*made_design([0.0001, -0.0001], [1.0, 1.0], noise=0.1))
    assert [each.measurement for each in found[:2]] == ["no sign is decided"] * 2
    assert found[4].measurement == "at no horizon are 12 signs decided"
    assert not any("nan" in each.note for each in found)


def test_a_correlation_has_its_error_where_a_setting_varies():
    predicted, measured = made_design(REAL, REAL)
    found = judge_design(predicted, measured)[2]
    mean, error, count = within_settings(predicted.accuracy[:, 0], measured.accuracy[:, 0])
    assert count
    assert (found.measurement, found.standard_error) == (mean, error)


def test_findings_are_those_of_one_epoch():
    """Longer horizons of the other sign, of predictions or of gains, change nothing but what is told of the horizon."""
    whole = made_design(REAL, REAL)
    expected = judge_design(*whole)[:4]
    for wrong in whole:
        turned = replace(wrong, accuracy=wrong.accuracy.copy(), loss=wrong.loss.copy())
        turned.accuracy[:, 1:] *= -1
        turned.loss[:, 1:] *= -1
        both = (turned, whole[1]) if wrong is whole[0] else (whole[0], turned)
        found = judge_design(*both)
        assert found[:4] == expected
        assert found[4].measurement == 3.0


@pytest.mark.parametrize(("name", "first"), [("accuracy", ["refuted", "holds"]), ("loss", ["holds", "refuted"])])
def test_accuracy_and_loss_are_judged_by_their_own_numbers(name, first):
    predicted, measured = made_design(REAL, REAL)
    turned = replace(predicted, **{name: -getattr(predicted, name)})
    assert verdicts(turned, measured)[:2] == first
    assert verdicts(predicted, replace(measured, **{name: -getattr(measured, name)}))[:2] == first


def test_a_correlation_is_judged_by_its_interval():
    """Networks of two settings follow their predictions by half: neither seen at the level nor refuted."""
    predicted, measured = made_design((0.2, -0.2), (0.2, -0.2), follow=0.5)
    found = judge_design(predicted, measured)[2]
    mean, error, count = within_settings(predicted.accuracy[:, 0], measured.accuracy[:, 0])
    assert count == 2
    assert 1e-6 < stats.norm.sf(mean / error) < 0.4
    half = stats.norm.isf(0.025) * error
    assert found.interval == pytest.approx((mean - half, mean + half))
    assert found.verdict == "undecided"
    assert found.note == f"exchanged replicas do as well with probability {stats.norm.sf(mean / error):.2g}"
    assert found.power.startswith("2 settings; ")
    opposite = judge_design(replace(predicted, accuracy=-predicted.accuracy), measured)[2]
    assert opposite.verdict == ("refuted" if mean > half else "undecided")


def test_undecided_settings_are_counted():
    """Two of 27 gains are nothing: shares, intervals and what is needed are of the others."""
    reals = (*REAL, 1e-5, -1e-5)
    said = [-real if number < 3 else real for number, real in enumerate(reals)]
    predicted, measured = made_design(reals, said)
    scores = score_signs(predicted.accuracy[:, 0], measured.accuracy[:, 0])
    assert (scores.count.settings, scores.count.decided) == (27, 25)
    accuracy, _, _, control, _ = judge_design(predicted, measured)
    assert accuracy.power == control.power == "27 settings, 2 of them undecided"
    assert accuracy.interval == share_interval(22, 25)
    assert control.interval == share_interval(3, 25)
    assert accuracy.note.endswith(by_share(22, 25, 27))
    beyond = scores.beyond
    told = f"beyond 2 median distances {beyond.right} of {beyond.decided} right (at least {beyond.interval[0]:.3f})"
    assert told in accuracy.note


@pytest.mark.parametrize(("count", "told"), [(11, "at no horizon are 12 signs decided"), (12, "not up to 6 epochs")])
def test_a_horizon_is_told_from_twelve_signs_on(count, told):
    assert judge_design(*made_design(REAL[:count], REAL[:count]))[4].measurement == told


def test_levels_and_shares_themselves_decide_nothing(monkeypatch):
    """A p-value that is the level, an upper end and a share that are what they are held against."""
    predicted, measured = made_design((0.2, -0.2), (0.2, -0.2), follow=0.5)
    mean, error, _ = within_settings(predicted.accuracy[:, 0], measured.accuracy[:, 0])
    pvalue = float(stats.norm.sf(mean / error))
    for level, verdict in ((pvalue, "undecided"), (np.nextafter(pvalue, 1), "holds")):
        monkeypatch.setattr(condition_signs, "LEVEL", level)
        assert verdicts(predicted, measured)[2] == verdict
    said = [-real if number < 3 else real for number, real in enumerate(REAL)]
    predicted, measured = made_design(REAL, said)
    upper = share_interval(3, 25)[1]
    for share, verdict in ((upper, "undecided"), (np.nextafter(upper, 1), "holds")):
        monkeypatch.setattr(condition_signs, "SHARE", share)
        assert verdicts(predicted, measured)[3] == verdict
    for share, told in ((22 / 25, "not up to 6 epochs"), (np.nextafter(22 / 25, 1), 1.0)):
        monkeypatch.setattr(condition_signs, "SHARE", share)
        assert judge_design(predicted, measured)[4].measurement == told


@pytest.mark.parametrize(
    ("mean", "verdict"), [(2.0, "undecided"), (-2.0, "undecided"), (float(np.nextafter(-2, -3)), "refuted")]
)
def test_a_correlation_within_its_interval_is_undecided(mean, verdict, monkeypatch):
    """A correlation of either sign is undecided within its interval; one exactly as far below 0 is not refuted."""
    monkeypatch.setattr(condition_signs, "QUANTILE", 2.0)
    monkeypatch.setattr(condition_signs, "within_settings", lambda *_: (mean, 1.0, 2))
    found = judge_design(*made_design(REAL, REAL))[2]
    assert (found.verdict, found.measurement) == (verdict, mean)
    assert found.interval == (mean - 2, mean + 2)
