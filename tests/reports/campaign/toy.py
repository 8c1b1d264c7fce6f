"""Claims of their own for tests of the walk: three cases that take no time, one of which diverges; two that are cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome, Outcomes, Trial
from reports.findings import Exhibits, Figure, Judgement, Panel, Series, Table, number, table_of, text
from simulate.ranges import parse_shard
from theory.errors import Diverged
from theory.setting import Data, Ensemble, Setting

SETTING = Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0)), ensemble=Ensemble(replicas=10))
measured: list[float] = []  # what measure was called for; a test clears it
interrupt_at: list[int] = []  # the call at which Ctrl-C is pressed


@dataclass(frozen=True)
class Factor:
    """What is multiplied."""

    value: float


@dataclass(frozen=True, eq=False)
class Draws:
    """Numbers drawn by replicas, some of which may have diverged."""

    values: np.ndarray
    replicas: int
    diverged: int = 0


def trials(context: Context) -> Mapping[str, Trial[Factor]]:
    """Factors 1 and 2, and one that diverges."""
    return {f"factor {value:g}": Trial(SETTING, Factor(value)) for value in (1.0, 2.0, 3.0)}


def predict(case: Case[Factor]) -> float:
    """The factor."""
    return case.study.value


def measure(case: Case[Factor], context: Context) -> Draws:
    """The factor times what the seed draws."""
    if len(measured) in interrupt_at:
        raise KeyboardInterrupt
    measured.append(case.study.value)
    if case.study.value == 3:
        raise Diverged("factor", 3, "is too large")
    rng = np.random.default_rng(case.setting.ensemble.seed)
    return Draws(case.study.value * rng.standard_normal(5), replicas=5)


def decide(case: Case[Factor], prediction: float, found: Draws) -> tuple[Judgement, ...]:
    """The mean, and the largest under a name and a kind of its own."""
    return (
        Judgement("mean", prediction, float(found.values.mean()), "holds"),
        Judgement("largest", "none", float(found.values.max()), "undecided", kind="control", about="the largest"),
    )


def conclude(
    outcomes: Outcomes[Factor, float, Draws],
) -> tuple[tuple[Judgement, tuple[Outcome[Factor, float, Draws], ...]], ...]:
    """The mean over all cases."""
    mean = float(np.mean([outcome.measurement.values for outcome in outcomes]))
    return ((Judgement("mean of all", "none", mean, "holds", about="all factors"), outcomes),)


def illustrate(outcomes: Outcomes[Factor, float, Draws]) -> Exhibits:
    """A table and a figure."""
    table = table_of(
        "toy",
        "Means.",
        outcomes,
        text("case", lambda o: o.case.name),
        number("mean", "1", lambda o: o.measurement.values[0]),
    )
    series = tuple(Series(o.case.name, np.arange(5.0), o.measurement.values) for o in outcomes)
    return Exhibits((table,), (Figure("toy", "Values.", (Panel("values", series=series),)),))


def background() -> tuple[Table, ...]:
    """A table without cases."""
    return (table_of("toy-behind", "One.", (1.5,), number("one", "1", lambda value: value)),)


CLAIM = Claim(
    id="X1",
    title="Toy",
    statement="A toy.",
    reference="arXiv:2006.10455",
    method="None.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    conclude=conclude,
    illustrate=illustrate,
    background=background,
)


ENSEMBLE = Setting(data=SETTING.data, ensemble=Ensemble(replicas=600))  # three ranges of replicas
trained: list[str | None] = []  # the parts of those that were asked for; a test clears it


def cut_trials(context: Context) -> Mapping[str, Trial[Factor]]:
    """One ensemble in three parts."""
    return {"cut": Trial(ENSEMBLE, Factor(1.0), parts=3)}


def measure_ensemble(case: Case[Factor], context: Context) -> Draws:
    """The second moment of the weights."""
    trained.append(context.part)
    simulation = context.run(case.setting)
    return Draws(np.diagonal(simulation.readings[-1].second_moment).copy(), simulation.replicas)


CUT_CLAIM = replace(CLAIM, id="X2", trials=cut_trials, measure=measure_ensemble)


def measure_list(case: Case[Factor], context: Context) -> Draws:
    """Six numbers, each of a seed of its own; of a part, two of them."""
    assert context.part is None
    trained.append(case.part)
    i, n = parse_shard(case.part or "1/1")
    seed = case.setting.ensemble.seed
    values = [np.random.default_rng([seed, k]).standard_normal() for k in range(6 * (i - 1) // n, 6 * i // n)]
    return Draws(np.array(values), replicas=len(values))


def join(parts: Sequence[tuple[float, Draws]]) -> tuple[float, Draws]:
    """All numbers in their order."""
    values = np.concatenate([found.values for _, found in parts])
    return parts[0][0], Draws(values, replicas=len(values))


JOINED_CLAIM = replace(CLAIM, id="X3", trials=cut_trials, measure=measure_list, join=join)
