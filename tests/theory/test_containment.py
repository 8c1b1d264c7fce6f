"""Containment: the two numbers and the angle as they are defined, verdicts, kinds of arrays, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject
from scipy.linalg import expm, subspace_angles

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
from tests.oracles.matrices import operator_norm, projectors
from theory.containment import anisotropy, containment, leakage, turning_angle
from theory.eigenspaces import Eigenspaces, eigenspaces
from theory.errors import InvalidInput
from theory.overlaps import overlaps

EPS = np.finfo(float).eps


def _noise(seed: int, dimension: int, norm: float) -> np.ndarray:
    """A symmetric matrix of the given operator norm."""
    noise = np.random.default_rng(seed).standard_normal((dimension, dimension))
    return (noise + noise.T) * (norm / operator_norm(noise + noise.T))


def _width(b: np.ndarray) -> float:
    spectrum = np.linalg.eigvalsh(b)
    return float(spectrum[-1] - spectrum[0])


def _literal(spaces: Eigenspaces, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leakage and anisotropy as ‖(I − P) B P‖ and ‖P B P − c P‖, full matrices."""
    rows = []
    for p, m in zip(projectors(spaces), spaces.multiplicity, strict=True):
        c = np.trace(p @ b) / m
        rows.append((operator_norm((np.eye(len(b)) - p) @ b @ p), operator_norm(p @ b @ p - c * p)))
    return np.array(rows)[:, 0], np.array(rows)[:, 1]


# --- the two numbers


@given(pairs())
def test_leakage_and_anisotropy_are_what_they_say(pair: tuple[Known, np.ndarray]) -> None:
    known, b = pair
    expected = _literal(known.spaces, b)
    np.testing.assert_allclose(leakage(known.spaces, b), expected[0], atol=1e-12 * operator_norm(b))
    np.testing.assert_allclose(anisotropy(known.spaces, b), expected[1], atol=1e-12 * operator_norm(b))
    result = containment(known.spaces, b)
    np.testing.assert_allclose(result.leakage, expected[0] / operator_norm(b), atol=1e-12)
    np.testing.assert_allclose(result.anisotropy, expected[1] / operator_norm(b), atol=1e-12)
    traces = [np.trace(p @ b) / m for p, m in zip(projectors(known.spaces), known.multiplicity, strict=True)]
    np.testing.assert_allclose(result.values, traces, rtol=1e-10)


@given(pairs(), seeds, st.floats(0.001, 1.5))
def test_turning_an_eigenspace_moves_them_within_the_margins(
    pair: tuple[Known, np.ndarray], seed: int, size: float
) -> None:
    known, b = pair
    d = known.dimension
    generator = np.random.default_rng(seed)
    skew = generator.standard_normal((d, d))
    turned = Known(known.eigenvalues, known.multiplicity, expm(size * (skew - skew.T) / d) @ known.basis)
    before, after = _literal(known.spaces, b), _literal(turned.spaces, b)
    for i, (s, m) in enumerate(zip(known.spaces.slices, known.multiplicity, strict=True)):
        sine = np.sin(subspace_angles(known.basis[:, s], turned.basis[:, s]).max())
        margin = _width(b) * sine + 1e-9 * operator_norm(b)
        assert abs(after[0][i] - before[0][i]) <= margin
        assert abs(after[1][i] - before[1][i]) <= 2 * (1 - 1 / m) * margin + 1e-12 * operator_norm(b)


@pytest.mark.parametrize("m", [2, 3, 4])
@pytest.mark.parametrize("angle", [0.01, 0.1, 0.4])
def test_the_margin_of_the_anisotropy_is_attained_up_to_a_cosine(m: int, angle: float) -> None:
    # B = ±1 on each of m planes; V holds one vector at 45° in each plane (anisotropy 0), then the first is turned
    # towards +1 and all others towards −1: eigenvalues sin 2θ and −sin 2θ
    b = np.diag([1.0, -1.0] * m)

    def inside(angles: np.ndarray) -> np.ndarray:
        basis = np.zeros((2 * m, 2 * m))
        for j, a in enumerate(angles):
            basis[2 * j : 2 * j + 2, j] = np.cos(a), np.sin(a)
            basis[2 * j : 2 * j + 2, m + j] = -np.sin(a), np.cos(a)
        return basis

    level = np.full(m, np.pi / 4)
    turned = level + angle * np.array([-1.0] + [1.0] * (m - 1))
    spaces = [Eigenspaces(np.array([1.0, 2.0]), (m, m), inside(a), 0.0) for a in (level, turned)]
    assert anisotropy(spaces[0], b)[0] == pytest.approx(0, abs=1e-15)
    margin = 2 * (1 - 1 / m) * _width(b) * np.sin(angle)
    assert anisotropy(spaces[1], b)[0] == pytest.approx(margin * np.cos(angle))


