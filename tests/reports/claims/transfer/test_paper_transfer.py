"""The paper's own transfer experiments on CIFAR-10: what is added, and these made small on images made up here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.campaign.settle import judge_claim
from reports.claims import paper_networks
from reports.claims.claim import Case, Claim, Context, Outcome, Trial, seeded
from reports.claims.transfer import c1_positive, c2_covariance, c3_specialisation, paper_transfer
from reports.claims.transfer.paper_transfer import Vgg
from reports.typesetting.figures import render
from tests.changes import changed
from tests.pretend_images import write
from tests.reports.claims.transfer.made import mapped
from theory.setting import Labels

GIVEN = Context(budget="paper", seed=3, cifar10=Path("/images"))
ROWS, BATCH = 60, 10  # of the images made up here


@pytest.fixture
def small(monkeypatch, tmp_path) -> Context:
    """A folder of 60 images, which are enough, and the context of a report that is given it."""
    for module in (paper_networks, paper_transfer):
        monkeypatch.setattr(module, "IMAGES", ROWS)
        monkeypatch.setattr(module, "BATCH", BATCH)
    return Context(budget="paper", seed=3, cifar10=write(tmp_path / "cifar"))


def added(claim: Claim, context: Context) -> tuple[Case, ...]:
    """The cases of a claim that CIFAR-10 adds."""
    return tuple(case for case in claim.cases(context) if paper_networks.is_paper(case.setting))


def settled(claim: Claim, case: Case, context: Context) -> Outcome:
    predicted = claim.predict(case)
    measured = claim.measure(case, context)
    return Outcome(case, predicted, measured, claim.decide(case, predicted, measured))


def illustrated(claim: Claim, outcomes: tuple[Outcome, ...]) -> str:
    """All that is shown of outcomes: captions and cells, in one text; every figure can be drawn."""
    shown = claim.illustrate(outcomes)
    assert all(render(figure).svg for figure in shown.figures)
    assert all(np.isfinite(s.y).all() for figure in shown.figures for panel in figure.panels for s in panel.series)
    captions = [each.caption for each in (*shown.tables, *shown.figures)]
    return "\n".join([*captions, *(str(table.rows) for table in shown.tables)])


def test_the_switch_of_figure_5():
    case, random = added(c2_covariance.CLAIM, GIVEN)
    assert random.experiment.downstream.labels.kind == "classes"
    assert (
        changed(random.experiment, downstream={"labels": Labels(kind="real")}).downstream == case.experiment.downstream
    )
    experiment = case.experiment
    assert experiment.rows == 50_000 == 2 * experiment.downstream.samples
    assert experiment.upstream.training.readings == (40 * 97,)
    assert experiment.downstream.training.readings[-1] == 4500
    rates = [experiment.downstream.training.learning_rate_at(step) for step in (1499, 1500, 3000)]
    assert rates == pytest.approx([0.01, 0.01 / 3, 0.01 / 9])
    assert (experiment.upstream.labels.kind, experiment.downstream.labels.kind) == ("classes", "real")
    assert [each.name for each in experiment.treatment.each] == [
        "scratch", "first-layers 1", "first-layers 1 rescaled", "covariance", "spectrum"
    ]  # fmt: skip


def test_the_covariance_on_cifar(small):
    case, random = added(c2_covariance.CLAIM, small)
    experiment = changed(
        case.experiment,
        upstream={"network": {"filters": 32, "hidden": (6,)}, "training": {"steps": 9, "learning_rate": 0.1}},
        downstream={"training": {"steps": (0, 3, 44)}},
        ensemble={"replicas": 3},
    )
    outcome = settled(c2_covariance.CLAIM, replace(case, trained=experiment), small)
    share, basis, at, over = outcome.judgements
    assert "recovers" in share.quantity
    assert "random basis" in basis.quantity
    assert (at.prediction, at.kind) == ("0.88 on CIFAR-10 in the paper", None)
    assert (over.prediction, over.kind) == ("0.88 to 0.93 on CIFAR-10 in the paper", None)
    beside = c2_covariance.CLAIM.decide(replace(random, trained=random.experiment), "", outcome.measurement)[-1]
    assert (beside.prediction, beside.kind) == (over.prediction, "outside")  # of real labels, on which it is published
    (figure,) = c2_covariance.CLAIM.illustrate((outcome,)).figures
    assert [s.label for s in figure.panels[0].series] == [
        "from scratch", "pretrained", "covariance", "no rescaling", "random basis"
    ]  # fmt: skip
    assert "filters on CIFAR-10, real labels" in illustrated(c2_covariance.CLAIM, (outcome,))


def test_vgg16_of_figure_1():
    gains, losses = (added(claim.CLAIM, GIVEN) for claim in (c1_positive, c3_specialisation))
    assert [len(gains), len(losses)] == [2, 2]
    for case in gains + losses:
        experiment, network = case.experiment, case.setting.network
        assert (network.kind, network.hidden) == ("vgg", ())
        assert [len(block) for block in network.blocks] == [2, 2, 3, 3, 3]
        assert experiment.upstream.labels.kind == "classes"
        assert experiment.rows <= 50_000
        assert case.setting.training.batch_size == 256
        assert case.setting.training.momentum == 0.9
        assert case.setting.ensemble.replicas == 5
        assert experiment.downstream.training.readings[0] == 0
        for training in (case.setting.training, experiment.downstream.training):
            last = training.readings[-1]
            assert training.drops == ((last // 3, 1 / 3), (2 * last // 3, 1 / 3))
    for case in gains:
        assert (case.setting.data.samples, case.experiment.downstream.samples) == (20_000, 25_000)
    for cases, classes in ((gains, 5), (losses, 50)):
        assert {case.setting.labels.classes for case in cases} == {classes}
        kinds = [case.experiment.downstream.labels.kind for case in cases]
        assert kinds == ["real", "classes"]
    assert all(v == 2.0 for case in gains for v in case.setting.network.layer_variances)
    assert all(v == pytest.approx(2.0 * 1.2**2) for case in losses for v in case.setting.network.layer_variances)


def tiny(vggs: Sequence[Vgg]) -> list[Vgg]:
    """Two blocks of one convolution, and few updates."""
    return [
        replace(vgg, rows=30, after=30, epochs=2, downstream=4, batch=BATCH, rate=0.02, blocks=((5,), (7,)))
        for vgg in vggs
    ]


def tiny_vgg(vggs: Sequence[Vgg], context: Context) -> tuple[Case[Any], ...]:
    """The cases of small VGG networks, with three replicas each."""
    return tuple(
        Case(vgg.name, seeded(vgg.experiment(context, replicas=3), number), vgg, "asymptotic")
        for number, vgg in enumerate(tiny(vggs))
    )


def test_gains_of_vgg(small):
    outcomes = tuple(settled(c1_positive.CLAIM, case, small) for case in tiny_vgg(paper_transfer.GAINS, small))
    assert [len(outcome.judgements) for outcome in outcomes] == [2, 2]
    assert outcomes[0].measurement.active.shape == (3, 3, 11, 2)
    shown = illustrated(c1_positive.CLAIM, outcomes)
    assert "(4 epochs of real labels, 4 of new random ones)" in shown
    digits = c1_positive.CLAIM.cases(GIVEN)[:3]
    both = outcomes + tuple(replace(outcomes[0], case=case) for case in digits)
    lengths = "(6 epochs of real labels, 20 of new random ones; VGG16: 4 epochs of real labels, 4 of new random ones)"
    assert lengths in c1_positive.illustrate(both).tables[0].caption


def test_losses_of_vgg(small):
    outcomes = tuple(settled(c3_specialisation.CLAIM, case, small) for case in tiny_vgg(paper_transfer.LOSSES, small))
    gain, active = outcomes[0].judgements
    assert (gain.prediction, active.prediction) == ("negative", "negative")
    measured = outcomes[0].measurement
    change = measured.active_at_switch("pretrained") - measured.active_at_switch("scratch")
    assert active.measurement == pytest.approx(change[:, -1].mean())  # of the upper layer
    # beside the line of widths and the maps, which it leaves as they were
    point = mapped(measured, 0.1)
    line = tuple(Outcome(case, None, point, ()) for case in c3_specialisation.CLAIM.cases(Context())[2:])
    before, after = (c3_specialisation.illustrate(found) for found in (line, line + outcomes))
    assert before.tables == after.tables[:-1]
    assert [figure.caption for figure in before.figures] == [figure.caption for figure in after.figures[:-1]]
    table, figure = after.tables[-1], after.figures[-1]
    assert table.name == figure.name == "c3-vgg16"
    assert len(table.rows) == 6
    curves, shares = figure.panels[:2]
    assert [s.label for s in curves.series] == ["scratch", "pretrained", "rescaled"]
    np.testing.assert_allclose(shares.series[1].y, measured.active_at_switch("pretrained").mean(0))
    assert render(figure).svg
    assert c3_specialisation.conclude(line) == c3_specialisation.conclude(line + outcomes)


def test_networks_that_diverge_do_not_cost_the_report_of_others(small):
    """Upstream and downstream: an undecided finding that says where, and nothing in the pictures."""
    vgg, *_ = tiny(paper_transfer.LOSSES)
    fits = vgg.experiment(small, replicas=3)
    wild = {"training": {"learning_rate": 1e30}}
    experiments = {
        "fits": fits,
        "upstream": changed(fits, upstream=wild),
        "downstream": changed(fits, downstream=wild),
    }
    trials = {name: Trial(experiment, vgg, "asymptotic") for name, experiment in experiments.items()}
    report = judge_claim(replace(c3_specialisation.CLAIM, trials=lambda _: trials), small)
    lost = [finding for finding in report.findings if finding.measurement == "diverged"]
    assert [(each.case, each.verdict) for each in lost] == [("upstream", "undecided"), ("downstream", "undecided")]
    assert lost[0].note.startswith("upstream.training.learning_rate: leaves 0 of 3 replicas finite")
    assert lost[1].note.startswith("downstream.training.learning_rate: leaves 0 of 3 replicas finite")
    assert len(report.findings) == 2 + len(lost)
    assert len(report.figures[0].panels) == 2
