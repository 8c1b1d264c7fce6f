"""The average over output weights: one run of the solver per draw.

The limit is taken at given output weights a, and its weights depend on a: on |a|², and for activations that are not odd
on the sums over neurons, which make the output at the start. Draws are the points of a Sobol sequence with these sums
for its first coordinates. With more than a few output weights, functions of a with known means are regressed out of the
mean over draws; the remaining scatter, of output weights and of the solver's Monte Carlo alike, gives its error.

Every run is extrapolated in the number of its rows, from all of them and from half: their first-order bias cancels, but
along explicit directions.

Initial weights along explicit directions are drawn as well, each with both signs: the label part is then added to them
in one run and subtracted in the other. Their own τ is a mean over few numbers and needs more draws.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.linalg import helmert
from scipy.special import ndtri
from scipy.stats import chi2, qmc

from theory.announce import tell
from theory.network.dmft.coarse import extrapolated, updates_of
from theory.network.dmft.levels import LEVELS
from theory.network.dmft.problem import Problem
from theory.network.dmft.solver import Solution, solve, traced

ROUNDS = (32, 64, 128)  # the numbers of drawn output weights after which the accuracy is checked
# The numbers of draws after which the accuracy is checked where output weights are trained or directions explicit,
# since a run then draws a path of these.
ROUNDS_EXPLICIT = (32, 64, 128, 256)
WANTED = 0.01  # the relative error of τ along directions of the bulk at which no more output weights are drawn
WANTED_EXPLICIT = 0.02  # the relative error of τ along explicit directions at which no more output weights are drawn
# The relative error of the change of τ, as a norm over directions of the bulk, that must be reached as well.
WANTED_OF_CHANGE = 0.02
EVENLY_SPREAD = 4  # the most output weights whose Sobol points need no regression
RARE = 1e-4  # the share of networks, those with the longest output weights, that is left out of account
# The rows of the Monte Carlo per number in a row's past: the most of these that are affordable.
ROWS_PER_PAST = (10.0, 5.0, 2.5)
AFFORDABLE = 5e9  # the most floating-point operations of a run for which more rows are taken than the fewest


@dataclass(frozen=True, eq=False)
class Average:
    """Means over the law of output weights at R updates, (R, k) each.

    Attributes
    ----------
    remembered, written : ndarray
        The two parts of τ, as in `Solution`; τ is their sum.
    error : ndarray
        The standard error of τ.
    draws : int
        The number of draws of output weights.
    amplitude : ndarray
        The factor of a unit's own initial weight, as in `Solution`.
    stepping : ndarray, shape (k,), optional
        The largest extrapolation from several updates computed as one, over all times, since its sign may change; None
        if there was none.
    past : float
        How many numbers are in a row's past, over the rows of the Monte Carlo: its bias is of this order squared.
    deviations : ndarray, shape (S, R, k), optional
        What every draw contributes to the error, whose square is the sum of their squares.
    """

    remembered: np.ndarray
    written: np.ndarray
    error: np.ndarray
    draws: int
    amplitude: np.ndarray
    stepping: np.ndarray | None = None
    past: float = 0.0
    deviations: np.ndarray | None = None

    @property
    def tau(self) -> np.ndarray:
        """The variances τ at every reading, (R, k)."""
        return self.remembered + self.written


def rows_needed(problem: Problem, updates: int) -> int:
    """N, a power of two: at least 1,024, and 10 times as many as there are numbers in a row's past, T m.

    Where a run would take too long, 5 or 2.5 times as many. A bias of order (T m/N)² is left, which the scatter of an
    average does not show: `theory.network.dmft.form` declares it.
    """
    sizes = [
        1 << max(10, int(np.ceil(np.log2(share * updates * problem.width + problem.outputs))))
        for share in ROWS_PER_PAST
    ]
    return next((rows for rows in sizes if work_of(problem, updates, rows) <= AFFORDABLE), sizes[-1])


def work_of(problem: Problem, updates: int, rows: int) -> float:
    """About the floating-point operations of a run and of another with half the rows."""
    t, m, past = updates, problem.width, updates * problem.width
    levels = min(len(problem.eigenvalues), LEVELS)
    of_rows = 4 * rows * past**2 + 2 * rows * t * (m * problem.outputs) ** 2 * problem.both
    if not problem.fresh:
        of_rows += min(rows, traced(problem)) * past**2 * t
    return 1.5 * of_rows + 8 / 3 * levels * past**3


def rounds(problem: Problem) -> tuple[int, ...]:
    """The numbers of draws after which the accuracy is checked."""
    return ROUNDS_EXPLICIT if problem.explicit or problem.both else ROUNDS


def draws_of(problem: Problem, seed: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian output weights (S, m, C), and initial weights along explicit directions (S, K, m).

    Sobol points whose first coordinates are Σ_j a_jc/√m. Output weights are without their mean over outputs for the
    cross-entropy, which does not depend on it.
    """
    m, c, k = problem.width, felt_outputs(problem), problem.explicit
    normal = ndtri(np.clip(qmc.Sobol(m * (c + k), seed=seed).random(most), 1e-9, 1 - 1e-9))
    points = normal[:, : m * c].reshape(most, m, c)
    if c < problem.outputs:
        points = points @ helmert(problem.outputs)
    rotation = helmert(m, full=True) if m > 1 else np.eye(1)
    weights = np.sqrt(problem.sa) * np.einsum("ij,sic->sjc", rotation, points)
    return weights, np.sqrt(problem.s0) * normal[:, m * c :].reshape(most, k, m)


