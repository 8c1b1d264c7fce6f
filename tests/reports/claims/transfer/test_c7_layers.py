"""Claim C7: shares of drawn layers, controls that lack what they have, and verdicts that can say no."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import simulate.transfer
from reports.claims.claim import Case, Context, Outcome
from reports.claims.transfer.c7_layers import CLAIM
from reports.claims.transfer.layer_gains import LayeredDigits, LayerEffects, kept, measure_layers
from reports.judging.needed import by_interval
from reports.judging.rules import recovered_verdict
from tests.reports.claims.transfer.made import made
from theory.errors import InvalidInput
from theory.testing import MeanRatio, paired_mean

TWO, THREE = CLAIM.cases(Context("full", seed=999))
GAINS = {kept(1): 0.05, kept(2): 0.2, "rainbow 1": 0.05, "rainbow 2": 0.19, "unrotated 2": 0.1, "recursive 2": 0.05}


def layered(gains: dict[str, float] = GAINS) -> LayerEffects:
    found = made(gains)
    return LayerEffects(**vars(found), test_accuracy=found.accuracy - 0.1)


def verdicts(measured: LayerEffects) -> list[str]:
    return [each.verdict for each in CLAIM.decide(TWO, CLAIM.predict(TWO), measured)]


def test_drawn_layers_recover_it_and_layers_that_lack_something_would_not():
    assert verdicts(layered()) == ["holds"] * 5
    for other in ("unrotated 2", "recursive 2"):
        swapped = tuple({"rainbow 2": other, other: "rainbow 2"}.get(name, name) for name in layered().treatments)
        found = verdicts(replace(layered(), treatments=swapped))
        assert found[0] == "refuted"
        assert "refuted" in found[3:]


def test_layers_that_add_nothing_are_seen():
    assert verdicts(layered({**GAINS, kept(2): 0.05}))[1] == "undecided"
    assert verdicts(layered({**GAINS, kept(2): 0.01}))[1] == "refuted"
    assert verdicts(layered({**GAINS, "rainbow 1": 0.3}))[2] == "refuted"


def test_replicas_that_are_shuffled_and_networks_that_were_never_trained_are_not_taken_for_gains():
    """Scratch against scratch: as good as the other treatments, and no share is known of nothing."""
    nothing = layered(dict.fromkeys(GAINS, 0.0))
    share, *rest = CLAIM.decide(TWO, CLAIM.predict(TWO), nothing)
    assert isinstance(share.measurement, str)
    assert share.interval is None
    assert [share.verdict, *(each.verdict for each in rest)] == ["undecided"] * 5
    wrong = np.random.default_rng(3).permuted(layered().accuracy, axis=0)
    assert "holds" not in verdicts(replace(layered(), accuracy=wrong))[1:]


@pytest.mark.parametrize(
    ("share", "diverged", "verdict"),
    [
        (MeanRatio(0.9, 0.6, 1.3), 0, "holds"),
        (MeanRatio(0.9, 0.6, 1.3), 1, "undecided"),
        (MeanRatio(0.79, 0.6, 1.0), 0, "undecided"),
        (MeanRatio(0.9, 0.4, 1.4), 0, "undecided"),
        (MeanRatio(0.6, 0.5, 0.79), 0, "refuted"),
        (None, 0, "undecided"),
    ],
)
def test_the_rule_of_what_is_recovered(share, diverged, verdict):
    assert recovered_verdict(share, diverged) == verdict


def test_test_gains_are_means_over_held_out_rows():
    study = LayeredDigits((8, 6), 0.05)
    experiment = study.experiment(2)
    found = measure_layers(Case("tiny", experiment, study, "asymptotic"), Context())
    result = simulate.transfer.run(experiment, weights=False)
    for k, name in enumerate(found.treatments):
        curves, area = result[name].curves, np.zeros(2)
        for i in range(len(curves.steps) - 1):
            width = (curves.steps[i + 1] - curves.steps[i]) / curves.steps[-1]
            area += width * (curves.test_accuracy[:, i] + curves.test_accuracy[:, i + 1]) / 2
        np.testing.assert_allclose(found.test_accuracy[k], area, rtol=1e-12)
    gain = found.test_accuracy[1] - found.test_accuracy[0]
    assert found.test_gain(found.treatments[1]).mean == pytest.approx(gain.mean())


def test_without_held_out_rows_it_is_refused():
    import msgspec

    study = LayeredDigits((8, 6), 0.05)
    experiment = study.experiment(2)
    bare = msgspec.structs.replace(experiment, downstream=msgspec.structs.replace(experiment.downstream, held_out=0))
    with pytest.raises(InvalidInput, match="held_out"):
        measure_layers(Case("tiny", bare, study, "asymptotic"), Context())


def test_layers_are_shown():
    shown = CLAIM.illustrate((Outcome(TWO, "", layered(), ()),))
    (table,), (figure,) = shown.tables, shown.figures
    assert [row[1] for row in table.rows] == list(GAINS)
    assert table.rows[0][5] == ""
    assert [series.label for series in figure.panels[0].series] == ["kept", "drawn", "recursive", "unrotated"]


def test_the_quick_budget_has_three_layers_alone():
    (quick,) = CLAIM.cases(Context(seed=999))
    assert quick.study == THREE.study
    assert (TWO.study.depth, THREE.study.depth) == (2, 3)


def test_every_finding_compares_its_own_treatments_by_one_of_five_intervals():
    measured = layered()
    share, *found = CLAIM.decide(TWO, CLAIM.predict(TWO), measured)
    pairs = [(kept(2), kept(1)), ("rainbow 2", "rainbow 1"), ("rainbow 2", "unrotated 2"), ("rainbow 2", "recursive 2")]
    by_sides = {tuple(np.round((measured.of(a) - measured.of(b)), 12)): (a, b) for a, b in pairs}
    for judgement in found:
        expected = {sides: measured.difference(*sides, confidence=0.99) for sides in by_sides.values()}
        (sides,) = [sides for sides, each in expected.items() if each.mean == judgement.measurement]
        assert judgement.interval == (expected[sides].low, expected[sides].high)
        del by_sides[tuple(np.round((measured.of(sides[0]) - measured.of(sides[1])), 12))]
    assert not by_sides
    whole = measured.share("rainbow 2", kept(2), confidence=0.99)
    assert whole is not None
    assert (share.measurement, share.interval) == (whole.ratio, (whole.low, whole.high))
    part = measured.share("unrotated 2", kept(2), confidence=0.99)
    assert part is not None
    words = f"those recover {part.ratio:.2f} [{part.low:.2f}, {part.high:.2f}] of the gain of the trained layers"
    assert words in {each.note for each in found}


@pytest.mark.parametrize(("gain", "noise", "bound"), [(0.15, 0.03, 0.8), (0.25, 0.15, 0.5)])
def test_an_undecided_share_says_what_it_needs(gain, noise, bound):
    """The need follows from the gain beyond part of the trained layers' gain, held against 0.

    That part is .8 if the share is below .8, otherwise half.
    """
    found = made({**GAINS, "rainbow 2": gain}, noise=noise)
    measured = LayerEffects(**vars(found), test_accuracy=found.accuracy)
    share, *_ = CLAIM.decide(TWO, CLAIM.predict(TWO), measured)
    whole, scratch = bound * measured.of(kept(2)), (1 - bound) * measured.of("scratch")
    excess = paired_mean(measured.of("rainbow 2") - whole - scratch)
    layers = measured.difference(kept(2))
    start = f"the trained layers gain {layers.mean:+.4f} (standard error {layers.standard_error:.4f})"
    assert share.verdict == "undecided"
    assert share.note == f"{start}; {by_interval(12, excess.low, excess.high, (0.0,))}"


@pytest.mark.parametrize(("ratio", "bound"), [(0.8, 0.5), (np.nextafter(0.8, 0), 0.8)])
def test_a_share_of_four_fifths_needs_to_be_seen_above_one_half(ratio, bound, monkeypatch):
    monkeypatch.setattr(LayerEffects, "share", lambda *arguments, **options: MeanRatio(ratio, 0.4, 1.2))
    noisy = made({**GAINS, "rainbow 2": 0.25}, noise=0.15)
    measured = LayerEffects(**vars(noisy), test_accuracy=noisy.accuracy)
    share, *_ = CLAIM.decide(TWO, CLAIM.predict(TWO), measured)
    whole, scratch = bound * measured.of(kept(2)), (1 - bound) * measured.of("scratch")
    excess = paired_mean(measured.of("rainbow 2") - whole - scratch)
    assert (share.verdict, share.power) == ("undecided", "Fieller's interval")
    assert share.note.endswith(by_interval(12, excess.low, excess.high, (0.0,)))
