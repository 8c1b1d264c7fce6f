"""A3, the alignment theorem: Σ_w is aligned with Σ_x and E[w] = 0, at every training time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import msgspec
import numpy as np

from reports.claims.alignment.evidence import AlignmentEvidence, gather, resolved_mean_test
from reports.claims.claim import Case, Claim, Context, Outcome
from reports.claims.linear_variants import variants
from reports.findings import Column, Figure, Finding, Panel, Series, Table
from reports.judging.compare import exact_verdict, found
from reports.judging.estimate import tau_with_error
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.testing import (
    MisalignmentInterval,
    RandomBasisTest,
    RandomizationTest,
    misalignment_interval,
    random_basis_test,
)

SPECTRUM = (0.1, 0.3, 0.7, 1.2, 2.0, 3.0)
LINEAR = "linear"  # begins the names of the cases that are shown by training


def cases(context: Context) -> tuple[Case, ...]:
    """Four settings inside the theorem's hypotheses, two on real data outside them, and linear models by training."""
    relu = Network(kind="mlp", hidden=(32,), init_variance=(0.02, 1.0))
    descent = Training(learning_rate=0.3, steps=(0, 20, 100))
    plain = Data(kind="gaussian", spectrum=SPECTRUM, samples=24)

    def ensemble(number: int, replicas: int) -> Ensemble:
        return Ensemble(replicas=context.replicas(replicas), seed=context.seed_of("A3", number))

    return (
        Case(
            "ReLU network, Gaussian data",
            Setting(data=plain, network=relu, training=descent, ensemble=ensemble(0, 6000)),
        ),
        Case(
            "ReLU network, repeated eigenvalues, cross-entropy, mini-batches, momentum",
            Setting(
                data=Data(kind="gaussian", spectrum=(0.3, 0.3, 0.3, 2.0, 2.0, 4.0), samples=24),
                labels=Labels(kind="classes", classes=4),
                network=relu,
                training=Training(
                    loss="cross-entropy", learning_rate=0.2, momentum=0.5, batch_size=8, steps=(0, 15, 60)
                ),
                ensemble=ensemble(1, 3000),
            ),
        ),
        Case(
            "deep tanh network, Student data, weight decay",
            Setting(
                data=Data(kind="elliptical", spectrum=SPECTRUM, samples=24),
                network=Network(kind="mlp", hidden=(24, 16), activation="tanh", init_variance=(0.02, 1.0, 1.0)),
                training=Training(learning_rate=0.3, weight_decay=0.01, steps=(0, 20, 60)),
                ensemble=ensemble(2, 6000),
            ),
        ),
        Case(
            "linear model, online SGD",
            Setting(
                data=Data(kind="gaussian", spectrum=SPECTRUM, samples="online"),
                network=Network(init_variance=0.1),
                training=Training(learning_rate=0.05, batch_size=4, sampling="fresh", steps=(0, 60)),
                ensemble=ensemble(3, 20000),
            ),
        ),
        Case(
            "digits 8x8, ReLU network, random classes",
            Setting(
                data=Data(kind="digits", samples=128),
                labels=Labels(kind="classes"),
                network=Network(kind="mlp", hidden=(64,), init_variance=(0.5, 1.0)),
                training=Training(
                    loss="cross-entropy", learning_rate=0.1, momentum=0.9, batch_size=32, steps=(0, 40, 160)
                ),
                ensemble=Ensemble(replicas=context.replicas(120), seed=context.seed_of("A3", 4), dtype="float32"),
            ),
            kind="outside",
        ),
        Case(
            "photograph patches 3x3x3, ReLU network, random classes",
            Setting(
                data=Data(kind="photographs", samples=256),
                labels=Labels(kind="classes"),
                network=Network(kind="mlp", hidden=(64,), init_variance=(0.5, 1.0)),
                training=Training(
                    loss="cross-entropy", learning_rate=0.1, momentum=0.9, batch_size=64, steps=(0, 40, 160)
                ),
                ensemble=Ensemble(replicas=context.replicas(120), seed=context.seed_of("A3", 5), dtype="float32"),
            ),
            kind="outside",
        ),
        *(
            Case(
                f"{LINEAR}: {name}",
                msgspec.structs.replace(setting, ensemble=ensemble(6 + number, 15360 if "early" in name else 5120)),
            )
            for number, (name, setting) in enumerate(variants().items())
        ),
    )


@dataclass(frozen=True, eq=False)
class Measured:
    """The evidence on one ensemble, the test of E[w] = 0, and M along training.

    Attributes
    ----------
    evidence : AlignmentEvidence
    mean : RandomizationTest or None
        Of E[w] = 0; None outside the hypotheses.
    interval : MisalignmentInterval
        M at the last reading.
    bases : tuple of RandomBasisTest
        M against the data eigenvectors and against random bases, one per reading.
    """

    evidence: AlignmentEvidence
    mean: RandomizationTest | None
    interval: MisalignmentInterval
    bases: tuple[RandomBasisTest, ...]


