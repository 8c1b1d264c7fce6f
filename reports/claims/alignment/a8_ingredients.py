"""A8, how far the theorem reaches: which optimizers, layers, penalties and tasks commute with rotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

import simulate
from reports.claims.alignment.evidence import AlignmentEvidence
from reports.claims.alignment.ingredient_ensembles import (
    EnsembleStudy,
    IngredientEnsemble,
    IngredientEnsembles,
    alignment_figure,
    decide_ensembles,
    ensemble_trials,
    ingredients_here,
    ingredients_in,
    joined_ensembles,
    measure_ensembles,
)
from reports.claims.alignment.joint_laws import JointLaw, decide_joint, joint_trials, measure_joint
from reports.claims.claim import Case, Claim, Context, Outcomes, Trial
from reports.counted import counted
from reports.equivariance import equivariance
from reports.findings import Cells, Exhibits, Judgement, number, table_of, text
from reports.findings import Kind as CaseKind
from reports.judging.rules import BROKEN, broken_identity_verdict, identity_verdict
from simulate.ingredient_training import train_with
from simulate.ingredients import INGREDIENTS, STEPS, WIDTH, Ingredient, library_ingredients
from theory.setting import Data, Ensemble, Network, Setting, Training

TOLERANCE = 1e-10  # the largest discrepancy, relative to what is learned, that counts as rounding in float64
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


Study = IngredientStudy | EnsembleStudy | JointLaw


def groups() -> dict[str, tuple[Kind, tuple[str, ...], CaseKind]]:
    """The kind of ingredients, their names, and the kind of case, by what the group is called."""
    found: dict[str, tuple[Kind, tuple[str, ...], CaseKind]] = {}
    named: list[tuple[Mapping[str, Ingredient], dict[Kind, str]]] = [
        (INGREDIENTS, TITLES),
        (library_ingredients(), {"optimizer": "optimizers of pytorch-optimizer"}),
    ]
    for ingredients, titles in named:
        for commutes, title in ((True, "{}"), (False, "{} that look at single coordinates")):
            for kind, kinds in titles.items():
                names = tuple(n for n, i in ingredients.items() if i.kind == kind and i.commutes is commutes)
                if names:
                    found[title.format(kinds)] = (kind, names, "exact" if commutes else "control")
    return found


def trials(context: Context) -> Mapping[str, Trial[Study]]:
    """Single trainings by kind, with those that do not commute as controls; tasks, and of larger budgets ensembles."""
    found: dict[str, Trial[Study]] = {
        title: Trial(SETTING, IngredientStudy(of, names), kind=kind) for title, (of, names, kind) in groups().items()
    }
    for name, joint in joint_trials(context).items():
        found[name] = Trial(joint.trained, joint.study, joint.kind)
    for name, trial in ensemble_trials(context, groups()).items():
        found[name] = Trial(trial.trained, trial.study, trial.kind, parts=trial.parts, since=trial.since)
    return found


def predict(case: Case[Study]) -> float | str:
    """No discrepancy, or some for a control."""
    if not isinstance(case.study, IngredientStudy):
        return 0.0 if case.kind == "exact" else "rejected"
    return 0.0 if case.kind == "exact" else "not 0"


@dataclass(frozen=True, eq=False)
class IngredientDiscrepancies:
    """How far trainings miss the symmetry, as a share of what they learn.

    Attributes
    ----------
    names : tuple of str, length k
    double, single : ndarray, shape (k, R)
        The discrepancies in float64 and in float32, of every replica with a rotation of its own.
    rounding : ndarray, shape (k, R)
        The discrepancies that rounding alone causes in float64.
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


Measured = IngredientDiscrepancies | IngredientEnsembles | AlignmentEvidence


def measure(case: Case[Study], context: Context) -> Measured:
    """Train every ingredient on given and on rotated rows, in both precisions; an ensemble where labels depend on x."""
    if isinstance(case.study, JointLaw):
        return measure_joint(case.setting, case.study)
    if isinstance(case.study, EnsembleStudy):
        return measure_ensembles(case.setting, ingredients_in(case))
    setting, every = case.setting, ingredients_here()
    rows = simulate.replica_inputs(setting, range(setting.ensemble.replicas)).x
    found = np.empty((3, len(case.study.ingredients), len(rows)))
    for i, name in enumerate(case.study.ingredients):
        train = partial(train_with, every[name])
        for r, own in enumerate(rows):
            shape = (WIDTH, own.shape[1])
            seen = equivariance(train, own, shape, rotations=1, seed=(setting.ensemble.seed + r) % 2**32)
            double, single = seen.precisions
            found[:, i, r] = double.symmetry, single.symmetry, double.rounding
    return IngredientDiscrepancies(case.study.ingredients, *found)


