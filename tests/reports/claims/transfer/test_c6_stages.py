"""Claim C6: most of the gain early, harm late, and verdicts that can say no."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.claims.claim import Context, Outcome
from reports.claims.transfer import c6_stages
from reports.claims.transfer.c6_stages import CLAIM, early_verdict
from reports.claims.transfer.stage_gains import StageGains
from reports.findings import OUTSIDE
from reports.judging.needed import by_interval
from tests.reports.claims.transfer.test_stage_gains import made
from theory.testing import PairedMean, paired_mean

EARLY, LATE, SHOWN = CLAIM.cases(Context(seed=999))
GOOD = made({0: 0.0, 1: 0.0, 5: 0.03, 10: 0.08, 20: 0.1, 80: 0.1})
SLOW = made({0: 0.0, 1: 0.0, 5: 0.01, 10: 0.02, 20: 0.05, 80: 0.1})
HARM = made({0: 0.0, 1: 0.0, 10: 0.05, 80: -0.3})


def verdicts(case, measured):
    return [each.verdict for each in CLAIM.decide(case, CLAIM.predict(case), measured)]


def test_each_case_is_asked_one_thing():
    assert verdicts(EARLY, GOOD) == ["holds", "holds", OUTSIDE]
    assert verdicts(EARLY, SLOW)[0] == "refuted"
    assert verdicts(LATE, HARM) == ["holds"]
    assert verdicts(LATE, GOOD) == ["refuted"]
    assert verdicts(SHOWN, HARM) == [OUTSIDE]


def test_noise_and_divergence_forbid_that_it_holds():
    assert early_verdict(made({0: 0.0, 1: 0.0, 10: 0.06, 80: 0.1}, noise=0.05)) == "undecided"
    assert early_verdict(replace(GOOD, diverged=1)) == "undecided"
    still = replace(GOOD, gains=np.repeat(GOOD.gains.mean(axis=1, keepdims=True), 9, axis=1))
    assert early_verdict(still) == "undecided"


def test_stages_that_are_shuffled_do_not_hold():
    """The planted failure: every replica's stages in an order of its own."""
    generator = np.random.default_rng(1)
    wrong = generator.permuted(GOOD.gains, axis=0)
    wrong[0] = 0
    assert verdicts(EARLY, replace(GOOD, gains=wrong))[0] != "holds"
    wrong = generator.permuted(HARM.gains, axis=0)
    assert verdicts(LATE, replace(HARM, gains=wrong)) != ["holds"]


def test_other_networks_than_those_of_a_stage_do_not_hold():
    """Planted failures: fresh networks at every stage, and the last network taken for the first."""
    fresh = replace(GOOD, gains=0.01 * np.random.default_rng(2).standard_normal(GOOD.gains.shape))
    assert "holds" not in (verdicts(EARLY, fresh)[0], *verdicts(LATE, fresh))
    assert verdicts(EARLY, replace(GOOD, gains=GOOD.gains[::-1]))[1] == "refuted"
    assert verdicts(LATE, replace(HARM, gains=HARM.gains[::-1])) != ["holds"]


def test_one_stage_that_gains_twice_as_much_is_enough_to_refute():
    gains = GOOD.gains.copy()
    gains[2] += 0.3
    assert early_verdict(replace(GOOD, gains=gains)) == "refuted"


def test_a_network_that_gains_before_it_is_trained_refutes_the_identity():
    gains = GOOD.gains.copy()
    gains[0, 3] = 1e-12
    assert verdicts(EARLY, replace(GOOD, gains=gains))[1] == "refuted"


@pytest.mark.parametrize(
    ("last", "words"), [(-0.3, "is seen"), (0.4, "absent: late epochs add to it"), (0.08, "neither seen nor absent")]
)
def test_what_is_not_judged_is_said(last, words):
    (found,) = CLAIM.decide(SHOWN, "no sign", made({0: 0.0, 1: 0.0, 10: 0.08, 80: last}, noise=0.02))
    assert words in found.note


def test_stages_are_shown():
    shown = CLAIM.illustrate(tuple(Outcome(case, "", GOOD, ()) for case in (EARLY, LATE)))
    (table,), (figure,) = shown.tables, shown.figures
    assert [row[1] for row in table.rows] == [0, 1, 5, 10, 20, 80] * 2
    assert all(np.isfinite(series.y).all() for panel in figure.panels for series in panel.series)


