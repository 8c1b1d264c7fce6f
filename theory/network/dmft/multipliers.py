"""Fluctuations of sums over rows that no average removes: those of the weights that all rows share.

Σ_i r_i v_i over N rows of the Monte Carlo, r_i one standard normal number per row, is Gaussian with the covariance of v
over rows, jointly for all v and all updates.
"""

from __future__ import annotations

import numpy as np

from theory.network.dmft.problem import Problem


class Multipliers:
    """r of N rows: the same at every update, or independent where every update sees new rows."""

    def __init__(self, problem: Problem, count: int, generator: np.random.Generator) -> None:
        self._fresh, self._count, self._generator = problem.fresh, count, generator
        self._values = self._drawn()

    def next(self) -> np.ndarray:
        """r (N,) of one update, to be called once for each; of mean 0 over the rows, which leaves out the mean of v."""
        found = self._values
        if self._fresh:
            self._values = self._drawn()
        return found

    def _drawn(self) -> np.ndarray:
        values = self._generator.standard_normal(self._count)
        return np.asarray(values - values.mean())
