"""Statistics of blocks against the literal formulas."""

import numpy as np
import pytest
from scipy import optimize

from tests.theory.testing.ensembles import aligned_ensemble, generator, group_of
from theory.eigenspaces import Eigenspaces
from theory.misalignment import misalignment_squared
from theory.symmetry import twirl
from theory.testing import (
    randomization_test,
)
from theory.testing.blocks import misalignment_in_basis


@pytest.mark.parametrize(("sizes", "fixed"), [((1, 1, 1, 1), 0), ((2, 1, 3), 0), ((1, 2), 2), ((5,), 0), ((1, 1), 1)])
def test_energy_is_the_squared_distance_from_the_twirl(sizes, fixed):
    group = group_of(sizes, fixed, basis_seed=3)
    moments, counts = aligned_ensemble(generator(4), group, 5, 3), np.array([3, 1, 2, 2, 7])
    mean = np.average(moments, axis=0, weights=counts)
    found = randomization_test(moments, group, counts=counts, draws=9)
    assert found.statistic == pytest.approx(np.linalg.norm(mean - twirl(group, mean)) ** 2, rel=1e-12)
    assert (found.blocks, found.draws, found.name, len(found.null_distribution)) == (5, 9, "energy", 9)


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (2, 1, 3)])
def test_misalignment_statistic_is_that_of_the_weighted_mean(sizes):
    group = group_of(sizes, basis_seed=5)
    spaces = Eigenspaces(np.arange(len(sizes)) + 1.0, sizes, group.basis, 0.0)
    moments, counts = aligned_ensemble(generator(6), group, 4, 8), np.array([3, 1, 2, 2])
    found = randomization_test(moments, group, counts=counts, statistic="misalignment", draws=9)
    expected = misalignment_squared(spaces, np.average(moments, axis=0, weights=counts))
    assert found.statistic == pytest.approx(float(expected), rel=1e-10)


def test_misalignment_with_fixed_directions_is_the_least_jeffreys_divergence():
    group = group_of((2,), fixed=2)
    vectors = generator(7).standard_normal((9, 4))
    b = vectors.T @ vectors
    inverse = np.linalg.inv(b)

    def divergence(free):
        root = np.zeros((4, 4))
        root[:2, :2] = [[np.exp(free[0]), 0], [free[1], np.exp(free[2])]]
        root[2:, 2:] = np.eye(2) * np.exp(free[3])
        sigma = root @ root.T
        return np.trace(np.linalg.solve(sigma, b)) / 2 + np.trace(inverse @ sigma) / 2 - 4

    best = optimize.minimize(divergence, np.ones(4), method="BFGS", options={"gtol": 1e-9}).fun
    assert misalignment_in_basis(group, b[None])[0] == pytest.approx(best, abs=1e-8)


def test_singular_matrices_have_infinite_misalignment():
    group = group_of((1, 2), fixed=1)
    both = np.stack([np.eye(4), np.diag([1.0, 1.0, 1.0, 0.0])])
    assert misalignment_in_basis(group, both).tolist() == [0.0, np.inf]
