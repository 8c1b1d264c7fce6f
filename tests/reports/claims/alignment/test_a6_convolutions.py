"""Filters, network by network: against single trainings, in another basis, and on images as CIFAR-10 lays them out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

import simulate
from reports.claims import paper_networks
from reports.claims.alignment import a6_convolutions
from reports.claims.alignment.orientation import OrientedNetworks, judge_nearer, orient
from reports.claims.claim import Context, Outcome
from reports.typesetting.figures import render
from tests.reports.claims.alignment.ensembles import QUICK, outcome_of, smaller, smaller_case, turned
from theory.eigenspaces import eigenspaces
from theory.errors import Diverged
from theory.misalignment import misalignment_squared

ROWS, BATCH = 60, 10  # of the images made up here


@pytest.fixture(scope="module")
def filters(tmp_path_factory):
    """A6's first case trained for eight epochs, kept in a store."""
    context = replace(QUICK, store=tmp_path_factory.mktemp("store"))
    case = smaller_case(a6_convolutions.CLAIM, "96 filters 3x3x3, random labels", 8, steps=(0, 64))
    return outcome_of(a6_convolutions.CLAIM, case, context), context


def test_filters_are_measured_network_by_network(filters):
    outcome, _ = filters
    setting = outcome.case.setting
    inputs = simulate.replica_inputs(setting, [4]).to(torch.device("cpu"), torch.float32)
    w = simulate.train(setting, inputs)[64][0][0].double().numpy()
    spaces = eigenspaces(simulate.population(setting).second_moment, gap=1e-9)
    assert w.shape == (96, 27)
    expected = misalignment_squared(spaces, w.T @ w / 96)
    assert outcome.measurement.orientation.squared[1, 4] == pytest.approx(expected, rel=1e-3)
    assert [judgement.verdict for judgement in outcome.judgements] == ["outside the hypotheses", "holds"]


def test_filters_in_another_basis_are_not_called_nearer(filters):
    outcome, context = filters
    simulation = context.run(outcome.case.setting)
    spaces = eigenspaces(simulation.data_moment, gap=1e-9)
    moments = turned(simulation.readings[-1].second_moments)
    found = orient((64,), [[(spaces, m) for m in moments]], 96, seed=1)
    assert judge_nearer(found, 0).verdict == "undecided"
    nearer = a6_convolutions.decide(outcome.case, "", OrientedNetworks(found, 8, 0))[1]
    assert nearer.verdict == "undecided"


def test_a_measurement_is_typeset(filters):
    shown = a6_convolutions.illustrate((filters[0],))
    (table,), (figure,) = shown.tables, shown.figures
    assert [row[0] for row in table.rows] == ["random labels", " "]
    assert [panel.title for panel in figure.panels] == ["random labels"]
    assert [series.label for series in figure.panels[0].series] == [
        "data eigenvectors",
        "random bases",
        "sampling alone",
    ]


@pytest.fixture
def images(monkeypatch, tmp_path) -> Context:
    """The context of a report that is given 60 images of smooth noise, whose patches are far from isotropic."""
    monkeypatch.setattr(paper_networks, "IMAGES", ROWS)
    monkeypatch.setattr(paper_networks, "BATCH", BATCH)
    write(tmp_path / "cifar")
    return Context(budget="paper", seed=3, cifar10=tmp_path / "cifar")


def write(folder: Path) -> None:
    """Five batches: a byte for the class, then 3 × 32 × 32 bytes."""
    folder.mkdir()
    generator, rows = np.random.default_rng(0), ROWS // 5
    for batch in range(5):
        noise = generator.standard_normal((rows, 3, 8, 8)).repeat(4, axis=2).repeat(4, axis=3)
        noise += 0.3 * generator.standard_normal((rows, 3, 32, 32))
        pixels = np.clip(120 + 40 * noise, 0, 255).astype(np.uint8).reshape(rows, 3 * 32 * 32)
        labels = (np.arange(rows) % 10).astype(np.uint8)
        (folder / f"data_batch_{batch + 1}.bin").write_bytes(np.column_stack([labels, pixels]).tobytes())


def test_filters_along_training_on_given_images(images):
    added = [each for each in a6_convolutions.CLAIM.cases(images) if paper_networks.is_paper(each.setting)]
    outcomes: list[Outcome] = []
    for case in added:
        setting = smaller(case.setting, 3, steps=(0, 6, 12), learning_rate=0.1)
        network = msgspec.structs.replace(setting.network, filters=32, hidden=(6,))
        setting = msgspec.structs.replace(setting, network=network)
        outcomes.append(outcome_of(a6_convolutions.CLAIM, replace(case, trained=setting), images))
    for outcome in outcomes:
        distance, nearer = outcome.judgements
        assert distance.verdict == "outside the hypotheses"
        assert nearer.measurement.endswith("of 3")
    shown = a6_convolutions.illustrate(tuple(outcomes))
    assert "CIFAR-10 (that figure's own net)" in shown.figures[0].caption
    assert render(shown.figures[0]).svg
    titles = ["random labels (CIFAR-10)", "real labels (CIFAR-10)"]
    assert [row[0] for row in shown.tables[0].rows if row[0] != " "] == titles
    assert [panel.title for panel in shown.figures[0].panels] == titles


def test_networks_that_diverge_are_named():
    case = smaller_case(a6_convolutions.CLAIM, "96 filters 3x3x3, random labels", 3, steps=(0, 6), learning_rate=1e30)
    with pytest.raises(Diverged, match="at least two must not diverge for anything to be said"):
        a6_convolutions.measure(case, QUICK)
