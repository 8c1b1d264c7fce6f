"""What is read of an experiment, by plain loops, and the rule that judges a gain by its sign."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import simulate.transfer
from reports.claims.transfer import digits
from reports.claims.transfer.digits import Digits
from reports.claims.transfer.effects import effects_of, gains_table, in_words, judge_absent, judge_sign
from reports.judging.intervals import effect_found
from reports.judging.needed import by_interval
from tests.reports.claims.transfer.made import PLAIN, made
from theory.errors import Diverged, InvalidInput
from theory.testing import PairedMean, paired_mean

TINY = Digits(0.5, hidden=(12, 6), rows=40, batch=20, limit=2, until=False)


@pytest.mark.parametrize(
    ("low", "high", "diverged", "positive", "negative"),
    [
        (0.1, 0.3, 0, "holds", "refuted"),
        (-0.3, -0.1, 0, "refuted", "holds"),
        (-0.1, 0.3, 0, "undecided", "undecided"),
        (0.1, 0.3, 1, "undecided", "refuted"),
    ],
)
def test_a_sign_is_judged_by_the_whole_interval(low, high, diverged, positive, negative):
    found = PairedMean((low + high) / 2, 0.04, low, high, 0.5, 9, 0.95)
    for sign, verdict in (("positive", positive), ("negative", negative)):
        judgement = judge_sign(found, sign, diverged, quantity="gain")
        assert (judgement.verdict, judgement.prediction, judgement.interval) == (verdict, sign, (low, high))


def test_a_difference_that_does_not_vary_is_undecided():
    judgement = judge_sign(paired_mean([0.1, 0.1, 0.1]), "positive", 0, quantity="gain")
    assert (judgement.verdict, judgement.interval, judgement.standard_error) == ("undecided", None, None)
    assert judgement.power.startswith("not estimable")


def test_what_a_gain_would_have_shown_is_found_as_often_as_said():
    """The simultaneous interval detects the declared size with probability .9.

    The size is declared by another experiment.
    """
    rng, found = np.random.default_rng(5), 0
    for _ in range(2000):
        first, second = 0.3 * rng.standard_normal((2, 8))
        words = judge_sign(paired_mean(first, confidence=0.975), "positive", 0, quantity="gain").power
        size = float(words.split()[4])
        found += paired_mean(second + size, confidence=0.975).low > 0
    assert abs(found / 2000 - 0.9) < 0.03


def test_effects_are_those_of_the_replicas():
    """Plain loops give the area under the accuracy, the paired difference, and active shares at the switch."""
    result = simulate.transfer.run(TINY.experiment(3))
    found = effects_of(result)
    assert found.treatments == digits.PLAIN
    for name in found.treatments:
        curves = result[name].curves
        for replica in range(3):
            area = 0.0
            for k in range(len(curves.steps) - 1):
                width = curves.steps[k + 1] - curves.steps[k]
                area += width * (curves.train_accuracy[replica, k] + curves.train_accuracy[replica, k + 1]) / 2
            assert found.of(name)[replica] == pytest.approx(area / curves.steps[-1], rel=1e-12)
        np.testing.assert_array_equal(found.active_at_switch(name), result[name].layers.active[:, 0])
    gain = found.difference("pretrained")
    assert gain.mean == pytest.approx(np.mean(found.of("pretrained") - found.of("scratch")))
    assert (found.replicas, found.diverged, found.fitted) == (3, 0, 0)


def test_too_few_networks_and_labels_that_are_no_classes_are_named():
    result = simulate.transfer.run(TINY.experiment(2))
    with pytest.raises(InvalidInput, match=r"upstream\.labels"):
        effects_of(replace(result, upstream=replace(result.upstream, accuracy=None)))
    one = replace(result.upstream, accuracy=result.upstream.accuracy[:1])
    with pytest.raises(Diverged, match="leaves 1 of 2 replicas finite"):
        effects_of(replace(result, upstream=one))


def test_the_table_has_every_treatment_of_every_case():
    table = gains_table("gains", "Gains.", {"one": PLAIN, "two": made({"pretrained": -0.1})})
    assert [row[:2] for row in table.rows] == [
        ("one", "scratch"),
        (" ", "pretrained"),
        (" ", "rescaled"),
        ("two", "scratch"),
        (" ", "pretrained"),
    ]
    assert table.rows[0][3:] == (None, None)
    gain = PLAIN.difference("pretrained")
    assert table.rows[1][3] == (gain.mean, gain.standard_error)


def test_an_interval_in_words():
    assert in_words(PairedMean(0.2, 0.1, -0.0123, 0.5, 0.5, 9, 0.95), 3) == "[-0.012, +0.500]"
    assert in_words(paired_mean([0.1, 0.1]), 3) == "not estimable"


def test_a_gain_is_told_with_its_power_and_what_it_needs():
    found = PairedMean(0.1, 0.1, -0.15, 0.35, 0.3, 9, 0.975)
    judgement = judge_sign(found, "positive", 0, quantity="gain", note="a")
    size = effect_found(0.1, 0.0125, degrees=8)
    assert judgement.power == f"detects a difference of {size:.2g} with 90% power"
    assert judgement.note == f"a; {by_interval(9, -0.15, 0.35, (0.0,))}"
    absent = judge_absent(found, 0.2, 0, quantity="gain", note="a")
    assert absent.note == f"a; {by_interval(9, -0.15, 0.35, (-0.2, 0.2))}"
    assert (absent.measurement, absent.standard_error, absent.interval) == (0.1, 0.1, (-0.15, 0.35))
    assert absent.power == "the whole 95 % interval must lie within"
    same = judge_absent(paired_mean([0.1, 0.1, 0.1]), 0.2, 0, quantity="gain")
    assert (same.verdict, same.interval, same.standard_error) == ("undecided", None, None)