def longest(problem: Problem) -> np.ndarray:
    """Output weights (m, C), equal for all neurons, of a length that only one network in 10⁴ exceeds."""
    size = problem.width * problem.outputs
    length = np.sqrt(problem.sa * chi2.isf(RARE, size))
    signs = np.where(np.arange(problem.outputs) % 2, -1.0, 1.0)
    return np.full((problem.width, problem.outputs), length / np.sqrt(size)) * signs


def controls(problem: Problem, weights: np.ndarray) -> np.ndarray:
    """Numbers of draws (S, m, C), each less its mean and over it: (S, 6).

    A = |a|², B = Σ_c (Σ_j a_jc)², A², B², A B and Σ_j |a_j|⁴, of a less its mean over outputs where the loss is the
    cross-entropy, which does not see that.
    """
    m, c = problem.width, felt_outputs(problem)
    a = weights / np.sqrt(problem.sa)
    if c < problem.outputs:
        a = a - a.mean(axis=2, keepdims=True)
    size = m * c
    square = (a**2).sum(axis=2)
    length, sums = square.sum(axis=1), (a.sum(axis=1) ** 2).sum(axis=1)
    values = (length, sums, length**2, sums**2, length * sums, (square**2).sum(axis=1))
    fourth = c**2 + 2 * c
    means = (size, size, size**2 + 2 * size, m**2 * fourth, m * fourth + (size - c) * size, m * fourth)
    return np.stack([value / mean - 1 for value, mean in zip(values, means, strict=True)], axis=1)


