"""Claim C2: shares of a layer's gain, and controls that lack part of what it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

import reports
from reports.claims.claim import Context, Outcome
from reports.claims.transfer import c2_covariance
from reports.claims.transfer.c2_covariance import CLAIM
from reports.claims.transfer.digits import LAYER
from reports.experiment_file import load
from reports.findings import OUTSIDE
from reports.judging.needed import by_interval
from tests.reports.claims.transfer.made import ALL, made
from theory.testing import MeanRatio, paired_mean

QUICK = Context(seed=999)
DIGITS, TWO_LAYERS, FILTERS = CLAIM.cases(QUICK)
*_, PHOTOGRAPHS = CLAIM.cases(Context(budget="full"))


def verdicts(measured) -> list[str]:
    return [judgement.verdict for judgement in CLAIM.decide(DIGITS, CLAIM.predict(DIGITS), measured)]


def test_a_layer_drawn_in_a_random_basis_would_not_do():
    assert verdicts(ALL) == ["holds"] * 4
    swapped = tuple({"covariance": "spectrum", "spectrum": "covariance"}.get(name, name) for name in ALL.treatments)
    share, basis, whitened, _ = verdicts(replace(ALL, treatments=swapped))
    assert (share, basis) == ("refuted", "refuted")
    assert whitened != "holds"


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        (MeanRatio(0.9, 0.6, 1.2), "holds"),
        (MeanRatio(0.2, -0.1, 0.4), "refuted"),
        (MeanRatio(0.6, 0.3, 0.9), "undecided"),
        (None, "undecided"),
    ],
)
def test_a_share_is_judged_by_fiellers_interval(share, verdict, monkeypatch):
    monkeypatch.setattr("reports.claims.transfer.effects.Effects.share", lambda *arguments, **options: share)
    judged, *_ = CLAIM.decide(DIGITS, CLAIM.predict(DIGITS), ALL)
    assert judged.verdict == verdict
    assert judged.interval == (None if share is None else (share.low, share.high))


def test_an_undecided_share_says_what_it_needs():
    """The need follows from the interval of the drawn layer's gain beyond half of the layer's, held against 0."""
    measured = made({LAYER: 0.1, "covariance": 0.055, "spectrum": 0.0}, noise=0.02)
    share, *_ = CLAIM.decide(FILTERS, CLAIM.predict(FILTERS), measured)
    values = (measured.of(kind) for kind in ("covariance", LAYER, "scratch"))
    excess = paired_mean(sum(part * each for part, each in zip((1, -0.5, -0.5), values, strict=True)))
    assert share.verdict == "undecided"
    assert share.note.endswith(by_interval(excess.replicas, excess.low, excess.high, (0.0,)))


def test_no_share_is_given_of_a_layer_that_may_gain_nothing():
    silent = made({LAYER: 0.0, "covariance": 0.1, "spectrum": 0.0}, noise=0.05)
    share, *_ = CLAIM.decide(FILTERS, CLAIM.predict(FILTERS), silent)
    assert share.verdict == "undecided"
    assert isinstance(share.measurement, str)
    assert share.interval is None
    shares = CLAIM.illustrate((Outcome(FILTERS, "", silent, ()),)).tables[1]
    assert {row[3] for row in shares.rows} == {"the layer's gain may be 0"}


def test_of_two_layers_only_what_the_second_adds_is_judged():
    measured = made({"covariance": 0.09, "recursive": 0.12})
    (found,) = CLAIM.decide(TWO_LAYERS, CLAIM.predict(TWO_LAYERS), measured)
    assert found.verdict == "holds"
    assert found.measurement == measured.difference("recursive", "covariance").mean
    assert "over scratch" in found.note
    (found,) = CLAIM.decide(TWO_LAYERS, "", made({"covariance": 0.12, "recursive": 0.09}))
    assert found.verdict == "refuted"
    shares = CLAIM.illustrate((Outcome(TWO_LAYERS, "", measured, ()),)).tables[1]
    assert shares.rows == ()


EPOCHS = np.array([0, 3, 6, 9, 12, 16, 20])  # of the filters


def along(shares, *, gain=0.2, replicas=40):
    """Effects whose drawn layer recovers these shares (7,) of the layer's gain, reading by reading."""
    measured = made({LAYER: gain, "covariance": 0.0, "spectrum": 0.0}, noise=1e-3, replicas=replicas)
    scratch, layer = (measured.accuracy[measured.treatments.index(name)] for name in ("scratch", LAYER))
    drawn = scratch[:, None] + (layer - scratch)[:, None] * np.asarray(shares)
    noise = 1e-3 * np.random.default_rng(4).standard_normal(drawn.shape)
    curves = {"scratch": scratch[:, None] + 0 * drawn, LAYER: layer[:, None] + 0 * drawn, "covariance": drawn + noise}
    curves["spectrum"] = curves["scratch"]
    return replace(measured, steps=8 * EPOCHS, curves=np.stack([curves[name] for name in measured.treatments]))