def test_early_is_held_against_half_of_every_other_stage():
    """Only the joint intervals refute; each alone, at 95 %, lets what is above 0 hold."""
    generator = np.random.default_rng(7)
    scatter = generator.standard_normal(9)
    scatter = (scatter - scatter.mean()) / scatter.std(ddof=1)

    def excess(size: float) -> str:
        """The verdict if the early gain exceeds half of the last one by `size` standard errors."""
        gains = GOOD.gains.copy()
        gains[1:] = gains[1:].mean(axis=1, keepdims=True)
        early, last = GOOD.epochs.index(10), GOOD.epochs.index(80)
        # the other stages gain as nothing: only the last one decides
        gains[[1, 2, 4]] = 1e-3 * generator.standard_normal((3, 9)) - 0.2
        gains[last] = 0.1
        gains[early] = 0.05 + 0.01 * (size + np.sqrt(9) * scatter)
        return early_verdict(replace(GOOD, gains=gains))

    # Student's quantiles for 8 degrees of freedom: 2.306, and 3.21 at 95 % of four together
    assert [excess(size) for size in (2.4, 2.2, -2.4, -3.0, -3.4)] == ["holds", *["undecided"] * 3, "refuted"]


def test_what_is_said_of_the_early_gain():
    measured = made({0: 0.0, 1: 0.0, 5: 0.03, 10: 0.05, 20: 0.12, 80: 0.09}, noise=0.02)
    early, start, late = CLAIM.decide(EARLY, CLAIM.predict(EARLY), measured)
    share = measured.early_share()
    assert share is not None
    assert (early.measurement, early.interval) == (share.ratio, (share.low, share.high))
    assert early.verdict == "undecided"
    excess = [paired_mean(measured.at(10) - 0.5 * measured.at(epoch)) for epoch in (1, 5, 20, 80)]
    nearest = min(excess, key=lambda each: each.low)
    assert early.note == (
        f"the gain is largest after 20 epochs, {measured.at(20).mean():+.4f}; after 10 epochs it is "
        f"{measured.at(10).mean():+.4f}; a share of {measured.upstream[5].mean():.2f} of upstream rows is fitted in "
        f"the end; {by_interval(9, nearest.low, nearest.high, (0.0,))}"
    )
    assert (start.measurement, start.prediction, start.verdict) == (0.0, 0.0, "holds")
    added = paired_mean(measured.at(80) - measured.at(10))
    assert (late.measurement, late.interval) == (added.mean, (added.low, added.high))
    (judged,) = CLAIM.decide(LATE, "negative", measured)
    assert (judged.measurement, judged.interval) == (added.mean, (added.low, added.high))


def test_the_start_is_measured_by_its_largest_gain_of_either_sign():
    gains = GOOD.gains.copy()
    gains[0, 3], gains[0, 5] = 1e-12, -2e-12
    assert CLAIM.decide(EARLY, "", replace(GOOD, gains=gains))[1].measurement == 2e-12


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.2, -1e-9, "seen"),
        (-0.2, 0.0, "neither seen nor absent"),
        (0.0, 0.2, "neither seen nor absent"),
        (1e-9, 0.2, "absent: late epochs add to it"),
    ],
)
def test_an_interval_that_ends_at_0_shows_no_late_harm(low, high, words, monkeypatch):
    given = PairedMean((low + high) / 2, 0.04, low, high, 0.5, 9, 0.95)
    monkeypatch.setattr(c6_stages, "paired_mean", lambda values: given)
    (found,) = CLAIM.decide(SHOWN, "no sign", HARM)
    assert found.note == f"specialisation by late epochs is {words}"
    assert (found.interval, found.standard_error, found.measurement) == ((low, high), 0.04, (low + high) / 2)


@pytest.mark.parametrize(("high", "verdict"), [(0.0, "undecided"), (-1e-9, "refuted")])
def test_an_interval_that_ends_at_0_does_not_refute_the_early_gain(high, verdict, monkeypatch):
    given = PairedMean(high - 0.1, 0.04, high - 0.2, high, 0.5, 9, 0.95)
    monkeypatch.setattr(StageGains, "excess", lambda *arguments: given)
    assert early_verdict(GOOD) == verdict


def test_what_is_judged_of_late_epochs_tells_the_early_gain():
    (judged,) = CLAIM.decide(LATE, "negative", HARM)
    early = paired_mean(HARM.at(10))
    assert judged.note == f"the gain after 10 epochs is in [{early.low:+.4f}, {early.high:+.4f}]"
