from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject
from scipy.stats import norm

from reports.testing.strategies import (
    Known,
    aligned_with,
    known_matrices,
    orthogonal,
    pairs,
    positive_definite,
    seeds,
    spectral,
)
from tests.oracles import matrices as oracles
from tests.oracles.matrices import operator_norm
from tests.oracles.statistics import FALSE_ALARM
from theory.containment import containment
from theory.eigenspaces import Eigenspaces, eigenspaces
from theory.errors import InvalidInput
from theory.misalignment import closest_aligned, jeffreys, misalignment, misalignment_squared, null_floor
from theory.symmetry import symmetry_group, twirl

EPS = np.finfo(float).eps


def _squared(spaces: Eigenspaces, b: np.ndarray) -> float:
    return float(misalignment_squared(spaces, b))


def _rounding(b: np.ndarray) -> float:
    """δ = d eps κ(B): rounding B alone changes ‖Σ*^(−½) (B − Σ*) B^(−½)‖ by that order, relative to 1 + M."""
    return len(b) * EPS * np.linalg.cond(b)


def _assert_close(found: float, expected: float, delta: float) -> None:
    """M² and its expected value agree up to |M − M'| ≤ δ (1 + M)."""
    m, other = math.sqrt(found), math.sqrt(max(expected, 0))
    assert abs(m - other) <= delta * (1 + other)


# --- the definition


@given(pairs(max_dimension=5))
@settings(max_examples=25)
def test_the_closed_form_is_the_infimum_of_its_definition(pair: tuple[Known, np.ndarray]) -> None:
    known, b = pair
    value, minimiser = oracles.minimised_jeffreys(known.spaces, b)
    assert _squared(known.spaces, b) == pytest.approx(value, rel=1e-6, abs=1e-9)
    np.testing.assert_allclose(closest_aligned(known.spaces, b), minimiser, atol=1e-4 * operator_norm(minimiser))


@given(pairs(), st.data())
def test_no_aligned_matrix_is_closer(pair: tuple[Known, np.ndarray], data: DataObject) -> None:
    known, b = pair
    best = closest_aligned(known.spaces, b)
    assert containment(known.spaces, best).verdict == "contained"
    least = float(jeffreys(best, b))
    _assert_close(least, _squared(known.spaces, b), 30 * _rounding(b))
    scales = data.draw(st.lists(st.floats(0.3, 3), min_size=len(known.eigenvalues), max_size=len(known.eigenvalues)))
    other = best @ spectral(np.repeat(scales, known.multiplicity), known.basis)
    further = float(jeffreys((other + other.T) / 2, b))
    assert math.sqrt(further) >= math.sqrt(least) - 100 * _rounding(b) * (1 + math.sqrt(further))


@given(pairs(condition=1e8))
def test_all_digits_of_the_sum_of_square_roots(pair: tuple[Known, np.ndarray]) -> None:
    known, b = pair
    _assert_close(_squared(known.spaces, b), oracles.misalignment_squared(known.spaces, b), 30 * _rounding(b))


@given(known_matrices(), st.floats(-10, -2), seeds, st.data())
def test_digits_are_kept_near_alignment(known: Known, exponent: float, seed: int, data: DataObject) -> None:
    # M² is of order size²: the textbook form loses everything below 1e-16, that is below size 1e-8
    b = data.draw(aligned_with(known))
    noise = np.random.default_rng(seed).standard_normal(b.shape)
    b = b + 10**exponent * (noise + noise.T) / operator_norm(noise + noise.T)
    _assert_close(_squared(known.spaces, b), oracles.misalignment_squared(known.spaces, b), 30 * _rounding(b))


@given(pairs(condition=1e4))
def test_jeffreys_as_written(pair: tuple[Known, np.ndarray]) -> None:
    known, b = pair
    a = known.matrix
    expected = oracles.jeffreys(a, b)
    assert float(jeffreys(a, b)) == pytest.approx(expected, rel=1e-8, abs=1e-8)
    _assert_close(float(jeffreys(a, b)), float(jeffreys(b, a)), 30 * (_rounding(a) + _rounding(b)))
    assert float(jeffreys(b, b)) == 0


