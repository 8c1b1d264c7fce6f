"""What is estimated: intervals that cover and say where they end, and f."""

import math

import numpy as np
import pytest
from scipy import stats

from reports.check.estimates import (
    beyond,
    interval_of,
    jackknife_interval,
    shape_seen,
    transfer_function,
    without_noise,
)
from reports.testing.strategies import orthogonal, spectral
from tests.reports.check.layers import axes, weights_of
from theory.eigenspaces import Eigenspaces, eigenspaces
from theory.misalignment import misalignment, misalignment_squared, null_floor
from theory.testing import misalignment_interval

BASIS = orthogonal(5, 5)
SPACES = Eigenspaces(np.array([1.0, 2.0, 4.0]), (2, 1, 2), BASIS, 0.0)
ALIGNED = spectral(np.array([3.0, 3.0, 1.0, 0.5, 0.5]), BASIS)


@pytest.mark.slow
@pytest.mark.parametrize("angle", [0.0, 0.5, 1.5])
@pytest.mark.parametrize("vectors", [200, 2000])
def test_the_jackknife_covers(vectors, angle):
    """Nominal 95 %: 400 samples, each end missed in at most 10 % of them (designed on another seed: 4.3 %)."""
    from scipy.linalg import expm

    rng, d = np.random.default_rng(0), 8
    spaces = eigenspaces(np.diag(np.arange(1.0, d + 1)))
    turn = rng.standard_normal((d, d))
    turn = turn - turn.T
    root = expm(angle * turn / np.linalg.norm(turn)) @ np.diag(np.sqrt(np.linspace(1, 4, d)))
    true = float(misalignment(spaces, root @ root.T))
    missed = np.zeros(2)
    for _ in range(400):
        w = rng.standard_normal((20, vectors // 20, d)) @ root.T
        low, high = jackknife_interval(spaces, w.mT @ w / (vectors // 20))
        missed += [true < low, true > high]
    assert np.all(stats.binom.sf(missed - 1, 400, 0.05) > 1e-4), missed


@pytest.mark.parametrize("vectors", [40, 200, 2000])
def test_noise_is_taken_off(vectors):
    """The mean over 2,000 samples of M² without noise is M²: within 5 % of M² + floor and 6 standard errors."""
    rng = np.random.default_rng(12)
    turned = spectral(np.array([3.0, 3.0, 1.0, 0.5, 0.5]), orthogonal(9, 5))
    for covariance in (ALIGNED, turned):
        root = np.linalg.cholesky(covariance)
        draws = np.stack([w.T @ w for w in (rng.standard_normal((vectors, 5)) @ root.T for _ in range(2000))])
        floor = null_floor(SPACES.multiplicity, vectors).value
        found = without_noise(misalignment_squared(SPACES, draws), floor, 5)
        true = float(misalignment_squared(SPACES, covariance))
        assert abs(found.mean() - true) < 0.05 * (true + floor) + 6 * found.std() / np.sqrt(2000)


def test_the_jackknife_says_none_for_two_networks_and_for_singular_means():
    moments = np.stack([w.T @ w for w in np.random.default_rng(11).standard_normal((3, 8, 5))])
    assert jackknife_interval(SPACES, moments[:2]) is None
    assert jackknife_interval(SPACES, np.stack([np.diag(row) for row in np.eye(5)])) is None
    assert jackknife_interval(SPACES, moments) is not None


def test_the_jackknife_is_the_literal_one():
    """Leave one out, Tukey's error, Quenouille's bias, Student's quantile of K − 1 degrees."""
    rng = np.random.default_rng(2)
    moments = np.stack(
        [w.T @ w / 90 for w in rng.standard_normal((4, 90, 5)) @ np.linalg.cholesky(ALIGNED + np.eye(5)).T]
    )
    whole = float(misalignment_squared(SPACES, moments.mean(axis=0)))
    without = [float(misalignment_squared(SPACES, np.delete(moments, r, axis=0).mean(axis=0))) for r in range(4)]
    error = math.sqrt(3 / 4 * sum((value - np.mean(without)) ** 2 for value in without))
    centre = 4 * whole - 3 * np.mean(without)
    low, high = jackknife_interval(SPACES, moments)
    assert low == pytest.approx(math.sqrt(max(centre - stats.t.ppf(0.975, 3) * error, 0)), abs=1e-9)
    assert high == pytest.approx(math.sqrt(centre + stats.t.ppf(0.975, 3) * error))
    low, high = jackknife_interval(SPACES, moments, 0.02)
    centre = (whole + 5) * 5 / 5.02 - 5
    assert high == pytest.approx(math.sqrt(centre + stats.t.ppf(0.975, 3) * error))


def test_the_transfer_function_has_students_intervals_of_its_logarithm():
    w = np.random.default_rng(3).standard_normal((7, 2)) * [3.0, 1.0]
    found = transfer_function(axes(2), weights_of(w))
    tau = np.mean(w**2, axis=0)
    error = np.std(w**2, axis=0, ddof=1) / math.sqrt(7) / tau
    np.testing.assert_allclose(found.f, np.sqrt(tau))
    np.testing.assert_allclose(np.log(found.high / found.f), stats.t.ppf(0.975, 6) * error / 2)
    np.testing.assert_allclose(np.log(found.f / found.low), stats.t.ppf(0.975, 6) * error / 2)
    several = transfer_function(axes(2), weights_of(*np.random.default_rng(4).standard_normal((3, 7, 2))))
    assert np.all((several.low < several.f) & (several.f < several.high))
    alone = transfer_function(axes(2), weights_of(w[:1]))
    assert np.isnan(alone.low).all()


def test_weights_know_their_scale_rank_and_zeros():
    w = np.random.default_rng(5).standard_normal((6, 3)) * 4
    w[2] = 0
    found = weights_of(w)
    assert (found.alive, found.rank, found.full) == (5, 3, True)
    np.testing.assert_allclose(found.scale**2 * found.mean, w.T @ w / 6)
    assert np.trace(found.mean) == pytest.approx(3)
    np.testing.assert_allclose(found.grouped(3), [v.T @ v / 2 for v in found.vectors[0].reshape(3, 2, 3)])
    assert len(found.grouped(7)) == 0
    assert not weights_of(w[:2]).full


# --- intervals without an upper end


def test_of_few_filters_the_interval_has_no_upper_end():
    """Most bootstrap samples of 28 to 40 filters hold fewer than 27 different ones: nothing bounds M from above."""
    rng = np.random.default_rng(6)
    for count in (28, 34, 40):
        w = rng.standard_normal((count, 27)) * np.linspace(1, 2, 27)
        low, high = interval_of(axes(27), weights_of(w), None, 0)
        assert (low, high) == (0, math.inf)
    assert interval_of(axes(27), weights_of(w[:27]), None, 0) is None
    low, high = interval_of(axes(27), weights_of(rng.standard_normal((120, 27))), None, 0)
    assert 0 <= low < high < 10


def test_beyond_is_what_no_regular_matrix_reaches():
    """κ = 1/(4 d eps) is where a matrix counts as singular, and Kantorovich's bound is attained in two dimensions."""
    condition = 1 / (4 * 2 * np.finfo(float).eps)
    worst = spectral(
        np.array([1.0, 0.9 / condition * 10]), orthogonal(0, 2) @ np.array([[1, -1], [1, 1]]) / math.sqrt(2)
    )
    assert not beyond(float(misalignment(axes(2), worst)), 2)
    assert beyond(10 * math.sqrt(math.sqrt(condition)), 2)
    assert beyond(math.inf, 3)
    assert beyond(math.nan, 3)


@pytest.mark.parametrize(("multiplicity", "resampled"), [((1,) * 24 + (17,), True), ((1,) * 32 + (4,), False)])
def test_less_than_99_resamples_are_no_bootstrap(multiplicity, resampled):
    """2²² // (d² k) is 99 for d = 41 and k = 25, and 98 for d = 36 and k = 33.

    Without the floor of independent vectors one network then has no interval, nor have 30 of few vectors.
    """
    d = sum(multiplicity)
    assert 2**22 // (d**2 * len(multiplicity)) == 99 - (not resampled)
    spaces = Eigenspaces(np.arange(1.0, len(multiplicity) + 1), multiplicity, np.eye(d), 0.0)
    rng = np.random.default_rng(13)
    one, several = weights_of(rng.standard_normal((120, d))), weights_of(*rng.standard_normal((30, 3, d)))
    assert (interval_of(spaces, one, None, 0) is not None) == resampled
    assert (interval_of(spaces, several, None, 0) is not None) == resampled


def test_intervals_come_from_the_bootstrap_or_the_jackknife():
    """999 resamples of one network's vectors or of 30 networks; the jackknife of fewer, and of 20 groups."""
    rng = np.random.default_rng(14)
    one, many = weights_of(rng.standard_normal((60, 4))), weights_of(*rng.standard_normal((30, 9, 4)))
    found = misalignment_interval(axes(4), vectors=one.vectors[0], resamples=999, seed=3)
    assert interval_of(axes(4), one, None, 3) == (found.low, found.high)
    found = misalignment_interval(axes(4), many.moments, resamples=999, seed=3)
    assert interval_of(axes(4), many, None, 3) == (found.low, found.high)
    few = weights_of(*rng.standard_normal((29, 9, 4)))
    assert interval_of(axes(4), few, None, 3) == jackknife_interval(axes(4), few.moments)
    large = Eigenspaces(np.arange(1.0, 34), (1,) * 32 + (4,), np.eye(36), 0.0)
    wide = weights_of(rng.standard_normal((800, 36)))
    assert interval_of(large, wide, 0.5, 0) == jackknife_interval(large, wide.grouped(20), 0.5)


@pytest.mark.parametrize(("dead", "known"), [(0, True), (1, False)])
def test_few_networks_need_five_vectors_per_dimension(dead, known):
    """Three networks of 20 vectors are 60, five times twelve, if none of them is zero."""
    layers = np.random.default_rng(15).standard_normal((3, 20, 12))
    layers[0, :dead] = 0
    assert (interval_of(axes(12), weights_of(*layers), None, 0) is not None) == known


@pytest.mark.parametrize(("share", "rank"), [(4.4, 2), (3.6, 1)])
def test_a_variance_counts_from_four_roundings_per_dimension(share, rank):
    variance = share * 2 * np.finfo(float).eps
    assert weights_of(np.diag([1.0, np.sqrt(variance)])).rank == rank


def test_beyond_begins_at_kantorovichs_bound():
    for d in (2, 7, 40):
        root = (4 * d * np.finfo(float).eps) ** -0.5
        bound = math.sqrt(d * (root + 1 / root) / 2 - d)
        assert not beyond(bound * (1 - 1e-9), d)
        assert beyond(bound * (1 + 1e-9), d)


def test_a_direction_without_weights_has_no_interval():
    w = np.random.default_rng(16).standard_normal((7, 3)) * [1.0, 0.0, 2.0]
    found = transfer_function(axes(3), weights_of(w))
    assert found.f[1] == 0
    np.testing.assert_array_equal(np.isnan(found.low), [False, True, False])
    np.testing.assert_array_equal(np.isnan(found.high), [False, True, False])


def test_a_shape_needs_two_units_and_two_eigenspaces():
    rising = np.array([[1.0, 4.0], [1.1, 4.1]])
    assert shape_seen(rising) == "rises"
    assert shape_seen(rising[:1]) is None
    assert shape_seen(rising[:, :1]) is None


def test_fewer_vectors_than_groups_make_none():
    two = weights_of(*np.random.default_rng(0).standard_normal((2, 3, 4)))
    assert two.grouped(4).shape == (0, 4, 4)
    np.testing.assert_allclose(two.grouped(3), [np.outer(w, w) for w in two.vectors[0]])
