"""The variances of a random basis where they are equal, or next to nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reports.check.needed import filters_needed, random_basis_squared
from tests.reports.check.layers import axes, weights_of
from theory.eigenspaces import Eigenspaces


@pytest.mark.parametrize("cautious", [False, True])
@pytest.mark.parametrize("count", [1, 4])
def test_equal_variances_have_no_orientation(cautious, count):
    """Equal variances have no spread and give 0, whatever their errors are."""
    w = weights_of(np.ones((count, 3)) * np.arange(1, count + 1)[:, None])
    assert random_basis_squared(axes(3), w, cautious=cautious) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("multiplicity", [(2, 1, 1), (3, 1), (1,) * 7, (17, 13)])
def test_of_a_single_space_with_weights_nothing_is_known(multiplicity):
    """The result is exactly 0, because a rounding error in its place would be divided by another one."""
    d = sum(multiplicity)
    spaces = Eigenspaces(np.arange(1.0, len(multiplicity) + 1), multiplicity, np.eye(d), 0.0)
    w = np.random.default_rng(0).standard_normal((30, d))
    w[:, multiplicity[0] :] = 0
    assert random_basis_squared(spaces, weights_of(w)) == 0
    assert random_basis_squared(spaces, weights_of(w), cautious=True) == 0


@pytest.mark.parametrize(("share", "known"), [(0.9e-12, False), (1.1e-12, True)])
def test_a_variance_is_known_from_1e_12_of_the_largest_on(share, known):
    """A variance below 1e-12 of the largest takes the logarithm of the smallest of the others."""
    tau = np.array([share * 4, 1.0, 4.0])
    w = weights_of(np.sqrt(tau) * np.array([[1.0, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]]))
    logs = np.log(tau if known else tau[1:])
    spectrum = logs if known else np.array([logs[0], logs[0], logs[1]])
    found = random_basis_squared(axes(3), w)
    # all vectors have the same squares, so that there are no errors to be taken off
    assert found == pytest.approx(literal(np.exp(spectrum - logs.mean())), rel=1e-6)


def literal(spectrum):
    from theory.symmetry import haar

    frames = haar(np.random.default_rng(0), 3, 64, 1)[..., 0] ** 2
    return 3 * float(np.mean([math.sqrt(f @ spectrum * (f @ (1 / spectrum))) - 1 for f in frames]))


def test_two_eigenspaces_need_a_number():
    spaces = Eigenspaces(np.array([1.0, 2.0]), (2, 2), np.eye(4), 0.0)
    w = weights_of(np.random.default_rng(1).standard_normal((40, 4)) * [3.0, 3.0, 1.0, 1.0])
    assert filters_needed(spaces, w, False) > 8
    alike = Eigenspaces(np.array([1.0]), (4,), np.eye(4), 0.0)
    assert filters_needed(alike, w, False) is None
