"""Exact alignment: whether the law of the weights is invariant under the symmetries of the data, tested by rotation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from reports.check.estimates import Weights
from reports.check.mean import MeanTest, fixing
from reports.check.moments import DataMoment
from reports.check.turns import TurnedFilters, Turns, filters_pvalues, networks_pvalue


@dataclass(frozen=True)
class Aligned:
    """The test of exact alignment: p-value and what was turned; a small p means not exactly aligned.

    For data with a mean the theorem requires less than this: see `Check.mean`.

    The null hypothesis is that the turned objects (the networks, or the filters of a single network) are independent,
    and that their law is invariant under the rotations that commute with the data. Nothing is assumed about the law
    itself.
    """

    pvalue: float
    method: Literal["randomization"]
    turned: Literal["filters", "networks"]


def exact_tests(data: DataMoment, weights: Weights, *, draws: int, seed: int) -> tuple[Aligned, MeanTest | None]:
    """The tests under all symmetries of the second moment, and under those that also fix the mean: None if the same.

    In known spaces every coordinate is turned; a space that sampling errors have joined changes only its sign.
    """
    spaces = data.known_eigenspaces()
    joined = {(low.start, low.stop) for low in spaces.slices} - {
        (s.start, s.stop) for s in data.exact_eigenspaces.slices
    }
    turns = Turns(spaces.slices, tuple((s.start, s.stop) not in joined for s in spaces.slices))
    basis, noise, fixed = np.asarray(spaces.basis), data.basis_noise(spaces), fixing(spaces, data)
    free = 0 if fixed is None else spaces.dimension - fixed.fixed
    bases = [(turns, basis)] if fixed is None or not free else [(turns, basis), (fixed.turns, fixed.basis)]
    if len(weights.moments) == 1:
        filters = weights.vectors[0]
        cases = [TurnedFilters(turns, filters @ basis)]
        cases += [TurnedFilters(other, filters @ own, basis.T @ own) for other, own in bases[1:]]
        pvalues = filters_pvalues(cases, noise=noise, draws=draws, seed=seed)
    else:
        pvalues = [
            networks_pvalue(
                each, own.T @ weights.moments @ own, noise=noise, change=basis.T @ own, draws=draws, seed=seed
            )
            for each, own in bases
        ]
    aligned = Aligned(pvalues[0], "randomization", "filters" if len(weights.moments) == 1 else "networks")
    return aligned, None if fixed is None else MeanTest(pvalues[1] if free else 1.0, fixed.fixed, free)
