"""The limit of many directions, and its errors of order 1/d and 1/d² as measured in networks of fewer directions.

`network-dmft` neglects terms of order 1/d. With p times fewer rows and directions, with everything else kept on which
the limit depends, networks are cheap, and differ from it by D_p = p x + p² y + …, where x and y are the terms of order
1/d and 1/d² at full size. Two sizes, p = 2 and q = 4, give both:

    τ = τ_limit + x + y,      x + y = (q − 1)/(p (q − p)) D_p − (p − 1)/(q (q − p)) D_q = (3/4) D_2 − (1/8) D_4,

up to terms of order 1/d³. One size gives x alone, ½ D_2. This is a surrogate: a part of it is measured, in ensembles of
its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
import numpy as np
from scipy import linalg

import simulate
from reports.judging.changes import from_start
from reports.judging.estimate import data_eigenspaces
from reports.judging.fewer_directions import Fewer, fewer_directions
from reports.judging.intervals import mean_with_error
from simulate.results import Simulation
from theory.catalogue import choose_form
from theory.eigenspaces import weight_variances
from theory.errors import InvalidInput, NoClosedForm
from theory.linear.population import population_readings, spaces
from theory.network.dmft.form import SHARE, SURE, Solved, bias, solved, stepping
from theory.network.dmft.problem import Problem, problem_of
from theory.prediction import Prediction
from theory.setting import Setting

NAME = "dmft-measured"
FORM = "network-dmft"
FEWEST = 20.0  # the fewest effective directions: from that many on, half as many show the order 1/d
FEWEST_QUARTER = 8  # the fewest directions of a quarter of the size with which the second order is measured
REPLICAS = 10_000  # the number of networks of each size
# The second order, as a share of a correction of the first order alone, which was wrong by up to .4
# of itself at d = 32.
NEXT_ORDER = 0.75
# The second order, as a share of a correction of the first order alone, where directions dominate: their share of the
# rows is another at half the size.
NEXT_ORDER_EXPLICIT = 1.0
DEGREE = 3  # the largest degree of the polynomial in the eigenvalue by which the correction is smoothed
ORDERS = {1: ("term of order 1/d", "d/2", "1/d²"), 2: ("terms of order 1/d and 1/d²", "d/2 and d/4", "1/d³")}


@dataclass(frozen=True, eq=False)
class MeasuredOrder:
    """The limit, its correction, and their errors, (R, k) each: steps by distinct eigenvalues, ascending.

    Attributes
    ----------
    limit : ndarray
        τ as n, d → ∞.
    limit_error : ndarray
        The standard error of the solver's Monte Carlo in the corrected τ, and not of the limit alone.
    limit_bias : ndarray, shape (R, k)
        The declared bias of the solver's Monte Carlo in the corrected τ.
    correction, correction_error : ndarray
        What is added to the limit, and its standard error between blocks of networks.
    remainder : ndarray, shape (R, 1)
        The declared size of the terms that are left out.
    order : int
        The order in 1/d of the last term that is measured.
    replicas : int
        The number of networks of all smaller sizes.
    """

    limit: np.ndarray
    limit_error: np.ndarray
    limit_bias: np.ndarray
    correction: np.ndarray
    correction_error: np.ndarray
    remainder: np.ndarray
    order: int
    replicas: int

    @property
    def tau(self) -> np.ndarray:
        """The corrected variances τ at every reading, (R, k)."""
        return self.limit + self.correction

    @property
    def error_budget(self) -> float:
        """The relative error of τ that is declared: next orders, the bias, and three standard errors of both parts."""
        chance = SURE * np.hypot(self.limit_error, self.correction_error)
        return float(np.max((self.remainder + self.limit_bias + chance) / self.tau))


@dataclass(frozen=True, eq=False)
class Gap:
    """τ of smaller networks less its limit at their size, (R, k), in units of the initial variance.

    Attributes
    ----------
    ratio : float
        p.
    mean, error : ndarray
        The gap at the eigenvalues of the setting, smoothed, and its standard error between blocks of networks.
    solved : Solved
        The limit.
    across : ndarray, shape (K, k)
        The matrix from the nodes at which the limit is solved to the eigenvalues of the setting.
    """

    ratio: float
    mean: np.ndarray
    error: np.ndarray
    solved: Solved
    across: np.ndarray


def measure_order(
    setting: Setting, *, replicas: int = REPLICAS, device: str = "cpu", progress: bool = False
) -> MeasuredOrder:
    """The limit at the size of a setting and at fractions of it, and networks of these fractions.

    Halves alone where networks of a quarter of the size diverge or are not of the series of smaller sizes: with fewer
    than 8 directions, more rows than their square, or directions that dominate, whose share of the rows is larger.

    Raises
    ------
    NoClosedForm
        If `network-dmft` does not apply, directions are few, updates are many, or networks of half the size diverge.
    """
    choose_form(setting, FORM)
    problem = problem_of(setting)
    if (directions := problem.effective_dimension) < FEWEST:
        rule = f"only {directions:.3g} effective directions; half as many tell the order 1/d from {FEWEST:g} on"
        raise NoClosedForm("data.spectrum", list(setting.data.eigenvalues), rule)
    if stepping(problem) > 1:
        raise NoClosedForm("training.steps", setting.training.steps, "is too long: updates are compared one by one")
    half, quarter = (fewer_directions(setting, parts) for parts in (2, 4))
    simulation = _simulated(half, replicas, device, progress)
    if simulation.diverged:
        rule = f"is too large: {simulation.diverged} of {replicas} networks of half the size have diverged"
        raise NoClosedForm("training.learning_rate", setting.training.learning_rate, rule)
    found = [(half, simulation)]
    if _is_of_the_series(quarter):
        simulation = _simulated(quarter, replicas, device, progress)
        if not simulation.diverged:
            found.append((quarter, simulation))
    return _combined(solved(setting), [_gap(problem, *each) for each in found], replicas)


def _is_of_the_series(quarter: Fewer) -> bool:
    """Whether a quarter of the size tells the second order."""
    small = problem_of(quarter.setting)
    if quarter.explicit or small.multiplicity.sum() < FEWEST_QUARTER:
        return False
    return small.fresh or small.samples <= replace(small, explicit=0).effective_dimension ** 2


def _simulated(fewer: Fewer, replicas: int, device: str, progress: bool) -> Simulation:
    """An ensemble of its own seed, read at step 0 too."""
    setting = fewer.setting
    seed = np.random.SeedSequence((setting.ensemble.seed, round(fewer.ratio))).generate_state(1, np.uint64)
    ensemble = msgspec.structs.replace(setting.ensemble, seed=int(seed[0]), replicas=replicas)
    started = from_start(msgspec.structs.replace(setting, ensemble=ensemble))
    return simulate.run(started, device=device, progress=progress)


def _gap(problem: Problem, fewer: Fewer, simulation: Simulation) -> Gap:
    """The gap of one size, at the eigenvalues of the full one."""
    small = solved(fewer.setting, fewer.explicit)
    matrix = smoothing_of(small.problem, problem)
    change, blocks = _changes(simulation, fewer.setting.training.readings), simulation.readings[0].counts
    gaps = (change - (small.average.tau - small.problem.s0)[:, None]) @ matrix.T / small.problem.s0
    mean, error = (np.array(part) for part in zip(*(mean_with_error(at, blocks) for at in gaps), strict=True))
    return Gap(fewer.ratio, mean, error, small, small.levels.interpolation.T @ matrix.T)


def _changes(simulation: Simulation, steps: tuple[int, ...]) -> np.ndarray:
    """τ − τ_0 by step, block and eigenspace, each block's own initial values subtracted."""
    eigenspaces = data_eigenspaces(simulation)
    by_step = {each.step: weight_variances(eigenspaces, each.second_moments) for each in simulation.readings}
    return np.array([by_step[step] - by_step[0] for step in steps])


