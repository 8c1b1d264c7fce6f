"""Exact alignment for data with a mean: what the group that fixes it leaves free, and that the test can say no."""

import itertools

import numpy as np
import pytest
from scipy import stats

from reports.check import check
from reports.check.data import samples
from reports.check.estimates import Weights
from reports.check.exact import exact_tests
from reports.check.mean import fixing, fixing_turns
from reports.check.moments import DataMoment, data_moment
from reports.check.weights import filters
from tests.reports.check.test_moments import in_groups
from theory.symmetry import symmetry_group

RNG = np.random.default_rng(0)
CENTRED = RNG.standard_normal((4000, 6)) * 1.5 ** np.arange(6)
MEAN = np.array([0, 0, 2.0, 0, 0, 6.0])
ROWS = CENTRED + MEAN
EYE = np.eye(6)


def moment(rows: np.ndarray) -> DataMoment:
    return data_moment(samples(rows, filters(np.ones((2, rows.shape[1])))))


def weights(covariance, count=80, networks=1, seed=1):
    root = np.linalg.cholesky(covariance)
    drawn = np.random.default_rng(seed).standard_normal((networks, count, len(root))) @ root.T
    return Weights.of([filters(w) for w in drawn], np.ones(len(root), dtype=bool))


def principal(rows, mean):
    """Eigenvectors in which the mean has its two largest components first."""
    _, vectors = np.linalg.eigh(rows.T @ rows)
    return vectors[:, np.argsort(-np.abs(vectors.T @ mean))]


def outcome(data, layers, *, draws, seed):
    return exact_tests(data, layers, draws=draws, seed=seed)[1]


def test_data_without_a_mean_and_centred_data_have_no_such_test():
    assert outcome(moment(CENTRED), weights(EYE), draws=99, seed=0) is None
    assert outcome(moment(ROWS).centre(), weights(EYE), draws=99, seed=0) is None


def test_the_fixed_directions_are_those_along_which_the_mean_lies():
    data = moment(ROWS)
    spaces = data.known_eigenspaces()
    basis, turns, fixed = fixing_turns(spaces, data)
    np.testing.assert_allclose(basis.T @ basis, EYE, atol=1e-12)
    assert fixed == 2
    assert turns.slices == (slice(0, 2), *(slice(i, i + 1) for i in range(2, 6)))
    assert turns.known == (False, True, True, True, True)
    left = data.mean @ basis[:, fixed:]
    assert np.linalg.norm(left) < 0.1 * np.linalg.norm(MEAN)


def test_an_exact_eigenspace_is_split_as_the_group_of_the_theorem_splits_it():
    """Rows ±e_i of two equal scales, and a mean: the line of P_i μ is fixed, and its complement is free."""
    rows = np.vstack([s * np.eye(4) * [1, 1, 1, 3] + [0, 0.6, 0.8, 0] for s in (1, -1)])
    data = moment(np.repeat(rows, 50, axis=0))
    spaces = data.exact_eigenspaces
    group = symmetry_group(spaces, mean=data.mean)
    basis, turns, fixed = fixing_turns(spaces, data)
    assert (fixed, tuple(s.stop - s.start for s in turns.slices[1:])) == (group.fixed, group.sizes)
    assert turns.known == (False, True, True)
    np.testing.assert_allclose(
        basis[:, :fixed] @ basis[:, :fixed].T, group.basis[:, :fixed] @ group.basis[:, :fixed].T, atol=1e-12
    )


