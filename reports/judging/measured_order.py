"""The limit of many directions, and its error of order 1/d as measured in networks of half the size.

`network-dmft` neglects terms of order 1/d. At half the rows and directions, with everything else kept on which the
limit depends, its error is twice as large, and networks are cheap. In units of the initial variance,

    τ = τ_limit + ½ (τ_networks − τ_limit) at d/2,

up to terms of order 1/d². This is a surrogate: a part of it is measured, in an ensemble of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

import simulate
from reports.judging.changes import from_start
from reports.judging.estimate import data_eigenspaces
from reports.judging.intervals import mean_with_error
from simulate.results import Simulation
from theory.catalogue import choose_form
from theory.eigenspaces import weight_variances
from theory.errors import InvalidInput, NoClosedForm
from theory.linear.population import population_readings, spaces
from theory.network.dmft.form import SURE, limit, stepping
from theory.network.dmft.problem import problem_of
from theory.prediction import Prediction
from theory.setting import Setting

NAME = "dmft-measured"
FORM = "network-dmft"
FEWEST = 20.0  # effective directions
REPLICAS = 4000  # of half the size
NEXT_ORDER = 0.75  # of the correction: seen to be wrong by up to .4 of it at d = 32
DEGREE = 2  # of the polynomial in the eigenvalue by which the correction is smoothed


@dataclass(frozen=True, eq=False)
class MeasuredOrder:
    """The limit, its correction, and their errors, (R, k) each: steps by distinct eigenvalues, ascending.

    Attributes
    ----------
    limit, limit_error : ndarray
        τ as n, d → ∞, and the standard error of its Monte Carlo, that of half the size included.
    correction, correction_error : ndarray
        What is added, and its standard error between blocks of networks.
    replicas : int
        Networks of half the size.
    """

    limit: np.ndarray
    limit_error: np.ndarray
    correction: np.ndarray
    correction_error: np.ndarray
    replicas: int

    @property
    def tau(self) -> np.ndarray:
        """(R, k)."""
        return self.limit + self.correction

    @property
    def error_budget(self) -> float:
        """The relative error of τ that is declared: of the next order, and three standard errors of both parts."""
        chance = SURE * np.hypot(self.limit_error, self.correction_error)
        next_order = NEXT_ORDER * np.max(np.abs(self.correction), axis=1, keepdims=True)
        return float(np.max((next_order + chance) / self.tau))


def halved(setting: Setting) -> Setting:
    """Half the directions, rows and batch; a row's outputs, and what it writes into itself, are of the same law.

    The eigenvalues are means of neighbours. The variance of the initial weights is doubled in the units in which the
    weights feel the rows; in the ntk parametrization, where that unit depends on d, eigenvalues are halved for it.

    Raises
    ------
    InvalidInput
        If the dimension, n or the batch is odd.

    Examples
    --------
    >>> from theory.setting import Data, Network
    >>> data = Data(kind="gaussian", spectrum=(1.0, 2.0, 3.0, 4.0), samples=12)
    >>> half = halved(Setting(data=data, network=Network(kind="mlp", hidden=(3,))))
    >>> half.data.spectrum, half.data.samples, half.network.layer_variances == (1.0, 1.0)
    ((1.5, 3.5), 6, True)
    """
    data, network, training = setting.data, setting.network, setting.training
    eigenvalues = np.sort(np.array(data.eigenvalues))
    _even("data.spectrum", len(eigenvalues))
    spectrum = eigenvalues.reshape(-1, 2).mean(axis=1)
    first, *rest = network.layer_variances
    if network.parametrization == "ntk":
        spectrum, first = spectrum / 2, 2 * first
    samples, size = data.samples, training.batch_size
    if samples != "online":
        _even("data.samples", data.sample_count)
        samples = data.sample_count // 2
    if size != "full":
        _even("training.batch_size", size)
        size //= 2
    return msgspec.structs.replace(
        setting,
        data=msgspec.structs.replace(data, spectrum=tuple(map(float, spectrum)), samples=samples),
        network=msgspec.structs.replace(network, init_variance=(first, *rest)),
        training=msgspec.structs.replace(training, batch_size=size),
    )


def _even(key: str, value: int) -> None:
    if value % 2:
        raise InvalidInput(key, value, "must be even: the error of the limit is measured at half the size")


def measure_order(
    setting: Setting, *, replicas: int = REPLICAS, device: str = "cpu", progress: bool = False
) -> MeasuredOrder:
    """The limit at the size of a setting and at half of it, and networks of half the size.

    Raises
    ------
    NoClosedForm
        If `network-dmft` does not apply, directions are few, some dominate, updates are many, or networks of half the
        size diverge.
    InvalidInput
        As `halved`.
    """
    choose_form(setting, FORM)
    half = halved(setting)
    if (directions := problem_of(setting).effective_dimension) < FEWEST:
        rule = f"only {directions:.3g} effective directions; half as many tell the order 1/d from {FEWEST:g} on"
        raise NoClosedForm("data.spectrum", list(setting.data.eigenvalues), rule)
    if (count := problem_of(setting).explicit) > 0:
        rule = f"{count} of its directions dominate: at half the size they would have another share of the rows"
        raise NoClosedForm("data.spectrum", list(setting.data.eigenvalues), rule)
    if stepping(problem_of(setting)) > 1:
        raise NoClosedForm("training.steps", setting.training.steps, "is too long: updates are compared one by one")
    problem, full = limit(setting)
    small, at_half = limit(half)
    simulation = _simulated(half, replicas, device, progress)
    change, blocks = _changes(simulation, setting.training.readings), simulation.readings[0].counts
    gap = change - (at_half.tau - small.s0)[:, None]
    # in units of the initial variance, half of it
    smoothed = problem.s0 / small.s0 / 2 * gap @ smoothing(small.eigenvalues, small.multiplicity, problem.eigenvalues).T
    correction, error = (np.array(part) for part in zip(*(mean_with_error(at, blocks) for at in smoothed), strict=True))
    chance = problem.s0 / small.s0 / 2 * np.max(at_half.error, axis=1, keepdims=True)
    return MeasuredOrder(full.tau, np.hypot(full.error, chance), correction, error, simulation.replicas)


def smoothing(eigenvalues: np.ndarray, multiplicity: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The matrix that takes values at eigenvalues (k',) to the polynomial through them at other ones, `at` (k,).

    Least squares, of degree 2 at most; every eigenvalue counts by its multiplicity.
    """
    degree = min(DEGREE, len(eigenvalues) - 1)
    ours, theirs = (np.vander(values / eigenvalues[-1], degree + 1) for values in (eigenvalues, at))
    root = np.sqrt(multiplicity)[:, None]
    return np.asarray(theirs @ np.linalg.pinv(root * ours) * root.T)


