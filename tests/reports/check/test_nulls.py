"""What chance alone gives: literal versions, sizes of the tests, and that each can say no."""

import numpy as np
import pytest
from scipy import stats

from reports.check import nulls
from reports.check.estimates import jackknife_interval, without_noise
from tests.strategies import orthogonal, spectral
from theory.eigenspaces import Eigenspaces, eigenspaces
from theory.misalignment import misalignment, misalignment_squared, null_floor
from theory.symmetry import symmetry_group, twirl
from theory.testing.blocks import rotated

BASIS = orthogonal(5, 5)
SPACES = Eigenspaces(np.array([1.0, 2.0, 4.0]), (2, 1, 2), BASIS, 0.0)
ALIGNED = spectral(np.array([3.0, 3.0, 1.0, 0.5, 0.5]), BASIS)


def sample(rng, covariance, vectors):
    w = rng.standard_normal((vectors, len(covariance))) @ np.linalg.cholesky(covariance).T
    return w.T @ w / vectors


def wishart(rng, dimension, vectors, count):
    factor = nulls.wishart_factor(rng, dimension, vectors, count)
    return factor @ factor.mT


@pytest.mark.parametrize("vectors", [2, 5, 30])
def test_wishart_has_the_moments_of_gaussian_vectors(vectors):
    """E W = N I, Var W_ij = N (1 + δ_ij): means over 20,000 draws within 6 standard errors."""
    draws = wishart(np.random.default_rng(0), 3, vectors, 20_000)
    error = np.sqrt(vectors * (1 + np.eye(3)) / 20_000)
    assert np.all(np.abs(draws.mean(axis=0) - vectors * np.eye(3)) < 6 * error)
    np.testing.assert_allclose(draws.var(axis=0), vectors * (1 + np.eye(3)), rtol=0.1)
    assert np.linalg.matrix_rank(draws[0]) == min(3, vectors)


def test_wishart_gives_the_null_floor():
    draws = wishart(np.random.default_rng(1), 5, 40, 20_000)
    values = misalignment_squared(SPACES, BASIS @ draws @ BASIS.T)
    want = null_floor(SPACES.multiplicity, 40).value
    assert abs(values.mean() - want) < 6 * values.std() / np.sqrt(20_000)


def test_the_plain_misalignment_is_that_of_theory():
    draws = wishart(np.random.default_rng(3), 5, 9, 20)
    want = misalignment_squared(SPACES, BASIS @ draws @ BASIS.T)
    np.testing.assert_allclose(nulls.squared_misalignment(symmetry_group(SPACES), draws), want, rtol=1e-6)


def test_outside_share_is_the_energy_outside_the_twirl():
    rng, group = np.random.default_rng(2), symmetry_group(SPACES)
    matrix = sample(rng, np.eye(5), 3)
    want = np.sum((matrix - twirl(group, matrix)) ** 2) / np.sum(matrix**2)
    assert nulls.outside_share(group, rotated(BASIS, matrix)[None])[0] == pytest.approx(want)


def test_between_share_ignores_what_is_within_an_eigenspace():
    group, share = symmetry_group(SPACES), nulls.between_share(SPACES)
    block = np.diag([1.0, 5.0, 2.0, 1.0, 3.0])
    assert share(group, block[None])[0] == 0
    assert nulls.outside_share(group, block[None])[0] > 0.1
    block[0, 2] = block[2, 0] = 1
    traces = [np.trace(block[s, s]) for s in SPACES.slices]
    assert share(group, block[None])[0] == pytest.approx(2 / (sum(traces) ** 2 - np.sum(np.square(traces))))


def test_few_vectors_in_large_joined_spaces_are_no_evidence():
    """Ten isotropic vectors in two spaces of 20 dimensions, where what is seen within a space is mostly noise.

    Mean p of 60 networks, of standard error .04 if p is uniform; the share of ‖B‖² between spaces gives some .02.
    """
    spaces = Eigenspaces(np.array([1.0, 2.0]), (20, 20), np.eye(40), 0.0)
    rng = np.random.default_rng(21)
    moments = [w.T @ w / 10 for w in rng.standard_normal((60, 10, 40))]
    pvalues = [nulls.aligned_pvalue(spaces, b, 10, joined=True, draws=99, seed=n) for n, b in enumerate(moments)]
    assert 0.3 < np.mean(pvalues) < 0.8


def test_many_vectors_in_a_random_basis_are_evidence_against_joined_spaces():
    """Two vectors a dimension, eigenvalues from e^-1.5 to e^1.5: none of 10 networks passes for aligned."""
    spaces = Eigenspaces(np.array([1.0, 2.0]), (20, 20), np.eye(40), 0.0)
    rng, root = np.random.default_rng(23), orthogonal(1, 40) * np.exp(np.linspace(-0.75, 0.75, 40))
    moments = [sample(rng, root @ root.T, 80) for _ in range(10)]
    pvalues = [nulls.aligned_pvalue(spaces, b, 80, joined=True, draws=99, seed=n) for n, b in enumerate(moments)]
    assert max(pvalues) < 0.05