# --- the angle


@given(st.floats(0.5, 4), st.floats(0.01, 0.499), st.floats(0, np.pi))
def test_two_by_two_matrices_attain_the_bound_of_the_angle(gap: float, share: float, turn: float) -> None:
    error = share * gap
    theta = turning_angle([gap], error)[0]
    basis = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    a = spectral(np.array([0.0, gap]), basis)
    # orthogonal to A + E in the plane of traceless symmetric matrices, which turns twice as fast as the vectors
    sine = 2 * share
    e = error * basis @ np.array([[sine, np.sqrt(1 - sine**2)], [np.sqrt(1 - sine**2), -sine]]) @ basis.T
    assert operator_norm(e) == pytest.approx(error)
    found = subspace_angles(eigenspaces(a).basis[:, :1], eigenspaces(a + e).basis[:, :1])[0]
    assert found == pytest.approx(theta, abs=1e-7)
    assert theta > share  # the usual ‖E‖ / gap is no bound when the gap is A's own


@given(known_matrices(), st.floats(0.01, 0.49), seeds)
def test_no_perturbation_turns_further(known: Known, share: float, seed: int) -> None:
    separations = np.array(known.spaces.separations)
    assume(np.isfinite(separations).all())
    error = share * separations.min()
    bounds = turning_angle(separations, error)
    _, basis = np.linalg.eigh(known.matrix + _noise(seed, known.dimension, error))
    for s, bound in zip(known.spaces.slices, bounds, strict=True):
        assert subspace_angles(known.basis[:, s], basis[:, s]).max() <= bound + 1e-7


def test_beyond_half_the_gap_there_is_no_bound() -> None:
    angles = turning_angle([np.inf, 2.0, 1.0, 1.0 + 1e-9], 0.5)
    assert angles[0] == 0
    assert angles[1] == pytest.approx(np.pi / 12)
    assert np.isnan(angles[2])
    assert angles[3] == pytest.approx(np.pi / 4, abs=1e-4)


# --- verdicts


@given(known_matrices(), st.data())
def test_aligned_by_construction_is_contained(known: Known, data: DataObject) -> None:
    result = containment(known.matrix, data.draw(aligned_with(known)))
    assert result.verdict == "contained", result
    assert result.verdicts == ("contained",) * len(known.eigenvalues)


@given(known_matrices(), seeds)
def test_a_rotated_basis_is_not_contained(known: Known, seed: int) -> None:
    assume(len(known.eigenvalues) > 1)
    turn = orthogonal(seed + 1, known.dimension)
    b = turn @ known.matrix @ turn.T
    expected = _literal(known.spaces, b)
    result = containment(known.matrix, (b + b.T) / 2)
    for i, verdict in enumerate(result.verdicts):
        if max(expected[0][i], expected[1][i]) > 1e-8:
            assert verdict == "not contained"


@given(known_matrices(), seeds, st.data())
def test_anisotropy_alone_is_found(known: Known, seed: int, data: DataObject) -> None:
    i = data.draw(st.integers(0, len(known.multiplicity) - 1))
    assume(known.multiplicity[i] > 1)
    values = np.ones(known.dimension)
    values[known.spaces.slices[i].start] = 2
    result = containment(known.matrix, spectral(values, known.basis))
    assert result.verdicts[i] == "not contained"
    assert all(v == "contained" for j, v in enumerate(result.verdicts) if j != i)


