"""WᵀW and the AGOP against loops, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from theory.errors import InvalidInput
from theory.features import feature_matrix, gradient_outer_product

GRADIENTS = np.random.default_rng(0).standard_normal((2, 3, 7, 4))  # networks, outputs, rows, dimensions


@pytest.mark.parametrize("centred", [False, True])
def test_the_agop_is_a_sum_over_outputs_and_a_mean_over_rows(centred):
    expected = np.zeros((2, 4, 4))
    for r, network in enumerate(GRADIENTS):
        for output in network:
            mean = sum(output) / 7 if centred else 0.0
            for gradient in output:
                expected[r] += np.outer(gradient - mean, gradient - mean) / 7
    np.testing.assert_allclose(gradient_outer_product(GRADIENTS, centred=centred), expected, rtol=1e-12, atol=1e-14)
    of_tensors = gradient_outer_product(torch.from_numpy(GRADIENTS), centred=centred)
    np.testing.assert_allclose(of_tensors.numpy(), expected, rtol=1e-12, atol=1e-14)


def test_the_gradients_of_a_linear_function_have_no_centred_agop():
    same = np.broadcast_to(GRADIENTS[0, :, :1], (3, 7, 4))
    np.testing.assert_allclose(gradient_outer_product(same, centred=True), 0, atol=1e-15)


def test_the_feature_matrix_is_a_sum_over_units():
    weights = GRADIENTS[0]
    expected = [sum(np.outer(w, w) for w in each) for each in weights]
    np.testing.assert_allclose(feature_matrix(weights), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: gradient_outer_product(GRADIENTS[0, 0]), "gradients.shape = (7, 4): must be (..., C, n, d)"),
        (lambda: gradient_outer_product(GRADIENTS[:, :, :0]), "gradients.shape = (2, 3, 0, 4): must be"),
        (lambda: gradient_outer_product(GRADIENTS * np.inf), "gradients = 'nan or inf': must be finite"),
        (lambda: feature_matrix(np.ones(3)), "weights.shape = (3,): must be (..., m, d)"),
        (lambda: feature_matrix([[1.0]]), "arguments = 'list': must all be NumPy arrays"),
    ],
)
def test_bad_input_is_one_clear_line(call, line):
    with pytest.raises(InvalidInput) as caught:
        call()
    assert str(caught.value).startswith(line)