def test_random_basis_energy_is_the_literal_one():
    matrix = sample(np.random.default_rng(3), ALIGNED, 3)
    observed, null = nulls.random_basis_energy(SPACES, matrix, draws=400, seed=4)
    assert observed == pytest.approx(
        np.sqrt(nulls.outside_share(symmetry_group(SPACES), rotated(BASIS, matrix)[None])[0])
    )
    literal = []
    for seed in range(1, 401):
        turned = Eigenspaces(SPACES.eigenvalues, SPACES.multiplicity, orthogonal(seed, 5), 0.0)
        share = nulls.outside_share(symmetry_group(turned), rotated(turned.basis, matrix)[None])[0]
        literal.append(np.sqrt(share))
    assert stats.ks_2samp(null, literal).pvalue > 1e-6


def uniform(pvalues: list[float]) -> None:
    """Not too many small p-values: P(p ≤ α) ≤ α fails at 1e-7 by the binomial tail."""
    for level in (0.05, 0.2):
        assert stats.binom.sf(np.sum(np.array(pvalues) <= level) - 1, len(pvalues), level) > 1e-7


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("vectors", [3, 12, 60])
def test_the_parametric_null_keeps_its_size(vectors, joined):
    """Exact for M²; where Π(B) is estimated (N < d, or joined) its error makes the test mild, not bold."""
    rng = np.random.default_rng(5)
    found = [
        nulls.aligned_pvalue(SPACES, sample(rng, ALIGNED, vectors), vectors, joined=joined, draws=99, seed=i)
        for i in range(150)
    ]
    uniform(found)
    if vectors == 60 and not joined:
        assert stats.kstest(found, "uniform").pvalue > 1e-6


@pytest.mark.parametrize("joined", [False, True])
def test_the_parametric_null_says_no(joined):
    turned = spectral(np.array([3.0, 3.0, 1.0, 0.5, 0.5]), orthogonal(9, 5))
    moment = sample(np.random.default_rng(6), turned, 200)
    assert nulls.aligned_pvalue(SPACES, moment, 200, joined=joined) <= 0.01


@pytest.mark.parametrize("vectors", [3, 12, 60])
def test_isotropy_keeps_its_size_and_says_no(vectors):
    rng = np.random.default_rng(7)
    uniform([nulls.isotropic_pvalue(sample(rng, np.eye(5), vectors), vectors, draws=99, seed=i) for i in range(150)])
    assert nulls.isotropic_pvalue(sample(rng, np.diag([9.0, 9, 1, 1, 0.1]), 60), 60) <= 0.01


def networks(rng, count, covariance):
    return np.stack([sample(rng, covariance, 8) for _ in range(count)])


def test_between_randomization_keeps_its_size_and_says_no():
    """Anything within an eigenspace is allowed: B is aligned with *some* A that has these joined spaces."""
    rng = np.random.default_rng(8)
    within = BASIS @ np.diag([1.0, 5.0, 2.0, 1.0, 3.0]) @ BASIS.T
    uniform(
        [nulls.between_randomization_pvalue(SPACES, networks(rng, 6, within), draws=99, seed=i) for i in range(150)]
    )
    turned = spectral(np.array([3.0, 3.0, 1.0, 0.5, 0.5]), orthogonal(9, 5))
    assert nulls.between_randomization_pvalue(SPACES, networks(rng, 30, turned)) <= 0.01


def test_between_randomization_is_the_literal_one():
    moments = networks(np.random.default_rng(9), 4, np.diag([5.0, 1, 2, 1, 3]))
    found = nulls.between_randomization_pvalue(SPACES, moments, draws=2000, seed=1)
    rng, observed, reached = np.random.default_rng(10), None, 0
    for draw in range(2001):
        mean = np.zeros((5, 5))
        for moment in moments:
            signs = np.repeat(rng.choice([-1, 1], 3), SPACES.multiplicity) if draw else np.ones(5)
            turn = (BASIS * signs) @ BASIS.T
            mean += turn @ moment @ turn.T
        energy = sum(np.sum((BASIS[:, a].T @ mean @ BASIS[:, b]) ** 2) for a in SPACES.slices for b in SPACES.slices
                     if a != b)  # fmt: skip
        observed = energy if observed is None else observed
        reached += energy >= observed * (1 - 1e-10)
    p = (found + reached / 2001) / 2
    assert abs(found - reached / 2001) < 6 * np.sqrt(2 * p * (1 - p) / 2000)


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
        draws = root @ wishart(rng, 5, vectors, 2000) @ root.T
        floor = null_floor(SPACES.multiplicity, vectors).value
        found = without_noise(misalignment_squared(SPACES, draws), floor, 5)
        true = float(misalignment_squared(SPACES, covariance))
        assert abs(found.mean() - true) < 0.05 * (true + floor) + 6 * found.std() / np.sqrt(2000)


def test_the_jackknife_says_none_for_two_networks_and_for_singular_means():
    moments = networks(np.random.default_rng(11), 3, np.eye(5))
    assert jackknife_interval(SPACES, moments[:2]) is None
    assert jackknife_interval(SPACES, np.stack([np.diag(row) for row in np.eye(5)])) is None
    assert jackknife_interval(SPACES, moments) is not None


def test_regularising_keeps_trace_and_eigenvectors():
    matrix = np.diag([4.0, 0, 0, 0])
    np.testing.assert_allclose(nulls.regularised(matrix, 0.5), np.diag([2.5, 0.5, 0.5, 0.5]))
