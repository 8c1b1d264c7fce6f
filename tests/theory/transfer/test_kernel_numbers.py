"""Label-free numbers of tangent kernels: by explicit projections, and what leaves them alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reports.testing.strategies import orthogonal, seeds
from theory.errors import InvalidInput
from theory.transfer import kernel_numbers


def kernels(seed: int, replicas: int, n: int, outputs: int, rank: int) -> np.ndarray:
    """K = J Jᵀ of random Jacobians, (R, n, n, C, C)."""
    jacobian = np.random.default_rng(seed).standard_normal((replicas, n, outputs, rank))
    return np.einsum("rick,rjek->rijce", jacobian, jacobian)


@given(seed=seeds, n=st.integers(2, 5), outputs=st.integers(2, 4), rank=st.integers(1, 30))
def test_against_explicit_projections(seed: int, n: int, outputs: int, rank: int) -> None:
    given_kernels = kernels(seed, 2, n, outputs, rank)
    found = kernel_numbers(given_kernels)
    centre = np.kron(np.eye(n) - 1 / n, np.eye(outputs) - 1 / outputs)
    for r, kernel in enumerate(given_kernels):
        centred = centre @ kernel.transpose(0, 2, 1, 3).reshape(n * outputs, -1) @ centre
        trace = np.trace(centred)
        assert found.trace[r] == pytest.approx(trace / (n * outputs), rel=1e-9)
        assert found.effective_rank[r] == pytest.approx(trace**2 / (centred**2).sum(), rel=1e-9)
        values = np.sort(np.linalg.eigvalsh(centred))[::-1][: (n - 1) * (outputs - 1)]
        floored = np.maximum(values, 1e-6 * trace / len(values))
        assert found.geometric_mean[r] == pytest.approx(np.prod(floored ** (1 / len(values))) / (n * outputs), rel=1e-6)


@given(seed=seeds, factor=st.floats(1e-3, 1e3))
def test_scale_and_constants(seed: int, factor: float) -> None:
    """A factor multiplies trace and mean, and leaves the rank; what is constant over rows or outputs counts nowhere."""
    plain = kernels(seed, 1, 4, 3, 9)
    constant = np.einsum("ij,ce->ijce", np.ones((4, 4)), np.eye(3)) + np.einsum(
        "ij,ce->ijce", np.eye(4), np.ones((3, 3))
    )
    first, second = kernel_numbers(plain), kernel_numbers(factor * (plain + constant))
    np.testing.assert_allclose(second.trace, factor * first.trace, rtol=1e-8)
    np.testing.assert_allclose(second.effective_rank, first.effective_rank, rtol=1e-8)
    np.testing.assert_allclose(second.geometric_mean, factor * first.geometric_mean, rtol=1e-5)


@given(seed=seeds)
def test_turned_parameters_and_permuted_rows_change_nothing(seed: int) -> None:
    generator = np.random.default_rng(seed)
    jacobian, order = generator.standard_normal((4, 3, 9)), generator.permutation(4)
    turned = (jacobian @ orthogonal(seed, 9))[order]
    first, second = (kernel_numbers(np.einsum("ick,jek->ijce", j, j)[None]) for j in (jacobian, turned))
    for name in ("trace", "effective_rank", "geometric_mean"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=1e-6)


def test_tensors_and_a_kernel_of_zeros() -> None:
    found = kernel_numbers(torch.zeros(1, 3, 3, 2, 2))
    assert (found.trace.item(), found.effective_rank.item(), found.geometric_mean.item()) == (0.0, 0.0, 0.0)


def test_what_does_not_fit_is_refused() -> None:
    for shape in ((3, 3, 2, 2), (1, 3, 4, 2, 2), (1, 3, 3, 2, 3), (1, 1, 1, 2, 2), (1, 3, 3, 1, 1)):
        with pytest.raises(InvalidInput, match=r"kernels\.shape"):
            kernel_numbers(np.zeros(shape))
    with pytest.raises(InvalidInput, match="must be finite"):
        kernel_numbers(np.full((1, 3, 3, 2, 2), np.nan))
