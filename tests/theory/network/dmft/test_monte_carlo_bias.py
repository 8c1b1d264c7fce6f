"""The bias of the solver, of order one over its rows: it is declared, and is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.theory.network.dmft.problems import problem
from theory.network.dmft.average import Average, average, draws_of
from theory.network.dmft.form import BIAS, bias, error_budget
from theory.network.dmft.solver import solve


def test_it_is_declared() -> None:
    """c T m/N of the largest |s_0² − remembered| + written, at every step, over each τ."""
    found = Average(
        np.array([[0.9, 0.5], [1.0, 0.8]]), np.array([[0.1, 0.7], [0.0, 0.1]]), np.zeros((2, 2)), 32, np.ones((2, 2))
    )
    given = problem(20, 80, 4)
    np.testing.assert_allclose(bias(given, replace(found, past=0.25)), 0.25 * BIAS * np.array([[1.2], [0.3]]))
    without = error_budget(given, found)
    assert error_budget(given, replace(found, past=0.25)) == pytest.approx(without + 0.25 * BIAS * 1.2 / 1.0)


def test_an_average_knows_how_many_numbers_are_in_the_past_of_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theory.network.dmft.average.ROUNDS", (8,))
    given = problem(20, 80, 2, rate=1.0, steps=6)
    assert average(given, (6,), seed=0, count=256).past == 6 * 2 / 256
    joined = average(given, (6,), seed=0, count=256, by=2)
    assert joined.past == 3 * 2 / 256


@pytest.mark.slow
def test_it_is_of_the_order_of_the_past_over_the_rows() -> None:
    """Three erf neurons, 14 updates: between a sixth of what is declared and all of it, for 128 rows and for 256."""
    given = replace(problem(40, 120, 3, rate=5.0, steps=14), explicit=0)
    weights, _ = draws_of(given, 3, 128)

    def at(rows: int) -> tuple[np.ndarray, float]:
        runs = [solve(given, each, 14, count=rows, seed=100 + seed) for seed, each in enumerate(weights)]
        sizes = [np.max(np.abs(run.remembered[-1] - given.s0) + run.written[-1]) for run in runs]
        return np.array([run.tau[-1] for run in runs]), float(np.mean(sizes))

    reference, size = at(1024)
    for rows in (128, 256):
        gaps = at(rows)[0] - reference
        declared = BIAS * 42 * (1 / rows - 1 / 1024) * size
        worst = np.argmax(np.abs(gaps.mean(axis=0)))
        found = abs(gaps.mean(axis=0)[worst])
        assert declared / 6 < found < declared, (rows, found, declared)
