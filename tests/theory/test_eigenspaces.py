import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reports.testing.strategies import Known, known_matrices, orthogonal, pairs, spectral
from tests.oracles.matrices import operator_norm, projectors
from theory.eigenspaces import Eigenspaces, eigenspaces, matching, transfer_function, weight_variances
from theory.errors import InvalidInput


@given(known_matrices(positive=False))
def test_eigenspaces_that_were_built_in_are_found(known: Known) -> None:
    found = eigenspaces(known.matrix)
    assert found.multiplicity == known.multiplicity
    assert found.dimension == known.dimension
    scale = np.abs(known.eigenvalues).max()
    np.testing.assert_allclose(found.eigenvalues, known.eigenvalues, atol=1e-12 * max(scale, 1))
    np.testing.assert_allclose(found.projectors, projectors(known.spaces), atol=1e-11)
    np.testing.assert_allclose(found.matrix, known.matrix, atol=1e-12 * max(scale, 1))


@given(known_matrices())
def test_projectors_resolve_the_identity(known: Known) -> None:
    p = eigenspaces(known.matrix).projectors
    np.testing.assert_allclose(p.sum(axis=0), np.eye(known.dimension), atol=1e-12)
    np.testing.assert_allclose(
        np.einsum("iab,jbc->ijac", p, p), np.einsum("ij,iac->ijac", np.eye(len(p)), p), atol=1e-12
    )


@given(known_matrices(), st.floats(0, 0.05), st.integers(0, 2**32 - 1))
def test_the_gap_rule_undoes_a_perturbation_that_it_covers(known: Known, size: float, seed: int) -> None:
    noise = np.random.default_rng(seed).standard_normal(known.matrix.shape)
    noise = (noise + noise.T) * size / operator_norm(noise + noise.T)
    perturbed = known.matrix + noise
    # eigenvalues move by at most ‖E‖ (Weyl): 2‖E‖ joins what was equal, and separates gaps of 1/4
    found = eigenspaces(perturbed, gap=(2 * size + 1e-12) / operator_norm(perturbed))
    assert found.multiplicity == known.multiplicity
    assert max(found.spread) <= 2 * size + 1e-11
    smallest_gap = np.diff(known.eigenvalues).min(initial=np.inf)
    assert min(found.separations) >= smallest_gap - 2 * size - 1e-10


def test_joining_is_by_neighbours_and_chains() -> None:
    spaces = eigenspaces(np.diag([0.0, 1.0, 2.0, 10.0]), gap=0.1)
    assert spaces.multiplicity == (3, 1)
    assert spaces.eigenvalues.tolist() == [1, 10]
    assert spaces.gap == pytest.approx(1)
    assert spaces.spread == (1, 0)
    assert spaces.separations == (8, 8)
    assert eigenspaces(np.diag([0.0, 1.0, 2.0, 10.0]), gap=0.0999).multiplicity == (1, 1, 1, 1)


def test_eigenvalues_closer_than_twice_their_standard_error_are_joined() -> None:
    matrix = np.diag([1.0, 1.5, 3.0])
    # 2 sqrt(se_1² + se_2²) = 0.5 is reached exactly, then just missed
    assert eigenspaces(matrix, standard_errors=[0.15, 0.2, 0.0]).multiplicity == (2, 1)
    assert eigenspaces(matrix, standard_errors=[0.149, 0.2, 0.0]).multiplicity == (1, 1, 1)
    assert eigenspaces(matrix, standard_errors=[0.149, 0.2, 0.8]).multiplicity == (1, 2)
    assert eigenspaces(matrix, standard_errors=[0.0, 0.0, 0.0]).gap > 0


def test_one_dimension_and_zero() -> None:
    assert eigenspaces(np.array([[3.0]])).separations == (np.inf,)
    assert eigenspaces(np.zeros((3, 3))).multiplicity == (3,)


@given(pairs())
def test_weight_variances_are_traces_over_eigenspaces(pair: tuple[Known, np.ndarray]) -> None:
    known, b = pair
    expected = [np.trace(p @ b) / m for p, m in zip(projectors(known.spaces), known.multiplicity, strict=True)]
    np.testing.assert_allclose(weight_variances(known.spaces, b), expected, rtol=1e-12)
    np.testing.assert_allclose(transfer_function(known.spaces, b), np.sqrt(expected), rtol=1e-12)
    batch = np.stack([b, 2 * b])[:, None]
    np.testing.assert_allclose(weight_variances(known.spaces, batch)[1, 0], 2 * np.array(expected), rtol=1e-12)


@pytest.mark.parametrize(
    ("matrix", "options", "key"),
    [
        (np.eye(2)[None], {}, "matrix.shape"),
        (np.ones((2, 3)), {}, "matrix.shape"),
        (np.eye(2), {"gap": -1e-3}, "gap"),
        (np.eye(2), {"gap": np.nan}, "gap"),
        (np.eye(2), {"standard_errors": [0.1]}, "standard_errors"),
        (np.eye(2), {"standard_errors": [0.1, -0.1]}, "standard_errors"),
        (np.eye(2), {"standard_errors": [0.1, np.nan]}, "standard_errors"),
    ],
)
def test_bad_input(matrix: np.ndarray, options: dict, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        eigenspaces(matrix, **options)
    assert caught.value.key == key


def test_matrices_that_do_not_fit_the_eigenspaces() -> None:
    spaces = eigenspaces(np.eye(3))
    for matrix, key in [
        (np.eye(2), "second_moment.shape"),
        (np.ones(3), "second_moment.shape"),
        (np.eye(3, dtype=np.float32), "second_moment.dtype"),
        (torch.eye(3), "arguments"),
    ]:
        with pytest.raises(InvalidInput) as caught:
            matching(spaces, "second_moment", matrix)
        assert caught.value.key == key
    with pytest.raises(InvalidInput, match="must not be negative"):
        transfer_function(spaces, -np.eye(3))
    with pytest.raises(InvalidInput, match=r"must be \(\.\.\., 3, 3\)"):
        weight_variances(spaces, np.eye(2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_agrees_with_numpy(dtype: torch.dtype) -> None:
    matrix = spectral(np.array([1.0, 1.0, 2.0, 5.0, 5.0]), orthogonal(5, 5))
    matrix.flags.writeable = False
    numpy, tensor = eigenspaces(matrix), eigenspaces(torch.tensor(matrix, dtype=dtype))
    assert isinstance(tensor, Eigenspaces)
    assert tensor.multiplicity == numpy.multiplicity == (2, 1, 2)
    assert tensor.basis.dtype == tensor.eigenvalues.dtype == tensor.projectors.dtype == dtype
    tolerance = 100 * torch.finfo(dtype).eps
    np.testing.assert_allclose(tensor.projectors, numpy.projectors, atol=tolerance)
    np.testing.assert_allclose(tensor.matrix, matrix, atol=tolerance * 5)
    np.testing.assert_allclose(
        weight_variances(tensor, torch.tensor(matrix, dtype=dtype)), [1, 2, 5], atol=tolerance * 5
    )
