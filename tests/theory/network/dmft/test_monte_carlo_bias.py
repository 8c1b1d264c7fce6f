"""The bias of the solver, of order one over its rows: it is there, and cancels; the next order is declared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.theory.network.dmft.problems import problem
from theory.network.dmft.average import Average, average, draws_of, unbiased
from theory.network.dmft.form import BIAS, BIAS_EXPLICIT, bias, error_budget
from theory.network.dmft.solver import Solution, solve


def test_it_is_declared() -> None:
    """c (T m/N)² of the largest |s_0² − remembered| + written, at every step, over each τ."""
    found = Average(
        np.array([[0.9, 0.5], [1.0, 0.8]]), np.array([[0.1, 0.7], [0.0, 0.1]]), np.zeros((2, 2)), 32, np.ones((2, 2))
    )
    given = problem(20, 80, 4)
    np.testing.assert_allclose(bias(given, replace(found, past=0.25)), 0.0625 * BIAS * np.array([[1.2] * 2, [0.3] * 2]))
    without = error_budget(given, found)
    assert error_budget(given, replace(found, past=0.25)) == pytest.approx(without + 0.0625 * BIAS * 1.2 / 1.0)


def test_that_of_first_order_is_declared_along_explicit_directions() -> None:
    found = Average(np.full((1, 3), 0.9), np.full((1, 3), 0.4), np.zeros((1, 3)), 32, np.ones((1, 3)), past=0.1)
    given = replace(problem(3, 80, 4, spectrum=(0.5, 1.0, 1.5)), explicit=1)
    np.testing.assert_allclose(bias(given, found), 0.5 * np.array([[0.01 * BIAS] * 2 + [0.1 * BIAS_EXPLICIT]]))


def test_an_average_knows_how_many_numbers_are_in_the_past_of_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theory.network.dmft.average.ROUNDS", (8,))
    given = problem(20, 80, 2, rate=1.0, steps=6)
    assert average(given, (6,), seed=0, count=256).past == 6 * 2 / 256
    joined = average(given, (6,), seed=0, count=256, by=2)
    assert joined.past == 3 * 2 / 256


def test_what_is_of_order_one_over_the_rows_cancels() -> None:
    parts = {
        name: np.array([[1.0, 2.0]]) * size for name, size in (("remembered", 1), ("written", 3), ("amplitude", 5))
    }

    def at(rows: int) -> Solution:
        return Solution(**{name: value * (1 + 7 / rows) for name, value in parts.items()}, stein=np.full(1, 1 / rows))

    found, explicit = (unbiased(at(64), at(32), directions) for directions in (0, 1))
    for name, value in parts.items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-14)
        np.testing.assert_allclose(getattr(explicit, name), value * [1, 1 + 7 / 64], rtol=1e-14)
    assert found.stein == 1 / 64


@pytest.mark.slow
def test_it_cancels_where_it_is_large() -> None:
    """Five tanh neurons on two levels, 23 updates: with 512 rows a fifth of the change of τ, extrapolated half of that.

    The number of rows in use is 2,048, of whose bias a sixteenth of the second order is left.
    """
    levels = {"spectrum": (0.5,) * 40 + (2.0,) * 20, "activation": "tanh", "loss": "cross-entropy"}
    given = problem(60, 240, 5, rate=39.0, steps=23, batch_size=60, **levels)
    weights, _ = draws_of(given, 3, 64)

    def at(rows: int) -> np.ndarray:
        return np.array(
            [solve(given, each, 23, count=rows, seed=number).tau[-1] for number, each in enumerate(weights)]
        )

    single = {rows: at(rows) for rows in (256, 512, 2048, 4096)}
    reference = 2 * single[4096] - single[2048]
    change = np.abs(reference.mean(axis=0) - given.s0).max()
    plain, paired = single[512] - reference, 2 * single[512] - single[256] - reference
    error = np.linalg.norm(paired.std(axis=0, ddof=1)) / 8
    assert error < 0.05 * change
    assert np.abs(plain.mean(axis=0)).max() > 0.2 * change
    assert np.abs(paired.mean(axis=0)).max() < BIAS * (115 / 512) ** 2 * change + 5 * error
    assert np.abs(paired.mean(axis=0)).max() < np.abs(plain.mean(axis=0)).max() / 2
