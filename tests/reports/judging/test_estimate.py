"""Estimates are made in the data's eigenspaces, with the symmetry group that leaves the law of the data invariant."""

import numpy as np
import pytest

from reports.judging.estimate import data_symmetry
from theory.eigenspaces import eigenspaces

SPACES = eigenspaces(np.diag([0.5, 0.5, 1.5, 1.5]))


@pytest.mark.parametrize("mean", [None, np.zeros(4)])
def test_without_a_mean_every_rotation_of_an_eigenspace_is_a_symmetry(mean):
    group = data_symmetry(SPACES, mean)
    assert (group.fixed, group.sizes) == (0, (2, 2))


def test_a_mean_is_fixed_by_the_symmetries_of_the_data():
    mean = np.array([1.0, 0.0, 2.0, 0.0])
    group = data_symmetry(SPACES, mean)
    assert (group.fixed, group.sizes) == (2, (1, 1))
    for element in group.draw(np.random.default_rng(0), 5):
        np.testing.assert_allclose(element @ mean, mean, atol=1e-12)
