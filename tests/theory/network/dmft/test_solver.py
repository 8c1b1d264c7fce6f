"""The solver for given output weights: a literal oracle, linear networks, symmetries, Stein's identity."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from scipy import special, stats

import theory
from tests.oracles.mean_field import mean_field
from tests.theory.network.dmft.problems import problem, setting, spectrum, with_oracle
from theory.errors import NoClosedForm
from theory.network.dmft.problem import moved, problem_of
from theory.network.dmft.solver import solve
from theory.setting import Data, Labels, Network, Setting, Training

SIGNS = np.array([[1.0], [-1.0], [1.0], [-1.0]])


def test_a_literal_oracle_gives_the_same() -> None:
    """Plain draws, loops, and responses by finite differences; three updates with momentum and decay."""
    found, a, plain = with_oracle()
    literal = np.array([mean_field(plain, 3, seed)[-1] for seed in range(6)])
    fast = np.array([solve(found, a[:, None], 3, count=4096, seed=seed).tau[-1] for seed in range(6)])
    gap = literal.mean(axis=0) - fast.mean(axis=0)
    error = np.sqrt((literal.var(axis=0, ddof=1) + fast.var(axis=0, ddof=1)) / 6)
    moved_by = np.abs(fast.mean(axis=0) - 1)
    assert np.all(np.abs(gap) < stats.t.isf(1e-8, 5) * error)
    assert error.max() < 0.03 * moved_by.max()
    assert np.abs(gap).max() < 0.07 * moved_by.max()


@pytest.mark.parametrize(
    "keys", [{}, {"momentum": 0.6}, {"momentum": 0.6, "nesterov": True, "weight_decay": 0.05}, {"drops": ((5, 0.5),)}]
)
def test_a_linear_network_is_the_average_of_the_linear_form(keys: dict) -> None:
    """Identity, one neuron of output weight 1: the deterministic equivalent of f = w·x, to leading order."""
    found = problem(20, 50, 1, rate=4.0, steps=20, activation="identity", **keys)
    data = Data(kind="gaussian", spectrum=spectrum(20), samples=50, rotate=False)
    linear = Setting(
        data=data,
        labels=Labels(variance=4.0),
        network=Network(parametrization="ntk"),
        training=Training(learning_rate=4.0, steps=20, **keys),
    )
    expected = theory.predict(linear, formula="linear-averaged").readings[0].tau
    tau = solve(found, np.ones((1, 1)), 20, count=512, seed=3).tau[-1]
    np.testing.assert_allclose(tau, expected, rtol=2e-5)


def test_turning_the_neurons_of_a_linear_network_changes_nothing() -> None:
    """The mean over neurons depends on |a| alone; and half of what moves in two neurons is what moves in one."""
    one, three = (problem(20, 50, m, rate=2.0, steps=12, activation="identity") for m in (1, 3))
    a = np.array([[1.0], [2.0], [-2.0]])
    turned = np.array([[0.0], [3.0], [0.0]])
    first, second = (solve(three, weights, 12, count=1024, seed=3).tau[-1] for weights in (a, turned))
    np.testing.assert_allclose(first, second, rtol=2e-4)
    single = solve(replace(one, scale=three.scale), np.array([[3.0]]), 12, count=512, seed=3).tau[-1]
    np.testing.assert_allclose(3 * (first - 1), single - 1, atol=2e-4)


def test_relu_scales() -> None:
    """(w, a, η) → (κ w, a/κ, κ² η) is the same function at all times: τ is multiplied by κ²."""
    plain = problem(20, 40, 3, rate=3.0, steps=8, activation="relu")
    scaled = problem(20, 40, 3, rate=3.0 * 4, steps=8, activation="relu", init_variance=(4.0, 0.25))
    a = np.array([[1.0], [-0.5], [0.8]])
    first, second = (solve(p, w, 8, count=512, seed=1).tau for p, w in ((plain, a), (scaled, a / 2)))
    np.testing.assert_allclose(second, 4 * first, rtol=1e-9)


def test_order_and_sign_of_neurons_do_not_matter() -> None:
    """τ changes by no more than the Monte Carlo error, which a change of a tenth of Δτ would exceed."""
    found = problem(steps=12)
    a = np.array([[1.5], [-0.4], [0.8], [1.0]])
    tau = [
        np.array([solve(found, weights, 12, count=1024, seed=seed).tau[-1] for seed in range(6)])
        for weights in (a, a[::-1], -a)
    ]
    for other in tau[1:]:
        error = np.sqrt((tau[0].var(axis=0, ddof=1) + other.var(axis=0, ddof=1)) / 6)
        assert np.all(np.abs(tau[0].mean(axis=0) - other.mean(axis=0)) < stats.t.isf(1e-8, 5) * error)
        assert np.linalg.norm(tau[0].mean(axis=0) - other.mean(axis=0)) < 0.1 * np.linalg.norm(tau[0].mean(axis=0) - 1)


@pytest.mark.parametrize("activation", ["erf", "relu"])
def test_stein_is_obeyed_and_its_regulariser_does_not_matter(activation: str) -> None:
    found = problem(activation=activation, rate=8.0, steps=16)
    changes = []
    for ridge in (0.001, 0.01, 0.1, 1.0):
        runs = [solve(found, SIGNS, 16, count=2048, seed=seed, ridge=ridge) for seed in range(3)]
        changes.append(np.mean([run.tau[-1] for run in runs], axis=0) - 1)
        assert ridge > 0.01 or max(run.stein.max() for run in runs) < 0.02
    for change, most in zip(changes, (0.02, 0.0, 0.02, 0.04), strict=True):  # 1 leaves more of the tangents' noise
        assert np.linalg.norm(change - changes[1]) <= most * np.linalg.norm(changes[1])


def test_a_run_is_deterministic_and_starts_where_it_should() -> None:
    found = problem(init_variance=(0.7, 1.0), steps=4)
    first, second = (solve(found, SIGNS, 4, count=512, seed=2) for _ in range(2))
    np.testing.assert_array_equal(first.tau, second.tau)
    np.testing.assert_allclose(first.tau[0], 0.7, rtol=1e-12)
    assert np.all(first.written[0] == 0)
    assert np.any(solve(found, SIGNS, 4, count=512, seed=3).tau != first.tau)


@pytest.mark.parametrize("keys", [{"batch_size": 20}, {"batch_size": 20, "sampling": "fresh"}])
def test_one_full_batch_is_no_mini_batch(keys: dict) -> None:
    """Mini-batches have the same expectation and more noise: the first update writes more and forgets as much."""
    full, few = (solve(problem(rate=6.0, steps=2, **more), SIGNS, 2, count=2048, seed=1) for more in ({}, keys))
    np.testing.assert_allclose(few.remembered[1], full.remembered[1], rtol=1e-3)
    np.testing.assert_allclose(few.written[1], 4 * full.written[1], rtol=0.1)


def test_fresh_rows_have_no_memory() -> None:
    """Online, erf and one neuron: P obeys a recursion in the variance of h alone, done here by quadrature."""
    found = problem(20, 40, 1, rate=2.0, steps=3)
    online = msgspec.structs.replace(
        setting(20, 40, 1, rate=2.0, steps=3),
        data=Data(kind="gaussian", spectrum=spectrum(20), samples="online", rotate=False),
        training=Training(learning_rate=2.0, steps=3, batch_size=40, sampling="fresh"),
    )
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    levels, tau = found.eigenvalues, np.ones(20)
    for _ in range(3):
        h = np.sqrt(levels @ tau) * nodes
        slope = 2 / np.sqrt(np.pi) * np.exp(-(h**2))
        force = weights @ (slope**2 * (special.erf(h) ** 2 + 4.0))
        response = weights @ (slope**2 - 2 * h * slope * special.erf(h))
        tau = tau * (1 - 2.0 * levels * response) ** 2 + 4.0 * levels / 40 * force
    solved = solve(problem_of(online), np.ones((1, 1)), 3, count=4096, seed=0).tau[-1]
    np.testing.assert_allclose(solved - 1, tau - 1, atol=2e-3 * np.abs(tau - 1).max())


def test_divergence_is_said() -> None:
    with pytest.raises(NoClosedForm, match="diverged for some output weights"):
        solve(problem(rate=2000.0, steps=30, activation="relu"), SIGNS, 30, count=512, seed=0)


def test_an_update_is_that_of_torch() -> None:
    """Heavy ball, Nesterov and decay, by hand."""
    training = Training(learning_rate=0.1, momentum=0.5, nesterov=True, weight_decay=0.2, drops=((1, 0.5),))
    w, v = np.array(2.0), np.array(0.0)
    expected_w, expected_v = 2.0, 0.0
    for step, rate in enumerate((0.1, 0.05)):
        w, v = moved(training, step, w, v, np.array(1.0))
        g = 1.0 + 0.2 * expected_w
        expected_v = 0.5 * expected_v + g
        expected_w -= rate * (g + 0.5 * expected_v)
    assert (float(w), float(v)) == pytest.approx((expected_w, expected_v))