def _simulated(half: Setting, replicas: int, device: str, progress: bool) -> Simulation:
    """An ensemble of its own seed, read at step 0 too."""
    seed = np.random.SeedSequence((half.ensemble.seed, 2)).generate_state(1, np.uint64)
    ensemble = msgspec.structs.replace(half.ensemble, seed=int(seed[0]), replicas=replicas)
    started = from_start(msgspec.structs.replace(half, ensemble=ensemble))
    found = simulate.run(started, device=device, progress=progress)
    if found.diverged:
        rule = f"is too large: {found.diverged} of {replicas} networks of half the size have diverged"
        raise NoClosedForm("training.learning_rate", half.training.learning_rate, rule)
    return found


def _changes(simulation: Simulation, steps: tuple[int, ...]) -> np.ndarray:
    """τ − τ_0 by step, block and eigenspace, each block's own initial values subtracted."""
    eigenspaces = data_eigenspaces(simulation)
    by_step = {each.step: weight_variances(eigenspaces, each.second_moments) for each in simulation.readings}
    return np.array([by_step[step] - by_step[0] for step in steps])


def predict(setting: Setting, *, device: str = "cpu", progress: bool = False) -> Prediction:
    """The limit with its measured correction as a prediction, with its assumptions; errors as `measured`."""
    found = measure_order(setting, device=device, progress=progress)
    order, _, multiplicity = spaces(np.array(setting.data.eigenvalues))
    place = np.empty(len(order), int)
    place[order] = np.repeat(np.arange(len(multiplicity)), multiplicity)
    return Prediction(
        formula=NAME,
        status="asymptotic",
        order="1/d², the term of order 1/d measured at d/2",
        error_budget=found.error_budget,
        assumptions=(
            f"a surrogate, not a closed form: `{FORM}`, and its error as measured in smaller networks",
            f"rows, directions and batch halved, in {found.replicas} replicas; width and updates are kept",
        ),
        neglected=(
            "terms of order 1/d² and 1/n²",
            f"up to {found.error_budget:.1%} of τ, the declared error, after a correction by {_largest(found):.1%}",
        ),
        readings=population_readings(setting, (tau[place] for tau in found.tau)),
    )


def _largest(found: MeasuredOrder) -> float:
    """The largest |correction|/τ."""
    return float(np.max(np.abs(found.correction) / found.tau))
