"""Correlations of means: means over pairs written out, no bias by what one network shares, and true errors."""

from __future__ import annotations

import numpy as np
import pytest

from reports.testing.strategies import orthogonal, spectral
from tests.oracles.matrices import projectors
from theory.eigenspaces import Eigenspaces, eigenspaces
from theory.errors import InvalidInput
from theory.features import aligned_part, axis_chance, axis_part, jackknife, mean_correlation

GENERATOR = np.random.default_rng(3)
SPACES = eigenspaces(np.diag([1.0, 1.0, 2.0, 3.0]))
FIRST = np.diag([1.0, 1.0, 2.0, 5.0]) + 0.5 * (np.eye(4)[[1, 0, 2, 3]] - np.diag([0, 0, 1.0, 1.0]))
SECOND = np.diag([2.0, 1.0, 0.0, 3.0])


def networks(count: int, seed: int, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Matrices about `FIRST` and `SECOND` whose noise is the same in both, as one network's is."""
    drawn = np.random.default_rng(seed).standard_normal((count, 4, 4)) * noise
    shared = drawn + np.swapaxes(drawn, 1, 2)
    return FIRST + shared, SECOND + shared


def traceless(matrix: np.ndarray) -> np.ndarray:
    return np.asarray(matrix - np.trace(matrix) / 4 * np.eye(4))


def of_pairs(a: np.ndarray, b: np.ndarray) -> float:
    products = [np.sum(traceless(x) * traceless(y)) for i, x in enumerate(a) for j, y in enumerate(b) if i != j]
    return float(np.mean(products))


def averaged(matrix: np.ndarray) -> np.ndarray:
    projectors = [np.diag(each) for each in ([1.0, 1, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0])]
    return np.asarray(sum(np.trace(p @ matrix) / np.trace(p) * p for p in projectors))


def test_they_are_means_over_pairs_of_different_networks():
    a, b = networks(6, seed=0, noise=0.1)
    of_correlation, of_part = mean_correlation(a, b), aligned_part(SPACES, a)
    for index, kept in enumerate([slice(None), *(np.arange(6) != r for r in range(6))]):
        x, y = a[kept], b[kept]
        expected = of_pairs(x, y) / np.sqrt(of_pairs(x, x) * of_pairs(y, y))
        assert of_correlation[index] == pytest.approx(expected, abs=1e-12)
        p = np.array([averaged(traceless(each)) for each in x])
        assert of_part[index] == pytest.approx(np.sqrt(of_pairs(p, p) / of_pairs(x, x)), abs=1e-12)


def test_what_one_network_shares_does_not_enter_and_errors_are_true():
    """Over ensembles the bias is at most of the order of the squared error, and jackknife errors match the scatter."""
    a, b = traceless(FIRST), traceless(SECOND)
    truth = np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b)
    part = np.linalg.norm(averaged(a)) / np.linalg.norm(a)
    found = []
    for seed in range(300):
        x, y = networks(60, seed, noise=0.5)
        found.append([*jackknife(mean_correlation(x, y)), *jackknife(aligned_part(SPACES, x))])
    values = np.array(found)
    scatter = values.std(axis=0)
    for column, true in ((0, truth), (2, part)):
        # six standard errors of the mean of 300, and the second order
        assert abs(values[:, column].mean() - true) < 6 * scatter[column] / np.sqrt(300) + scatter[column] ** 2
        assert np.sqrt((values[:, column + 1] ** 2).mean()) == pytest.approx(scatter[column], rel=0.25)
    naive = [np.sum(traceless(x) * traceless(y)) for x, y in zip(*networks(60, 0, noise=0.5), strict=True)]
    assert np.mean(naive) > 1.3 * np.sum(a * b)  # as one network's own product has it


def turned_spaces(*eigenvalues: float) -> Eigenspaces:
    """The eigenspaces of a matrix with these `eigenvalues` whose eigenvectors are not the axes."""
    return eigenspaces(spectral(np.array(eigenvalues), orthogonal(7, len(eigenvalues))), gap=1e-9)


