"""Long trainings: several updates computed as one, and the result extrapolated to single updates.

In a long training, c consecutive updates change little. One update at c times the learning rate has nearly the same
effect, at a cost that falls as c³, and the difference is linear in c as c → 1. With f(c) and f(2 c),

    f(1) = f(c) + (c − 1)/c · (f(c) − f(2 c)) + O(c²) .

Under a constant force momentum moves weights by η (t − δ)/(1 − μ) after many updates, δ = μ/(1 − μ), Nesterov's by
δ = μ²/(1 − μ). Coarse updates keep both: c δ(μ') = δ(μ) and η' = (1 − μ') Σ η/(1 − μ). Batches are joined.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
from scipy.interpolate import CubicSpline

from theory.network.dmft.problem import Problem
from theory.network.dmft.solver import Solution


def updates_of(updates: int, by: int) -> int:
    """How many coarse updates cover this many single ones."""
    return -(-updates // by)


def coarsened(problem: Problem, by: int) -> Problem:
    """The problem with `by` updates as one; unchanged for 1."""
    if by == 1:
        return problem
    training = problem.training
    momentum = _momentum(training.momentum, training.nesterov, by)
    speed = (1 - momentum) / (1 - training.momentum)
    last = training.drops[-1][0] + 1 if training.drops else 0
    rates = [
        speed * math.fsum(training.learning_rate_at(step) for step in range(by * i, by * (i + 1)))
        for i in range(updates_of(last, by) + 1)
    ]
    # a drop within a coarse update changes its rate by a part
    drops = tuple((i + 1, after / before) for i, (before, after) in enumerate(pairwise(rates)))
    changed = msgspec.structs.replace(
        training, learning_rate=rates[0], momentum=momentum, drops=tuple(drop for drop in drops if drop[1] != 1)
    )
    if problem.fresh:
        return replace(problem, training=changed, samples=by * problem.samples)
    batch = by * problem.batch
    return replace(problem, training=changed, batch=batch if training.sampling == "replacement" else min(1.0, batch))


def _momentum(single: float, nesterov: bool, by: int) -> float:
    """μ' of the same delay δ in single updates."""
    if not nesterov:
        return single / (single + by * (1 - single))
    share = single**2 / (1 - single) / by
    return (math.sqrt(share**2 + 4 * share) - share) / 2


def extrapolated(solved: Callable[[Problem, int], Solution], problem: Problem, updates: int, by: int) -> Solution:
    """The solution after 0 … `updates` single updates, from runs of `by` and twice as many as one.

    The result has `stepping`, the change of τ of the finer run by the extrapolation.
    """
    fine, coarse = (
        _at_updates(solved(coarsened(problem, size), updates_of(updates, size)), updates, size) for size in (by, 2 * by)
    )
    share = (by - 1) / by
    values = {name: fine[name] + share * (fine[name] - coarse[name]) for name in fine}
    found = Solution(**values, stein=np.zeros(0))
    return replace(found, stepping=found.tau - fine["remembered"] - fine["written"])


def _at_updates(solution: Solution, updates: int, by: int) -> dict[str, np.ndarray]:
    """The parts of a coarse solution by cubic interpolation between its updates."""
    times = by * np.arange(len(solution.tau))
    parts = ("remembered", "written", "amplitude")
    return {name: CubicSpline(times, getattr(solution, name))(np.arange(updates + 1)) for name in parts}
