"""Random bases at their bounds: which eigenvalues count, how many bases are drawn at once, what is drawn by default."""

from __future__ import annotations

import numpy as np
import pytest

from reports.check import random_basis
from reports.check.random_basis import (
    nonzero_eigenvalues,
    random_bases,
    random_basis_energies,
    random_basis_energy,
    regularised,
    squared_bases,
)
from theory.eigenspaces import Eigenspaces
from theory.errors import InvalidInput
from theory.symmetry import haar

EPS = np.finfo(float).eps
SPACES = Eigenspaces(np.array([1.0, 2.0]), (1, 2), np.eye(3), 0.0)


@pytest.mark.parametrize(
    ("smallest", "counts"), [(12 * EPS * (1 + 1e-3), True), (12 * EPS, False), (12 * EPS * (1 - 1e-3), False)]
)
def test_m_is_known_from_four_roundings_per_dimension_on(smallest, counts):
    """M is known if the smallest eigenvalue exceeds four roundings per dimension of the largest: 12 ε of 4."""
    values = np.array([4 * smallest, 0.5, 4.0])
    if counts:
        (_, distances) = random_bases(SPACES, [np.eye(3)], eigenvalues=values, draws=2)
        assert np.isfinite(distances).all()
        return
    with pytest.raises(InvalidInput, match=rf"smallest eigenvalue {values[0]:.3g}.*must be positive definite"):
        random_bases(SPACES, [np.eye(3)], eigenvalues=values, draws=2)


@pytest.mark.parametrize(("root", "count"), [(1 + 1e-3, 4), (1, 3), (1 - 1e-3, 3)])
def test_an_eigenvalue_counts_beyond_four_roundings_per_dimension(root, count):
    """In four dimensions an eigenvalue counts above 16 ε of the largest, 9: above 9 · 2⁻⁴⁸, whose root is exact."""
    found = nonzero_eigenvalues(np.diag([3.0, 0.5, 1.0, 3 * 2**-24 * root]))
    assert len(found) == count
    np.testing.assert_allclose(found[-3:], [0.25, 1, 9])


def test_every_matrix_of_a_stack_is_regularised_alone():
    stack = np.random.default_rng(0).standard_normal((4, 3, 3))
    for one, found in zip(stack, regularised(stack, 0.3), strict=True):
        np.testing.assert_allclose(found, 0.7 * one + 0.1 * np.trace(one) * np.eye(3))


def test_by_default_999_bases_are_drawn_from_seed_zero():
    w = np.random.default_rng(1).standard_normal((2, 3))
    observed, null = random_basis_energy(SPACES, w, draws=999, seed=0)
    assert not np.array_equal(null, random_basis_energy(SPACES, w, draws=999, seed=1)[1])
    for value, found in (
        random_basis_energy(SPACES, w),
        random_basis_energies(SPACES, [w])[0],
        random_bases(SPACES, [w])[0][0],
    ):
        assert value == observed
        np.testing.assert_array_equal(found, null)


@pytest.mark.parametrize(("columns", "reflected"), [(44, False), (65, False), (66, True), (130, True)])
def test_reflections_take_the_place_of_qr_beyond_half_of_the_columns(columns, reflected):
    found = squared_bases(np.random.default_rng(2), 130, 3, columns)
    drawn = haar(np.random.default_rng(2), 130, 3, columns, dtype=np.float32) ** 2
    assert np.array_equal(found, drawn) != reflected


@pytest.mark.parametrize(
    ("dimension", "rank", "draws", "blocks"),
    [(100, 60, 400, [174, 174, 52]), (1030, 1030, 2, [1, 1])],  # 2²⁰ / 6,000 = 174.8
)
def test_bases_are_at_most_two_to_the_20_numbers(monkeypatch, dimension, rank, draws, blocks):
    asked = []

    def squares(_, d, count, columns):
        asked.append((d, count, columns))
        return np.full((count, d, columns), 1 / d)

    monkeypatch.setattr(random_basis, "squared_bases", squares)
    spaces = Eigenspaces(np.array([1.0, 2.0]), (1, dimension - 1), np.eye(dimension), 0.0)
    ((_, null),), _ = random_bases(spaces, [np.eye(dimension)[:rank]], draws=draws)
    assert asked == [(dimension, count, rank) for count in blocks]
    assert null.shape == (draws,)


@pytest.mark.parametrize("dimension", [2, 3, 6, 7])
def test_isotropic_weights_are_aligned_with_every_basis(dimension):
    """Energies and M are 0 up to rounding, which may fall on either side of 0."""
    spaces = Eigenspaces(np.arange(1.0, dimension + 1), (1,) * dimension, np.eye(dimension), 0.0)
    w = np.linalg.qr(np.random.default_rng(3).standard_normal((dimension, dimension)))[0]
    ((observed, null),), distances = random_bases(spaces, [w], eigenvalues=np.ones(dimension), draws=300)
    assert observed == pytest.approx(0, abs=1e-7)
    np.testing.assert_allclose(null, 0, atol=1e-6)
    np.testing.assert_allclose(distances, 0, atol=1e-6)


def test_eigenvalues_are_those_of_the_smaller_product(monkeypatch):
    """Three filters in four dimensions and thirty: as many eigenvalues, of the same squares."""
    solve, asked = np.linalg.eigvalsh, []
    monkeypatch.setattr(np.linalg, "eigvalsh", lambda matrix: asked.append(matrix.shape) or solve(matrix))
    w = np.random.default_rng(4).standard_normal((3, 4))
    many = np.concatenate([w] * 10)
    assert len(nonzero_eigenvalues(w)) == len(nonzero_eigenvalues(many)) == 3
    np.testing.assert_allclose(nonzero_eigenvalues(many), 10 * nonzero_eigenvalues(w))
    assert asked == [(3, 3), (4, 4), (4, 4), (3, 3)]
