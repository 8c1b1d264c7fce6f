"""Tasks whose labels depend on the rows: does the joint law of both stay as it is under rotations that keep Σ_x?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import numpy as np
import torch

import simulate
from reports.claims.alignment.evidence import AlignmentEvidence, ensemble_of, measure_alignment
from reports.claims.claim import Context, Trial, at_budget
from reports.findings import Judgement, Kind
from reports.judging.estimate import data_symmetry
from reports.judging.intervals import found
from reports.judging.rules import control_verdict, exact_verdict
from theory.eigenspaces import eigenspaces
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

AT_ONCE = 4096  # the number of networks that are trained as one batch
# The spectrum of the rows, with equal eigenvalues, so that some rotations are left that fix a teacher.
SPECTRUM = (0.5, 0.5, 0.5, 1.5, 1.5, 1.5)
SETTING = Setting(
    data=Data(kind="gaussian", spectrum=SPECTRUM, samples=24),
    network=Network(kind="mlp", hidden=(32,), init_variance=(0.02, 1.0)),
    training=Training(learning_rate=0.2, steps=40),
    ensemble=Ensemble(replicas=2400, dtype="float32"),  # rounding, of 1e-7, is far below what is found: per cents
)
Task = Literal["random teacher", "radius", "autoencoder", "fixed teacher"]


@dataclass(frozen=True)
class JointLaw:
    """What the labels are, and whether the group that is tested fixes the teacher."""

    task: Task
    fixes_teacher: bool = False


def joint_trials(context: Context) -> Mapping[str, Trial[JointLaw]]:
    """Labels whose joint law with the rows is invariant; a fixed teacher under all rotations, and under its own."""
    few = msgspec.structs.replace(SETTING, ensemble=Ensemble(replicas=400, dtype="float32"))
    copies = msgspec.structs.replace(SETTING, labels=Labels(outputs=len(SPECTRUM)))
    chosen: dict[str, Trial[JointLaw]] = {
        "a teacher drawn anew": Trial(SETTING, JointLaw("random teacher")),
        "labels a function of |x|": Trial(SETTING, JointLaw("radius"), quick=1408),
        "autoencoder": Trial(copies, JointLaw("autoencoder"), quick=1024),
        "a fixed teacher, on its complement": Trial(SETTING, JointLaw("fixed teacher", fixes_teacher=True), quick=1280),
        "a fixed teacher, under all rotations": Trial(few, JointLaw("fixed teacher"), kind="control"),
    }
    return {name: at_budget(trial, context) for name, trial in chosen.items()}


def measure_joint(setting: Setting, law: JointLaw) -> AlignmentEvidence:
    """Train on labels made from the rows, and test the law of the weights under the group of the case."""
    d = len(SPECTRUM)
    generator = np.random.default_rng(setting.ensemble.seed)
    fixed = generator.standard_normal((1, d, 1))
    moments = []
    for first in range(0, setting.ensemble.replicas, AT_ONCE):
        drawn = range(first, min(first + AT_ONCE, setting.ensemble.replicas))
        inputs = simulate.replica_inputs(setting, drawn)
        anew = generator.standard_normal((len(drawn), d, 1))
        teachers = torch.from_numpy(fixed if law.task == "fixed teacher" else anew).to(inputs.x)
        labels = _LABELS[law.task](inputs.x, teachers / teachers.norm(dim=1, keepdim=True))
        ends = simulate.train(setting, replace(inputs, y=labels))
        weights = ends[setting.training.readings[-1]][0].double().numpy()
        moments.append(np.swapaxes(weights, 1, 2) @ weights / weights.shape[1])
    data_moment = simulate.population(setting).second_moment
    mean = fixed[0, :, 0] if law.fixes_teacher else None
    group = data_symmetry(eigenspaces(data_moment, gap=1e-9), mean)
    return measure_alignment(ensemble_of(setting, data_moment, np.concatenate(moments), group))


def _of_a_teacher(x: torch.Tensor, teachers: torch.Tensor) -> torch.Tensor:
    return torch.relu(x @ teachers)


_LABELS: dict[Task, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "random teacher": _of_a_teacher,
    "fixed teacher": _of_a_teacher,
    "radius": lambda x, _: (x.norm(dim=2, keepdim=True) - 2).sin(),
    "autoencoder": lambda x, _: x.clone(),
}


def decide_joint(
    kind: Kind, prediction: float | str, measured: AlignmentEvidence, *, fixes_teacher: bool
) -> tuple[Judgement, ...]:
    """Exact alignment, or its rejection."""
    if kind == "control":
        verdict = control_verdict(measured.pvalue, measured.diverged)
    else:
        verdict = exact_verdict(measured.pvalue, measured.detectable, measured.diverged)
    fixed = r" that fixes $\theta$" if fixes_teacher else r" of $\Sigma_x$"
    return (
        Judgement(
            quantity=rf"part of $\Sigma_w$ outside the commutant of the group{fixed}",
            prediction=prediction,
            measurement=measured.outside,
            pvalue=measured.pvalue,
            power=found(measured.detectable),
            verdict=verdict,
        ),
    )