def smoothing_of(small: Problem, full: Problem) -> np.ndarray:
    """The matrix from values at the eigenvalues of one problem to those of another; explicit ones keep their own."""
    bulk = smoothing(small.eigenvalues[small.bulk], small.multiplicity[small.bulk], full.eigenvalues[full.bulk])
    return np.asarray(linalg.block_diag(bulk, np.eye(full.explicit)))


def smoothing(eigenvalues: np.ndarray, multiplicity: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The matrix that takes values at eigenvalues (k',) to the polynomial through them at other ones, `at` (k,).

    Least squares, of degree 3 at most; every eigenvalue counts by its multiplicity. There is no constant: the limit is
    right along a direction in which rows do not vary.
    """
    powers = np.arange(1, min(DEGREE, len(eigenvalues)) + 1)
    ours, theirs = ((values[:, None] / eigenvalues[-1]) ** powers for values in (eigenvalues, at))
    root = np.sqrt(multiplicity)[:, None]
    return np.asarray(theirs @ np.linalg.pinv(root * ours) * root.T)


def _combined(full: Solved, gaps: list[Gap], replicas: int) -> MeasuredOrder:
    """What one gap or two make of the limit."""
    s0, found = full.problem.s0, full.average
    weights = weights_of([gap.ratio for gap in gaps])
    variance = np.tensordot(np.square(weights), [gap.error**2 for gap in gaps], 1)
    return MeasuredOrder(
        limit=found.tau,
        limit_error=_chance(full, gaps, weights),
        # the same rows at all sizes have the same bias
        limit_bias=abs(1 - sum(weights)) * bias(full.problem, found),
        correction=s0 * np.tensordot(weights, [gap.mean for gap in gaps], 1),
        correction_error=s0 * np.sqrt(variance),
        remainder=s0 * _remainder(full.problem, gaps),
        order=len(gaps),
        replicas=len(gaps) * replicas,
    )


def weights_of(ratios: list[float]) -> list[float]:
    """What the gaps D_p of one or two sizes count in the correction.

    >>> weights_of([2.0]), weights_of([2.0, 4.0])
    ([0.5], [0.75, -0.125])
    """
    if len(ratios) == 1:
        return [1 / ratios[0]]
    p, q = ratios
    return [(q - 1) / (p * (q - p)), -(p - 1) / (q * (q - p))]


def _remainder(problem: Problem, gaps: list[Gap]) -> np.ndarray:
    """The terms that are left out, (R, 1), as a law for all directions, in units of the initial variance.

    Of the first order three quarters of the correction, or all of it where directions dominate. Of the second
    (p − 1)(q − 1) ρ max(|y|, ρ |x|), where ρ is what a term is expected to be of the one before, c λ_max/tr Σ or, if it
    is larger, what y is seen to be of x, at most 1 (and 1 if x is 0): a term z of order 1/d³, which makes
    D_p = … + p³ z, makes x + y wrong by (p − 1)(q − 1) z.
    """
    if len(gaps) == 1:
        share = NEXT_ORDER_EXPLICIT if problem.explicit else NEXT_ORDER
        return share * np.max(np.abs(gaps[0].mean / gaps[0].ratio), axis=1, keepdims=True)
    one, two = gaps
    p, q = one.ratio, two.ratio
    second = (two.mean / q - one.mean / p) / (q - p)
    first = one.mean / p - p * second
    sizes = [np.max(np.abs(each), axis=1, keepdims=True) for each in (first, second)]
    seen = np.divide(sizes[1], sizes[0], out=np.ones_like(sizes[0]), where=sizes[0] > 0)
    rate = np.maximum(SHARE * problem.largest_share, np.minimum(seen, 1.0))
    return np.asarray((p - 1) * (q - 1) * rate * np.maximum(sizes[1], rate * sizes[0]))


def _chance(full: Solved, gaps: list[Gap], weights: list[float]) -> np.ndarray:
    """The standard error (R, k) of the limit less those of other sizes, as they are weighted.

    All sizes share their draws, whose deviations cancel in part where equally many were taken; otherwise errors add up.
    """
    s0 = full.problem.s0
    parts = [_deviations(full, full.levels.interpolation.T)]
    for weight, gap in zip(weights, gaps, strict=True):
        parts.append(_deviations(gap.solved, -weight * s0 / gap.solved.problem.s0 * gap.across))
    if len({len(part) for part in parts}) > 1:
        return np.asarray(sum(np.linalg.norm(part, axis=0) for part in parts))
    return np.asarray(np.linalg.norm(sum(parts), axis=0))


def _deviations(found: Solved, across: np.ndarray) -> np.ndarray:
    """The deviations of every draw, (S, R, k)."""
    if found.at_nodes.deviations is None:
        raise InvalidInput("found.at_nodes.deviations", None, "must be there: `average` leaves them")
    return found.at_nodes.deviations @ across


def predict(setting: Setting, *, device: str = "cpu", progress: bool = False) -> Prediction:
    """The limit with its measured correction as a prediction, with its assumptions; errors as `measure_order`."""
    found = measure_order(setting, device=device, progress=progress)
    order, _, multiplicity = spaces(np.array(setting.data.eigenvalues))
    place = np.empty(len(order), int)
    place[order] = np.repeat(np.arange(len(multiplicity)), multiplicity)
    measured, sizes, left = ORDERS[found.order]
    return Prediction(
        formula=NAME,
        status="asymptotic",
        order=f"{left}, the {measured} measured at {sizes}",
        error_budget=found.error_budget,
        assumptions=(
            f"a surrogate, not a closed form: `{FORM}`, and its error as measured in smaller networks",
            f"rows, directions and batch as at {sizes}, in {found.replicas} replicas; width and updates are kept",
        ),
        neglected=(
            f"terms of order {left}",
            f"up to {found.error_budget:.1%} of τ, the declared error of a correction of up to {_largest(found):.1%}",
        ),
        readings=population_readings(setting, (tau[place] for tau in found.tau)),
    )


def _largest(found: MeasuredOrder) -> float:
    """The largest |correction|/τ."""
    return float(np.max(np.abs(found.correction) / found.tau))
