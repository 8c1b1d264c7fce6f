import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reports.testing.strategies import Known, known_matrices, orthogonal, pairs, spectral
from tests.oracles.matrices import finite_average, projectors
from tests.oracles.statistics import largest_z
from theory.eigenspaces import Eigenspaces, eigenspaces
from theory.errors import InvalidInput
from theory.symmetry import SymmetryGroup, haar, symmetry_group, twirl


def _mean(known: Known, pattern: int) -> np.ndarray | None:
    """A mean with components in the eigenspaces that the bits of `pattern` name; None for none."""
    weights = np.array([pattern >> i & 1 for i in range(len(known.eigenvalues))], dtype=float)
    if not weights.any():
        return None
    components = np.random.default_rng(pattern).uniform(0.5, 2, known.dimension)
    return known.basis @ (np.repeat(weights, known.multiplicity) * components)


means = st.integers(0, 63)


@given(pairs(max_dimension=4), means)
def test_twirl_is_the_average_over_the_finite_group(pair: tuple[Known, np.ndarray], pattern: int) -> None:
    known, b = pair
    b = b @ np.diag(np.arange(1.0, len(b) + 1))  # not symmetric: the twirl is defined for every B
    group = symmetry_group(known.spaces, mean=_mean(known, pattern))
    expected = finite_average(group.basis, group.fixed, group.sizes, b)
    np.testing.assert_allclose(twirl(group, b), expected, atol=1e-12 * np.abs(b).max())


@pytest.mark.parametrize("dimension", [2, 5, 8])
def test_twirl_is_the_average_over_all_sign_flips_of_distinct_eigenvalues(dimension: int) -> None:
    basis = orthogonal(dimension, dimension)
    b = np.random.default_rng(dimension).standard_normal((dimension, dimension))
    group = symmetry_group(eigenspaces(spectral(np.arange(1.0, dimension + 1), basis)))
    assert group.sizes == (1,) * dimension
    np.testing.assert_allclose(twirl(group, b), finite_average(basis, 0, group.sizes, b), atol=1e-13)


@given(pairs(), means, st.integers(0, 2**32 - 1))
def test_twirl_is_the_projection_on_the_commutant(pair: tuple[Known, np.ndarray], pattern: int, seed: int) -> None:
    known, b = pair
    mean = _mean(known, pattern)
    group = symmetry_group(known.spaces, mean=mean)
    generator = np.random.default_rng(seed)
    other = generator.standard_normal(b.shape)
    scale = np.abs(b).max()
    averaged = twirl(group, b)
    np.testing.assert_allclose(twirl(group, averaged), averaged, atol=1e-12 * scale)  # idempotent
    assert np.sum(averaged * other) == pytest.approx(np.sum(b * twirl(group, other)), abs=1e-10 * scale)  # self-adjoint
    assert np.trace(averaged) == pytest.approx(np.trace(b))
    assert np.linalg.eigvalsh(averaged)[0] > 0
    for g in group.draw(generator, 3):
        np.testing.assert_allclose(g @ averaged, averaged @ g, atol=1e-11 * scale)
        np.testing.assert_allclose(twirl(group, g @ b @ g.T), averaged, atol=1e-11 * scale)
        np.testing.assert_allclose(g @ g.T, np.eye(len(b)), atol=1e-12)
        np.testing.assert_allclose(g @ known.matrix, known.matrix @ g, atol=1e-11 * np.abs(known.matrix).max())
        if mean is not None:
            np.testing.assert_allclose(g @ mean, mean, atol=1e-12 * np.abs(mean).max())


@given(pairs())
def test_without_a_mean_the_twirl_is_aligned(pair: tuple[Known, np.ndarray]) -> None:
    known, b = pair
    p = projectors(known.spaces)
    expected = sum(np.trace(q @ b) / m * q for q, m in zip(p, known.multiplicity, strict=True))
    np.testing.assert_allclose(twirl(symmetry_group(known.spaces), b), expected, atol=1e-12 * np.abs(b).max())


@pytest.mark.parametrize(
    ("multiplicity", "mean", "seed"),
    [((3,), None, 1), ((1, 2, 3), None, 2), ((1, 1, 1, 1), None, 3), ((2, 3), (1, 0), 4), ((1, 3, 2), (1, 1, 1), 5)],
)
def test_haar_elements_average_to_the_twirl(multiplicity: tuple[int, ...], mean: object, seed: int) -> None:
    d = sum(multiplicity)
    spaces = Eigenspaces(np.arange(1.0, len(multiplicity) + 1), multiplicity, orthogonal(seed, d), 0.0)
    generator = np.random.default_rng(seed)
    mu = None if mean is None else spaces.basis @ np.repeat(np.array(mean, dtype=float), multiplicity)
    group = symmetry_group(spaces, mean=mu)
    b = generator.standard_normal((d, d))
    g = group.draw(generator, 20_000)
    z, bound = largest_z(g @ b @ g.mT, twirl(group, b))
    assert z < bound
    # a shift of a tenth of ‖B‖ would be seen
    assert largest_z(g @ b @ g.mT, twirl(group, b) + 0.1 * np.linalg.norm(b) * np.eye(d))[0] > bound


