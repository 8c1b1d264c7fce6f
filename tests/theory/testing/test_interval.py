"""The interval for M: literal resamples, ends, coverage, what it says of one network, bad input."""

from itertools import combinations_with_replacement

import numpy as np
import pytest
import scipy.linalg
from scipy import optimize, stats

from tests.theory.testing.ensembles import generator, spaces_of
from theory.eigenspaces import Eigenspaces
from theory.errors import InvalidInput
from theory.misalignment import misalignment_squared, null_floor
from theory.symmetry import SymmetryGroup, twirl
from theory.testing import misalignment_interval
from theory.testing.interval import MisalignmentPath, widening
from theory.testing.randomization import generator_of


def turned_moment(spaces, angle, rng):
    """Σ_w with variances 1, 2, … on the eigenspaces, turned by a random rotation of Frobenius size `angle`."""
    d = spaces.dimension
    a = rng.standard_normal((d, d))
    turn = scipy.linalg.expm(angle * (a - a.T) / np.linalg.norm(a - a.T))
    tau = np.repeat(np.arange(len(spaces.multiplicity)) + 1.0, spaces.multiplicity)
    root = turn @ spaces.basis * np.sqrt(tau)
    return root @ root.T


def replicas_of(sigma, count, width, rng):
    w = rng.standard_normal((count, width, len(sigma))) @ np.linalg.cholesky(sigma).T
    return w.mT @ w / width


@pytest.mark.parametrize("multiplicity", [(1, 1, 1), (2, 1, 2)])
def test_the_path_passes_through_the_estimate_and_its_resamples(multiplicity):
    rng, spaces = generator(2), spaces_of(multiplicity)
    local = Eigenspaces(spaces.eigenvalues, spaces.multiplicity, np.eye(spaces.dimension), 0.0)
    mean, *means = replicas_of(turned_moment(local, 0.5, rng), 6, 20, rng)
    path = MisalignmentPath(local, mean, np.stack(means), 1.0)
    assert path.exact(1.0) == pytest.approx(float(misalignment_squared(local, mean)), rel=1e-10)
    assert path.sample(1.0) == pytest.approx(misalignment_squared(local, np.stack(means)), rel=1e-10)
    assert path.exact(0.0) == pytest.approx(0, abs=1e-14)
    values = [path.exact(t) for t in np.linspace(0, 2, 9)]
    assert np.all(np.diff(values) > 0)


def test_the_floor_is_that_of_independent_vectors():
    """With one Gaussian vector per block, M² of the noise at alignment is known exactly."""
    spaces, rng = spaces_of((1,) * 6), generator(3)
    moments = replicas_of(turned_moment(spaces, 0, rng), 300, 1, rng)
    found = misalignment_interval(spaces, moments, resamples=1999)
    assert found.null_floor == pytest.approx(null_floor([1] * 6, 300).value, rel=0.2)
    assert found.squared == pytest.approx(float(misalignment_squared(spaces, moments.mean(axis=0))), rel=1e-10)


def test_as_many_resamples_as_the_tail_has_exclude_a_lower_value():
    """At confidence ½ the tail has five of 20 resamples: the lower end is the last position at which no more exceed M².

    The positions are tried one by one, up to the estimate at 1; an end where only four exceed it would lie elsewhere.
    """
    rng, spaces = generator(4), spaces_of((1, 1, 1))
    local = Eigenspaces(spaces.eigenvalues, spaces.multiplicity, np.eye(3), 0.0)
    moments = replicas_of(turned_moment(local, 0.6, rng), 12, 20, rng)
    found = misalignment_interval(local, moments, confidence=0.5, resamples=20, seed=1)
    weights = generator_of(1).multinomial(12, np.full(12, 1 / 12), size=20)
    means = np.einsum("bk,kij->bij", weights / 12, moments)
    path = MisalignmentPath(local, moments.mean(axis=0), means, widening(12, 0.25))
    positions = np.linspace(0, 1, 2001)
    beyond = np.array([np.count_nonzero(path.sample(t) >= found.squared) for t in positions])
    last_of_four, last_of_five = (np.flatnonzero(np.maximum.accumulate(beyond) <= most)[-1] for most in (4, 5))
    assert last_of_four < last_of_five - 1
    assert path.exact(positions[last_of_five]) <= found.squared_low <= path.exact(positions[last_of_five + 1])


