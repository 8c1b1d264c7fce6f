"""Linearised networks: the loss step by step, and actual networks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.testing.strategies import seeds
from tests.oracles.network import descend
from tests.theory.transfer.measurements import RATE, problem
from theory.network.empirical import empirical_ntk
from theory.setting import Training
from theory.transfer import (
    LinearisedNetwork,
    RandomLabels,
    linearised_loss,
    linearised_transfer,
)


def iterated(kernel: np.ndarray, start: np.ndarray, training: Training, step: int) -> np.ndarray:
    """The residual (N, ·) after `step` updates of heavy ball on f, one after the other."""
    residual, buffer = start, np.zeros_like(start)
    for _ in range(step):
        buffer = training.momentum * buffer + kernel @ residual
        residual = residual - training.learning_rate * buffer
    return residual


@given(seed=seeds, n=st.integers(1, 5), outputs=st.integers(1, 3), momentum=st.sampled_from([0.0, 0.5]))
def test_loss_against_steps_one_by_one(seed: int, n: int, outputs: int, momentum: float) -> None:
    """A known f_0, a random one (its covariance by columns of a root), given and random targets, joint kernels."""
    generator = np.random.default_rng(seed)
    draw = generator.standard_normal
    half, joint, spread = draw((n, n + 1)), draw((n * outputs, 2)), draw((n, 2))
    kernel, between = half @ half.T, joint @ joint.T
    training = Training(learning_rate=1e-2, momentum=momentum, steps=(0, 1, 7))
    targets, initial = draw((n, outputs)), draw((n, outputs))
    random = RandomLabels(0.7, outputs)
    four = between.reshape(n, outputs, n, outputs).transpose(0, 2, 1, 3)
    apart = np.kron(np.eye(outputs), spread)  # of the outputs one after the other
    cases = (
        (LinearisedNetwork(kernel, outputs=initial), targets, kernel, targets - initial),
        (LinearisedNetwork(kernel), targets, kernel, targets),
        (
            LinearisedNetwork(kernel, covariance=spread @ spread.T),
            targets,
            kernel,
            np.hstack([targets, *[spread] * outputs]),
        ),
        (LinearisedNetwork(kernel), random, kernel, np.hstack([0.7**0.5 * np.eye(n)] * outputs)),
        (LinearisedNetwork(four, outputs=initial), targets, between, (targets - initial).reshape(-1, 1)),
        (LinearisedNetwork(four), random, between, 0.7**0.5 * np.eye(n * outputs)),
        (
            LinearisedNetwork(four, covariance=spread @ spread.T),
            targets,
            between,
            np.hstack(
                [targets.reshape(-1, 1), apart.reshape(outputs, n, -1).transpose(1, 0, 2).reshape(n * outputs, -1)]
            ),
        ),
    )
    for network, wanted, matrix, start in cases:
        found = linearised_loss(network, wanted, training)
        for k, step in enumerate(training.readings):
            expected = (iterated(matrix / n, start, training, step) ** 2).sum() / (2 * n)
            assert found[k] == pytest.approx(expected, rel=1e-9)


def pretrained(activation: str, width: int, outputs: int | None = None) -> tuple:
    """Rows, the weights before and after pre-training on random labels that move W by a third of itself."""
    rows, _, _ = problem(5, 12, 4)
    generator = np.random.default_rng(5)
    shape = (width,) if outputs is None else (width, outputs)
    before = generator.standard_normal((width, 4)), generator.standard_normal(shape)
    labels = 3 * generator.standard_normal((12, *shape[1:]))
    (w, _), _ = descend(activation, rows, labels, before, 1.0, 200)
    return rows, before, (w, before[1])


@pytest.mark.parametrize("outputs", [None, 3])
def test_second_layer_of_an_actual_network_exactly(outputs: int | None) -> None:
    """With a alone trained, f is linear in it, and the prediction from features and f_0 is exact at every width."""
    rows, before, after = pretrained("relu", 9, outputs)
    n = len(rows)
    targets = np.random.default_rng(6).standard_normal((n,) if outputs is None else (n, outputs))
    networks, paths = [], []
    for w, a in (after, before):
        features = np.maximum(rows @ w.T, 0) / 3
        networks.append(LinearisedNetwork(features @ features.T, outputs=features @ a))
        paths.append(descend("relu", rows, targets, (w, a), RATE, 30, "last")[1])
    found = linearised_transfer(*networks, targets, Training(learning_rate=RATE, steps=(0, 1, 30)))
    np.testing.assert_allclose(found.loss, paths[0][[0, 1, 30]], rtol=1e-10)
    np.testing.assert_allclose(found.reference_loss, paths[1][[0, 1, 30]], rtol=1e-10)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_all_layers_of_an_actual_network(activation: str) -> None:
    """Empirical kernels at m = 2048 predict losses within 0.5 m^-½ of the initial one, and the sign of the gain."""
    torch = pytest.importorskip("torch")
    rows, before, after = pretrained(activation, 2048)
    targets = rows @ np.ones(4)
    networks, paths = [], []

    def function(parameters: tuple, x):
        return {"relu": torch.relu, "tanh": torch.tanh}[activation](x @ parameters[0].T) @ parameters[1] / 2048**0.5

    for weights in (after, before):
        parameters, x = tuple(torch.tensor(part) for part in weights), torch.tensor(rows)
        kernel = empirical_ntk(function, parameters, x).numpy()
        networks.append(LinearisedNetwork(kernel, outputs=function(parameters, x).numpy()))
        paths.append(descend(activation, rows, targets, weights, RATE, 20)[1])
    steps = (0, 2, 20)
    found = linearised_transfer(*networks, targets, Training(learning_rate=RATE, steps=steps))
    measured = paths[1][list(steps)] - paths[0][list(steps)]
    budget = 0.5 * 2048**-0.5 * max(path[0] for path in paths)
    np.testing.assert_allclose(found.loss, paths[0][list(steps)], rtol=0, atol=budget)
    np.testing.assert_allclose(found.reference_loss, paths[1][list(steps)], rtol=0, atol=budget)
    assert np.abs(found.gain).max() > 4 * budget
    sure = np.abs(found.gain) > 2 * budget
    np.testing.assert_array_equal(np.sign(measured)[sure], np.sign(found.gain)[sure])
