"""A8, how far the theorem reaches: which optimizers, layers, penalties and tasks commute with rotations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

import simulate
from reports.claims.alignment.evidence import AlignmentEvidence
from reports.claims.alignment.joint_laws import JointLaw, decide_joint, joint_trials, measure_joint
from reports.claims.claim import Case, Claim, Context, Outcomes, Trial
from reports.counted import counted
from reports.equivariance import equivariance
from reports.findings import Exhibits, Judgement, number, table_of, text
from reports.judging.rules import BROKEN, broken_identity_verdict, identity_verdict
from simulate.ingredients import INGREDIENTS, STEPS, WIDTH, train_with
from theory.setting import Data, Ensemble, Network, Setting, Training

TOLERANCE = 1e-10  # of what is learned, in float64
SETTING = Setting(
    data=Data(kind="gaussian", spectrum=(0.2, 0.4, 0.7, 1.0, 1.5, 2.0), samples=24),
    network=Network(kind="mlp", hidden=(WIDTH,)),
    training=Training(steps=STEPS),
    ensemble=Ensemble(replicas=2),
)
Kind = Literal["optimizer", "network", "penalty", "task"]
TITLES: dict[Kind, str] = {"optimizer": "optimizers", "network": "layers", "penalty": "penalties", "task": "tasks"}


@dataclass(frozen=True)
class IngredientStudy:
    """Ingredients of one kind, all of which commute with rotations, or none of which does."""

    kind: Kind
    ingredients: tuple[str, ...]


Study = IngredientStudy | JointLaw


def trials(context: Context) -> Mapping[str, Trial[Study]]:
    """Ingredients that commute, by kind, and as controls those that do not, of any budget; labels that depend on x."""
    found: dict[str, Trial[Study]] = {}
    for commutes, title in ((True, "{}"), (False, "{} that look at single coordinates")):
        for kind, kinds in TITLES.items():
            names = tuple(n for n, i in INGREDIENTS.items() if i.kind == kind and i.commutes is commutes)
            study = IngredientStudy(kind, names)
            found[title.format(kinds)] = Trial(SETTING, study, kind="exact" if commutes else "control")
    for name, trial in joint_trials(context).items():
        found[name] = Trial(trial.trained, trial.study, trial.kind)
    return found


def predict(case: Case[Study]) -> float | str:
    """No discrepancy, or some for a control."""
    if isinstance(case.study, JointLaw):
        return 0.0 if case.kind == "exact" else "rejected"
    return 0.0 if case.kind == "exact" else "not 0"


@dataclass(frozen=True, eq=False)
class IngredientDiscrepancies:
    """By how much trainings miss the symmetry, as a share of what they learn.

    Attributes
    ----------
    names : tuple of str, length k
    double, single : ndarray, shape (k, R)
        In float64 and float32, of every replica with a rotation of its own.
    rounding : ndarray, shape (k, R)
        What rounding alone does in float64.
    """

    names: tuple[str, ...]
    double: np.ndarray
    single: np.ndarray
    rounding: np.ndarray

    @property
    def replicas(self) -> int:
        return self.double.shape[1]

    @property
    def diverged(self) -> int:
        return 0  # `equivariance` refuses weights that are not finite


Measured = IngredientDiscrepancies | AlignmentEvidence


def measure(case: Case[Study], context: Context) -> Measured:
    """Train every ingredient on given and on rotated rows, in both precisions; an ensemble where labels depend on x."""
    if isinstance(case.study, JointLaw):
        return measure_joint(case.setting, case.study)
    setting = case.setting
    rows = simulate.replica_inputs(setting, range(setting.ensemble.replicas)).x
    found = np.empty((3, len(case.study.ingredients), len(rows)))
    for i, name in enumerate(case.study.ingredients):
        train = partial(train_with, INGREDIENTS[name])
        for r, own in enumerate(rows):
            shape = (WIDTH, own.shape[1])
            seen = equivariance(train, own, shape, rotations=1, seed=(setting.ensemble.seed + r) % 2**32)
            double, single = seen.precisions
            found[:, i, r] = double.symmetry, single.symmetry, double.rounding
    return IngredientDiscrepancies(case.study.ingredients, *found)


def decide(case: Case[Study], prediction: float | str, measured: Measured) -> tuple[Judgement, ...]:
    """Equality up to 1e-10 is equality; controls hold when each fails by more than a thousand times that."""
    if isinstance(measured, AlignmentEvidence):
        fixes = isinstance(case.study, JointLaw) and case.study.fixes_teacher
        return decide_joint(case.kind, prediction, measured, fixes_teacher=fixes)
    largest, smallest = float(measured.double.max()), float(measured.double.min())
    if case.kind == "exact":
        verdict, quantity = identity_verdict(largest, TOLERANCE, 0), "largest discrepancy"
        power = f"detects anything above {TOLERANCE:g}"
    else:
        verdict, quantity = broken_identity_verdict(smallest, TOLERANCE, 0), "smallest discrepancy"
        power = f"each must exceed {BROKEN * TOLERANCE:g}"
    return (
        Judgement(
            quantity=quantity,
            prediction=prediction,
            measurement=largest if case.kind == "exact" else smallest,
            power=power,
            verdict=verdict,
            note=f"as a share of what is learned; {counted(len(measured.names), 'ingredient')}, "
            f"{counted(measured.replicas, 'rotation')}",
        ),
    )


@dataclass(frozen=True)
class _Row:
    kind: Kind
    name: str
    commutes: str
    double: float
    single: float
    rounding: float


def illustrate(outcomes: Outcomes[Study, float | str, Measured]) -> Exhibits:
    """One row per ingredient."""
    rows = [
        _Row(
            study.kind,
            name,
            "yes" if outcome.case.kind == "exact" else "no",
            *(float(np.median(values[i])) for values in (found.double, found.single, found.rounding)),
        )
        for outcome in outcomes
        for found, study in [(outcome.measurement, outcome.case.study)]
        if isinstance(found, IngredientDiscrepancies) and isinstance(study, IngredientStudy)
        for i, name in enumerate(found.names)
    ]
    table = table_of(
        "a8-ingredients",
        "Ingredients of training, and whether it commutes with rotations of the inputs: how far the weights are from "
        "the rotated ones, as a share of how far training has moved them, in double and in single precision; and what "
        "rounding alone does in double precision. Medians over rotations.",
        rows,
        text("kind", lambda row: row.kind, once=True),
        text("ingredient", lambda row: row.name),
        text("commutes", lambda row: row.commutes),
        number("float64", lambda row: row.double),
        number("float32", lambda row: row.single),
        number("rounding", lambda row: row.rounding),
    )
    return Exhibits(tables=(table,))


CLAIM = Claim(
    id="A8",
    title="How far the theorem reaches",
    statement="The alignment theorem covers every training that commutes with rotations of the inputs: optimizers "
    "whose steps depend on inner products alone; layers and penalties that depend on the first layer's "
    "outputs or on the norms of its weights; tasks whose labels are random, depend on $|x|$, or come from a "
    "teacher drawn anew. It does not cover anything that depends on single coordinates.",
    reference="arXiv:2006.10455, proof of Proposition 1; which trainings it covers is derived in "
    "theory/derivations.md, section 3.0",
    method="Plain torch loops (one hidden layer of 12 units, 24 rows of 6 dimensions, 10 steps) are run "
    "on given and on rotated inputs from the same draws. Those that commute must agree up to $10^{-10}$ of what is "
    "learned; those that do not are controls, and each must differ by more than $10^{-7}$. Labels that depend on $x$ "
    "are tested as in A3, on ensembles: with a fixed teacher $\\theta$ alignment remains under the rotations that fix "
    "$\\theta$ within each eigenspace, and under all rotations it must be rejected.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
