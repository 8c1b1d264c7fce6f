"""The paper budget on CIFAR-10: what is refused before anything runs, which cases are added, and these made small.

The images are made up here, in the layout of CIFAR-10's binary version: a byte for the class, then 3 × 32 × 32 bytes.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reports import cli
from reports.campaign.duration import expected_seconds, rows_seen
from reports.campaign.run import run_campaign
from reports.campaign.settle import judge_claim
from reports.claims import CLAIMS, paper_networks
from reports.claims.alignment import a6_convolutions
from reports.claims.claim import BUDGETS, Case, Context, Trial
from reports.findings import Exhibits
from tests.changes import changed
from tests.pretend_images import write
from theory.errors import InvalidInput
from theory.setting import Setting
from theory.setting.network import WRN_28_4

GIVEN = Context(budget="paper", seed=3, cifar10=Path("/images"))
ROWS, BATCH = 60, 10  # of the images made up here
KNOWN = {claim.id: claim for claim in CLAIMS}
# Those of a report without CIFAR-10, by budget.
COUNTS = {"A6": (3, 3, 3), "A7": (1, 2, 2), "B3": (4, 4, 4), "C1": (3, 3, 3), "C2": (3, 4, 4), "C3": (23, 41, 41)}


@pytest.fixture
def small(monkeypatch, tmp_path) -> Context:
    """A folder of 60 images, which are enough, and the context of a report that is given it."""
    monkeypatch.setattr(paper_networks, "IMAGES", ROWS)
    monkeypatch.setattr(paper_networks, "BATCH", BATCH)
    return Context(budget="paper", seed=3, cifar10=write(tmp_path / "cifar"))


def added(claim: str, context: Context) -> tuple[Case, ...]:
    """The cases of a claim that CIFAR-10 adds."""
    return tuple(case for case in KNOWN[claim].cases(context) if paper_networks.is_paper(case.setting))


@pytest.mark.parametrize("claim", COUNTS)
def test_without_the_images_every_budget_keeps_its_cases(claim):
    for budget, count in zip(BUDGETS, COUNTS[claim], strict=True):
        cases = KNOWN[claim].cases(Context(budget=budget, seed=3))
        assert len(cases) == count
        assert not any(paper_networks.is_paper(case.setting) for case in cases)
    assert KNOWN[claim].cases(GIVEN)[:count] == cases  # the last budget is the paper's


def test_claims_that_have_such_cases_are_those_that_say_so():
    every = {claim.id: claim.cases(GIVEN) for claim in CLAIMS}
    found = [(claim, case, paper_networks.is_paper(case.setting)) for claim in every for case in every[claim]]
    assert tuple(dict.fromkeys(claim for claim, _, paper in found if paper)) == paper_networks.CLAIMS
    for claim in COUNTS:
        assert len({case.name for case in every[claim]}) == len(every[claim])
    new, old = ({case.setting.ensemble.seed for _, case, paper in found if paper is given} for given in (True, False))
    assert len(new) == 13
    assert not new & old  # no two share draws


@pytest.mark.parametrize(("claim", "first"), [("A6", (2.0,)), ("B3", (2.0, 0.000108))])
def test_the_net_of_figures_2_and_4(claim, first):
    """He's init, and for Figure 4 a tiny first layer, too."""
    cases = added(claim, GIVEN)
    assert [(case.setting.labels.kind, case.setting.network.layer_variances[0]) for case in cases] == [
        (kind, variance) for kind in ("classes", "real") for variance in first
    ]
    for setting in (case.setting for case in cases):
        data, network, training = setting.data, setting.network, setting.training
        assert (data.path, data.samples, data.fixed) == ("/images", 50_000, False)
        assert (network.kind, network.filters, network.kernel, network.hidden) == ("conv", 256, (3, 3), (64,))
        assert network.layer_variances[1:] == (2.0, 2.0)
        assert (training.batch_size, training.momentum, training.loss) == (256, 0.9, "cross-entropy")
        assert training.readings == (0, 975, 1950, 3900, 7800)  # 195 updates an epoch
        rates = [training.learning_rate_at(step) for step in (0, 2599, 2600, 5199, 5200, 7799)]
        assert rates == pytest.approx([0.01, 0.01, 0.01 / 3, 0.01 / 3, 0.01 / 9, 0.01 / 9])
        assert (setting.ensemble.replicas, setting.ensemble.dtype) == (12, "float32")


def test_the_net_of_figure_3():
    (case,) = added("A7", GIVEN)
    network, training = case.setting.network, case.setting.training
    assert (network.kind, network.kernel, network.blocks) == ("resnet", (5, 5), WRN_28_4)
    assert (set(network.layer_variances), case.setting.ensemble.replicas) == ({2.0}, 70)
    assert (training.batch_size, training.readings, len(training.drops)) == (256, (0, 7800), 2)
    assert (case.setting.data.scale, case.setting.data.samples) == ("channels", 50_000)


@pytest.mark.slow
def test_the_net_of_figure_3_made_small_is_judged(small):
    (case,) = added("A7", small)
    network = {"blocks": ((80,), (4,)), "init_variance": 2.0}
    setting = changed(case.setting, network=network, training={"steps": (0, 4), "drops": ()}, ensemble={"replicas": 7})
    claim = replace(KNOWN["A7"], trials=lambda _: {case.name: Trial(setting, case.study, case.kind)})
    judged = judge_claim(claim, small)
    assert judged.findings[0].verdict == "outside the hypotheses"
    assert [table.name for table in judged.tables] == ["a7-sums-wrn", "a7-groups-wrn"]


