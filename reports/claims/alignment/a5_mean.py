"""A5, data with a mean: the group must also fix μ, so E[w] lies in span{P_i μ} and Σ_w may mix these directions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import numpy as np

import simulate
from reports.claims.alignment.evidence import AlignmentEvidence, gather, resolved_mean_test, retested
from reports.claims.claim import Case, Claim, Context, Outcome
from reports.findings import Figure, Finding, Table
from reports.judging.compare import LEVEL, control_verdict, exact_verdict, found, negative_verdict
from reports.judging.estimate import mean_with_error
from theory.setting import Data, Ensemble, Network, Setting, Training
from theory.testing import RandomizationTest

SPECTRUM = (0.5, 0.5, 0.5, 1.5, 1.5, 3.0)


FIRST_STEP = "first step, mean is an eigenvector"


def cases(context: Context) -> tuple[Case, ...]:
    """A mean across eigenspaces, one that is an eigenvector, and the first step of the latter at a larger rate."""
    base = Setting(
        data=Data(kind="gaussian", spectrum=SPECTRUM, mean=(0.8, 0.0, 0.0, 0.8, 0.0, 0.0), samples=24),
        network=Network(kind="mlp", hidden=(32,), init_variance=(0.02, 1.0)),
        training=Training(learning_rate=0.2, steps=40),
    )
    eigenvector = msgspec.structs.replace(base.data, mean=(0.0, 0.0, 0.0, 1.0, 0.0, 0.0))
    chosen: dict[str, dict[str, Any]] = {
        "mean in two eigenspaces": {},
        "mean is an eigenvector": {"data": eigenvector},
        FIRST_STEP: {"data": eigenvector, "training": Training(learning_rate=1.0, steps=1)},
    }
    return tuple(
        Case(
            name,
            msgspec.structs.replace(
                base,
                ensemble=Ensemble(replicas=context.replicas(3000), seed=context.seed_of("A5", number)),
                **changes,
            ),
        )
        for number, (name, changes) in enumerate(chosen.items())
    )


@dataclass(frozen=True, eq=False)
class Measured:
    """The tests under the group that fixes μ, the control that forgets μ, and the direction of E[w].

    Attributes
    ----------
    evidence : AlignmentEvidence
        Under the group that fixes μ.
    mean : RandomizationTest
        Of E[w] in span{P_i μ}.
    forgetful : RandomizationTest
        Of invariance under the larger group that ignores μ; it must be rejected.
    along : (float, float)
        E[w] · μ/|μ| and its standard error, in units of sqrt(tr Σ_w).
    """

    evidence: AlignmentEvidence
    mean: RandomizationTest
    forgetful: RandomizationTest
    along: tuple[float, float]


def measure(case: Case, context: Context) -> Measured:
    """Train the ensemble and test it under the group that fixes μ, then under the one that does not."""
    evidence = gather(case, context, mean=True)
    mu = simulate.population(case.setting).mean
    reading = evidence.reading
    along, error = mean_with_error(reading.means @ (mu / np.linalg.norm(mu)), reading.counts)
    unit = np.trace(reading.second_moment) ** 0.5
    return Measured(
        evidence, resolved_mean_test(evidence), retested(evidence), (float(along / unit), float(error / unit))
    )


def decide(case: Case, prediction: str, measured: Measured) -> tuple[Finding, ...]:
    """Two exact tests, one control, and the sign of E[w] · μ where the first ReLU step predicts it."""
    evidence = measured.evidence
    diverged = evidence.simulation.diverged
    finding = partial(Finding, claim="A5", case=case.name, replicas=evidence.simulation.replicas, diverged=diverged)
    findings = [
        finding(
            kind="exact",
            quantity=r"part of $\Sigma_w$ outside the commutant of the group that fixes $\mu$",
            prediction=0.0,
            measurement=evidence.outside,
            pvalue=evidence.test.pvalue,
            power=found(evidence.detectable),
            verdict=exact_verdict(evidence.test.pvalue, evidence.detectable, diverged),
        ),
        finding(
            kind="exact",
            quantity=r"$|\mathrm{E}\,w|$ outside $\mathrm{span}\{P_i\mu\}$, in units of $\sqrt{\mathrm{tr}\,\Sigma_w}$",
            prediction=0.0,
            measurement=evidence.mean_weight,
            pvalue=measured.mean.pvalue,
            power=found(evidence.detectable_mean),
            verdict=exact_verdict(measured.mean.pvalue, evidence.detectable_mean, diverged),
        ),
        finding(
            kind="control",
            quantity=r"alignment under the group that forgets $\mu$",
            prediction=prediction,
            measurement="rejected" if measured.forgetful.pvalue < LEVEL else "not rejected",
            pvalue=measured.forgetful.pvalue,
            power=found(evidence.detectable),
            verdict=control_verdict(measured.forgetful.pvalue, diverged),
        ),
    ]
    along, error = measured.along
    if case.name == FIRST_STEP:
        interval = (along - 1.96 * error, along + 1.96 * error)
        findings.append(
            finding(
                kind="exact",
                quantity=r"$\mathrm{E}\,w\cdot\mu/|\mu|$, in units of $\sqrt{\mathrm{tr}\,\Sigma_w}$",
                prediction="negative",
                measurement=along,
                standard_error=error,
                interval=interval,
                power=f"{3.24 * error:.2g} found with probability .9",
                verdict=negative_verdict(*interval, diverged),
                note=r"the first ReLU step gives $\mathrm{E}\,dw$ along $-\mathrm{E}(|x|x)$",
            )
        )
    return tuple(findings) if case.name != FIRST_STEP else (findings[-1],)


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """The findings say it all."""
    return (), ()


CLAIM = Claim(
    id="A5",
    title="Data with a mean",
    statement="If $\\mathrm{E}\\,x = \\mu \\neq 0$ the group must also fix $\\mu$. With $u_i = P_i\\mu$, "
    "$\\mathrm{E}\\,w$ lies in $\\mathrm{span}\\{u_i\\}$; $\\Sigma_w$ may mix the $u_i$ and is isotropic on the "
    "complement of $u_i$ in each eigenspace. If $\\mu$ is an eigenvector, $\\mathrm{E}\\,w$ is parallel to it.",
    reference="arXiv:2006.10455, section 2",
    method="The exact tests of A3 under the smaller group; as a control, the test under the group that forgets $\\mu$ "
    "must reject. After one step from a mean that is an eigenvector, the 95 % interval of $\\mathrm{E}\\,w\\cdot\\mu$ "
    "must lie below 0.",
    cases=cases,
    predict=lambda case: "rejected",
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
