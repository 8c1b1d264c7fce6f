"""A5, data with a mean: the group must also fix μ, so E[w] lies in span{P_i μ} and Σ_w may mix these directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

import simulate
from reports.claims.alignment.evidence import (
    AlignmentEvidence,
    MeanWeightEvidence,
    TrainedEnsemble,
    invariance_pvalue,
    measure_alignment,
    measure_mean_weight,
    train_ensemble,
)
from reports.claims.claim import Case, Claim, Context, Outcomes, Trial
from reports.findings import Exhibits, Judgement
from reports.judging.estimate import data_symmetry
from reports.judging.intervals import bars, detected, found, mean_with_error
from reports.judging.rules import LEVEL, POWER, control_verdict, exact_verdict, sign_verdict
from theory.setting import Data, Ensemble, Network, Setting, Training

TWO_EIGENSPACES = Setting(
    data=Data(
        kind="gaussian", spectrum=(0.5, 0.5, 0.5, 1.5, 1.5, 3.0), mean=(0.8, 0.0, 0.0, 0.8, 0.0, 0.0), samples=24
    ),
    network=Network(kind="mlp", hidden=(32,), init_variance=(0.02, 1.0)),
    training=Training(learning_rate=0.2, steps=40),
)
EIGENVECTOR = msgspec.structs.replace(
    TWO_EIGENSPACES, data=msgspec.structs.replace(TWO_EIGENSPACES.data, mean=(0.0, 0.0, 0.0, 1.0, 0.0, 0.0))
)
FIRST_STEP = msgspec.structs.replace(EIGENVECTOR, training=Training(learning_rate=1.0, steps=1))


@dataclass(frozen=True)
class MeanStudy:
    """What is asked of a case: is the law of the weights invariant, or to which side of 0 does E[w] · μ move."""

    asks: Literal["invariance", "direction"]


def trials(context: Context) -> Mapping[str, Trial[MeanStudy]]:
    """A mean across eigenspaces, one that is an eigenvector, and the first step of the latter at a larger rate."""
    # rounding, of 1e-7, is far below what is found: per cents
    ensemble = Ensemble(replicas=context.replicas(3000), dtype="float32")
    chosen: dict[str, tuple[Setting, MeanStudy]] = {
        "mean in two eigenspaces": (TWO_EIGENSPACES, MeanStudy("invariance")),
        "mean is an eigenvector": (EIGENVECTOR, MeanStudy("invariance")),
        "first step, mean is an eigenvector": (FIRST_STEP, MeanStudy("direction")),
    }
    return {
        name: Trial(msgspec.structs.replace(setting, ensemble=ensemble), study)
        for name, (setting, study) in chosen.items()
    }


ForMean = Literal["rejected", "negative"]


def predict(case: Case[MeanStudy]) -> ForMean:
    """What the test that forgets μ must say, or the sign of E[w] · μ after the first ReLU step."""
    return "negative" if case.study.asks == "direction" else "rejected"


@dataclass(frozen=True)
class FixedMeanEvidence:
    """The tests under the group that fixes μ, and the control that forgets μ.

    Attributes
    ----------
    alignment : AlignmentEvidence
        The test of Σ_w under the group that fixes μ.
    mean_weight : MeanWeightEvidence
        The test that E[w] lies in span{P_i μ}.
    forgetful : float
        The p-value of invariance under the larger group that ignores μ; it must be rejected.
    """

    alignment: AlignmentEvidence
    mean_weight: MeanWeightEvidence
    forgetful: float

    @property
    def replicas(self) -> int:
        return self.alignment.replicas

    @property
    def diverged(self) -> int:
        return self.alignment.diverged


@dataclass(frozen=True)
class MeanDirection:
    """E[w] · μ/|μ| and its standard error, in units of sqrt(tr Σ_w), from so many blocks of replicas."""

    along: float
    standard_error: float
    blocks: int
    replicas: int
    diverged: int


def measure(case: Case[MeanStudy], context: Context) -> FixedMeanEvidence | MeanDirection:
    """Train the ensemble, and test it under the group that fixes μ and the one that does not, or project E[w] on μ."""
    trained = train_ensemble(case, context, fixing_mean=True)
    if case.study.asks == "direction":
        return _direction(trained)
    return FixedMeanEvidence(
        alignment=measure_alignment(trained),
        mean_weight=measure_mean_weight(trained),
        forgetful=invariance_pvalue(trained, data_symmetry(trained.spaces)),
    )


def _direction(trained: TrainedEnsemble) -> MeanDirection:
    simulation, reading, unit = trained.simulation, trained.reading, trained.unit
    mu = simulate.population(simulation.setting).mean
    along, error = mean_with_error(reading.means @ (mu / np.linalg.norm(mu)), reading.counts)
    blocks = len(reading.counts)
    return MeanDirection(float(along / unit), float(error / unit), blocks, simulation.replicas, simulation.diverged)


def decide(
    case: Case[MeanStudy], prediction: ForMean, measured: FixedMeanEvidence | MeanDirection
) -> tuple[Judgement, ...]:
    """Two exact tests and one control; the sign of E[w] · μ where the first ReLU step predicts it."""
    if isinstance(measured, MeanDirection):
        return (_negative(prediction, measured),)
    alignment, mean, diverged = measured.alignment, measured.mean_weight, measured.diverged
    return (
        Judgement(
            quantity=r"part of $\Sigma_w$ outside the commutant of the group that fixes $\mu$",
            prediction=0.0,
            measurement=alignment.outside,
            pvalue=alignment.pvalue,
            power=found(alignment.detectable),
            verdict=exact_verdict(alignment.pvalue, alignment.detectable, diverged),
        ),
        Judgement(
            quantity=r"$|\mathrm{E}\,w|$ outside $\mathrm{span}\{P_i\mu\}$, in units of $\sqrt{\mathrm{tr}\,\Sigma_w}$",
            prediction=0.0,
            measurement=mean.size,
            pvalue=mean.pvalue,
            power=found(mean.detectable),
            verdict=exact_verdict(mean.pvalue, mean.detectable, diverged),
        ),
        Judgement(
            kind="control",
            quantity=r"alignment under the group that ignores $\mu$",
            prediction=prediction,
            measurement="rejected" if measured.forgetful < LEVEL else "not rejected",
            pvalue=measured.forgetful,
            power=found(alignment.detectable),
            verdict=control_verdict(measured.forgetful, diverged),
        ),
    )


def _negative(prediction: ForMean, measured: MeanDirection) -> Judgement:
    half = bars(measured.standard_error, measured.blocks - 1)
    low, high = measured.along - half, measured.along + half
    return Judgement(
        quantity=r"$\mathrm{E}\,w\cdot\mu/|\mu|$, in units of $\sqrt{\mathrm{tr}\,\Sigma_w}$",
        prediction=prediction,
        measurement=measured.along,
        standard_error=measured.standard_error,
        interval=(low, high),
        power=f"detects {detected(measured.standard_error, degrees=measured.blocks - 1):.2g} with {POWER:.0%} power",
        verdict=sign_verdict(low, high, "negative", measured.diverged),
        note=r"the first ReLU step gives $\mathrm{E}\,dw$ along $-\mathrm{E}(|x|x)$",
    )


def illustrate(outcomes: Outcomes[MeanStudy, ForMean, FixedMeanEvidence | MeanDirection]) -> Exhibits:
    """No tables or figures: the findings are enough."""
    return Exhibits()


CLAIM = Claim(
    id="A5",
    title="Data with a mean",
    statement="If $\\mathrm{E}\\,x = \\mu \\neq 0$ the group must also fix $\\mu$. With $u_i = P_i\\mu$, "
    "$\\mathrm{E}\\,w$ lies in $\\mathrm{span}\\{u_i\\}$; $\\Sigma_w$ may mix the $u_i$ and is isotropic on the "
    "complement of $u_i$ in each eigenspace. If $\\mu$ is an eigenvector, $\\mathrm{E}\\,w$ is parallel to it.",
    reference="arXiv:2006.10455, section 2",
    method="The exact tests of A3 are repeated under the smaller group; as a control, the test under the group that "
    "ignores $\\mu$ "
    "must reject. After one step from a mean that is an eigenvector, the 95 % interval of $\\mathrm{E}\\,w\\cdot\\mu$ "
    "must lie below 0.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