def smaller(setting: Setting, **training: Any) -> Setting:
    """A few narrow networks."""
    return changed(setting, network={"filters": 32, "hidden": (6,)}, training=training, ensemble={"replicas": 3})


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "must hold 50000 images in data_batch_*.bin, not 60"),
        ({"batches": 0}, "folder with data_batch_*.bin"),
        ({"surplus": 5}, "records of 3073 bytes"),
        ({"rows": 0}, "records of 3073 bytes"),
        ({"classes": 12}, "0 … 9"),
        ({"classes": 7}, "must hold 10 classes, and the last is 6"),
        (None, "folder with data_batch_*.bin"),
    ],
)
def test_a_folder_that_will_not_do_is_refused_before_anything_is_lost(monkeypatch, capfd, tmp_path, arguments, why):
    folder, out = tmp_path / "cifar", tmp_path / "report"
    if arguments is not None:
        write(folder, **arguments)
    if arguments and "classes" in arguments:
        monkeypatch.setattr(paper_networks, "IMAGES", ROWS)
    kept = out / "records" / "A6" / "background.safetensors"
    kept.parent.mkdir(parents=True)
    kept.touch()
    command = ("report", "--budget", "paper", "--only", "A6", "--out", str(out), "--cifar10", str(folder))
    assert cli.main(command) == 2
    error = capfd.readouterr().err
    assert error.startswith(f"eigenalign: bad input: cifar10 = {str(folder)!r}: ")
    assert why in error
    assert len(error.splitlines()) == 1
    assert kept.exists()
    with pytest.raises(InvalidInput, match="cifar10"):
        run_campaign(budget="paper", only=("A2",), cifar10=folder)


@pytest.mark.parametrize("budget", ["quick", "full"])
def test_other_budgets_take_no_images(small, capfd, tmp_path, budget):
    command = ("report", "--budget", budget, "--only", "A2", "--out", str(tmp_path), "--cifar10", str(small.cifar10))
    assert cli.main(command) == 2
    error = capfd.readouterr().err
    assert f"belongs to the budget 'paper', not to '{budget}'" in error
    assert len(error.splitlines()) == 1


@pytest.fixture
def asked(monkeypatch) -> list[Context]:
    """The contexts in which a campaign asks A6 for its cases; there are none, so that nothing is trained."""
    contexts = []

    def none(context: Context) -> dict[str, Trial[Any]]:
        contexts.append(context)
        return {}

    claim = replace(a6_convolutions.CLAIM, trials=none, illustrate=lambda outcomes: Exhibits())
    monkeypatch.setattr("reports.campaign.run.CLAIMS", (claim, KNOWN["A2"]))
    return contexts


def test_the_folder_reaches_the_cases_by_its_absolute_path(small, asked, monkeypatch):
    monkeypatch.chdir(small.cifar10.parent)
    run_campaign(budget="paper", only=("A6",), cifar10=Path(small.cifar10.name))
    assert {context.cifar10 for context in asked} == {small.cifar10}


def test_what_is_left_out_is_said_once(small, asked, caplog):
    caplog.set_level(logging.INFO, "reports")
    run_campaign(budget="paper", only=("A6",))
    (said,) = caplog.messages
    assert "left out (A6)" in said
    assert "--cifar10 DIR" in said
    caplog.clear()
    run_campaign(budget="paper", only=("A6",), cifar10=small.cifar10)
    run_campaign(budget="full", only=("A6",))
    assert not caplog.messages
    assert {context.cifar10 for context in asked} == {None, small.cifar10}


def test_how_long_it_takes_is_said_before_it_starts(small, monkeypatch, caplog):
    """The expected duration is logged before any case runs.

    It is timed on narrow networks in place of the paper's, and follows from the number of rows that a case sees.
    """
    caplog.set_level(logging.INFO, "reports")
    every = [case for claim in ("A6", "C1") for case in added(claim, small)]
    narrow = [replace(case, trained=_narrow(case.trained)) for case in every]
    assert expected_seconds(narrow, "cpu") > 0
    assert expected_seconds((), "cpu") == 0
    (setting, *_) = (case for case in every if case.name.startswith("256 filters"))
    assert rows_seen(setting) == 12 * 40 * ROWS  # networks, epochs, images
    experiment = every[-1].experiment
    up, down = experiment.upstream.training.readings[-1], experiment.downstream.training.readings[-1]
    assert rows_seen(every[-1]) == 5 * (up + 3 * down) * 256  # scratch, pretrained and rescaled
    monkeypatch.setattr("reports.campaign.run.expected_seconds", lambda cases, device: 7200.0 * len(cases))
    claim = KNOWN["A6"]
    names = [case.name for case in added("A6", small)]
    seen = []

    def stop(*arguments, **options):
        seen.append(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr("reports.campaign.run.settle_jobs", stop)
    monkeypatch.setattr("reports.campaign.run.CLAIMS", (claim,))
    with pytest.raises(KeyboardInterrupt):
        run_campaign(budget="paper", cifar10=small.cifar10, processes=1)
    assert seen
    assert f"CIFAR-10 adds cases ({len(names)}): about 4.0 hours here" in caplog.messages[0]


def _narrow(trained: Any) -> Any:
    if isinstance(trained, Setting):
        return changed(trained, network={"filters": 8, "hidden": (6,)})
    return changed(trained, upstream={"network": {"blocks": ((2,), (2,)), "init_variance": 2.0}})


def test_networks_that_diverge_do_not_cost_the_report_of_others(small):
    """An ensemble that diverges gives an undecided finding that says which networks diverged."""
    case = added("A6", small)[0]
    wild = Trial(smaller(case.setting, steps=(0, 6), learning_rate=1e30), case.study, case.kind)
    (finding,) = judge_claim(replace(a6_convolutions.CLAIM, trials=lambda _: {case.name: wild}), small).findings
    assert (finding.verdict, finding.note) == (
        "undecided",
        "networks: at least two must not diverge for anything to be said",
    )
