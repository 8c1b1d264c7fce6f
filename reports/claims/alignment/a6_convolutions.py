"""A6, convolutions: filters nearly align with the second moment of the patches they see; random and real labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reports.claims import paper_networks
from reports.claims.alignment.orientation import (
    ORIENTATION_COLUMNS,
    Orientation,
    findings_of,
    orientation,
    orientation_panel,
    orientation_rows,
)
from reports.claims.claim import Case, Claim, Context, Outcome
from reports.findings import Figure, Finding, Table
from reports.judging.estimate import data_eigenspaces
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

FILTERS, SAMPLES, BATCH = 96, 200, 25
EPOCHS = (0, 5, 10, 20, 40)


def cases(context: Context) -> tuple[Case, ...]:
    """Crops of two photographs with random classes, and labelled by their photograph; and filters before training.

    Where CIFAR-10 is given, the paper's net on random and on real labels, from He's initial law, which is ours.
    """

    def case(
        number: int, name: str, labels: Labels, epochs: tuple[int, ...], kind: Literal["outside", "exact"]
    ) -> Case:
        replicas = min(context.replicas(6 if kind == "outside" else 200), 512)
        setting = Setting(
            data=Data(kind="photographs", crop=(7, 7), samples=SAMPLES),
            labels=labels,
            network=Network(kind="conv", filters=FILTERS, hidden=(40,)),
            training=Training(
                loss="cross-entropy",
                learning_rate=0.03,
                momentum=0.9,
                batch_size=BATCH,
                steps=tuple(epoch * SAMPLES // BATCH for epoch in epochs),
            ),
            ensemble=Ensemble(replicas=replicas, seed=context.seed_of("A6", number), dtype="float32"),
        )
        return Case(name, setting, kind=kind)

    usual = (
        case(0, "96 filters 3x3x3, random labels", Labels(kind="classes"), EPOCHS, "outside"),
        case(1, "96 filters 3x3x3, real labels", Labels(kind="real"), EPOCHS, "outside"),
        case(2, "96 filters 3x3x3, untrained", Labels(kind="classes"), (0,), "exact"),
    )
    if context.cifar10 is None:
        return usual
    return usual + tuple(
        Case(
            f"256 filters 3x3x3, {name} labels (CIFAR-10)",
            paper_networks.along_training(context, kind, context.seed_of("A6", number)),
            kind="outside",
        )
        for number, (name, kind) in enumerate(paper_networks.LABELS, start=len(usual))
    )


@dataclass(frozen=True, eq=False)
class Measured:
    """The orientation of every network's filters, and how many networks diverged."""

    orientation: Orientation
    replicas: int
    diverged: int


def measure(case: Case, context: Context) -> Measured:
    """Train the ensemble, every block of which is one network; test each network against random bases."""
    simulation = context.run(case.setting)
    spaces = data_eigenspaces(simulation)
    pairs = [[(spaces, moment) for moment in reading.second_moments] for reading in simulation.readings]
    steps = case.setting.training.readings
    found = orientation(steps, pairs, simulation.width, case.setting.ensemble.seed)
    return Measured(found, simulation.replicas, simulation.diverged)


def decide(case: Case, prediction: str, measured: Measured) -> tuple[Finding, ...]:
    """M² beside its floor, without verdict; nearer than random bases, by a binomial count, and not before training."""
    quantity = "$M^2$ of one network's filters against the patch eigenvectors"
    return findings_of("A6", case, measured.orientation, quantity, measured.replicas, measured.diverged)


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """M² along training against the patch eigenvectors and random bases, on random and on real labels."""
    trained = [outcome for outcome in outcomes if outcome.case.kind == "outside"]
    table = Table(
        name="a6-filters",
        caption="Misalignment of the filters of single networks along training, against the eigenvectors of the second "
        "moment of the patches and against random orthonormal bases (medians), means over networks with standard "
        "errors; the effect size $1 - M/\\mathrm{median}$, and how many networks are nearer to the patch eigenvectors "
        "than 99 % of random bases.",
        columns=ORIENTATION_COLUMNS,
        rows=tuple(
            row
            for outcome in outcomes
            for row in orientation_rows(outcome.case.name.split(", ")[-1], outcome.measurement.orientation)
        ),
    )
    images = "on crops of photographs (the paper's Figure 2, on a smaller net)"
    if any(paper_networks.is_paper(outcome.case.setting) for outcome in trained):
        images += " and on CIFAR-10 (that figure's own net)"
    figure = Figure(
        name="a6-training",
        caption=f"Misalignment of filters along training {images}: against the patch eigenvectors it stays near what "
        "sampling alone gives to as many aligned Gaussian vectors, against random bases it grows. Bands: 95 % "
        "intervals of the mean over networks.",
        panels=tuple(
            orientation_panel(outcome.case.name.split(", ")[-1], outcome.measurement.orientation) for outcome in trained
        ),
    )
    return (table,), (figure,)


CLAIM = Claim(
    id="A6",
    title="Convolutions",
    statement="Filters align with the second moment of the patches that they see, as far as the law of the patches is "
    "invariant: on images nearly, and far better than with a random basis, on random and on real labels.",
    reference="arXiv:2006.10455, Figure 2",
    method="Photographs lie outside the hypotheses: $M^2$ is given with its floor, without verdict. That filters are "
    "nearer to the patch eigenvectors than to random bases is judged: a network whose filters have nothing to do with "
    "the patches is called nearer with probability .01, exactly; the number of networks that are is binomial, and must "
    "have a chance below $10^{-6}$. Untrained networks must not be called more often than that. `--budget paper "
    f"--cifar10 DIR` adds the paper's net on CIFAR-10, {paper_networks.NETWORKS} trainings on random and on real "
    "labels each, by the same rule; the paper does not give its initial law, and He's is ours.",
    cases=cases,
    predict=lambda case: "nearer than a random basis",
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