def join(parts: Sequence[tuple[float | str, Measured]]) -> tuple[float | str, Measured]:
    """The ensembles of a case, one part after the other; nothing else is cut."""
    ensembles = [measured for _, measured in parts if isinstance(measured, IngredientEnsembles)]
    return parts[0][0], joined_ensembles(ensembles)


def decide(case: Case[Study], prediction: float | str, measured: Measured) -> tuple[Judgement, ...]:
    """Equality up to 1e-10 is equality; controls hold when each fails by more than a thousand times that."""
    if isinstance(measured, AlignmentEvidence):
        fixes = isinstance(case.study, JointLaw) and case.study.fixes_teacher
        return decide_joint(case.kind, prediction, measured, fixes_teacher=fixes)
    if isinstance(measured, IngredientEnsembles):
        return decide_ensembles(case.kind, prediction, measured)
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
    ensemble: IngredientEnsemble | None
    double: float
    single: float
    rounding: float

    @property
    def alignment(self) -> AlignmentEvidence | None:
        return None if self.ensemble is None else self.ensemble.alignment


def illustrate(outcomes: Outcomes[Study, float | str, Measured]) -> Exhibits:
    """One row per ingredient, and where ensembles were trained how far those that break alignment have gone."""
    ensembles = {
        each.name: each
        for outcome in outcomes
        if isinstance(outcome.measurement, IngredientEnsembles)
        for each in outcome.measurement.found
    }
    rows = [
        _Row(
            study.kind,
            name,
            "yes" if outcome.case.kind == "exact" else "no",
            ensembles.get(name),
            *(float(np.median(values[i])) for values in (found.double, found.single, found.rounding)),
        )
        for outcome in outcomes
        for found, study in [(outcome.measurement, outcome.case.study)]
        if isinstance(found, IngredientDiscrepancies) and isinstance(study, IngredientStudy)
        for i, name in enumerate(found.names)
    ]
    caption = (
        "Ingredients of training, and whether it commutes with rotations of the inputs: how far the weights are from "
        "the rotated ones, as a share of how far training has moved them, in double and in single precision; and what "
        "rounding alone does in double precision. Medians over rotations."
    )
    columns: list[Cells[_Row]] = [
        text("kind", lambda row: row.kind, once=True),
        text("ingredient", lambda row: row.name),
        text("commutes", lambda row: row.commutes),
        number("float64", "1", lambda row: row.double),
        number("float32", "1", lambda row: row.single),
        number("rounding", "1", lambda row: row.rounding),
    ]
    if not ensembles:
        return Exhibits(tables=(table_of("a8-ingredients", caption, rows, *columns),))
    caption += (
        " Then, for an ensemble: the part of $\\Sigma_w$ outside the commutant, and the part that would have been "
        "detected; the $p$-value of the exact test, and where that is below $10^{-6}$ the share of what is outside "
        "(squared) that diagonal matrices account for, with its standard error."
    )
    table = table_of("a8-ingredients", caption, rows, *columns, *ENSEMBLE_COLUMNS)
    return Exhibits(tables=(table,), figures=alignment_figure(ensembles.values()))


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _axes_percent(row: _Row) -> tuple[float, float] | None:
    if row.ensemble is None or not row.ensemble.broken:
        return None
    return 100 * row.ensemble.axes.share, 100 * row.ensemble.axes.standard_error


ENSEMBLE_COLUMNS: tuple[Cells[_Row], ...] = (
    number("outside", "%", lambda row: None if row.alignment is None else _percent(row.alignment.outside)),
    number("would be seen", "%", lambda row: None if row.alignment is None else _percent(row.alignment.detectable)),
    number("$p$", "p", lambda row: None if row.alignment is None else row.alignment.pvalue),
    number("along the axes", "%", _axes_percent),
)


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
    "$\\theta$ within each eigenspace, and under all rotations it must be rejected. Beyond the quick budget every "
    "ingredient has an ensemble of 20 steps: 3,072 networks, 2,048 of those that do not commute, and a half or a "
    "sixteenth of that where the optimizer cannot train many networks at once. Those that commute must keep alignment. "
    "No theory says how much the others break it: their ensembles measure this, without a verdict, and a table says in "
    "which of them alignment is rejected below $p = 10^{-6}$. The L1 penalty and the group lasso by inputs are five "
    "times as strong there. Two optimizers fail to commute only by their implementation: Muon rounds to bfloat16, and "
    "L-BFGS divides its first step by the sum of the absolute entries of the gradient.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    join=join,
)
