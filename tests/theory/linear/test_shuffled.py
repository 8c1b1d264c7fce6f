"""Shuffled epochs: every permutation in Fractions, Monte Carlo, how wrong independent batches are."""

from __future__ import annotations

import itertools
from fractions import Fraction

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.oracles.batches import (
    all_orders,
    block_moments,
    ends_setting,
    enumerated_second_moment,
    random_batch_setting,
    replicas,
    with_sampling,
)
from tests.oracles.linear import OPTIMIZERS, exact, fixed_setting
from theory.catalogue import predict
from theory.eigenspaces import eigenspaces, weight_variances
from theory.errors import InvalidInput, NoClosedForm
from theory.linear.eigenbasis import in_eigenbasis
from theory.linear.shuffled import average_over, draw_order_pairs
from theory.setting import Labels, Network, Setting, Training
from theory.testing import whole_matrix_test


def averaged(setting: Setting, rows: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Σ_w (t, d, d) averaged over given orders, in the coordinates of the data."""
    basis = in_eigenbasis(setting, rows)
    v = basis.spaces.basis
    return v @ average_over(basis, orders).second_moments @ v.T


# ---- exactly


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("n", "d", "size", "steps"),
    [(4, 2, 2, 1), (4, 2, 2, 2), (4, 1, 2, 3), (3, 2, 1, 2), (3, 2, 1, 3), (3, 1, 1, 5), (2, 3, 1, 3), (5, 1, 2, 2)],
)
def test_every_permutation(optimizer: str, n: int, d: int, size: int, steps: int) -> None:
    """All label vectors and all permutations of every epoch in Fractions; mid-epoch, and with a row left over."""
    rows = np.random.default_rng([n, d, 3]).integers(-2, 3, (n, d)) / 2
    training = Training(learning_rate=0.125, batch_size=size, steps=steps, **OPTIMIZERS[optimizer])
    enumerated = enumerated_second_moment(exact(rows), Fraction(3, 2), [Fraction(3, 4)] * d, training, size, steps)
    labels = Labels(kind="rademacher", variance=2.25)
    setting = fixed_setting(rows, training, labels=labels, network=Network(init_variance=0.75 * d))
    expected = np.array(enumerated, dtype=float)
    found = averaged(setting, rows, all_orders(n, size, steps))[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 11),
    levels=st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=6),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    ntk=st.booleans(),
)
@settings(max_examples=25)
def test_given_orders_against_a_plain_loop(seed: int, n: int, levels: list[float], optimizer: str, ntk: bool) -> None:
    """Any readings, n above and below d, no row at all that matters, a partial batch left over."""
    generator = np.random.default_rng(seed)
    d = len(levels)
    rows = generator.standard_normal((n, d)) * np.sqrt(levels)
    size = int(generator.integers(1, n // 2 + 1))
    steps = (*np.flatnonzero(generator.random(12) < 0.4).tolist(), 12)
    training = Training(learning_rate=0.1, batch_size=size, steps=steps, **OPTIMIZERS[optimizer])
    variances = generator.uniform(0.1, 1, d)
    network = Network(init_spectrum=tuple(variances), parametrization="ntk" if ntk else "standard")
    setting = fixed_setting(rows, training, network=network, labels=Labels(variance=1.5))
    orders = draw_order_pairs(setting, generator, 2)
    found = averaged(setting, rows, orders)
    scaled = rows / np.sqrt(d) if ntk else rows
    expected = np.mean([_linear_map(scaled, order, training, variances, 1.5) for order in orders], axis=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def _linear_map(
    rows: np.ndarray, order: np.ndarray, training: Training, variances: np.ndarray, sigma_y2: float
) -> np.ndarray:
    """Π Σ_0 Πᵀ + σ_y² G Gᵀ at every reading, from the response to every coordinate of w_0 and every label."""
    n, d = rows.shape
    w, labels = np.hstack([np.eye(d), np.zeros((d, n))]), np.hstack([np.zeros((n, d)), np.eye(n)])
    covariance = np.concatenate([variances, np.full(n, sigma_y2)])
    buffer, found = np.zeros_like(w), []
    for step in range(training.readings[-1] + 1):
        if step in training.readings:
            found.append((w * covariance) @ w.T)
        if step == training.readings[-1]:
            break
        x, y, eta = rows[order[step]], labels[order[step]], training.learning_rate_at(step)
        gradient = x.T @ (x @ w - y) / len(x) + training.weight_decay * w
        buffer = training.momentum * buffer + gradient
        w = w - eta * (gradient + training.momentum * buffer if training.nesterov else buffer)
    return np.array(found)


def test_gradients_of_one_epoch_form_a_bridge() -> None:
    """At frozen w, Cov(g_j) = C and Cov(g_j, g_l) = −C/(K − 1).

    All permutations of six rows in three batches are averaged.
    """
    generator = np.random.default_rng(4)
    rows, w, y = generator.standard_normal((6, 2)), generator.standard_normal(2), generator.standard_normal(6)
    each = rows * (rows @ w - y)[:, None]
    gradients = each[all_orders(6, 2, 3)].mean(axis=2)  # (720, K, d)
    centred = gradients - each.mean(axis=0)
    covariance = np.einsum("pji,plk->jlik", centred, centred) / len(centred)
    single = np.cov(each.T, bias=True) * (6 - 2) / (2 * (6 - 1))
    for j, k in itertools.product(range(3), repeat=2):
        np.testing.assert_allclose(covariance[j, k], single if j == k else -single / 2, atol=1e-14)


# ---- drawn orders


def test_orders_are_epochs_followed_by_their_reverse() -> None:
    setting = fixed_setting(np.ones((7, 1)), Training(batch_size=2, steps=8))
    orders = draw_order_pairs(setting, np.random.default_rng(0), 5)
    assert orders.shape == (10, 8, 2)
    for order, reverse in orders.reshape(5, 2, 8, 2):
        for epoch in (0, 3):
            assert len(set(order[epoch : epoch + 3].ravel())) == 6
            np.testing.assert_array_equal(order[epoch : epoch + 3], reverse[epoch : epoch + 3][::-1])
    first = draw_order_pairs(
        fixed_setting(np.ones((4, 1)), Training(batch_size=2, steps=2)), np.random.default_rng(1), 6000
    )
    counts = np.bincount((first[:, 0] * [1, 4]).sum(axis=1))
    assert stats.chisquare(counts[counts > 0]).pvalue > 1e-6
    assert (counts > 0).sum() == 12


def test_the_error_budget_covers_the_truth() -> None:
    """Errors against the exact average over all orders are as large as the spread over pairs predicts.

    They never exceed the budget.
    """
    rows = np.random.default_rng(6).standard_normal((4, 2))
    training = Training(learning_rate=0.3, batch_size=2, steps=(1, 4))
    setting = fixed_setting(rows, training)
    basis = in_eigenbasis(setting, rows)
    truth = average_over(basis, all_orders(4, 2, 4)).tau.mean(axis=0)
    scores = []
    for seed in range(60):
        found = average_over(basis, draw_order_pairs(setting, np.random.default_rng([seed, 5]), 40), block=2)
        scores.append((found.tau.mean(axis=0) / truth - 1)[1] / found.relative_error[1])
    assert 0.7 < np.std(scores) < 1.4
    prediction = predict(setting, rows=rows)
    assert prediction.error_budget is not None
    for reading, tau in zip(prediction.readings, truth, strict=True):
        assert np.abs(reading.tau / tau - 1).max() < prediction.error_budget


def test_the_prediction_is_a_function_of_the_setting() -> None:
    rows = np.random.default_rng(7).standard_normal((12, 3))
    setting = fixed_setting(rows, Training(learning_rate=0.2, batch_size=3, steps=(0, 2, 9)))
    first, second = predict(setting, rows=rows), predict(setting, rows=rows)
    assert first.formula == "linear-shuffled"
    assert (first.status, first.error_budget) == ("asymptotic", second.error_budget)
    assert "random pairs" in first.neglected[0]
    for a, b in zip(first.readings, second.readings, strict=True):
        np.testing.assert_array_equal(a.second_moment, b.second_moment)
    other = predict(
        msgspec.structs.replace(setting, ensemble=msgspec.structs.replace(setting.ensemble, seed=1)), rows=rows
    )
    differ = [np.abs(a.tau / b.tau - 1).max() for a, b in zip(first.readings, other.readings, strict=True)]
    assert differ[0] == 0
    assert first.error_budget is not None
    assert 0 < max(differ) < 2 * first.error_budget


# ---- against Monte Carlo


def judged(seed: int, count: int = 50_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, the prediction averaged over 100 given orders, and block means of replicas that follow them in turn."""
    setting, rows = random_batch_setting(seed, "epochs")
    orders = draw_order_pairs(setting, np.random.default_rng([seed, 17]), 50)
    predicted = averaged(setting, rows, orders)[-1]
    weights = replicas(setting, rows, seed, count, orders)
    return rows, predicted, block_moments(weights, 200)


@pytest.mark.parametrize("seed", range(4))
def test_second_moment_matrix(seed: int) -> None:
    _, predicted, blocks = judged(seed, 60_000)
    test = whole_matrix_test(predicted, blocks, gaussian=False, counts=np.full(200, 300))
    assert test.pvalue >= 1e-7


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_second_moment_matrices_of_many_settings() -> None:
    """No rejection, uniform p-values, and 7 % planted in one τ is found, over 210 settings."""
    tests, uniform, found = [], [], []
    for seed in range(2000, 2210):
        rows, predicted, blocks = judged(seed, 80_000)
        counts = np.full(200, 400)
        test = whole_matrix_test(predicted, blocks, gaussian=False, counts=counts)
        tests.append(test.pvalue)
        # one diagonal a setting, chosen beforehand: its score is a standard normal number
        uniform.append(2 * stats.norm.sf(abs(test.diagonal_zscores[seed % test.rank])))
        spaces = eigenspaces(rows.T @ rows / len(rows))
        space = seed % len(weight_variances(spaces, predicted))
        stretch = np.eye(rows.shape[1]) + (1.07**0.5 - 1) * spaces.projectors[space]
        wrong = whole_matrix_test(stretch @ predicted @ stretch, blocks, gaussian=False, counts=counts)
        found.append(wrong.pvalue < 1e-6 / 210)
    assert min(tests) >= 1e-6 / len(tests)
    assert stats.kstest(uniform, "uniform").pvalue >= 1e-6
    assert np.mean(found) >= 0.95


# ---- what does not describe shuffling


def twelve_rows() -> tuple[Setting, np.ndarray]:
    rows = np.random.default_rng(12).standard_normal((12, 4)) * np.sqrt([0.3, 0.6, 1.0, 1.5])
    s_max = np.linalg.eigvalsh(rows.T @ rows / 12)[-1]
    training = Training(learning_rate=1.5 / 4 / s_max, batch_size=3, steps=20)  # K = 4, ηK s_max = 1.5, 5 epochs
    return fixed_setting(rows, training, network=Network(init_variance=0.2)), rows


def test_independent_batches_are_wrong_for_shuffled_epochs() -> None:
    """n = 12: the independent-batch recursion and the full batch are 10 to 60 % off; replicas reject both."""
    setting, rows = twelve_rows()
    shuffled = predict(setting, rows=rows)
    assert (shuffled.formula, shuffled.error_budget) == ("linear-shuffled", 0.02)
    full = msgspec.structs.replace(setting, training=msgspec.structs.replace(setting.training, batch_size="full"))
    independent = predict(with_sampling(setting, "fresh"), rows=rows)
    descent = predict(full, rows=rows)
    blocks = block_moments(replicas(setting, rows, 3, 50_000))
    for prediction, right in ((shuffled, True), (independent, False), (descent, False)):
        error = np.abs(prediction.readings[0].tau / shuffled.readings[0].tau - 1).max()
        assert right or 0.1 < error < 0.6, (prediction.formula, error)
        test = whole_matrix_test(prediction.readings[0].second_moment, blocks, gaussian=False, counts=np.full(200, 250))
        assert (test.pvalue > 1e-6) == right, prediction.formula


def test_labels_are_learnt_differently_too() -> None:
    """E[w yᵀ] over all orders is not that of descent: shuffling biases the path, it does not only add noise."""
    rows = np.random.default_rng(5).standard_normal((6, 2))
    training = Training(learning_rate=0.3, batch_size=2, steps=3)
    weights = np.mean([_answers(rows, order, training) for order in all_orders(6, 2, 3)], axis=0)
    mean = np.mean([_answers(rows, np.tile(np.arange(6), (3, 1)), training)], axis=0)
    assert np.abs(weights - mean).max() > 0.05 * np.abs(mean).max()


def _answers(rows: np.ndarray, order: np.ndarray, training: Training) -> np.ndarray:
    """G (d, n): the weights that each label alone would give, from w_0 = 0, by plain descent."""
    w = np.zeros((rows.shape[1], len(rows)))
    for batch in order:
        w -= training.learning_rate * rows[batch].T @ (rows[batch] @ w - np.eye(len(rows))[batch]) / len(batch)
    return w


# ---- at the ends of epochs, in closed form


def test_data_must_be_fixed() -> None:
    setting, _ = ends_setting(60, 8, 6, 0.9, (5,), 0, 0.01)
    free = msgspec.structs.replace(setting, data=msgspec.structs.replace(setting.data, fixed=False))
    with pytest.raises(NoClosedForm, match="conditional on the rows"):
        predict(free, formula="linear-shuffled")


def test_bad_orders_and_overflow() -> None:
    setting, rows = ends_setting(6, 2, 2, 0.9, (2,), 0, 0.01)
    basis = in_eigenbasis(setting, rows)
    for orders, block in (
        (all_orders(6, 2, 3), 1),
        (np.tile(all_orders(6, 2, 3)[:3], (1, 2, 1)), 2),
        (np.zeros((0, 6, 2), int), 1),
    ):
        with pytest.raises(InvalidInput, match=r"orders\.shape"):
            average_over(basis, orders, block=block)
    fast = msgspec.structs.replace(
        setting, training=msgspec.structs.replace(setting.training, learning_rate=1e30, steps=6)
    )
    with pytest.raises(InvalidInput, match="overflow by step 6"):
        predict(fast, rows=rows)
