"""The average over output weights: one run of the solver for each of some draws.

The limit is taken at given output weights a, and its weights depend on a: on |a|², and for activations that are not odd
on the sums over neurons, which make the output at the start. Draws are the points of a Sobol sequence with these sums
for its first coordinates. Numbers of a with known means are regressed out of the mean over draws; what scatter they
leave, of output weights and of the solver's Monte Carlo alike, gives its error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import helmert
from scipy.special import ndtri
from scipy.stats import chi2, qmc

from theory.network.dmft.problem import Problem
from theory.network.dmft.solver import Solution, solve

ROUNDS = (32, 64, 128)  # draws of output weights
WANTED = 0.01  # relative error of τ, at which no more are drawn
RARE = 1e-4  # networks with longer output weights are left out of account


@dataclass(frozen=True, eq=False)
class Average:
    """Means over the law of output weights at R updates, (R, k) each.

    Attributes
    ----------
    remembered, written : ndarray
        As in `Solution`; τ is their sum.
    error : ndarray
        The standard error of τ.
    draws : int
        Of output weights.
    amplitude : ndarray
        As in `Solution`.
    """

    remembered: np.ndarray
    written: np.ndarray
    error: np.ndarray
    draws: int
    amplitude: np.ndarray

    @property
    def tau(self) -> np.ndarray:
        """(R, k)."""
        return self.remembered + self.written


def rows_needed(problem: Problem, updates: int) -> int:
    """N, a power of two: at least 512, and 2.5 times as many as there are numbers in a row's past."""
    return 1 << max(9, int(np.ceil(np.log2(2.5 * updates * problem.width + problem.outputs))))


def output_draws(problem: Problem, seed: int, most: int = ROUNDS[-1]) -> np.ndarray:
    """Gaussian output weights (S, m, C): Sobol points whose first coordinates are Σ_j a_jc/√m."""
    m, c = problem.width, problem.outputs
    points = ndtri(np.clip(qmc.Sobol(m * c, seed=seed).random(most), 1e-9, 1 - 1e-9))
    rotation = helmert(m, full=True) if m > 1 else np.eye(1)
    return np.sqrt(problem.sa) * np.einsum("ij,sic->sjc", rotation, points.reshape(most, m, c))


def longest(problem: Problem) -> np.ndarray:
    """Output weights (m, C), neurons alike, of a length that only one network in 10⁴ exceeds."""
    size = problem.width * problem.outputs
    length = np.sqrt(problem.sa * chi2.isf(RARE, size))
    signs = np.where(np.arange(problem.outputs) % 2, -1.0, 1.0)
    return np.full((problem.width, problem.outputs), length / np.sqrt(size)) * signs


def controls(problem: Problem, weights: np.ndarray) -> np.ndarray:
    """Numbers of draws (S, m, C), each less its mean and over it: (S, 6).

    A = |a|², B = Σ_c (Σ_j a_jc)², A², B², A B and Σ_j |a_j|⁴, of a less its mean over outputs where the loss is the
    cross-entropy, which does not see that.
    """
    m, c = problem.width, problem.outputs
    a = weights / np.sqrt(problem.sa)
    if problem.training.loss == "cross-entropy":
        a, c = a - a.mean(axis=2, keepdims=True), c - 1
    size = m * c
    square = (a**2).sum(axis=2)
    length, sums = square.sum(axis=1), (a.sum(axis=1) ** 2).sum(axis=1)
    values = (length, sums, length**2, sums**2, length * sums, (square**2).sum(axis=1))
    fourth = c**2 + 2 * c
    means = (size, size, size**2 + 2 * size, m**2 * fourth, m * fourth + (size - c) * size, m * fourth)
    return np.stack([value / mean - 1 for value, mean in zip(values, means, strict=True)], axis=1)


def average(problem: Problem, readings: tuple[int, ...], *, seed: int, count: int | None = None) -> Average:
    """τ at the updates `readings`, averaged over output weights: 32 to 128 runs of `solve`, until 1 % of τ is reached.

    Raises
    ------
    NoClosedForm
        If training diverges, for the longest output weights in 10⁴ networks or shorter ones.
    """
    updates = readings[-1]
    rows = rows_needed(problem, updates) if count is None else count
    solve(problem, longest(problem), updates, count=rows, seed=seed)
    runs: list[Solution] = []
    weights = output_draws(problem, seed)
    for given in weights:
        runs.append(solve(problem, given, updates, count=rows, seed=1000 * seed + len(runs) + 1))
        if len(runs) in ROUNDS:
            found = averaged(runs, controls(problem, weights[: len(runs)]), readings)
            if np.all(found.error <= WANTED * found.tau):
                break
    return found


def averaged(runs: list[Solution], features: np.ndarray, readings: tuple[int, ...]) -> Average:
    """The mean over runs, with what `features` (S, q) of mean 0 explain taken off, and its standard error."""
    at, count = list(readings), len(runs)
    design = np.concatenate([np.ones((count, 1)), features], axis=1)
    # the row of the pseudo-inverse that gives the intercept: a weight for every run
    inverse = np.linalg.pinv(design, rcond=1e-8)
    remembered, written, amplitude = (
        np.array([getattr(run, name)[at] for run in runs]) for name in ("remembered", "written", "amplitude")
    )
    tau = remembered + written
    fitted = np.tensordot(design @ inverse, tau, 1)
    free = count - np.linalg.matrix_rank(design, rtol=1e-8)
    scatter = np.sqrt(((tau - fitted) ** 2).sum(axis=0) / free)
    return Average(
        remembered=np.tensordot(inverse[0], remembered, 1),
        written=np.tensordot(inverse[0], written, 1),
        error=scatter * float(np.linalg.norm(inverse[0])),
        draws=count,
        amplitude=np.tensordot(inverse[0], amplitude, 1),
    )