def test_the_first_columns_of_haar_matrices() -> None:
    """Orthonormal, with the moments of whole matrices, E g_i1² g_i2² = 1 / (d (d + 2)) among them."""
    g = haar(np.random.default_rng(12), 4, 40_000, 2)
    np.testing.assert_allclose(g.mT @ g, np.broadcast_to(np.eye(2), (40_000, 2, 2)), atol=1e-12)
    flat = g.reshape(-1, 8)
    moments = np.concatenate([flat, flat**2, flat**4, (g[..., 0] * g[..., 1]) ** 2], axis=1)
    z, bound = largest_z(moments, np.repeat([0, 1 / 4, 1 / 8, 1 / 24], [8, 8, 8, 4]))
    assert z < bound


def test_haar_moments_and_the_sign_convention() -> None:
    generator = np.random.default_rng(11)
    g = haar(generator, 3, 40_000)
    moments = np.concatenate([g.reshape(-1, 9), g.reshape(-1, 9) ** 2, g.reshape(-1, 9) ** 4], axis=1)
    # E g_ij = 0, E g_ij² = 1/d, E g_ij⁴ = 3 / (d (d + 2))
    expected = np.repeat([0, 1 / 3, 1 / 5], 9)
    z, bound = largest_z(moments, expected)
    assert z < bound
    without = np.linalg.qr(generator.standard_normal((40_000, 3, 3)))[0].reshape(-1, 9)
    assert largest_z(without, np.zeros(9))[0] > bound
    assert set(haar(generator, 1, 100).ravel().tolist()) == {-1.0, 1.0}


def test_a_mean_splits_each_eigenspace_that_it_meets() -> None:
    spaces = eigenspaces(np.diag([1.0, 2.0, 2.0, 2.0, 5.0, 5.0]))
    group = symmetry_group(spaces, mean=np.array([1.0, 3.0, 0.0, 4.0, 0.0, 0.0]))
    assert (group.fixed, group.sizes, group.dimension) == (2, (2, 2), 6)
    np.testing.assert_allclose(np.abs(group.basis[:, 1]), [0, 0.6, 0, 0.8, 0, 0], atol=1e-15)
    # between the fixed directions Σ_w is free (claim A5); everything else that the group moves averages to zero
    b = np.ones((6, 6))
    averaged = group.basis.T @ twirl(group, b) @ group.basis
    assert averaged[0, 1] == pytest.approx((group.basis.T @ b @ group.basis)[0, 1])
    np.testing.assert_allclose(averaged[:2, 2:], 0, atol=1e-14)
    zero = symmetry_group(spaces, mean=np.zeros(6))
    assert (zero.fixed, zero.sizes) == (0, (1, 3, 2))


def test_the_generator_decides_everything() -> None:
    group = symmetry_group(eigenspaces(np.diag([1.0, 2.0, 2.0])))
    first, second = (group.draw(np.random.default_rng(3), 4) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, group.draw(np.random.default_rng(4), 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_agrees_with_numpy_and_batches_with_loops(dtype: torch.dtype) -> None:
    basis = orthogonal(2, 4)
    b = np.random.default_rng(2).standard_normal((2, 3, 4, 4))
    for array in (basis, b):
        array.flags.writeable = False
    numpy = SymmetryGroup(basis, 1, (1, 2))
    tensor = SymmetryGroup(torch.tensor(basis, dtype=dtype), 1, (1, 2))
    averaged = twirl(tensor, torch.tensor(b, dtype=dtype))
    assert averaged.dtype == dtype
    np.testing.assert_allclose(averaged, twirl(numpy, b), atol=30 * torch.finfo(dtype).eps)
    np.testing.assert_allclose(twirl(numpy, b)[1, 2], twirl(numpy, b[1, 2]), atol=1e-14)
    draws = [group.draw(np.random.default_rng(0), 2) for group in (numpy, tensor)]
    assert draws[1].dtype == dtype
    np.testing.assert_allclose(draws[1], draws[0], atol=30 * torch.finfo(dtype).eps)


@given(known_matrices())
def test_bad_shapes(known: Known) -> None:
    d = known.dimension
    with pytest.raises(InvalidInput, match="mean"):
        symmetry_group(known.spaces, mean=np.ones(d + 1))
    for bad in (np.ones((d + 1, d + 1)), np.ones(d)):
        with pytest.raises(InvalidInput, match="matrix"):
            twirl(symmetry_group(known.spaces), bad)


@pytest.mark.parametrize(("dimension", "columns"), [(1, None), (6, None), (6, 2), (6, 5)])
def test_haar_in_single_precision_rounds_the_same_draws(dimension: int, columns: int | None) -> None:
    double = haar(np.random.default_rng(3), dimension, 20, columns)
    single = haar(np.random.default_rng(3), dimension, 20, columns, dtype=np.float32)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, atol=1e-5)
