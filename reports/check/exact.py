"""Exact alignment: whether the symmetries of the data leave the law of the weights as it is, tested by turning them."""

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
    """Against weights that are exactly aligned: p-value and what was turned; small p: not exactly aligned.

    Of data with a mean the theorem demands less than this: see `Check.mean`.

    The null is that the law of what is turned does not change under the rotations that commute with the data, and that
    it is independent: the networks, or, of one network, the filters. Nothing is assumed of the law itself.
    """

    pvalue: float
    method: Literal["randomization"]
    turned: Literal["filters", "networks"]


def exact_tests(data: DataMoment, weights: Weights, *, draws: int, seed: int) -> tuple[Aligned, MeanTest | None]:
    """Under all symmetries of the second moment, and under those that fix the mean, too: None if these are the same.

    Of the spaces that are known everything is turned; within one that sampling errors have joined nothing but its sign.
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
