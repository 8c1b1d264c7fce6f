"""Ensembles of trainings that differ in one ingredient: is alignment kept, and if not, where do the weights go? For A8.

Some ingredients break so little that no ensemble of minutes shows it: `WEAK`. That they break is seen in single
trainings, against rounding; of the ensembles it is said how many networks would show it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

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
from reports.claims.claim import Context, Trial
from reports.counted import counted
from reports.findings import Figure, Judgement, Kind, Panel, Series
from reports.judging.estimate import data_symmetry
from reports.judging.intervals import found
from reports.judging.needed import by_pvalue
from reports.judging.rules import LEVEL, control_verdict, exact_verdict
from simulate.ingredient_training import train_many
from simulate.ingredients import INGREDIENTS, WIDTH, Ingredient, library_ingredients
from theory.eigenspaces import eigenspaces
from theory.features import aligned_part, jackknife
from theory.setting import Data, Ensemble, Network, Setting, Training

WEAK = frozenset(
    {"Muon", "L-BFGS", "Adafactor", "SGD, clipped by value", "RMS norm of inputs, gains", "dropout of inputs"}
)
AT_ONCE = 640
FEWER: Mapping[str, int] = {"stacks": 1, "parameters": 2, "networks": 16}  # where networks cannot be stacked
INIT_VARIANCE = 0.02  # small, so that much of Σ_w is learned
SPECTRUM = (0.2, 0.4, 0.7, 1.0, 1.5, 2.0)
SETTING = Setting(
    data=Data(kind="gaussian", spectrum=SPECTRUM, samples=24),
    network=Network(kind="mlp", hidden=(WIDTH,), init_variance=(INIT_VARIANCE, 1.0)),
    training=Training(steps=20),
    ensemble=Ensemble(replicas=3072, dtype="float32"),  # rounding, of 1e-7, is far below what is found: per cents
)
OF_BREAKS = msgspec.structs.replace(SETTING, ensemble=Ensemble(replicas=2048, dtype="float32"))


FASTER = partial(torch.optim.SGD, lr=0.2)
# five times as strong, at four times the rate: few networks would show them as they are
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
    """Ensembles of each group (kind of ingredients, their names, kind of case); none at the quick budget."""
    if context.budget == "quick":
        return {}
    return {
        f"ensembles: {title}": Trial(SETTING if kind == "exact" else OF_BREAKS, EnsembleStudy(of, names), kind=kind)
        for title, (of, names, kind) in groups.items()
    }


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
    """Those that commute keep alignment, by the smallest p-value (Bonferroni); of the others each that is not weak."""
    if kind == "exact":
        worst = min(measured.found, key=lambda each: each.alignment.pvalue)
        pvalue = min(1.0, len(measured.found) * worst.alignment.pvalue)
        sizes = [each.alignment.detectable for each in measured.found]
        detectable = None if None in sizes else max(size for size in sizes if size is not None)
        verdict, power = exact_verdict(pvalue, detectable, measured.diverged), found(detectable)
        note = f"{counted(len(measured.found), 'ensemble')}, of which {worst.name} gives the smallest p"
    else:
        seen = [each for each in measured.found if each.name not in WEAK]
        worst = max(seen or measured.found, key=lambda each: each.alignment.pvalue)
        pvalue, power = worst.alignment.pvalue, found(worst.alignment.detectable)
        verdict = control_verdict(pvalue, measured.diverged) if seen else "undecided"
        note = "; ".join(
            [
                f"the largest p of {counted(len(seen), 'ensemble')}, of {worst.name}",
                *(_need(each) for each in measured.found if each.name in WEAK and not each.broken),
            ]
        )
    return (
        Judgement(
            quantity=r"part of $\Sigma_w$ outside the commutant",
            prediction=prediction,
            measurement=worst.alignment.outside,
            pvalue=pvalue,
            power=power,
            verdict=verdict,
            note=note,
        ),
    )


def alignment_figure(found: Iterable[IngredientEnsemble]) -> tuple[Figure, ...]:
    """Of those that break alignment, how much of it is left and how much of the rest lies along the axes; if any do."""
    told = [each for each in found if each.broken and each.axes.tells and np.isfinite(each.aligned_error)]
    if not told:
        return ()
    points = [
        Series(
            each.name,
            np.array([each.aligned]),
            np.array([100 * each.axes.share]),
            np.array([196 * each.axes.standard_error]),
            xerror=np.array([1.96 * each.aligned_error]),
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
