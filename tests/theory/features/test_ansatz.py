"""The ansatz on matrices made to fit it, on balanced linear networks, and against a search by brute force."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from theory.errors import InvalidInput
from theory.features import (
    change_correlation,
    correlation,
    feature_matrix,
    fit_ansatz,
    linear_exponent,
    matrix_power,
)

GENERATOR = np.random.default_rng(1)
A, B = (w.T @ w for w in GENERATOR.standard_normal((2, 9, 5)))


def balanced(layers: int, width: int = 6, outputs: int = 3, inputs: int = 5) -> list[np.ndarray]:
    """Weights with W_{l+1}ᵀW_{l+1} = W_l W_lᵀ, first layer first: W_l = U_l S U_{l−1}ᵀ with orthonormal columns."""
    s = np.diag([0.5, 1.0, 2.0])
    sides = [inputs, *(width,) * (layers - 1), outputs]
    bases = [np.linalg.qr(GENERATOR.standard_normal((side, outputs)))[0] for side in sides]
    return [after @ s @ before.T for before, after in pairwise(bases)]


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_balanced_linear_networks_have_an_exponent_of_one_over_their_layers(layers):
    weights = balanced(layers)
    product = weights[0]
    for each in weights[1:]:
        product = each @ product
    found = fit_ansatz(feature_matrix(weights[0]), product.T @ product)
    assert found.exponent == pytest.approx(linear_exponent(layers), abs=1e-6)
    assert found.correlation == pytest.approx(1, abs=1e-12)
    assert found.at_one < 1 - 1e-3 or layers == 1
    np.testing.assert_allclose(
        matrix_power(product.T @ product, 1 / layers), feature_matrix(weights[0]), rtol=1e-9, atol=1e-9
    )


def test_the_best_exponent_is_that_of_a_search_by_brute_force():
    found = fit_ansatz(B, A)
    grid = np.linspace(0.001, 4, 4000)
    values, vectors = np.linalg.eigh(A)
    each = correlation(B[None], (vectors * (values ** grid[:, None])[:, None, :]) @ vectors.T)
    assert found.exponent == pytest.approx(grid[int(np.argmax(each))], abs=2e-3)
    assert found.correlation == pytest.approx(each.max(), abs=1e-6)
    assert found.at_one == pytest.approx(float(correlation(B, A)), abs=1e-12)
    tensors = fit_ansatz(torch.from_numpy(B), torch.from_numpy(A))
    assert tensors.exponent == pytest.approx(found.exponent, abs=1e-6)
    scaled = fit_ansatz(1e200 * B, 1e-200 * A)
    assert scaled.exponent == pytest.approx(found.exponent, abs=1e-6)


def test_of_rank_one_every_exponent_fits_alike():
    w = GENERATOR.standard_normal((1, 4))
    found = fit_ansatz(w.T @ w, 3 * w.T @ w)
    assert np.isnan(found.exponent)
    assert found.correlation == found.at_one == pytest.approx(1, abs=1e-12)


def test_correlations_are_cosines():
    expected = sum(A[i, j] * B[i, j] for i in range(5) for j in range(5)) / np.sqrt((A**2).sum() * (B**2).sum())
    assert float(correlation(A, B)) == pytest.approx(expected, abs=1e-14)
    assert float(correlation(torch.from_numpy(A), torch.from_numpy(B))) == pytest.approx(expected, abs=1e-14)
    near = np.eye(5) + 1e-3 * A, np.eye(5) + 1e-3 * B
    assert float(correlation(*near)) > 0.9999
    assert float(correlation(*near, traceless=True)) == pytest.approx(float(correlation(A, B, traceless=True)), 1e-6)
    assert np.isnan(float(correlation(np.eye(3), np.diag([1.0, 2.0, 3.0]), traceless=True)))


def test_correlations_of_several_are_those_of_each():
    several = np.stack([A, A + np.eye(5), B])
    for traceless in (False, True):
        each = [float(correlation(matrix, B, traceless=traceless)) for matrix in several]
        np.testing.assert_allclose(correlation(several, B, traceless=traceless), each, rtol=1e-12)


def test_the_change_is_compared_with_what_the_output_sees_of_it():
    initial, change = GENERATOR.standard_normal((2, 6, 4))
    k = np.cov(GENERATOR.standard_normal((6, 9)))
    expected = correlation(change.T @ change, change.T @ k @ change)
    assert float(change_correlation(initial + change, initial, k)) == pytest.approx(float(expected), abs=1e-12)
    assert float(change_correlation(initial + change, initial, np.eye(6))) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: fit_ansatz(A, B[:4, :4]), "gradients.shape = (4, 4): must be (d, d)"),
        (lambda: fit_ansatz(A, -B), "gradients = "),
        (lambda: fit_ansatz(0 * A, B), "features, gradients = 0.0: must not be zero"),
        (lambda: correlation(A, B[:4, :4]), "second.shape = (4, 4): must be"),
        (lambda: correlation(A, B + np.triu(B)), "second = "),
        (lambda: matrix_power(A, 0.0), "exponent = 0.0: must be positive"),
        (lambda: linear_exponent(0), "layers = 0: must be at least 1"),
        (lambda: change_correlation(np.ones((3, 2)), np.zeros((3, 2)), np.eye(2)), "sensitivity.shape = (2, 2)"),
    ],
)
def test_bad_input_is_one_clear_line(call, line):
    with pytest.raises(InvalidInput) as caught:
        call()
    assert str(caught.value).startswith(line)
