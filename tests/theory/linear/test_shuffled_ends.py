"""Shuffled epochs at their ends, in closed form: second order, the noise of a bridge, errors, the regime."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.batches import (
    all_orders,
    ends_setting,
    with_sampling,
)
from tests.oracles.linear import fixed_setting
from theory.catalogue import predict
from theory.errors import NoClosedForm
from theory.linear import shuffled_ends
from theory.linear.eigenbasis import Eigenbasis, in_eigenbasis
from theory.linear.shuffled import average_over, draw_order_pairs
from theory.linear.shuffled_ends import bridge_noise, epoch_end_moments, modified_descent
from theory.setting import Network, Setting, Training


def mean_maps(basis: Eigenbasis, orders: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E Π and E G over the orders of one epoch, in the eigenbasis, by the plain loop."""
    training, x = basis.setting.training, basis.rows
    n, r = x.shape
    total = np.zeros((r, r + n))
    for order in orders:
        w, labels = np.hstack([np.eye(r), np.zeros((r, n))]), np.hstack([np.zeros((n, r)), np.eye(n)])
        for batch in order:
            gradient = x[batch].T @ (x[batch] @ w - labels[batch]) / len(batch) + training.weight_decay * w
            w -= training.learning_rate * gradient
        total += w / len(orders)
    return total[:, :r], total[:, r:]


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize(("n", "size"), [(6, 2), (6, 3), (5, 1), (4, 2)])
def test_the_modified_quadratic_is_right_to_second_order(n: int, size: int, decay: float) -> None:
    """The mean maps over all permutations of an epoch differ from the modified descent by O(η³): 8 per halving."""
    errors = []
    for halving in range(3):
        setting, rows = ends_setting(n, 2, size, 0.02 / 2**halving, (1,), 3, 0.1, decay)
        basis = in_eigenbasis(setting, rows)
        k, eta = setting.batches_per_epoch, setting.training.learning_rate
        values, vectors, teacher = modified_descent(basis)
        propagator = (vectors * (1 - eta * values) ** k) @ vectors.T
        answers = (vectors * ((1 - (1 - eta * values) ** k) / values)) @ vectors.T @ teacher
        maps = mean_maps(basis, all_orders(n, size, k))
        errors.append([np.abs(maps[0] - propagator).max(), np.abs(maps[1] - answers).max()])
    ratios = np.array(errors)[:-1] / np.array(errors)[1:]
    assert np.all(ratios > 7), ratios


def test_noise_of_a_long_bridge() -> None:
    """u of one epoch, against the literal sum over the path of the bridge: Σ_jl a^j a^l Cov(g_j, g_l)."""
    setting, rows = ends_setting(40, 3, 4, 0.8, (1, 2), 4, 0.1, 0.1)
    basis = in_eigenbasis(setting, rows)
    training, x, n, k = setting.training, basis.rows, 40, 10
    eta, a = training.learning_rate, 1 - training.learning_rate * basis.h
    u = np.zeros(3)
    assert bridge_noise(basis, 2)[0].tolist() == [0, 0, 0]
    for epoch in range(2):
        p, q, _ = basis.full_batch((epoch * k,))
        answers = q[0][:, None] * x.T / n  # E[w yᵀ]/σ_y² of descent
        moment = np.diag(p[0] ** 2 * basis.initial.diagonal()) + answers @ answers.T
        r = x @ moment @ x.T - x @ answers - answers.T @ x.T + np.eye(n)
        spread = (n - 4) / ((n - 1) * 4)
        c = spread * (x.T @ np.diag(r.diagonal()) @ x / n - x.T @ r @ x / n**2)
        weights = np.array([a ** (k - 1 - j) for j in range(k)])
        correlation = np.where(np.eye(k) == 1, 1.0, -1 / (k - 1))
        bridge = np.einsum("ji,jl,li->i", weights, correlation, weights) * c.diagonal()
        fourth = spread * np.diag(np.einsum("mi,mj,jk,mk,ml->il", x, x, c, x, x) / n - x.T @ x / n @ c @ x.T @ x / n)
        u = a ** (2 * k) * u + eta**2 * bridge + eta**4 * k**2 / 12 * fourth
        np.testing.assert_allclose(bridge_noise(basis, 2)[epoch + 1], u, rtol=1e-11)


def ends_error(setting: Setting, rows: np.ndarray, pairs: int, seed: int) -> tuple[np.ndarray, float]:
    """The largest relative error of the closed form at every reading, and the standard error of what it is held to."""
    basis = in_eigenbasis(setting, rows)
    average = average_over(basis, draw_order_pairs(setting, np.random.default_rng([seed, 23]), pairs), block=2)
    closed = basis.averaged(epoch_end_moments(basis).diagonal(axis1=1, axis2=2))
    return np.abs(closed / average.tau.mean(axis=0) - 1).max(axis=1), float(average.relative_error.max())