def test_ends_are_where_the_sample_is_in_a_tail():
    """Fresh ensembles from the law at either end: the sample M² is at their 97.5 % and 2.5 % point.

    Within five binomial standard errors of 1,500 draws, and 1 % for the resampled noise of 400 replicas.
    """
    rng, spaces = generator(4), spaces_of((2, 1, 1))
    moments = replicas_of(turned_moment(spaces, 0.5, rng), 400, 20, rng)
    found = misalignment_interval(spaces, moments, resamples=4999)
    assert 0 < found.squared_low < found.squared < found.squared_high
    assert (found.low, found.high) == (np.sqrt(found.squared_low), np.sqrt(found.squared_high))
    mean = moments.mean(axis=0)
    root = scipy.linalg.sqrtm(twirl(SymmetryGroup(spaces.basis, 0, (2, 1, 1)), mean))
    log = scipy.linalg.logm(np.linalg.solve(root, np.linalg.solve(root, mean).T))

    def on_path(position):
        return root @ scipy.linalg.expm(position * log) @ root

    for end, tail in ((found.squared_low, 0.975), (found.squared_high, 0.025)):
        position = optimize.brentq(lambda t, end=end: float(misalignment_squared(spaces, on_path(t))) - end, 0.1, 4)
        factor = np.linalg.cholesky(on_path(position))
        # the mean over 400 replicas of 20 Gaussian vectors is Wishart with 8,000 degrees of freedom
        lower = np.tril(rng.standard_normal((1500, 4, 4)), -1)
        lower[:, range(4), range(4)] = np.sqrt(rng.chisquare(8000 - np.arange(4), size=(1500, 4)))
        draws = factor @ lower @ lower.mT @ factor.T / 8000
        share = np.mean(misalignment_squared(spaces, draws) <= found.squared)
        assert abs(share - tail) < 5 * np.sqrt(0.025 * 0.975 / 1500) + 0.01


@pytest.mark.parametrize("angle", [0.0, 1.0])
def test_the_interval_holds_the_truth(angle):
    """On either side at most 5 % of the intervals miss the truth (nominal: 2.5 %), at a false-alarm rate of 1e-6.

    Most begin at zero for aligned ensembles, and few far from alignment.
    """
    rng, spaces, below, above, zero = generator(5), spaces_of((1, 2, 1)), 0, 0, 0
    for e in range(60):
        sigma = turned_moment(spaces, angle, rng)
        truth = float(misalignment_squared(spaces, sigma)) if angle else 0.0
        found = misalignment_interval(spaces, replicas_of(sigma, 100, 20, rng), resamples=399, seed=e)
        below, above = below + (found.squared_low > truth), above + (found.squared_high < truth)
        zero += found.squared_low == 0
    assert stats.binomtest(below, 60, 0.05, "greater").pvalue > 1e-6
    assert stats.binomtest(above, 60, 0.05, "greater").pvalue > 1e-6
    assert zero > 40 if angle == 0 else zero < 10


def test_more_replicas_say_more():
    rng, spaces = generator(6), spaces_of((1, 2, 1))
    sigma = turned_moment(spaces, 0, rng)
    few, many = (misalignment_interval(spaces, replicas_of(sigma, k, 20, rng)) for k in (20, 2000))
    assert many.high < few.high / 4
    assert many.aligned_within(0.1)
    assert not few.aligned_within(0.05)
    assert not many.aligned_within(many.high)
    assert not many.optimistic


def test_resamples_of_three_blocks_are_their_ten_means_widened():
    """Every draw of three blocks, by hand: the noise is taken to the power sqrt(3/2) t_2(.025) / z(.025)."""
    rng, spaces = generator(10), spaces_of((1, 1), np.eye(2))
    moments = replicas_of(np.diag([1.0, 3.0]), 3, 40, rng)
    found = misalignment_interval(spaces, moments, seed=3)
    mean = moments.mean(axis=0)
    root = scipy.linalg.sqrtm(mean)
    factor = np.sqrt(3 / 2) * 4.302652729696142 / 1.959963984540054
    known = []
    for chosen in combinations_with_replacement(range(3), 3):
        scaled = np.linalg.solve(root, np.linalg.solve(root, moments[list(chosen)].mean(axis=0)).T)
        wide = root @ scipy.linalg.expm(factor * scipy.linalg.logm(scaled)) @ root
        known.append(float(misalignment_squared(spaces, wide)))
    # the basis in which noise is read: M² hangs on the root of the mean in units of its diagonal alone
    assert np.unique(found.resamples.round(12)) == pytest.approx(np.unique(np.round(known, 12)), rel=1e-6)


def test_what_nothing_bounds_has_no_upper_end():
    """Seven vectors in six dimensions: most resamples leave fewer than six distinct ones."""
    vectors = generator(11).standard_normal((7, 6))
    found = misalignment_interval(spaces_of((1,) * 6), vectors=vectors)
    assert (found.squared_high, found.high, found.squared_low) == (np.inf, np.inf, 0.0)
    assert not found.aligned_within(1e6)
    # isotropic up to noise: no direction in which it is turned is known, but many replicas bound it
    many = misalignment_interval(spaces_of((1, 1)), replicas_of(np.eye(2), 50, 20, generator(12)))
    assert np.isfinite(many.high)


def test_counts_weigh_the_blocks():
    """A block with weight 3 in the mean; equal counts change nothing."""
    rng, spaces = generator(7), spaces_of((1, 1, 1))
    moments, counts = replicas_of(turned_moment(spaces, 0.3, rng), 9, 20, rng), np.array([3, 1, 1] * 3)
    found = misalignment_interval(spaces, moments, counts=counts)
    mean = np.average(moments, axis=0, weights=counts)
    assert found.squared == pytest.approx(float(misalignment_squared(spaces, mean)), rel=1e-10)
    same, plain = misalignment_interval(spaces, moments, counts=[4] * 9), misalignment_interval(spaces, moments)
    assert (same.squared_low, same.squared_high) == pytest.approx((plain.squared_low, plain.squared_high), rel=1e-9)