# --- bounds and invariances


@given(pairs())
def test_it_is_zero_exactly_at_alignment(pair: tuple[Known, np.ndarray]) -> None:
    # ‖B − Π(B)‖²_F / (2 ‖B‖²) ≤ M² ≤ Jeffreys(Π(B), B): both sides vanish exactly where B is its own twirl
    known, b = pair
    averaged = twirl(symmetry_group(known.spaces), b)
    found = _squared(known.spaces, b)
    least = np.linalg.norm(b - averaged) / (math.sqrt(2) * operator_norm(b))
    most = math.sqrt(jeffreys((averaged + averaged.T) / 2, b))
    slack = 30 * _rounding(b) * (1 + most)
    assert least - slack <= math.sqrt(found) <= most + slack


@given(known_matrices(), st.data())
def test_it_vanishes_at_alignment_and_is_never_negative(known: Known, data: DataObject) -> None:
    b = data.draw(aligned_with(known))
    assert 0 <= _squared(known.spaces, b) <= (10 * _rounding(b)) ** 2
    assert 0 <= float(misalignment(eigenspaces(known.matrix), b)) <= 100 * _rounding(b)


@given(pairs(), st.floats(-100, 100), seeds)
def test_invariances(pair: tuple[Known, np.ndarray], exponent: float, seed: int) -> None:
    known, b = pair
    m = _squared(known.spaces, b)
    delta = 30 * _rounding(b)
    _assert_close(_squared(known.spaces, 10**exponent * b), m, delta)
    inverse = np.linalg.inv(b)
    _assert_close(_squared(known.spaces, (inverse + inverse.T) / 2), m, delta)
    g = orthogonal(seed, known.dimension)
    turned = Eigenspaces(known.eigenvalues, known.multiplicity, g @ known.basis, 0.0)
    rotated = g @ b @ g.T
    _assert_close(_squared(turned, (rotated + rotated.T) / 2), m, delta)
    # only the eigenspaces of A matter: neither its eigenvalues nor the basis within an eigenspace
    h = symmetry_group(known.spaces).draw(np.random.default_rng(seed), 1)[0]
    _assert_close(_squared(Eigenspaces(known.eigenvalues**2, known.multiplicity, h @ known.basis, 0.0), b), m, delta)
    assert float(misalignment(known.spaces, b)) == math.sqrt(m)


@given(pairs())
def test_joining_eigenspaces_asks_for_more(pair: tuple[Known, np.ndarray]) -> None:
    known, b = pair
    assume(len(known.multiplicity) > 1)
    joined = Eigenspaces(
        known.eigenvalues[1:],
        (known.multiplicity[0] + known.multiplicity[1], *known.multiplicity[2:]),
        known.basis,
        0.0,
    )
    m = math.sqrt(_squared(known.spaces, b))
    assert math.sqrt(_squared(joined, b)) >= m - 100 * _rounding(b) * (1 + m)


@given(pairs(), st.floats(1e-6, 0.3), seeds)
def test_continuity(pair: tuple[Known, np.ndarray], size: float, seed: int) -> None:
    # (1 − ε) B ≤ B' ≤ (1 + ε) B bounds tr(P B') and tr(P B'⁻¹) on both sides
    known, b = pair
    root = np.linalg.cholesky(b)
    noise = np.random.default_rng(seed).standard_normal(b.shape)
    noise = (noise + noise.T) * size / operator_norm(noise + noise.T)
    near = b + root @ noise @ root.T
    m, other = _squared(known.spaces, b), _squared(known.spaces, (near + near.T) / 2)
    bound = (m + known.dimension) * (math.sqrt((1 + size) / (1 - size)) - 1)
    assert abs(other - m) <= bound * (1 + 1e-9) + 1e-9


def test_two_by_two_by_hand() -> None:
    # correlation ρ between distinct eigenvalues: M² = 2 / sqrt(1 − ρ²) − 2
    spaces = eigenspaces(np.diag([1.0, 2.0]))
    for rho in (0.0, 1e-9, 0.6, 0.999):
        exact = 2 * math.expm1(-0.5 * math.log1p(-(rho**2)))
        assert _squared(spaces, np.array([[4.0, 2 * rho], [2 * rho, 1.0]])) == pytest.approx(exact, rel=1e-12)


