"""Against random bases at any rank: the literal version, and p-values to the last draw."""

import numpy as np
import pytest
from scipy import stats

from reports.check import check
from reports.check.random_basis import (
    random_bases,
    random_basis_energies,
    random_basis_energy,
    regularised,
    squared_bases,
)
from reports.testing.strategies import orthogonal, spectral
from theory.eigenspaces import Eigenspaces
from theory.errors import InvalidInput
from theory.symmetry import haar, symmetry_group, twirl
from theory.testing import random_basis_test
from theory.testing.randomization import generator_of

BASIS = orthogonal(5, 5)
SPACES = Eigenspaces(np.array([1.0, 2.0, 4.0]), (2, 1, 2), BASIS, 0.0)
ALIGNED = spectral(np.array([3.0, 3.0, 1.0, 0.5, 0.5]), BASIS)


def outside(spaces, matrix):
    """√e by the definition."""
    return np.linalg.norm(matrix - twirl(symmetry_group(spaces), matrix)) / np.linalg.norm(matrix)


def test_random_basis_energy_is_the_literal_one():
    w = np.random.default_rng(3).standard_normal((3, 5)) @ np.linalg.cholesky(ALIGNED).T
    observed, null = random_basis_energy(SPACES, w, draws=400, seed=4)
    assert observed == pytest.approx(outside(SPACES, w.T @ w))
    assert null.shape == (400,)
    many = np.concatenate([w, -w, 2 * w])
    assert random_basis_energy(SPACES, many, draws=1)[0] == pytest.approx(observed)
    literal = [
        outside(Eigenspaces(SPACES.eigenvalues, SPACES.multiplicity, orthogonal(seed, 5), 0.0), w.T @ w)
        for seed in range(1, 401)
    ]
    assert stats.ks_2samp(null, literal).pvalue > 1e-6


def test_regularising_keeps_trace_and_eigenvectors():
    np.testing.assert_allclose(regularised(np.diag([4.0, 0, 0, 0]), 0.5), np.diag([2.5, 0.5, 0.5, 0.5]))


def test_the_p_value_of_singular_weights_counts_the_draws_and_the_weights_themselves():
    """Two filters along the fourth axis of six: nearer to alignment than any of 999 random bases."""
    rows = np.random.default_rng(0).standard_normal((5000, 6)) * 2.0 ** np.arange(6)
    found = check(np.array([[0, 0, 0, 3.0, 0, 0], [0, 0, 0, 1.0, 0, 0]]), rows)
    assert found.random_basis.quantity == "energy"
    assert found.random_basis.pvalue == 1 / 1000
    assert found.random_basis.effect > 0.9


def test_the_p_value_of_singular_weights_is_the_share_of_nearer_bases():
    """About a third of 999 bases are as near, and p agrees with the distribution drawn separately."""
    rows = np.random.default_rng(0).standard_normal((5000, 6)) * 2.0 ** np.arange(6)
    w = np.random.default_rng(7).standard_normal((2, 6))
    found = check(w, rows, seed=1)
    spaces = Eigenspaces(np.arange(6.0), (1,) * 6, np.linalg.eigh(rows.T @ rows)[1], 0.0)
    observed, null = random_basis_energy(spaces, w, draws=999, seed=1)
    assert found.random_basis.pvalue == pytest.approx((1 + np.sum(null <= observed)) / 1000)
    assert found.random_basis.median == pytest.approx(np.median(null))
    assert found.random_basis.effect == pytest.approx(1 - observed / np.median(null))


def test_several_against_the_same_bases_are_each_as_alone():
    """Each matrix gets the result that it has alone.

    As many random directions are drawn as the largest rank; each matrix uses as many as its own rank.
    """
    rng = np.random.default_rng(8)
    whole, part = rng.standard_normal((4, 5)), rng.standard_normal((2, 5))
    together = random_basis_energies(SPACES, [whole, part], draws=300, seed=2)
    observed, null = random_basis_energy(SPACES, whole, draws=300, seed=2)
    assert together[0][0] == observed
    np.testing.assert_allclose(together[0][1], null, rtol=1e-12)
    observed, null = random_basis_energy(SPACES, part, draws=300, seed=3)
    assert together[1][0] == observed
    assert stats.ks_2samp(together[1][1], null).pvalue > 1e-6