@given(known_matrices(), st.floats(1e-12, 0.06), st.floats(0, 0.1), seeds, st.booleans(), st.data())
def test_with_errors_no_certain_verdict_is_wrong(
    known: Known, error_a: float, error_b: float, seed: int, aligned: bool, data: DataObject
) -> None:
    d = known.dimension
    b = data.draw(aligned_with(known) if aligned else positive_definite(d, condition=100))
    seen_a = known.matrix + _noise(seed, d, error_a)
    seen_b = b + _noise(seed + 1, d, error_b)
    spaces = eigenspaces(seen_a, gap=(2 * error_a + 1e-12) / operator_norm(seen_a))
    assert spaces.multiplicity == known.multiplicity
    result = containment(spaces, seen_b, error_a=error_a * (1 + 1e-9), error_b=error_b * (1 + 1e-9))
    scale = operator_norm(seen_b)
    truth = np.array(_literal(known.spaces, b)) / scale
    for i, verdict in enumerate(result.verdicts):
        m = known.multiplicity[i]
        amplification = np.array([1, 2 * (1 - 1 / m)])
        margins = np.array([result.leakage_margin[i], result.anisotropy_margin[i]])
        if verdict == "not contained":
            assert truth[:, i].max() > result.tolerance
        if verdict == "contained":
            reach = result.tolerance + 2 * margins + amplification * error_b / scale + 1e-11
            assert np.all(truth[:, i] <= reach)
            assert reach.max() < 2  # never vacuous


@given(known_matrices(), st.floats(1e-9, 0.02), seeds, st.data())
def test_an_error_of_the_data_is_forgiven_up_to_its_margin(
    known: Known, error: float, seed: int, data: DataObject
) -> None:
    b = data.draw(aligned_with(known))
    a = known.matrix + _noise(seed, known.dimension, error)
    spaces = eigenspaces(a, gap=(2 * error + 1e-12) / operator_norm(a))
    assert containment(spaces, b, error_a=error * (1 + 1e-9)).verdict == "contained"


def test_without_the_margin_the_same_error_is_not_forgiven() -> None:
    a, b = np.diag([1.0, 2.0, 4.0]), np.diag([3.0, 1.0, 2.0])
    seen = a + _noise(1, 3, 0.01)
    assert containment(seen, b, error_a=0.01).verdict == "contained"
    assert containment(seen, b).verdict == "not contained"
    assert containment(seen, b, tolerance=0.1).verdict == "contained"


def test_no_bound_is_undecided_unless_b_leaves_no_choice() -> None:
    a = np.diag([1.0, 2.0, 2.0])
    assert containment(a, np.diag([2.0, 1.0, 1.0]), error_a=0.5).verdicts == ("undecided", "undecided")
    assert np.isnan(containment(a, np.diag([2.0, 1.0, 1.0]), error_a=0.5).angle).all()
    # every direction is an eigenvector of the identity
    assert containment(a, np.eye(3), error_a=100.0).verdict == "contained"
    # no plane lies in an eigenspace of a matrix with three distinct eigenvalues, whatever the plane
    assert containment(a, np.diag([1.0, 2.0, 3.0]), error_a=100.0).verdicts == ("undecided", "not contained")
    assert containment(a, np.diag([1.0, 2.0, 3.0]), error_a=100.0, error_b=0.51).verdicts[1] == "undecided"
    # one eigenspace cannot turn
    assert containment(np.eye(3), np.diag([1.0, 1.0, 2.0]), error_a=0.0).verdict == "not contained"
    assert containment(np.eye(3), 3 * np.eye(3), error_a=5.0).verdict == "contained"


@pytest.mark.parametrize(("error", "verdict"), [(0.4, "contained"), (0.45, "undecided"), (0.6, "undecided")])
def test_an_error_too_large_to_ever_say_no_is_undecided(error: float, verdict: str) -> None:
    # 2 · 0.433 = sin 60°: from there on the margin w sin 30° is the largest possible leakage
    assert containment(np.diag([0.0, 1.0]), np.diag([1.0, 2.0]), error_a=error).verdict == verdict


def test_between_the_margin_and_the_error_of_b_is_undecided() -> None:
    a = np.diag([0.0, 1.0])

    def verdict(leak: float) -> str:
        return containment(a, np.array([[1.0, leak], [leak, 3.0]]), error_a=0.1, error_b=0.2).verdict

    margin = 2 * np.sin(np.arcsin(0.2) / 2)
    assert verdict(margin * 0.99) == "contained"
    assert verdict(margin * 1.05) == verdict(margin + 0.19) == "undecided"
    assert verdict(margin + 0.25) == "not contained"


def test_a_wide_cluster_narrows_its_gaps() -> None:
    # joined by hand to {0, 1} and {2}: their distance is 1, not that of the means
    spaces = eigenspaces(np.diag([0.0, 1.0, 2.001]), gap=0.5)
    assert spaces.multiplicity == (2, 1)
    assert np.isnan(containment(spaces, np.diag([1.0, 1.0, 2.0]), error_a=0.51).angle).all()
    assert np.isfinite(containment(spaces, np.diag([1.0, 1.0, 2.0]), error_a=0.49).angle).all()


