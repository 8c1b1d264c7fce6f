"""A6, convolutions: filters nearly align with the second moment of the patches they see; random and real labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from reports.claims import paper_networks
from reports.claims.alignment.orientation import (
    UNTRAINED_NETWORKS,
    OrientedNetworks,
    judge_networks,
    orient,
    orientation_panel,
    orientation_rows,
    orientation_table,
    predict_orientation,
)
from reports.claims.claim import Case, Claim, Context, Outcomes, Trial
from reports.findings import Exhibits, Figure, Judgement
from reports.judging.estimate import data_eigenspaces
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

FILTERS, SAMPLES, BATCH = 96, 200, 25
EPOCHS = (0, 5, 10, 20, 40)
MOST = 512  # the most networks at any budget: each is tested against random bases of its own
RANDOM_LABELS = Setting(
    data=Data(kind="photographs", crop=(7, 7), samples=SAMPLES, scale="channels"),
    labels=Labels(kind="classes"),
    network=Network(kind="conv", filters=FILTERS, hidden=(40,)),
    training=Training(
        loss="cross-entropy",
        learning_rate=0.03,
        momentum=0.9,
        batch_size=BATCH,
        steps=tuple(epoch * SAMPLES // BATCH for epoch in EPOCHS),
    ),
)
REAL_LABELS = msgspec.structs.replace(RANDOM_LABELS, labels=Labels(kind="real"))
UNTRAINED = msgspec.structs.replace(RANDOM_LABELS, training=msgspec.structs.replace(RANDOM_LABELS.training, steps=(0,)))


@dataclass(frozen=True)
class FilterStudy:
    """The title of a panel, and of its rows in the table."""

    title: str


def trials(context: Context) -> Mapping[str, Trial[FilterStudy]]:
    """Crops of two photographs with random classes, and labelled by their photograph; and filters before training.

    Where CIFAR-10 is given, the paper's net on random and on real labels, from He's initial law, which is ours.
    """

    def with_networks(setting: Setting, networks: int) -> Setting:
        ensemble = Ensemble(replicas=min(context.replicas(networks), MOST), dtype="float32")
        return msgspec.structs.replace(setting, ensemble=ensemble)

    usual: dict[str, Trial[FilterStudy]] = {
        "96 filters 3x3x3, random labels": Trial(
            with_networks(RANDOM_LABELS, 6), FilterStudy("random labels"), kind="outside"
        ),
        "96 filters 3x3x3, real labels": Trial(
            with_networks(REAL_LABELS, 6), FilterStudy("real labels"), kind="outside"
        ),
        "96 filters 3x3x3, untrained": Trial(
            with_networks(UNTRAINED, UNTRAINED_NETWORKS), FilterStudy("untrained"), kind="exact"
        ),
    }
    if context.cifar10 is None:
        return usual
    return usual | {
        f"256 filters 3x3x3, {title}": Trial(
            paper_networks.along_training(context, labels), FilterStudy(title), kind="outside"
        )
        for title, labels in ((f"{name} labels (CIFAR-10)", labels) for name, labels in paper_networks.LABELS)
    }


def measure(case: Case[FilterStudy], context: Context) -> OrientedNetworks:
    """Train the ensemble, every block of which is one network; test each network's filters against random bases."""
    simulation = context.run(case.setting)
    spaces = data_eigenspaces(simulation)
    pairs = [[(spaces, moment) for moment in reading.second_moments] for reading in simulation.readings]
    steps = case.setting.training.readings
    found = orient(steps, pairs, simulation.width, case.setting.ensemble.seed)
    return OrientedNetworks(found, simulation.replicas, simulation.diverged)


def decide(case: Case[FilterStudy], prediction: str, measured: OrientedNetworks) -> tuple[Judgement, ...]:
    """M² beside its floor, without verdict; nearer than random bases, by a binomial count, and not before training."""
    return judge_networks(case.kind, measured, "$M^2$ of one network's filters against the patch eigenvectors")


def illustrate(outcomes: Outcomes[FilterStudy, str, OrientedNetworks]) -> Exhibits:
    """M² along training against the patch eigenvectors and random bases, on random and on real labels."""
    trained = [outcome for outcome in outcomes if outcome.case.kind == "outside"]
    table = orientation_table(
        "a6-filters",
        "Misalignment of the filters of single networks along training, against the eigenvectors of the second moment "
        "of the patches and against random orthonormal bases (medians), means over networks with standard errors; the "
        "effect size $1 - M/\\mathrm{median}$, and how many networks are closer to the patch eigenvectors than 99 % "
        "of random bases.",
        (row for each in outcomes for row in orientation_rows(each.case.study.title, each.measurement.orientation)),
    )
    images = "on crops of photographs (the paper's Figure 2, on a smaller net)"
    if any(paper_networks.is_paper(outcome.case.setting) for outcome in trained):
        images += " and on CIFAR-10 (that figure's own net)"
    figure = Figure(
        name="a6-training",
        caption=f"Misalignment of filters during training {images}: against the patch eigenvectors it stays near the "
        "value of as many aligned Gaussian vectors, against random bases it grows. Bands: 95 % intervals of the mean "
        "over networks.",
        panels=tuple(orientation_panel(each.case.study.title, each.measurement.orientation) for each in trained),
    )
    return Exhibits((table,), (figure,))


CLAIM = Claim(
    id="A6",
    title="Convolutions",
    statement="Filters align with the second moment of their patches, as far as the law of the patches is invariant: "
    "on images approximately, but far better than with a random basis, for random and for real labels.",
    reference="arXiv:2006.10455, Figure 2",
    method="Photographs lie outside the hypotheses: $M^2$ is given with its floor, without a verdict. What "
    "is judged is whether filters are closer to the patch eigenvectors than to random bases. A network whose filters "
    "are independent of the patches is called closer with probability exactly 0.01; the number of such networks is "
    "binomial, and a number as large as the observed one must have a probability below $10^{-6}$. Untrained networks "
    f"must not be called closer more often. `--budget paper --cifar10 DIR` adds the paper's net on CIFAR-10, "
    f"{paper_networks.NETWORKS} trainings on random "
    "and on real labels each, by the same rule; the paper does not give its initial law, so we take He's.",
    trials=trials,
    predict=predict_orientation,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
