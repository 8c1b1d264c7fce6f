"""Features at convergence: ridge regression, where the stationary point is known, and points that are none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from theory.errors import InvalidInput
from theory.features import decay_factor, decay_residual

GENERATOR = np.random.default_rng(2)
X, Y, DECAY = GENERATOR.standard_normal((12, 4)), GENERATOR.standard_normal((12, 3)), 0.3
RIDGE = Y.T @ X @ np.linalg.inv(X.T @ X + 12 * DECAY * np.eye(4))  # of (1/n) Σ ½ |Wx − y|² + ½ λ |W|²


def gradients(weights: np.ndarray) -> np.ndarray:
    """The gradient of each row's loss with respect to the row."""
    return (X @ weights.T - Y) @ weights


def test_ridge_regression_is_stationary():
    assert float(decay_residual(RIDGE, X, gradients(RIDGE), DECAY)) < 1e-13
    tensors = (torch.from_numpy(each) for each in (RIDGE, X, gradients(RIDGE)))
    assert float(decay_residual(*tensors, DECAY)) < 1e-13
    np.testing.assert_allclose(
        decay_factor(DECAY) * gradients(RIDGE).T @ X / 12, RIDGE.T @ RIDGE, rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("decay", [0.9 * DECAY, 1.1 * DECAY])
def test_another_decay_is_not(decay):
    assert float(decay_residual(RIDGE, X, gradients(RIDGE), decay)) > 0.05


def test_other_weights_are_not():
    assert float(decay_residual(1.01 * RIDGE, X, gradients(1.01 * RIDGE), DECAY)) > 1e-3


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: decay_factor(0.0), "decay = 0.0: must be positive"),
        (lambda: decay_residual(RIDGE, X, X[:3], DECAY), "gradients.shape = (3, 4): must be that of inputs"),
        (lambda: decay_residual(RIDGE[:, :3], X, X, DECAY), "gradients.shape = (12, 4): must be that of inputs"),
    ],
)
def test_bad_input_is_one_clear_line(call, line):
    with pytest.raises(InvalidInput) as caught:
        call()
    assert str(caught.value).startswith(line)