def predict(case: Case) -> float | None:
    """The theorem predicts an off-commutant part of exactly 0; outside its hypotheses it predicts nothing."""
    return 0.0 if case.kind == "exact" else None


def measure(case: Case, context: Context) -> Measured:
    """Train the ensemble; test alignment and E[w] = 0 exactly; estimate M."""
    evidence = gather(case, context)
    reading, spaces, seed = evidence.reading, evidence.spaces, case.setting.ensemble.seed
    return Measured(
        evidence=evidence,
        mean=resolved_mean_test(evidence) if case.kind == "exact" else None,
        interval=misalignment_interval(spaces, reading.second_moments, counts=reading.counts, seed=seed),
        bases=tuple(
            random_basis_test(spaces, each.second_moment, draws=199, seed=seed) for each in evidence.simulation.readings
        ),
    )


def decide(case: Case, prediction: float | None, measured: Measured) -> tuple[Finding, ...]:
    """Refuted below p = 1e-6; holds if an off-commutant part of 5 % would have been found; outside: no verdict."""
    evidence = measured.evidence
    finding = partial(
        Finding,
        claim="A3",
        case=case.name,
        kind=case.kind,
        replicas=evidence.simulation.replicas,
        diverged=evidence.simulation.diverged,
    )
    if prediction is None or measured.mean is None:
        interval, basis = measured.interval, measured.bases[-1]
        return (
            finding(
                quantity="misalignment $M$ of $\\Sigma_w$ against the data eigenvectors, sampling taken off",
                prediction="none",
                measurement=max(interval.squared - interval.null_floor, 0.0) ** 0.5,
                interval=(interval.low, interval.high),
                power=f"sampling alone gives $M$ = {interval.null_floor**0.5:.2g}",
                verdict="outside the hypotheses",
                note=f"{basis.effect:.0%} below a random basis ($p$ = {basis.pvalue:.2g})",
            ),
        )
    detectable_mean = evidence.detectable_mean
    return (
        finding(
            quantity=r"part of $\Sigma_w$ outside the commutant",
            prediction=prediction,
            measurement=evidence.outside,
            pvalue=evidence.test.pvalue,
            power=found(evidence.detectable),
            verdict=exact_verdict(evidence.test.pvalue, evidence.detectable, evidence.simulation.diverged),
            # of linear models a table of their own has it
            note="" if case.name.startswith(LINEAR) else f"the anisotropy that training left is {evidence.learned:.0%}",
        ),
        finding(
            quantity=r"$|\mathrm{E}\,w|$, in units of $\sqrt{\mathrm{tr}\,\Sigma_w}$",
            prediction=prediction,
            measurement=evidence.mean_weight,
            pvalue=measured.mean.pvalue,
            power=found(detectable_mean),
            verdict=exact_verdict(measured.mean.pvalue, detectable_mean, evidence.simulation.diverged),
        ),
    )


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Misalignment beside its floor and a random basis; the theorem by training; the transfer functions; M in time."""
    rows = []
    for outcome in outcomes:
        if outcome.case.name.startswith(f"{LINEAR}: "):
            continue
        measured, basis = outcome.measurement, outcome.measurement.bases[-1]
        interval = measured.interval
        rows.append(
            (
                outcome.case.name,
                sum(measured.evidence.spaces.multiplicity),
                interval.misalignment,
                interval.null_floor**0.5,
                f"{interval.low:.3f} to {interval.high:.3f}",
                float(np.median(basis.null_distribution)),
                basis.effect,
            )
        )
    table = Table(
        name="a3-misalignment",
        caption="Misalignment $M$ of the mean weight covariance against the data eigenspaces; its floor, the value "
        "that the same sampling noise gives under perfect alignment; a 95 % interval for the $M$ of $\\Sigma_w$ "
        "itself, which takes that bias off; the median over random bases, and the effect size $1 - "
        "M/\\mathrm{median}$.",
        columns=(
            Column("case", "text"),
            Column("$d$"),
            Column("$M$"),
            Column("floor"),
            Column("95 % interval", "text"),
            Column("random basis"),
            Column("effect"),
        ),
        rows=tuple(rows),
    )
    return (table, variants_table(outcomes)), (transfer_figure(outcomes), training_figure(outcomes))


def variants_table(outcomes: tuple[Outcome, ...]) -> Table:
    """What the theorem says, held against every way of training linear models that has a closed form."""
    rows = []
    for outcome in outcomes:
        name, evidence, mean = outcome.case.name, outcome.measurement.evidence, outcome.measurement.mean
        if not name.startswith(f"{LINEAR}: "):
            continue
        rows.append(
            (
                name.removeprefix(f"{LINEAR}: "),
                100 * evidence.outside,
                evidence.test.pvalue,
                None if evidence.detectable is None else 100 * evidence.detectable,
                100 * evidence.mean_weight,
                mean.pvalue,
                100 * evidence.detectable_mean,
                100 * evidence.learned,
            )
        )
    return Table(
        name="a3-linear",
        caption="The theorem by training variant: linear models and linear networks of two layers, data and labels "
        "redrawn in every replica. The part of $\\Sigma_w$ outside the commutant, and $|\\mathrm{E}\\,w|$ in units of "
        "$\\sqrt{\\mathrm{tr}\\,\\Sigma_w}$, both with their sampling noise; the $p$-values of the exact tests; what "
        "these would have found with probability .9; and the anisotropy that training left. All but $p$ in per cent.",
        columns=(
            Column("training", "text"),
            Column("outside"),
            Column("$p$", digits=2),
            Column("found", digits=2),
            Column(r"$|\mathrm{E}\,w|$"),
            Column("$p$", digits=2),
            Column("found", digits=2),
            Column("anisotropy", digits=2),
        ),
        rows=tuple(rows),
    )


def transfer_figure(outcomes: tuple[Outcome, ...]) -> Figure:
    """f(σ) before and after training, for the first case inside the hypotheses and those outside."""
    panels = []
    for outcome in outcomes:
        evidence: AlignmentEvidence = outcome.measurement.evidence
        sigma = np.sqrt(np.maximum(evidence.spaces.eigenvalues, 0))
        series = []
        for reading in (evidence.simulation.readings[0], evidence.reading):
            tau, error = tau_with_error(reading, evidence.spaces)
            half = 1.96 * error / (2 * np.sqrt(tau))
            style: Literal["both", "dashed"] = "both" if reading.step else "dashed"
            series.append(Series(f"step {reading.step}", sigma, np.sqrt(tau), half, style))
        name, decades = outcome.case.name.split(",")[0], outcome.case.kind == "outside"
        panels.append(Panel(name, r"$\sigma$", r"$f(\sigma)$", tuple(series), xlog=decades, from_zero=True))
    chosen = [panel for panel, outcome in zip(panels, outcomes, strict=True) if outcome.case.kind == "exact"][:1]
    chosen += [panel for panel, outcome in zip(panels, outcomes, strict=True) if outcome.case.kind == "outside"]
    return Figure(
        name="a3-transfer",
        caption="The transfer function $f$ before and after training, inside the hypotheses and on real data; bars are "
        "95 % intervals over replicas. Real data span decades, so that their $\\sigma$ is drawn on a logarithmic axis.",
        panels=tuple(chosen),
    )


def training_figure(outcomes: tuple[Outcome, ...]) -> Figure:
    """M along training against the data eigenvectors and against random bases (the paper's Fig. 2)."""
    panels = []
    for outcome in outcomes:
        if outcome.case.kind != "outside":
            continue
        steps = np.array([reading.step for reading in outcome.measurement.evidence.simulation.readings])
        bases = outcome.measurement.bases
        own = Series("data eigenvectors", steps, np.array([basis.misalignment for basis in bases]), style="both")
        random = np.array([np.quantile(basis.null_distribution, [0.025, 0.5, 0.975]) for basis in bases])
        half = (random[:, 2] - random[:, 0]) / 2
        panels.append(
            Panel(
                outcome.case.name.split(",")[0],
                "step",
                "misalignment $M$",
                (own, Series("random bases", steps, random[:, 1], half, "band")),
            )
        )
    return Figure(
        name="a3-training",
        caption="Misalignment along training on random labels, against the data eigenvectors and against random "
        "orthonormal bases (band: 95 % of them). Real data lie outside the hypotheses: an effect size, no verdict.",
        panels=tuple(panels),
    )


CLAIM = Claim(
    id="A3",
    title="The alignment theorem",
    statement="If the law of the data is invariant under the orthogonal group that commutes with $\\Sigma_x$, the "
    "first layer starts isotropic and the labels are independent of the data, then $\\mathrm{E}\\,w = 0$ and "
    "$\\Sigma_w$ is aligned with $\\Sigma_x$ at every training time.",
    reference="arXiv:2006.10455, Proposition 1",
    method="Exact randomization test of invariance under that group, on the part of $\\Sigma_w$ outside its commutant "
    "and on the mean weight; every replica draws its own data, labels and init. Refuted below $p = 10^{-6}$; holds if "
    "not, and a part of 5 % would have been found with probability .9.",
    cases=cases,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
