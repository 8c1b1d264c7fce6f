"""The average over output weights: one run of the solver for each of some draws, spread evenly over their law.

The limit is taken at given output weights a. Weights of neurons depend on a mostly through its length, so draws are
stratified in it: one from each of S equal slices of the law of |a|², its direction from a Sobol sequence. What scatter is
left between draws, of output weights and of the solver's Monte Carlo alike, gives the error of the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import chi2, qmc

from theory.network.dmft.problem import Problem
from theory.network.dmft.solver import Solution, solve

DRAWS = 16


@dataclass(frozen=True, eq=False)
class Average:
    """Means over the law of output weights at the updates asked for, (R, k) each.

    Attributes
    ----------
    remembered, written : ndarray
        As in `Solution`; τ is their sum.
    error : ndarray
        The standard error of τ.
    """

    remembered: np.ndarray
    written: np.ndarray
    error: np.ndarray

    @property
    def tau(self) -> np.ndarray:
        """(R, k)."""
        return self.remembered + self.written


def output_draws(problem: Problem, draws: int, seed: int) -> np.ndarray:
    """Gaussian output weights (S, m, C), ascending in length: one from each slice of the law of |a|²."""
    size = problem.width * problem.outputs
    points = qmc.Sobol(size + 1, seed=seed).random(draws)
    slices = (np.arange(draws) + points[:, 0]) / draws
    directions = ndtri(np.clip(points[:, 1:], 1e-9, 1 - 1e-9))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = np.sqrt(problem.sa * chi2.ppf(slices, size))
    return (lengths[:, None] * directions).reshape(draws, problem.width, problem.outputs)


def average(problem: Problem, readings: tuple[int, ...], *, count: int, seed: int, draws: int = DRAWS) -> Average:
    """τ at the updates `readings`, averaged over output weights; `draws` times the cost of `solve`."""
    weights = output_draws(problem, draws, seed)
    runs = [
        solve(problem, given, readings[-1], count=count, seed=1000 * seed + i + 1) for i, given in enumerate(weights)
    ]
    return averaged(runs, readings)


def averaged(runs: list[Solution], readings: tuple[int, ...]) -> Average:
    """The mean over runs in the order of their strata, and its standard error.

    What varies smoothly with the stratum is no error: the scatter is taken from second differences,
    σ² = mean (x_{i−1} − 2x_i + x_{i+1})²/6.
    """
    at = list(readings)
    tau = np.array([run.tau[at] for run in runs])
    second = tau[:-2] - 2 * tau[1:-1] + tau[2:]
    return Average(
        remembered=np.mean([run.remembered[at] for run in runs], axis=0),
        written=np.mean([run.written[at] for run in runs], axis=0),
        error=np.sqrt(np.mean(second**2, axis=0) / 6 / len(runs)),
    )
