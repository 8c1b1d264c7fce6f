"""Ensembles of trainings that differ in one ingredient: is alignment kept, and if not, where do the weights go? For A8.

Whether an ingredient breaks alignment is judged in single trainings, against rounding. No theory says how much it
breaks: ensembles measure it, and where nothing is detected they tell how many networks would show it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec
import numpy as np
import torch

import simulate
from reports.claims.alignment.evidence import (
    AlignmentEvidence,
    AxisEvidence,
    ensemble_of,
    measure_alignment,
    measure_axes,
)
from reports.claims.claim import Case, Context, Trial
from reports.counted import counted
from reports.findings import OUTSIDE, Figure, Judgement, Kind, Panel, Series
from reports.judging.estimate import data_symmetry
from reports.judging.intervals import bars, found
from reports.judging.needed import by_pvalue
from reports.judging.rules import LEVEL, exact_verdict
from simulate.ingredient_training import train_many
from simulate.ingredients import INGREDIENTS, WIDTH, Ingredient, library_ingredients
from simulate.ranges import parse_shard
from theory.eigenspaces import eigenspaces
from theory.features import aligned_part, jackknife
from theory.setting import Data, Ensemble, Network, Setting, Training

AT_ONCE = 640
QUANTITY = r"part of $\Sigma_w$ outside the commutant"
# The divisor of the number of networks, by kind of update: fewer are trained where they cannot be stacked.
FEWER: Mapping[str, int] = {"stacks": 1, "parameters": 2, "networks": 16}
INIT_VARIANCE = 0.02  # the init variance of the first layer: small, so that much of Σ_w is learned
SPECTRUM = (0.2, 0.4, 0.7, 1.0, 1.5, 2.0)
SETTING = Setting(
    data=Data(kind="gaussian", spectrum=SPECTRUM, samples=24),
    network=Network(kind="mlp", hidden=(WIDTH,), init_variance=(INIT_VARIANCE, 1.0)),
    training=Training(steps=20),
    ensemble=Ensemble(replicas=3072, dtype="float32"),  # rounding, of 1e-7, is far below what is found: per cents
)
OF_BREAKS = msgspec.structs.replace(SETTING, ensemble=Ensemble(replicas=2048, dtype="float32"))


FASTER = partial(torch.optim.SGD, lr=0.2)
# Penalties five times as strong, at four times the learning rate: at their usual strength it would take many
# networks to see them.
STRONGER: Mapping[str, Ingredient] = {
    "L1 penalty": replace(INGREDIENTS["L1 penalty"], optimizer=FASTER, penalty=lambda w: 0.1 * w.abs().sum()),
    "group lasso by inputs": replace(
        INGREDIENTS["group lasso by inputs"], optimizer=FASTER, penalty=lambda w: 0.1 * w.norm(dim=0).sum()
    ),
}


def ingredients_here() -> dict[str, Ingredient]:
    """All of them, with those of the library where it is installed."""
    return {**INGREDIENTS, **library_ingredients()}


@dataclass(frozen=True)
class EnsembleStudy:
    """Ingredients of one kind, of each of which an ensemble is trained."""

    kind: str
    ingredients: tuple[str, ...]


def ensemble_trials(
    context: Context, groups: Mapping[str, tuple[str, tuple[str, ...], Kind]]
) -> dict[str, Trial[EnsembleStudy]]:
    """Ensembles of each group (kind of ingredients, their names, kind of case).

    Every ingredient is a part of its own, which knows nothing of the others.
    """
    return {
        f"ensembles: {title}": Trial(
            SETTING if kind == "exact" else OF_BREAKS,
            EnsembleStudy(of, names),
            kind,
            parts=context.parts(len(names)),
            since="full",
        )
        for title, (of, names, kind) in groups.items()
    }


def ingredients_in(case: Case[Any]) -> EnsembleStudy:
    """The study of a case; of a part, the ingredient that is its share."""
    i, n = parse_shard(case.part or "1/1")
    names = case.study.ingredients
    return replace(case.study, ingredients=names[(i - 1) * len(names) // n : i * len(names) // n])


@dataclass(frozen=True)
class IngredientEnsemble:
    """What an ensemble says of one ingredient.

    Attributes
    ----------
    name : str
    alignment : AlignmentEvidence
    axes : AxisEvidence
    aligned, aligned_error : float
        The correlation of Σ_w with the nearest aligned matrix, both less their multiples of the identity, and its
        standard error; NaN where sampling noise is all there is.
    """

    name: str
    alignment: AlignmentEvidence
    axes: AxisEvidence
    aligned: float
    aligned_error: float

    @property
    def broken(self) -> bool:
        """Whether alignment is rejected."""
        return self.alignment.pvalue < LEVEL


@dataclass(frozen=True)
class IngredientEnsembles:
    """One ensemble per ingredient of a case."""

    found: tuple[IngredientEnsemble, ...]

    @property
    def replicas(self) -> int:
        return max(each.alignment.replicas for each in self.found)

    @property
    def diverged(self) -> int:
        return sum(each.alignment.diverged for each in self.found)


def joined_ensembles(parts: Iterable[IngredientEnsembles]) -> IngredientEnsembles:
    """The ensembles of all parts, in their order."""
    return IngredientEnsembles(tuple(each for part in parts for each in part.found))


def measure_ensembles(setting: Setting, study: EnsembleStudy) -> IngredientEnsembles:
    """Train and test an ensemble of every ingredient, all of them on the same rows from the same initial weights."""
    every = {**ingredients_here(), **STRONGER}
    return IngredientEnsembles(tuple(_ensemble(setting, name, every[name]) for name in study.ingredients))


def _ensemble(setting: Setting, name: str, ingredient: Ingredient) -> IngredientEnsemble:
    networks, seed, d = setting.ensemble.replicas // FEWER[ingredient.updates], setting.ensemble.seed, len(SPECTRUM)
    generator = np.random.default_rng(seed)
    moments = []
    for first in range(0, networks, AT_ONCE):
        drawn = range(first, min(first + AT_ONCE, networks))
        rows = simulate.replica_inputs(setting, drawn).x
        starts = generator.standard_normal((len(drawn), WIDTH, d)) * np.sqrt(INIT_VARIANCE / d)
        seeds = generator.integers(2**32, size=len(drawn)).tolist()
        steps = setting.training.readings[-1]
        ends = train_many(ingredient, rows, torch.from_numpy(starts).to(rows), seeds=seeds, steps=steps)
        weights = ends.double().numpy()
        moments.append(np.swapaxes(weights, 1, 2) @ weights / WIDTH)
    data_moment = simulate.population(setting).second_moment
    spaces = eigenspaces(data_moment, gap=1e-9)
    trained = ensemble_of(setting, data_moment, np.concatenate(moments), data_symmetry(spaces, None))
    aligned, error = jackknife(aligned_part(spaces, trained.reading.second_moments))
    return IngredientEnsemble(name, measure_alignment(trained), measure_axes(trained), float(aligned), float(error))


def _need(each: IngredientEnsemble) -> str:
    return f"{each.name} {by_pvalue(each.alignment.replicas, each.alignment.pvalue)}"


def decide_ensembles(kind: Kind, prediction: float | str, measured: IngredientEnsembles) -> tuple[Judgement, ...]:
    """Judge the smallest p-value (Bonferroni) of ingredients that commute; the others have no verdict."""
    if kind == "exact":
        worst = min(measured.found, key=lambda each: each.alignment.pvalue)
        pvalue = min(1.0, len(measured.found) * worst.alignment.pvalue)
        sizes = [each.alignment.detectable for each in measured.found]
        detectable = None if None in sizes else max(size for size in sizes if size is not None)
        return (
            Judgement(
                quantity=QUANTITY,
                prediction=prediction,
                measurement=worst.alignment.outside,
                pvalue=pvalue,
                power=found(detectable),
                verdict=exact_verdict(pvalue, detectable, measured.diverged),
                note=f"{counted(len(measured.found), 'ensemble')}, of which {worst.name} gives the smallest p",
            ),
        )
    unseen = [each for each in measured.found if not each.broken]
    return (
        Judgement(
            kind="outside",
            quantity=QUANTITY,
            prediction="how much is not predicted",
            measurement=f"seen in {len(measured.found) - len(unseen)} of {len(measured.found)}",
            verdict=OUTSIDE,
            note="; ".join(_need(each) for each in unseen),
        ),
    )


def alignment_figure(found: Iterable[IngredientEnsemble]) -> tuple[Figure, ...]:
    """How much alignment those that break it leave, and how much of the rest lies along the axes; none if none does."""
    told = [each for each in found if each.broken and each.axes.tells and np.isfinite(each.aligned_error)]
    if not told:
        return ()
    points = [
        Series(
            each.name,
            np.array([each.aligned]),
            np.array([100 * each.axes.share]),
            100 * bars(np.array([each.axes.standard_error])),
            xerror=bars(np.array([each.aligned_error])),
        )
        for each in told
    ]
    level = Series("by chance", np.array([0.0, 1.0]), np.full(2, 100 * told[0].axes.chance), style="dashed")
    panel = Panel(
        "", r"how far $\Sigma_w$ is aligned with the data", "of the rest, along the axes, %", (*points, level)
    )
    caption = (
        "Trainings that break alignment: the correlation of $\\Sigma_w$ with the nearest matrix that is aligned with "
        "the data, both less their multiples of the identity, and how much of what is not aligned (squared) diagonal "
        "matrices account for. By chance is the mean of random directions. Bars are 95 % intervals."
    )
    return (Figure("a8-axes", caption, (panel,)),)