def test_resamples_weigh_the_blocks_too():
    """Nine blocks of 2,000 vectors say nearly all; as many of 5, whose noise is large, say next to nothing."""
    rng, spaces = generator(7), spaces_of((1, 1, 1))
    sigma = turned_moment(spaces, 0.3, rng)
    many, few = replicas_of(sigma, 9, 2000, rng), replicas_of(sigma, 9, 5, rng)
    found = misalignment_interval(spaces, np.concatenate([many, few]), counts=[400] * 9 + [1] * 9)
    assert 0.8 * found.squared < found.squared_low < found.squared_high < 1.2 * found.squared


def test_one_network_is_resampled_over_its_vectors_and_flagged():
    rng, spaces = generator(8), spaces_of((1, 1, 2))
    vectors = rng.standard_normal((256, 4)) @ np.linalg.cholesky(turned_moment(spaces, 0, rng)).T
    found = misalignment_interval(spaces, vectors=vectors)
    assert (found.optimistic, found.blocks, found.squared_low) == (True, 256, 0.0)
    assert found.squared == pytest.approx(float(misalignment_squared(spaces, vectors.T @ vectors / 256)), rel=1e-10)
    again = misalignment_interval(spaces, vectors=vectors)
    assert np.array_equal(found.resamples, again.resamples)


def test_exact_alignment_without_noise_is_zero():
    spaces = Eigenspaces(np.array([1.0, 2.0]), (1, 1), np.eye(2), 0.0)
    found = misalignment_interval(spaces, np.stack([np.diag([1.0, 2.0])] * 5))
    assert (found.squared, found.squared_low, found.squared_high, found.null_floor) == pytest.approx(
        (0, 0, 0, 0), abs=1e-14
    )


@pytest.mark.slow
@pytest.mark.parametrize(("multiplicity", "count"), [((1, 1), 200), ((2, 1, 3), 200), ((1,) * 6, 30)])
@pytest.mark.parametrize("angle", [0.0, 0.2, 0.8])
def test_coverage(multiplicity, count, angle):
    """On either side at most 5 % of the intervals miss the truth (nominal: 2.5 %), at a false-alarm rate of 1e-6."""
    rng, spaces, below, above = generator(9), spaces_of(multiplicity), 0, 0
    for e in range(400):
        sigma = turned_moment(spaces, angle, rng)
        truth = float(misalignment_squared(spaces, sigma)) if angle else 0.0
        found = misalignment_interval(spaces, replicas_of(sigma, count, 10, rng), resamples=499, seed=e)
        below, above = below + (found.squared_low > truth), above + (found.squared_high < truth)
    assert stats.binomtest(below, 400, 0.05, "greater").pvalue > 1e-6
    assert stats.binomtest(above, 400, 0.05, "greater").pvalue > 1e-6


SPACES, GOOD = spaces_of((1, 1)), np.stack([np.eye(2), np.diag([1.0, 2.0]), np.diag([2.0, 1.0])])
BAD = {
    "neither": ({}, "second_moments, vectors"),
    "both": ({"vectors": np.ones((5, 2)), "second_moments": GOOD}, "second_moments, vectors"),
    "two replicas": ({"second_moments": GOOD[:2]}, "second_moments.shape[0]"),
    "singular": ({"second_moments": GOOD * np.diag([1.0, 0.0])}, "second_moments"),
    "zero": ({"second_moments": 0 * GOOD}, "second_moments"),
    "few vectors": ({"vectors": np.eye(2)}, "vectors.shape"),
    "nan vectors": ({"vectors": np.full((5, 2), np.nan)}, "vectors"),
    "confidence": ({"second_moments": GOOD, "confidence": 1.0}, "confidence"),
    "resamples": ({"second_moments": GOOD, "resamples": 0}, "draws"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_calls_name_the_argument(name):
    options, key = BAD[name]
    options = dict(options)
    with pytest.raises(InvalidInput) as caught:
        misalignment_interval(SPACES, options.pop("second_moments", None), **options)
    assert caught.value.key == key


def test_what_is_left_out_of_a_call_is_what_is_documented():
    """95 %, 999 resamples, seed 0."""
    rng, spaces = generator(13), spaces_of((1, 2))
    moments = replicas_of(turned_moment(spaces, 0.5, rng), 9, 5, rng)
    plain = misalignment_interval(spaces, moments)
    said = misalignment_interval(spaces, moments, confidence=0.95, resamples=999, seed=0)
    assert (plain.squared_low, plain.squared_high, plain.confidence) == (said.squared_low, said.squared_high, 0.95)
    np.testing.assert_array_equal(plain.resamples, said.resamples)