# --- kinds of arrays, bad input


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_agrees_with_numpy_and_batches_with_loops(dtype: torch.dtype, device: str) -> None:
    a = spectral(np.array([1.0, 2.0, 2.0, 5.0, 5.0]), orthogonal(7, 5))
    b = np.stack([spectral(np.arange(1.0, 6), orthogonal(seed, 5)) for seed in range(6)]).reshape(2, 3, 5, 5)
    for array in (a, b):
        array.flags.writeable = False
    spaces, tensors = eigenspaces(a), eigenspaces(torch.tensor(a, dtype=dtype, device=device))
    batch = torch.tensor(b, dtype=dtype, device=device)
    tolerance = 1000 * torch.finfo(dtype).eps
    for function in (misalignment, misalignment_squared, closest_aligned):
        numpy, tensor = function(spaces, b), function(tensors, batch)
        assert (tensor.dtype, tensor.device.type, tuple(tensor.shape)) == (dtype, device, numpy.shape)
        np.testing.assert_allclose(tensor.cpu(), numpy, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(numpy[1, 2], function(spaces, b[1, 2]), rtol=1e-12, atol=1e-14)
    both = jeffreys(tensors.matrix, batch)
    assert (both.dtype, tuple(both.shape)) == (dtype, (2, 3))
    np.testing.assert_allclose(both.cpu(), jeffreys(a, b), rtol=tolerance)
    assert misalignment_squared(spaces, b[:0]).shape == (0, 3)


SPACES = eigenspaces(np.diag([1.0, 2.0, 2.0]))


def _from_vectors(count: int) -> np.ndarray:
    vectors = np.random.default_rng(0).standard_normal((count, 3))
    return vectors.T @ vectors / count


@pytest.mark.parametrize("function", [misalignment, misalignment_squared, closest_aligned])
@pytest.mark.parametrize(
    ("matrix", "key", "value"),
    [
        (_from_vectors(2), "second_moment", "rank 2 in dimension 3"),
        (np.stack([np.eye(3), _from_vectors(1)]), "second_moment", "rank 1 in dimension 3"),
        (np.zeros((3, 3)), "second_moment", "rank 0 in dimension 3"),
        (np.diag([1.0, 1.0, -0.5]), "second_moment", "an eigenvalue -0.5"),
        (-np.eye(3), "second_moment", "an eigenvalue -1"),
        (np.diag([1.0, np.nan, 1.0]), "second_moment", "nan or inf"),
        (np.diag([1.0, np.inf, 1.0]), "second_moment", "nan or inf"),
        (np.triu(np.ones((3, 3))), "second_moment", None),
        (np.eye(2), "second_moment.shape", (2, 2)),
        (np.ones(3), "second_moment.shape", (3,)),
        (np.eye(3) + 0j, "second_moment.dtype", "complex128"),
        (np.eye(3, dtype=np.float32), "second_moment.dtype", "float32"),
        (np.eye(3).tolist(), "arguments", "list, ndarray"),
        (torch.eye(3), "arguments", "Tensor, ndarray"),
    ],
)
def test_bad_input(function: object, matrix: object, key: str, value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        function(SPACES, matrix)  # type: ignore[operator]
    assert caught.value.key == key
    assert value is None or caught.value.value == value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second", "key"),
    [
        (np.eye(2), np.eye(3), "second.shape"),
        (np.eye(2), np.eye(2, dtype=np.float32), "second.dtype"),
        (np.diag([1.0, 0.0]), np.eye(2), "first"),
        (np.eye(2), np.diag([1.0, -1.0]), "second"),
    ],
)
def test_bad_pairs(first: np.ndarray, second: np.ndarray, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        jeffreys(first, second)
    assert caught.value.key == key


# --- the floor


@pytest.mark.parametrize(("d", "vectors"), [(1, 1), (2, 3), (6, 50), (27, 128), (30, 31), (500, 25_000), (3, 20_001)])
def test_the_floor_of_distinct_eigenvalues_is_the_gamma_formula(d: int, vectors: int) -> None:
    with mpmath.workdps(40):
        half = mpmath.mpf(1) / 2
        ratio = mpmath.gammaprod(
            [(vectors - d) * half, vectors * half], [(vectors - d + 1) * half, (vectors - 1) * half]
        )
        expected = float(d * (ratio - 1)) if d > 1 else 0.0
    found = null_floor([1] * d, vectors)
    assert found.value == pytest.approx(expected, rel=1e-9, abs=1e-10)
    assert (found.standard_error, found.method) == (0, "exact")


@pytest.mark.parametrize(
    ("multiplicity", "vectors", "seed"),
    [
        ((1, 1, 1, 1, 1, 1), 50, 1),
        ((2, 2), 9, 2),
        ((2, 1, 2), 40, 3),
        ((2, 3, 1), 14, 4),
        ((4,), 12, 5),
        ((1, 5), 30, 6),
    ],
)
def test_the_floor_is_the_mean_of_simulated_misalignments(
    multiplicity: tuple[int, ...], vectors: int, seed: int
) -> None:
    d, replicas = sum(multiplicity), 40_000
    spaces = Eigenspaces(np.arange(1.0, len(multiplicity) + 1), multiplicity, np.eye(d), 0.0)
    generator = np.random.default_rng(seed)
    # any aligned covariance has the same floor
    spread = np.repeat(generator.uniform(0.1, 3, len(multiplicity)), multiplicity)
    w = generator.standard_normal((replicas, vectors, d)) * spread
    m2 = misalignment_squared(spaces, w.mT @ w / vectors)
    floor = null_floor(multiplicity, vectors, seed=seed)
    error = math.hypot(float(m2.std()) / math.sqrt(replicas), floor.standard_error)
    bound = norm.isf(FALSE_ALARM / 2) * error
    assert abs(float(m2.mean()) - floor.value) < bound
    assert bound < 0.06 * floor.value  # an error of 6 % would be seen
    assert floor.method == ("exact" if max(multiplicity) <= 2 else "Monte Carlo, 100000 draws")


@pytest.mark.parametrize("multiplicity", [(1, 1, 1), (2, 1, 2), (3, 5, 2)])
def test_the_floor_to_first_order(multiplicity: tuple[int, ...]) -> None:
    d, k, vectors = sum(multiplicity), len(multiplicity), 10_000
    found = null_floor(multiplicity, vectors, draws=20_000)
    first_order = (d * (d + 1) - 2 * k) / (2 * vectors)
    assert abs(found.value - first_order) < 6 * found.standard_error + 3 * d / vectors * first_order


def test_the_floor_where_moments_end() -> None:
    assert null_floor([1, 1], 2).value == math.inf
    assert null_floor([3], 3).value == math.inf
    heavy = null_floor([3], 4)
    assert heavy.value > 0
    assert heavy.standard_error == math.inf
    assert math.isfinite(null_floor([3], 5).standard_error)
    assert null_floor([2], 3).standard_error == 0
    assert null_floor([1], 1).value == 0


def test_the_seed_decides_the_floor() -> None:
    first, again, other = (null_floor([3, 1], 20, seed=seed, draws=100) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("multiplicity", "vectors", "draws", "key"),
    [
        ([], 3, 10, "multiplicity"),
        ([1, 0], 3, 10, "multiplicity"),
        ([1.5], 3, 10, "multiplicity"),
        ([2, 2], 3, 10, "vectors"),
        ([2], 3.0, 10, "vectors"),
        ([3], 9, 1, "draws"),
    ],
)
def test_bad_floors(multiplicity: list, vectors: int, draws: int, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        null_floor(multiplicity, vectors, draws=draws)
    assert caught.value.key == key


@given(positive_definite(3))
def test_the_whole_space_as_one_eigenspace_measures_sphericity(b: np.ndarray) -> None:
    spaces = Eigenspaces(np.array([1.0]), (3,), np.eye(3), 0.0)
    expected = math.sqrt(np.trace(b) * np.trace(np.linalg.inv(b))) - 3
    assert _squared(spaces, b) == pytest.approx(expected, abs=1e-9, rel=1e-9)
