"""Several updates as one: what is kept, and the extrapolation to single ones against single ones."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import stats

import theory
from tests.theory.network.dmft.problems import problem, setting
from theory.announce import listening
from theory.network.dmft.average import average
from theory.network.dmft.coarse import coarsened, extrapolated, updates_of
from theory.network.dmft.form import accuracy, cost, error_budget, refusal, stepping
from theory.network.dmft.levels import levels_of
from theory.network.dmft.problem import Problem, moved
from theory.network.dmft.solver import Solution, solve

WEIGHTS = np.array([[1.0], [-1.2]])


def test_a_constant_force_moves_as_far() -> None:
    """Coarse updates move as far in the long run, also with drops within one of them; batches are joined."""
    found = problem(rate=0.4, momentum=0.5, drops=((3, 0.5), (8, 0.1)), batch_size=20, steps=16)
    taken = coarsened(found, 4)
    assert coarsened(found, 1) is found
    rates = [taken.training.learning_rate_at(i) / (1 - taken.training.momentum) for i in range(4)]
    np.testing.assert_allclose(rates, np.array([3.5, 2.0, 0.2, 0.2]) * 0.4 / 0.5, rtol=1e-12)
    assert taken.batch == 1.0
    assert coarsened(found, 2).batch == 0.5
    assert updates_of(9, 4) == 3
    online = problem(samples="online", batch_size=40, sampling="fresh")
    assert coarsened(online, 3).samples == 120
    drawn = problem(batch_size=40, sampling="replacement")
    assert coarsened(drawn, 4).batch == 2.0


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_keeps_its_speed_and_its_delay(nesterov: bool) -> None:
    """A constant force moves weights as far by 150 joined updates as by 600 single ones, decayed transients apart."""
    found = problem(rate=0.4, momentum=0.9, nesterov=nesterov)
    ends = []
    for by in (1, 4, 12):
        training, w, v = coarsened(found, by).training, np.zeros(1), np.zeros(1)
        for step in range(600 // by):
            w, v = moved(training, step, w, v, np.ones(1))
        ends.append(w[0])
    np.testing.assert_allclose(ends, ends[0], rtol=1e-12)


def test_what_is_linear_in_the_size_is_extrapolated_away() -> None:
    """τ = cubic in time + size · its part: exact between coarse updates, and what was added is told."""

    def solved(taken: Problem, updates: int) -> Solution:
        size = taken.training.learning_rate
        times = size * np.arange(updates + 1)[:, None]
        values = 1 + 0.01 * times - 1e-5 * times**3
        return Solution(values + 0.02 * size * times, 0.5 * values, np.zeros(0), values)

    found = extrapolated(solved, problem(rate=1.0), 21, 3)
    times = np.arange(22)[:, None]
    exact = 1.5 * (1 + 0.01 * times - 1e-5 * times**3)
    np.testing.assert_allclose(found.tau, exact + 0.02 * times, rtol=1e-9)
    assert found.stepping is not None
    np.testing.assert_allclose(found.stepping, -0.04 * times, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    "keys",
    [
        {"rate": 2.0, "drops": ((9, 0.3),)},
        {"rate": 1.0, "activation": "relu"},
        {"rate": 0.3, "momentum": 0.6},
        {"rate": 0.1, "train": "all", "init_variance": (0.5, 1.0), "variance": 1.0},
    ],
)
def test_joined_updates_are_close_to_single_ones(keys: dict) -> None:
    """Four as one, at all times: within the most that was extrapolated, and the Monte Carlo, whose error is small."""
    updates, seeds = 16, range(12)
    found = problem(30, 120, 2, steps=updates, **keys)
    levels = levels_of(found.eigenvalues, found.multiplicity, 4)
    few = replace(found, eigenvalues=levels.nodes, multiplicity=levels.weights)

    def run(taken: Problem, most: int, seed: int) -> Solution:
        return solve(taken, WEIGHTS, most, count=2048, seed=seed)

    single = np.array([run(few, updates, seed).tau for seed in seeds])
    joined = [extrapolated(partial(run, seed=seed), few, updates, 4) for seed in seeds]
    gaps = np.array([each.tau for each in joined]) - single
    error = stats.t.isf(1e-8, len(seeds) - 1) * gaps.std(axis=0, ddof=1) / np.sqrt(len(seeds))
    added = np.abs(np.mean([each.stepping for each in joined], axis=0)).max(axis=0)
    change = np.abs(single.mean(axis=0) - few.s0).max()
    assert np.all(np.abs(gaps.mean(axis=0)) < added + error + 1e-3 * change)
    assert error.max() < 0.5 * change


def test_long_trainings_are_affordable() -> None:
    """400 updates of 8 neurons: some as one; short ones exactly as before; batches drawn afresh stay batches."""
    long = problem(40, 160, 8, rate=1.0, steps=400)
    assert stepping(long) == 5
    assert stepping(problem(m=16, steps=40)) == 1
    assert cost(long, 5)[1] < 2**29
    assert cost(long)[0] > 50 * cost(long, 5)[0]
    assert refusal(setting(40, 160, 8, rate=1.0, steps=400)) is None
    drawn = problem(40, 160, 8, rate=1.0, steps=400, batch_size=80, sampling="fresh")
    assert stepping(drawn) == 1


def test_what_was_extrapolated_is_declared() -> None:
    found = problem(steps=20, rate=0.5)
    taken = average(found, (0, 20), seed=0, count=512, by=4)
    assert taken.stepping is not None
    assert np.all(taken.stepping > 0)
    without = Solution(taken.remembered, taken.written, np.zeros(0), taken.amplitude)
    assert np.allclose(without.tau, taken.tau)
    declared = error_budget(found, taken)
    plain = type(taken)(**{**vars(taken), "stepping": None})
    assert declared > error_budget(found, plain)
    assert "updates computed as one" in accuracy(found, taken)
    assert "as one" not in accuracy(found, plain)


def test_a_prediction_tells_how_far_it_is() -> None:
    heard: list[tuple[int, int]] = []
    with listening(lambda done, most: heard.append((done, most))):
        theory.predict(setting(24, 60, 2, rate=2.0, steps=2))
    assert heard[:2] == [(1, 128), (2, 128)]
    assert len(heard) in (32, 64, 128)