def unexplained(spaces: Eigenspaces, matrix: np.ndarray, *, axes: bool) -> np.ndarray:
    """What least squares on the projectors, and where `axes` on diagonal matrices, leave of a matrix."""
    known = projectors(spaces) + [np.diag(row) for row in np.eye(spaces.dimension)] * axes
    design = np.stack([each.ravel() for each in known], axis=1)
    return np.asarray(matrix.ravel() - design @ np.linalg.lstsq(design, matrix.ravel())[0])


@pytest.mark.parametrize("eigenvalues", [(1.0, 2.0, 3.0, 4.0), (1.0, 1.0, 2.0, 3.0), (1.0, 1.0, 1.0, 2.0)])
def test_the_axes_explain_what_least_squares_finds(eigenvalues):
    spaces, (a, _) = turned_spaces(*eigenvalues), networks(6, seed=1, noise=0.1)
    for index, kept in enumerate([slice(None), *(np.arange(6) != r for r in range(6))]):
        outside, left = (np.array([unexplained(spaces, x, axes=axes) for x in a[kept]]) for axes in (False, True))
        whole, rest = (np.sum(p @ p.T) - np.sum(p * p) for p in (outside, left))
        assert axis_part(spaces, a)[index] == pytest.approx(1 - rest / whole, abs=1e-10)


def test_a_diagonal_matrix_beside_an_aligned_one_lies_along_the_axes():
    spaces = turned_spaces(1.0, 2.0, 3.0, 4.0, 5.0)
    diagonal, aligned = np.diag([3.0, 1, 4, 1, 5]), spaces.matrix @ spaces.matrix
    np.testing.assert_allclose(axis_part(spaces, np.stack([aligned + diagonal] * 4)), 1, atol=1e-12)
    turn = orthogonal(8, 5)
    turned = np.stack([aligned + turn @ diagonal @ turn.T] * 4)
    assert np.all(axis_part(spaces, turned) < 0.9)
    assert np.isnan(axis_part(spaces, np.stack([np.zeros((5, 5))] * 4))).all()


def test_a_random_direction_lies_along_the_axes_by_chance():
    for eigenvalues in ((1.0, 2.0, 3.0, 4.0, 5.0), (1.0, 1.0, 2.0, 2.0, 3.0)):
        spaces = turned_spaces(*eigenvalues)
        drawn = np.random.default_rng(0).standard_normal((400, 5, 5))
        shares = [axis_part(spaces, np.stack([each + each.T] * 3))[0] for each in drawn]
        assert abs(np.mean(shares) - axis_chance(spaces)) < 6 * np.std(shares) / 20
    assert axis_chance(turned_spaces(1.0, 2.0, 3.0, 4.0, 5.0)) == 4 / 10
    assert axis_chance(eigenspaces(np.diag([1.0, 2.0, 3.0]))) == 0  # the axes are eigenvectors
    assert axis_chance(eigenspaces(np.eye(3))) == 2 / 5
    assert np.isnan(axis_chance(eigenspaces(np.eye(1))))


def test_alignment_is_one():
    a = np.array([scale * np.diag([1.0, 1.0, 2.0, 7.0]) for scale in (1.0, 2.0, 5.0)])
    np.testing.assert_allclose(aligned_part(SPACES, a), 1, atol=1e-12)
    np.testing.assert_allclose(mean_correlation(a, a), 1, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: mean_correlation(np.zeros((2, 4, 4)), np.zeros((2, 4, 4))), "first.shape = (2, 4, 4): must be"),
        (lambda: mean_correlation(np.zeros((3, 4, 4)), np.zeros((4, 4, 4))), "second.shape = (4, 4, 4): must be"),
        (lambda: aligned_part(SPACES, np.full((3, 4, 4), np.nan)), "matrices = 'nan or inf': must be finite"),
        (lambda: aligned_part(SPACES, np.zeros((3, 3, 3))), "matrices.shape = (3, 3, 3): must be (R, 4, 4)"),
        (lambda: axis_part(SPACES, np.zeros((3, 3, 3))), "matrices.shape = (3, 3, 3): must be (R, 4, 4)"),
    ],
)
def test_bad_input_is_one_clear_line(call, line):
    with pytest.raises(InvalidInput) as caught:
        call()
    assert str(caught.value).startswith(line)