def beside(case, measured):
    """What is judged beside the paper's values: the last two findings."""
    return CLAIM.decide(case, "", measured)[-2:]


def test_shares_are_read_where_the_paper_reads_its_own():
    """Step 1,000 of its 97 an epoch is 10.3 epochs, nearest to 9; 550 to 2,050 are 5.7 to 21.1, from 6 to 20."""
    shares = [0.1, 0.2, 0.8, 0.9, 1.0, 0.7, 0.6]
    at, over = beside(FILTERS, along(shares))
    assert "at epoch 9" in at.quantity
    assert at.measurement == pytest.approx(0.9, abs=0.01)
    assert "over epochs 6 to 20" in over.quantity
    assert over.measurement == pytest.approx(np.mean(shares[2:]), abs=0.01)
    assert (at.prediction, over.prediction) == (
        "0.88 on CIFAR-10 in the paper",
        "0.88 to 0.93 on CIFAR-10 in the paper",
    )
    assert {judgement.verdict for judgement in (at, over)} == {"outside the hypotheses"}
    assert not any("in the paper" in str(judgement.prediction) for judgement in CLAIM.decide(DIGITS, "", ALL))


@pytest.mark.parametrize(
    ("share", "verdicts"),
    [
        (0.90, ["holds", "holds"]),
        (0.96, ["refuted", "holds"]),
        (0.975, ["refuted", "holds"]),
        (0.985, ["refuted", "refuted"]),
        (0.70, ["refuted", "refuted"]),
    ],
)
def test_on_the_papers_images_the_published_share_can_be_refuted(share, verdicts):
    """Shares must lie within .05 of .88 at one step, and within .05 of .88 to .93 over the stretch."""
    context = Context(budget="paper", cifar10=Path("/images"))
    paper = next(case for case in CLAIM.cases(context) if "CIFAR-10" in case.name)
    # of 97 steps an epoch
    measured = replace(along([share] * 7), steps=97 * EPOCHS)
    assert [judgement.verdict for judgement in beside(paper, measured)] == verdicts
    diverged = replace(measured, diverged=1)
    assert "holds" not in {judgement.verdict for judgement in beside(paper, diverged)}
    labels = msgspec.structs.replace(paper.experiment.downstream.labels, kind="classes")
    downstream = msgspec.structs.replace(paper.experiment.downstream, labels=labels)
    random = replace(paper, trained=msgspec.structs.replace(paper.experiment, downstream=downstream))
    for case, given, kind, words in (
        (paper, measured, None, ""),
        (random, measured, "outside", "; other images or labels than the published"),
        (PHOTOGRAPHS, along([share] * 7), "outside", "; other images or labels than the published"),
    ):
        for judgement in beside(case, given):
            assert judgement.note == f"one of two simultaneous intervals{words}"
            assert judgement.kind == kind
            assert (judgement.verdict == OUTSIDE) == (kind is not None)


def test_no_share_beside_the_papers_of_a_layer_that_may_gain_nothing():
    at, over = beside(FILTERS, along([0.9] * 7, gain=0.0))
    assert at.interval is over.interval is None
    assert isinstance(at.measurement, str)


def test_gains_shares_and_curves_are_shown():
    shown = CLAIM.illustrate(tuple(Outcome(case, "", ALL, ()) for case in (DIGITS, FILTERS)))
    (gains, shares), (figure,) = shown.tables, shown.figures
    gain, share = ALL.difference("pretrained"), ALL.share("covariance", LAYER)
    assert any(row[3] == (gain.mean, gain.standard_error) for row in gains.rows)
    assert [row[1] for row in shares.rows] == ["covariance", "recursive", "spectrum", "eigenvectors"] * 2
    assert share is not None
    assert shares.rows[0][2] == share.ratio
    assert all(np.isfinite(series.y).all() for panel in figure.panels for series in panel.series)