def test_eigenvalues_split_at_rounding_level_are_undecided() -> None:
    a = spectral(np.array([1.0, 1.0, 2.0]), orthogonal(3, 3))
    result = containment(eigenspaces(a, gap=0.0), spectral(np.array([1.0, 2.0, 3.0]), orthogonal(4, 3)))
    assert result.spaces.multiplicity in {(1, 1, 1), (2, 1)}
    assert result.verdicts[-1] == "not contained"
    if result.spaces.multiplicity == (1, 1, 1):
        assert result.verdicts[0] == "undecided"


def test_verdicts_do_not_depend_on_scale() -> None:
    a = spectral(np.array([1.0, 2.0, 2.0]), orthogonal(1, 3))
    for scale in (1e-150, 1e150):
        assert containment(scale * a, a / scale).verdict == "contained"
        assert containment(scale * a, np.diag([1.0, 2.0, 3.0]) / scale).verdict == "not contained"
    assert containment(a, np.zeros((3, 3))).verdict == "contained"


# --- kinds of arrays, bad input


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_agrees_with_numpy_and_batches_with_loops(dtype: torch.dtype, device: str) -> None:
    a = spectral(np.array([1.0, 2.0, 2.0, 5.0, 5.0]), orthogonal(7, 5))
    b = np.stack([spectral(np.arange(1.0, 6), orthogonal(seed, 5)) for seed in range(6)]).reshape(2, 3, 5, 5)
    for array in (a, b):
        array.flags.writeable = False
    spaces = eigenspaces(a)
    tensors = eigenspaces(torch.tensor(a, dtype=dtype, device=device))
    tolerance = 200 * torch.finfo(dtype).eps
    for function in (leakage, anisotropy):
        numpy, tensor = function(spaces, b), function(tensors, torch.tensor(b, dtype=dtype, device=device))
        assert (tensor.dtype, tensor.device.type, tuple(tensor.shape)) == (dtype, device, (2, 3, 3))
        np.testing.assert_allclose(tensor.cpu(), numpy, atol=tolerance)
        np.testing.assert_allclose(numpy[1, 2], function(spaces, b[1, 2]), atol=1e-14)
    for matrix in (a, b[1, 0]):
        result = containment(tensors, torch.tensor(matrix, dtype=dtype, device=device))
        assert result.verdicts == containment(spaces, matrix).verdicts
        assert isinstance(result.leakage, np.ndarray)
    found = overlaps(tensors, eigenspaces(torch.tensor(b[0, 1], dtype=dtype, device=device)))
    assert found.dtype == dtype
    np.testing.assert_allclose(found.cpu(), overlaps(spaces, eigenspaces(b[0, 1])), atol=tolerance)


@pytest.mark.parametrize(
    ("first", "second", "options", "key"),
    [
        ([[1.0]], np.eye(1), {}, "arguments"),
        (np.eye(2), [[1.0, 0.0], [0.0, 1.0]], {}, "arguments"),
        (np.eye(2), torch.eye(2), {}, "arguments"),
        (np.eye(2), np.eye(3), {}, "second_moment.shape"),
        (np.eye(2), np.eye(2)[None], {}, "second_moment.shape"),
        (np.eye(2)[None], np.eye(2), {}, "matrix.shape"),
        (np.eye(2), np.array([[1.0, 2.0], [0.0, 1.0]]), {}, "second_moment"),
        (np.eye(2), np.full((2, 2), np.nan), {}, "second_moment"),
        (np.full((2, 2), np.inf), np.eye(2), {}, "matrix"),
        (np.eye(2), np.eye(2) + 0j, {}, "second_moment.dtype"),
        (np.eye(2), np.eye(2), {"tolerance": -1.0}, "tolerance"),
        (np.eye(2), np.eye(2), {"tolerance": np.nan}, "tolerance"),
        (np.eye(2), np.eye(2), {"error_a": -1.0}, "error_a"),
        (np.eye(2), np.eye(2), {"error_a": np.inf}, "error_a"),
        (np.eye(2), np.eye(2), {"error_b": np.nan}, "error_b"),
    ],
)
def test_bad_input(first: object, second: object, options: dict, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        containment(first, second, **options)
    assert caught.value.key == key
    assert "\n" not in str(caught.value)