def explicit_controls(problem: Problem, weights: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Numbers of mean zero of initial weights V along explicit directions (S, K, m), (S, 2 K).

    |V|²/(m s_0²) − 1, and Σ_c (Σ_j a_jc V_j)²/(|a|² s_0²) − 1: the part of V along what a row's force is along.
    """
    square = (starts**2).mean(axis=2) / problem.s0
    along = (np.einsum("sjc,skj->skc", weights, starts) ** 2).sum(axis=2)
    along /= problem.s0 * (weights**2).sum(axis=(1, 2))[:, None]
    return np.concatenate([square, along], axis=1) - 1


def felt_outputs(problem: Problem) -> int:
    """C, or C − 1 for the cross-entropy, which does not depend on the mean of a over outputs."""
    return problem.outputs - (problem.training.loss == "cross-entropy")


def average(
    problem: Problem, readings: tuple[int, ...], *, seed: int, count: int | None = None, by: int = 1
) -> Average:
    """τ at the updates `readings`, averaged over 32 to 128 output weights, until 1 % of τ is reached, and 2 % of its
    change.

    Up to 256 where output weights are trained or directions explicit. Two runs of `solve` for each, and two more with
    the other sign of initial weights along explicit directions.

    If `by` is not 1, every run is extrapolated from two runs with `by` and 2 · `by` updates computed as one.

    Raises
    ------
    NoClosedForm
        If training diverges, for the longest output weights in 10⁴ networks or shorter ones.
    """
    updates = readings[-1]
    rows = rows_needed(problem, updates_of(updates, by)) if count is None else count

    def solved(given: np.ndarray, start: np.ndarray, number: int) -> Solution:
        def run(taken: Problem, most: int) -> Solution:
            whole, half = (
                solve(taken, given, most, count=size, seed=number, start=start) for size in (rows, rows // 2)
            )
            return unbiased(whole, half, problem.explicit)

        return run(problem, updates) if by == 1 else extrapolated(run, problem, updates, by)

    solved(longest(problem), np.full((problem.explicit, problem.width), np.sqrt(problem.s0)), seed)
    runs: list[Solution] = []
    weights, starts = draws_of(problem, seed, rounds(problem)[-1])
    signs = (1, -1) if problem.explicit else (1,)
    for given, start in zip(weights, starts, strict=True):
        number = 1000 * seed + len(runs) + 1
        runs.append(mean_of([solved(given, sign * start, number) for sign in signs]))
        tell(len(runs), rounds(problem)[-1])
        if len(runs) in rounds(problem):
            upto = slice(0, len(runs))
            features, adjusted = controls(problem, weights[upto]), features_help(problem)
            if problem.explicit:
                ours = explicit_controls(problem, weights[upto], starts[upto])
                features, adjusted = np.concatenate([features, ours], axis=1) if adjusted else ours, True
            found = averaged(runs, features, readings, adjusted=adjusted)
            if _known_well(problem, found):
                break
    return replace(found, past=updates_of(updates, by) * problem.width / rows)


def unbiased(whole: Solution, half: Solution, explicit: int) -> Solution:
    """2 · whole − half, in which a bias of order one over the number of rows cancels; Stein's residual of the whole.

    Along explicit directions, the last ones, the whole as it is: a run draws a path there, whose scatter would double.
    """
    bulk = slice(0, whole.remembered.shape[-1] - explicit)
    values = {name: getattr(whole, name).copy() for name in ("remembered", "written", "amplitude")}
    for name, value in values.items():
        value[..., bulk] += value[..., bulk] - getattr(half, name)[..., bulk]
    return replace(whole, **values)


def mean_of(runs: list[Solution]) -> Solution:
    """The mean of a few runs as one."""
    if len(runs) == 1:
        return runs[0]
    names = [each.name for each in fields(Solution) if getattr(runs[0], each.name) is not None]
    return Solution(**{name: np.mean([getattr(run, name) for run in runs], axis=0) for name in names})


def _known_well(problem: Problem, found: Average) -> bool:
    """Whether the random error is small relative to τ and to its change."""
    bulk = problem.bulk
    change = np.linalg.norm((found.tau - problem.s0)[:, bulk], axis=1)
    of_change = np.linalg.norm(found.error[:, bulk], axis=1) <= WANTED_OF_CHANGE * change
    wanted = np.full(found.tau.shape[1], WANTED)
    wanted[bulk.stop :] = WANTED_EXPLICIT
    return bool(np.all(found.error <= wanted * found.tau) and np.all(of_change | (change <= WANTED * problem.s0)))


def features_help(problem: Problem) -> bool:
    """Whether there are more than 4 output weights: a few are spread so evenly that regression only adds noise."""
    return problem.width * felt_outputs(problem) > EVENLY_SPREAD


def averaged(
    runs: list[Solution], features: np.ndarray, readings: tuple[int, ...], *, adjusted: bool = True
) -> Average:
    """The mean over runs and its standard error, from the scatter that `features` (S, q) of mean 0 do not explain.

    If `adjusted`, the explained part is subtracted from the mean.
    """
    at, count = list(readings), len(runs)
    design = np.concatenate([np.ones((count, 1)), features], axis=1)
    inverse = np.linalg.pinv(design, rcond=1e-8)
    # a weight for every run: the row of the pseudo-inverse that gives the intercept, or that of the mean
    share = inverse[0] if adjusted else np.full(count, 1 / count)
    remembered, written, amplitude = (
        np.array([getattr(run, name)[at] for run in runs]) for name in ("remembered", "written", "amplitude")
    )
    tau = remembered + written
    fitted = np.tensordot(design @ inverse, tau, 1)
    free = count - np.linalg.matrix_rank(design, rtol=1e-8)
    deviations = (tau - fitted) * (float(np.linalg.norm(share)) / np.sqrt(free))
    steppings = [run.stepping for run in runs if run.stepping is not None]
    added = np.abs(np.tensordot(share, steppings, 1)) if steppings else None
    return Average(
        remembered=np.tensordot(share, remembered, 1),
        written=np.tensordot(share, written, 1),
        error=np.sqrt((deviations**2).sum(axis=0)),
        draws=count,
        amplitude=np.tensordot(share, amplitude, 1),
        stepping=None if added is None else np.max(added, axis=0),
        deviations=deviations,
    )