def test_the_example_is_a_case_of_the_claim():
    """The example differs from the case in replicas and seed alone, so that one command reproduces it."""
    assert reports.__file__ is not None
    example = load(Path(reports.__file__).parent / "examples/transfer_colours.toml")
    assert msgspec.structs.replace(c2_covariance.filters_experiment(QUICK), ensemble=example.ensemble) == example


def test_intervals_are_as_many_together_as_a_case_has_findings():
    """Digits have four: a share and three differences; two layers have one difference alone."""
    share, *differences = CLAIM.decide(DIGITS, "", ALL)
    expected = ALL.share("covariance", LAYER, confidence=1 - 0.05 / 4)
    assert expected is not None
    assert share.interval == pytest.approx((expected.low, expected.high))
    assert share.measurement == pytest.approx(expected.ratio)
    for judgement, (kind, other) in zip(
        differences,
        (("covariance", "spectrum"), ("covariance", "eigenvectors"), ("recursive", "covariance")),
        strict=True,
    ):
        found = ALL.difference(kind, other, confidence=1 - 0.05 / 4)
        assert judgement.interval == pytest.approx((found.low, found.high))
        part = ALL.share(other if kind == "covariance" else kind, LAYER, confidence=1 - 0.05 / 4)
        assert part is not None
        assert f"recovers {part.ratio:.2f} [{part.low:.2f}, {part.high:.2f}] of the layer's gain" in judgement.note
    gain = ALL.difference(LAYER)
    assert share.note == f"the layer gains {gain.mean:+.4f} (standard error {gain.standard_error:.4f})"
    measured = made({"covariance": 0.09, "recursive": 0.12})
    (alone,) = CLAIM.decide(TWO_LAYERS, "", measured)
    found = measured.difference("recursive", "covariance", confidence=0.95)
    assert alone.interval == pytest.approx((found.low, found.high))
    assert alone.note == f"`recursive` gains {measured.difference('recursive').mean:+.4f} over scratch"


def test_readings_at_the_ends_of_the_papers_stretch_count():
    """5.67 and 21.1 of its epochs: readings beyond are left out, and where there is none nothing is said of it."""
    measured = along([0.5] * 7)
    for epochs, words in (
        ([0, 5, 5.75, 9, 12, 21, 22], "over epochs 6 to 21"),
        ([0, 5, 6, 9, 12, 21.25, 22], "over epochs 6 to 12"),
    ):
        _, over = beside(FILTERS, replace(measured, steps=8 * np.array(epochs)))
        assert words in over.quantity
    far = CLAIM.decide(FILTERS, "", replace(measured, steps=8 * np.array([0, 1, 2, 3, 4, 5, 22])))
    assert [each.quantity.endswith("recovers at epoch 5") for each in far] == [False, False, True]


def test_both_ends_of_the_papers_stretch_are_in_it():
    """Steps 550 and 2,050, at the paper's 97 steps per epoch, are within the stretch; 549 and 2,051 are not."""
    paper = next(
        case for case in CLAIM.cases(Context(budget="paper", cifar10=Path("/images"))) if "CIFAR-10" in case.name
    )
    shares = np.array([0.0, 0.2, 0.9, 0.9, 0.9, 0.9, 0.3])
    steps = np.array([0, 549, 550, 1000, 1500, 2050, 2051])
    _, over = beside(paper, replace(along(shares), steps=steps))
    assert over.measurement == pytest.approx(0.9, abs=0.01)
    assert "over epochs 6 to 21" in over.quantity
    at, _ = beside(paper, replace(along(shares), steps=np.array([0, 100, 200, 300, 400, 900, 1000])))
    assert "at epoch 10" in at.quantity  # which is read, and nothing after it
    assert at.measurement == pytest.approx(0.3, abs=0.01)


def test_the_photographs_own_labels_are_a_case_beyond_the_quick_budget():
    photographs = PHOTOGRAPHS
    assert photographs.experiment.downstream.labels.kind == "real"
    assert photographs.experiment.ensemble.replicas == 6 * c2_covariance.PHOTOGRAPH_REPLICAS
    assert not {photographs.experiment} & {case.experiment for case in CLAIM.cases(QUICK)}
    # it ends before the step at which the paper's share is read
    short = replace(along([0.88] * 7), steps=np.arange(7) * c2_covariance.SAMPLES // c2_covariance.BATCH)
    judged = CLAIM.decide(photographs, "", short)
    assert len(judged) == len(CLAIM.decide(FILTERS, "", along([0.88] * 7))) - 2
    assert not [each.prediction for each in judged if "paper" in each.prediction]