def test_the_mean_within_an_exact_eigenspace_is_split_off():
    """Corners whose second moment is diag(1, 1, 1, 4), with a mean along the first axis: that line alone is fixed."""
    corners = np.array(list(itertools.product((-0.2, 1.4), (-1, 1), (-1, 1), (-2, 2))))
    data = moment(np.repeat(corners, 50, axis=0))
    spaces = data.exact_eigenspaces
    assert spaces.multiplicity == (3, 1)
    basis, turns, fixed = fixing_turns(spaces, data)
    assert (fixed, turns.known) == (1, (False, True, True))
    assert turns.slices == (slice(0, 1), slice(1, 3), slice(3, 4))
    np.testing.assert_allclose(np.abs(basis[:, 0]), [1, 0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(basis.T @ basis, np.eye(4), atol=1e-12)


def test_a_joined_space_is_fixed_as_a_whole():
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((400, 4)) * [1, 1.01, 3, 9] + [0.2, 0.2, 0, 0]
    data = moment(rows)
    spaces = data.known_eigenspaces()
    assert spaces.multiplicity == (2, 1, 1)
    _, turns, fixed = fixing_turns(spaces, data)
    assert fixed == 2
    assert turns.known[0] is False


@pytest.mark.parametrize(("networks", "count"), [(1, 80), (8, 20)])
def test_weights_may_mix_what_is_fixed_and_nothing_else(networks, count):
    basis = principal(ROWS, MEAN)
    mixed = np.diag([3.0, 3.0, 2.0, 1.0, 0.5, 4.0])
    mixed[0, 1] = mixed[1, 0] = 2.0
    data = moment(ROWS)
    allowed = outcome(data, weights(basis @ mixed @ basis.T, count, networks), draws=199, seed=0)
    assert (allowed.fixed, allowed.free) == (2, 4)
    assert allowed.pvalue > 0.01
    assert check(list(weights(basis @ mixed @ basis.T, count, networks).vectors), ROWS).aligned.pvalue <= 0.01
    mixed = np.diag([3.0, 3.0, 2.0, 1.0, 0.5, 4.0])
    mixed[0, 2] = mixed[2, 0] = mixed[3, 5] = mixed[5, 3] = 1.8
    assert outcome(data, weights(basis @ mixed @ basis.T, count, networks), draws=199, seed=0).pvalue <= 0.01


def test_the_size_is_kept():
    """80 layers that mix the two fixed directions: not too many small p-values, by the binomial tail at 1e-7."""
    basis, data = principal(ROWS, MEAN), moment(ROWS)
    mixed = np.diag([3.0, 3.0, 2.0, 1.0, 0.5, 4.0])
    mixed[0, 1] = mixed[1, 0] = 2.0
    found = [outcome(data, weights(basis @ mixed @ basis.T, 30, seed=i), draws=39, seed=i).pvalue for i in range(80)]
    for level in (0.025, 0.05, 0.2):
        assert stats.binom.sf(np.sum(np.array(found) <= level) - 1, 80, level) > 1e-7


def test_where_the_mean_lies_along_everything_nothing_is_tested():
    rows = np.random.default_rng(4).standard_normal((4000, 3)) * [1, 2, 4] + [2.0, 3.0, 4.0]
    found = outcome(moment(rows), weights(np.diag([1.0, 2.0, 5.0])), draws=99, seed=0)
    assert (found.pvalue, found.fixed, found.free) == (1.0, 3, 0)


def test_the_errors_of_the_mean_are_those_of_independent_rows():
    data = moment(ROWS)
    wanted = 1.5 ** np.arange(6) / np.sqrt(4000)
    np.testing.assert_allclose(data.mean_errors(EYE), wanted, rtol=0.4)  # 64 groups: four errors of 9 %
    one = DataMoment(data.groups[:1], data.means[:1], data.counts[:1], 1, data.varies)
    np.testing.assert_array_equal(one.mean_errors(EYE), np.zeros(6))


def test_a_direction_is_fixed_beyond_three_errors_and_a_hundredth_of_the_moment():
    """Each direction is judged literally: 9 is the square of three errors, and a joined space has two components."""
    seen = set()
    for seed in range(40):
        data = in_groups(seed, 4, (8, 10, 9, 11, 12, 10))
        data = DataMoment(data.groups, data.means + 0.3 * (seed % 4), data.counts, data.samples, data.varies)
        spaces = data.known_eigenspaces()
        component, error = data.mean @ spaces.basis, data.mean_errors(spaces.basis)
        fixed = 0
        for s, value in zip(spaces.slices, spaces.eigenvalues, strict=True):
            m = s.stop - s.start
            limit = 9.0 if m == 1 else stats.chi2.isf(2 * stats.norm.sf(3), m)
            power = np.sum(component[s] ** 2)
            there = power > limit * np.mean(error[s] ** 2) and power > 0.01 * m * value
            fixed += m * there
            seen.add((m > 1, bool(there)))
        assert fixing_turns(spaces, data)[2] == fixed
    assert len(seen) == 4


@pytest.mark.parametrize(("share", "counts"), [(0.0099, False), (0.0101, True)])
def test_a_mean_counts_from_a_hundredth_of_the_moment_on(share, counts):
    means = np.tile([np.sqrt(2 * share), 0.0], (3, 1))
    data = DataMoment(np.tile(np.diag([1.0, 1.0]), (3, 1, 1)), means, np.full(3, 1000), 3000, np.full(2, True))
    data = DataMoment(data.groups * np.diag([0.5, 1.5]), means, data.counts, 3000, data.varies)
    assert (fixing(data.exact_eigenspaces, data) is not None) == counts
    assert fixing(data.exact_eigenspaces, DataMoment(data.groups, means, data.counts, 3000, data.varies, True)) is None
