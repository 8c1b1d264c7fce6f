"""The parts of one hidden layer in the limit: a literal oracle, a linear network, the average over output weights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import theory
from tests.oracles.mean_field import mean_field_law
from tests.theory.network.dmft.problems import problem, setting, spectrum, with_oracle
from theory.decomposition import decompose
from theory.network.dmft.solver import solve
from theory.setting import Data, Labels, Network, Setting, Training


@pytest.mark.slow
def test_the_factor_is_that_of_a_literal_oracle() -> None:
    """Plain draws and responses by finite differences: three updates with momentum and decay."""
    found, a, plain = with_oracle()
    literal = np.array([mean_field_law(plain, 3, seed)[1][-1] for seed in range(6)])
    fast = np.array([solve(found, a[:, None], 3, count=4096, seed=seed).amplitude[-1] for seed in range(6)])
    gap = literal.mean(axis=0) - fast.mean(axis=0)
    error = np.sqrt((literal.var(axis=0, ddof=1) + fast.var(axis=0, ddof=1)) / 6)
    lost = np.abs(fast.mean(axis=0) - 1).max()
    assert lost > 0.3
    assert np.all(np.abs(gap) < stats.t.isf(1e-8, 5) * error)
    assert error.max() < 0.03 * lost
    assert np.abs(gap).max() < 0.05 * lost


def test_a_linear_network_of_one_neuron_is_the_averaged_linear_model() -> None:
    """At leading order in 1/n, A is E[p_t(S)]_kk and the part written is that of the linear form."""
    found = problem(20, 50, 1, rate=4.0, steps=20, activation="identity")
    linear = Setting(
        data=Data(kind="gaussian", spectrum=spectrum(20), samples=50, rotate=False),
        labels=Labels(variance=4.0),
        network=Network(parametrization="ntk"),
        training=Training(learning_rate=4.0, steps=20),
    )
    solution = solve(found, np.ones((1, 1)), 20, count=512, seed=3)
    parts = decompose(linear).readings[0]
    # the parts of the linear model have the term of order 1/n, which the limit neglects
    budget = 3 / 50
    np.testing.assert_allclose(solution.amplitude[-1], parts.amplitude, atol=budget * (1 - parts.amplitude).max())
    np.testing.assert_allclose(solution.written[-1], parts.labels, rtol=budget)


def test_the_parts_are_those_of_the_form() -> None:
    given = setting(24, 60, 2, rate=2.0, steps=(0, 3))
    found, predicted = decompose(given), theory.predict(given)
    assert (found.formula, found.error_budget) == ("network-dmft", predicted.error_budget)
    for parts, reading in zip(found.readings, predicted.readings, strict=True):
        np.testing.assert_allclose(parts.tau, reading.tau, rtol=1e-12)
        np.testing.assert_allclose(parts.sigma, reading.sigma, rtol=1e-12)
    start, moved = found.readings
    np.testing.assert_allclose(start.amplitude, 1, rtol=1e-9)
    np.testing.assert_allclose(start.written, 0, atol=1e-9)
    assert np.all(moved.amplitude < 1)
    assert np.all(moved.mixed > 0)
    assert np.all(moved.labels > 0)
