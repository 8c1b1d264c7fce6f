"""The null distribution against enumeration and literal Haar draws."""

import itertools

import numpy as np
import pytest
from scipy import stats

from tests.theory.testing.ensembles import generator, group_of, orbit_ensemble
from theory.symmetry import twirl
from theory.testing import (
    randomization_test,
)
from theory.testing.blocks import Outside
from theory.testing.orbits import pooled_sums, signed_sums


@pytest.mark.parametrize("blocks", [3, 9])
def test_signed_sums_are_the_literal_sums(blocks):
    """Every row must be one of the enumerated sums, and for 3 blocks all of them equally often."""
    values = generator(8).standard_normal((blocks, 3))
    left, right = np.array([0, 0, 1]), np.array([1, 2, 2])
    rows = np.concatenate(list(signed_sums(values, left, right, 1, 4000, generator(9))))
    patterns = np.array(list(itertools.product([1, -1], repeat=2)))
    products = np.stack([patterns[:, 0], patterns[:, 1], patterns[:, 0] * patterns[:, 1]], axis=1)  # coordinate 0: +
    if blocks == 9:  # too many to enumerate: the first two moments
        assert np.all(np.abs(rows.mean(axis=0)) < 5.5 * np.sqrt(np.sum(values**2, axis=0) / 4000))
        assert np.cov(rows.T) == pytest.approx(np.diag(np.sum(values**2, axis=0)), abs=1.5)
        return
    sums = np.array([sum(products[p[k]] * values[k] for k in range(3)) for p in itertools.product(range(4), repeat=3)])
    distance = np.linalg.norm(rows[:, None] - sums, axis=2)
    assert np.max(np.min(distance, axis=1)) < 1e-12
    counts = np.bincount(np.argmin(distance, axis=1), minlength=64)
    assert stats.chisquare(counts).pvalue > 1e-6


def test_fixed_coordinates_keep_their_sign():
    """Two fixed coordinates (0, 1) and two free ones: pairs that share the free coordinate share the sign."""
    left, right = np.array([0, 1, 0, 1, 2]), np.array([2, 2, 3, 3, 3])
    rows = np.concatenate(list(signed_sums(np.ones((1, 5)), left, right, 2, 500, generator(9))))
    assert np.array_equal(np.abs(rows), np.ones((500, 5)))
    assert np.array_equal(rows[:, 0], rows[:, 1])
    assert np.array_equal(rows[:, 2], rows[:, 3])
    assert np.array_equal(rows[:, 4], rows[:, 0] * rows[:, 2])
    assert len(np.unique(rows, axis=0)) == 4


@pytest.mark.parametrize("draws", [300, 3000])  # one pool at a time, and all pools at once
@pytest.mark.parametrize(("sizes", "fixed"), [((2, 1, 2), 0), ((3, 1), 1)])
def test_pooled_null_distribution_is_that_of_fresh_haar_elements(sizes, fixed, draws):
    group = group_of(sizes, fixed, basis_seed=10)
    moments = orbit_ensemble(generator(11), group, 4, 3)
    found = randomization_test(moments, group, draws=draws, seed=12).null_distribution
    rng, literal = generator(13), []
    for _ in range(1000):
        g = group.draw(rng, 4)
        mean = np.mean(g @ moments @ g.mT, axis=0)
        literal.append(np.linalg.norm(mean - twirl(group, mean)) ** 2)
    assert stats.ks_2samp(found, literal).pvalue > 1e-6


def test_pooled_sums_turn_every_block_by_an_orthogonal_matrix():
    group = group_of((2, 3))
    outside = Outside(group)
    residue = generator(14).standard_normal((1, 5, 5))
    residue = residue + residue.mT
    start = outside.matrices(outside.coordinates(residue))[0]
    sums = pooled_sums(lambda k, g, o: outside.coordinates(g @ start @ g.mT), group, 1, outside.size, 5, generator(1))
    for row in np.concatenate(list(sums)):
        assert np.linalg.eigvalsh(outside.matrices(row)) == pytest.approx(np.linalg.eigvalsh(start), abs=1e-12)