def test_single_precision_in_many_dimensions_changes_no_digit_that_counts():
    w = np.random.default_rng(9).standard_normal((3, 300)) * 1.01 ** np.arange(300)
    spaces = Eigenspaces(np.arange(150.0), (2,) * 150, np.eye(300), 0.0)
    _, null = random_basis_energy(spaces, w, draws=50, seed=5)
    values = np.linalg.eigvalsh(w @ w.T)
    diagonals = (haar(generator_of(5), 300, 50, 3) ** 2 @ values).reshape(50, 150, 2).sum(axis=2)
    np.testing.assert_allclose(null, np.sqrt(1 - np.sum(diagonals**2 / 2, axis=1) / np.sum(values**2)), rtol=1e-5)


def test_m_and_energy_share_their_random_bases():
    """M is that of the test of theory; the energy is that of the same bases."""
    w = np.random.default_rng(5).standard_normal((10, 5)) * np.geomspace(1, 4, 5)
    moment = w.T @ w
    values, vectors = np.linalg.eigh(moment)
    ((observed, null),), distances = random_bases(SPACES, [w], eigenvalues=values, draws=7, seed=3)
    test = random_basis_test(SPACES, moment, draws=7, seed=3)
    np.testing.assert_allclose(distances, test.null_distribution, rtol=1e-9)
    assert observed == pytest.approx(outside(SPACES, moment))
    for value, basis in zip(null, haar(generator_of(3), 5, 7), strict=True):
        turned = Eigenspaces(SPACES.eigenvalues, SPACES.multiplicity, vectors @ basis, 0.0)
        assert value == pytest.approx(outside(turned, moment), rel=1e-9)


@pytest.mark.parametrize("columns", [130, 129, 100])
def test_products_of_reflections_are_haar(columns):
    """Squares add up to one, as in orthogonal matrices, and entries have the law of a random direction's first one."""
    squares = squared_bases(np.random.default_rng(1), 130, 60, columns)
    assert squares.shape == (60, 130, columns)
    np.testing.assert_allclose(squares.sum(axis=1), 1, rtol=1e-4)
    assert columns < 130 or squares.sum(axis=2) == pytest.approx(1, rel=1e-4)
    law = stats.beta(0.5, 129 / 2)
    for place in ((0, 0), (129, 0), (0, columns - 1), (64, 64), (129, columns - 1)):
        assert stats.kstest(squares[(slice(None), *place)], law.cdf).pvalue > 1e-6
    pairs = squares[:, 0, 0] * squares[:, 1, columns - 1]
    assert abs(pairs.mean() * 130**2 - 1) < 5 * pairs.std() * 130**2 / np.sqrt(60)


def test_m_of_many_dimensions_has_the_law_of_the_test_of_theory():
    """Single precision and products of reflections: other draws of the same law."""
    d = 130
    spaces = Eigenspaces(np.array([1.0, 2.0, 4.0]), (2, 1, d - 3), np.eye(d), 0.0)
    values = np.geomspace(0.1, 10, d)
    ((_, null),), distances = random_bases(spaces, [np.diag(np.sqrt(values))], eigenvalues=values, draws=200, seed=3)
    test = random_basis_test(spaces, np.diag(values), draws=200, seed=4)
    assert stats.ks_2samp(distances, test.null_distribution).pvalue > 1e-6
    energies = [outside(Eigenspaces(np.array([1.0, 2.0, 4.0]), spaces.multiplicity, q, 0.0), np.diag(values))
                for q in haar(np.random.default_rng(5), d, 60)]  # fmt: skip
    assert stats.ks_2samp(null, energies).pvalue > 1e-6


def test_m_of_singular_weights_is_refused():
    with pytest.raises(InvalidInput, match="positive definite"):
        random_bases(SPACES, [np.eye(5)], eigenvalues=np.array([1e-16, 1, 1, 1, 1]))


def test_there_are_999_random_bases_unless_told_otherwise():
    spaces, w = Eigenspaces(np.array([1.0, 2.0]), (1, 2), np.eye(3), 0.0), np.eye(3)[:2]
    assert random_basis_energy(spaces, w)[1].shape == (999,)
    ((_, null),) = random_basis_energies(spaces, [w])
    assert null.shape == (999,)
