"""A4, the hypotheses matter: what breaks them must be seen to break alignment. These are the negative controls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from reports.claims.alignment.evidence import AlignmentEvidence, Power, gather, measured_power
from reports.claims.claim import Case, Claim, Context, Outcome
from reports.findings import Column, Figure, Finding, Table
from reports.judging.compare import control_verdict, found
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.testing import rotation_power_table

SPECTRUM = (0.1, 0.3, 0.7, 1.2, 2.0, 3.0)
ANGLES = tuple(np.radians([0, 1, 2, 5, 10, 20]).tolist())
REPLICAS = (5, 20, 100, 500)


def cases(context: Context) -> tuple[Case, ...]:
    """One ReLU setting that satisfies the theorem, broken in one hypothesis at a time, always in a rotated basis.

    Adam, sign SGD and L1 decay are equivariant under signed permutations, so that in unrotated coordinates they would
    break nothing that the test sees.
    """
    base = Setting(
        data=Data(kind="gaussian", spectrum=SPECTRUM, samples=24),
        network=Network(kind="mlp", hidden=(32,), init_variance=(0.02, 1.0)),
        training=Training(learning_rate=0.3, steps=100),
    )
    uneven = tuple(0.02 / len(SPECTRUM) * factor for factor in (0.4, 0.6, 0.8, 1.0, 1.4, 1.8))
    broken: dict[str, dict[str, Any]] = {
        "labels from a teacher": {"labels": Labels(kind="teacher")},
        "anisotropic init": {"network": msgspec.structs.replace(base.network, init_spectrum=uneven)},
        "Adam": {"training": Training(optimizer="adam", learning_rate=0.01, steps=60)},
        "RMSprop": {"training": Training(optimizer="rmsprop", learning_rate=0.01, steps=60)},
        "sign SGD": {"training": Training(optimizer="signsgd", learning_rate=0.01, steps=60)},
        "L1 decay": {"training": Training(learning_rate=0.3, l1=0.02, steps=60)},
        "data that are not invariant (pairs of pixels)": {"data": Data(kind="photographs", patch=(1, 2), samples=64)},
    }
    return tuple(
        Case(
            name,
            msgspec.structs.replace(
                base,
                ensemble=Ensemble(replicas=context.replicas(4000), seed=context.seed_of("A4", number)),
                **changes,
            ),
            kind="control",
        )
        for number, (name, changes) in enumerate(broken.items())
    )


@dataclass(frozen=True, eq=False)
class Measured:
    """The evidence on the whole ensemble, and how often a sixteenth of it would have been enough."""

    evidence: AlignmentEvidence
    power: Power


def measure(case: Case, context: Context) -> Measured:
    """Train the ensemble and test it under the group that the hypotheses would give."""
    evidence = gather(case, context)
    return Measured(evidence, measured_power(evidence))


def decide(case: Case, prediction: str, measured: Measured) -> tuple[Finding, ...]:
    """A control holds when alignment is rejected below p = 1e-6; otherwise it is undecided, never refuted."""
    evidence = measured.evidence
    return (
        Finding(
            claim="A4",
            case=case.name,
            kind="control",
            quantity=r"part of $\Sigma_w$ outside the commutant",
            prediction=prediction,
            measurement=evidence.outside,
            pvalue=evidence.test.pvalue,
            power=str(measured.power),
            verdict=control_verdict(evidence.test.pvalue, evidence.simulation.diverged),
            note=f"the whole ensemble: {found(evidence.detectable)}",
            replicas=evidence.simulation.replicas,
            diverged=evidence.simulation.diverged,
        ),
    )


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """The controls, with the power of a sixteenth of each ensemble."""
    rows = []
    for outcome in outcomes:
        evidence, power = outcome.measurement.evidence, outcome.measurement.power
        share = power.rejected / power.parts
        interval = f"{power.low:.2f} to {power.high:.2f}"
        rows.append((outcome.case.name, 100 * evidence.outside, evidence.test.pvalue, power.replicas, share, interval))
    table = Table(
        name="a4-controls",
        caption="Negative controls: one hypothesis broken at a time. The power is the share of disjoint sixteenths of "
        "the ensemble in which alignment is rejected at level .01, with its exact 95 % interval.",
        columns=(
            Column("broken hypothesis", "text"),
            Column("outside, %"),
            Column("$p$"),
            Column("replicas"),
            Column("power"),
            Column("95 % interval", "text"),
        ),
        rows=tuple(rows),
    )
    return (table, rotation_table()), ()


def rotation_table() -> Table:
    """The power of the exact test against turned weight eigenvectors, on synthetic Gaussian weights."""
    measured = rotation_power_table(ANGLES, REPLICAS, ensembles=200, seed=0)
    rows = tuple(
        (round(np.degrees(angle)), *zip(power.tolist(), error.tolist(), strict=True))
        for angle, power, error in zip(measured.angles, measured.power, measured.standard_error, strict=True)
    )
    return Table(
        name="a4-rotation-power",
        caption="Power of the exact test at level .01 against a rotation of the weight eigenvectors, by the number of "
        "replicas: the share of 200 synthetic ensembles of Gaussian networks of width 50 with weight variances "
        "1, 1.5, 2 and 3. At angle 0 it is the size of the test.",
        columns=(Column("angle, degrees"), *(Column(f"{replicas} replicas") for replicas in REPLICAS)),
        rows=rows,
    )


CLAIM = Claim(
    id="A4",
    title="The hypotheses matter",
    statement="Labels that follow the data, an anisotropic init, optimizers that are not rotation-equivariant, and "
    "data that are not invariant can each break the alignment theorem.",
    reference="arXiv:2006.10455, hypotheses of Proposition 1",
    method="Negative controls of claim A3: the same test must reject, below $p = 10^{-6}$. A check that never says no "
    "proves nothing; the power is measured on disjoint sixteenths of each ensemble.",
    cases=cases,
    predict=lambda case: "alignment is rejected",
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