def test_the_closed_form_beside_the_average() -> None:
    """The form is within its declared budget; without the noise it is 4 % off, and independent batches are 40 % off."""
    setting, rows = ends_setting(60, 8, 6, 1.0, (10,), 0, 0.01)
    prediction = predict(setting, rows=rows, formula="linear-shuffled-ends")
    reference = predict(setting, rows=rows)
    assert (prediction.status, reference.formula) == ("asymptotic", "linear-shuffled")
    tau = reference.readings[0].tau
    assert prediction.error_budget is not None
    assert np.abs(prediction.readings[0].tau / tau - 1).max() < prediction.error_budget / 3
    basis = in_eigenbasis(setting, rows)
    mean = basis.averaged(epoch_end_moments(basis, noise=False).diagonal(axis1=1, axis2=2))
    assert 0.03 < np.abs(mean / tau - 1).max() < 0.06
    independent = predict(with_sampling(setting, "fresh"), rows=rows).readings[0].tau
    assert 0.25 < np.abs(independent / tau - 1).max() < 0.6


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("decay", [0.0, 0.05, 0.3])
@pytest.mark.parametrize(
    ("n", "d", "size", "epochs"),
    [(60, 8, 6, (3, 5, 10, 20)), (300, 8, 15, (3, 5, 10, 20)), (2000, 8, 100, (3, 5, 10)), (60, 100, 6, (10, 20))],
)
def test_table_of_errors_of_the_closed_form(n: int, d: int, size: int, epochs: tuple[int, ...], decay: float) -> None:
    """η halved twice at fixed ηt and K: within the budget everywhere, and falling at least as η²."""
    for seed, init in ((10, 0.01), (11, 0.2 if d < n else 0.02)):
        errors = []
        for halving in range(3):
            longer = tuple(epoch * 2**halving for epoch in epochs)
            setting, rows = ends_setting(n, d, size, 0.999 / 2**halving, longer, seed, init, decay)
            predict(setting, rows=rows, formula="linear-shuffled-ends")  # inside its regime
            error, known = ends_error(setting, rows, 100 if d < n else 40, seed)
            errors.append((float(error.max()), known))
            assert error.max() < shuffled_ends.BUDGET, (n, d, seed, halving)
        print(f"n={n} d={d} B={size} λ={decay} σ_0²={init}: " + ", ".join(f"{e:.5f} ± {k:.5f}" for e, k in errors))
        assert errors[2][0] < errors[0][0] / 16 + 5 * errors[2][1]


def test_outside_its_regime_the_closed_form_refuses() -> None:
    name = "linear-shuffled-ends"
    for (setting, rows), key in (
        (ends_setting(60, 8, 6, 1.01, (5,), 0, 0.01), "training.learning_rate"),
        (ends_setting(60, 8, 6, 0.9, (5,), 0, 1.0), "network.init_variance"),
        (ends_setting(60, 40, 6, 0.9, (9,), 0, 0.01), "training.steps"),
    ):
        with pytest.raises(NoClosedForm, match="linear-shuffled has no such limit") as caught:
            predict(setting, rows=rows, formula=name)
        assert caught.value.key == key
    setting, rows = ends_setting(60, 40, 6, 0.9, (0, 10), 0, 0.01)
    np.testing.assert_allclose(predict(setting, rows=rows, formula=name).readings[0].tau, 0.01)


@pytest.mark.parametrize(
    ("training", "network", "reason"),
    [
        ({"steps": 31}, {}, "ends of epochs"),
        ({"steps": 20}, {}, "ends of epochs"),
        ({"batch_size": 7, "steps": 56}, {}, "must divide data.samples = 60"),
        ({"momentum": 0.5}, {}, "without momentum"),
        ({"drops": ((10, 0.5),)}, {}, "one learning rate"),
        ({}, {"init_spectrum": (1.0, 2.0)}, "isotropic"),
        ({"sampling": "fresh"}, {}, "shuffled epochs"),
        ({"batch_size": "full"}, {}, "full batch"),
        ({"batch_size": 40}, {}, "epochs of one batch"),
        ({"loss": "mse", "l1": 0.1}, {}, "not linear"),
    ],
)
def test_hypotheses(training: dict, network: dict, reason: str) -> None:
    rows = np.random.default_rng(1).standard_normal((60, 2))
    setting = fixed_setting(
        rows, Training(**{"batch_size": 6, "steps": 50, "learning_rate": 0.01, **training}), network=Network(**network)
    )
    with pytest.raises(NoClosedForm, match=reason):
        predict(setting, rows=rows, formula="linear-shuffled-ends")
