"""Whole-matrix tests: laws under the null by Wishart simulation, planted errors, τ scores, bad input."""

import numpy as np
import pytest
from scipy import stats

from tests.theory.testing.ensembles import generator
from theory.eigenspaces import Eigenspaces, weight_variances
from theory.errors import InvalidInput
from theory.symmetry import haar
from theory.testing import tau_zscores, whole_matrix_test


def prediction(k, d, seed=1):
    """A positive semidefinite matrix of rank k, and a root F with F Fᵀ equal to it."""
    basis = haar(generator(seed), d, 1)[0][:, :k]
    values = np.geomspace(0.1, 3, k)
    return (basis * values) @ basis.T, basis * np.sqrt(values)


def wishart_mean(rng, root, n):
    """A draw of (1/n) Wishart(n, F Fᵀ), by Bartlett's decomposition."""
    k = root.shape[1]
    lower = np.tril(rng.standard_normal((k, k)), -1) + np.diag(np.sqrt(rng.chisquare(n - np.arange(k))))
    return root @ lower @ lower.T @ root.T / n


def skewed_blocks(rng, root, blocks, size):
    """Block means of w wᵀ for w = F z with independent, kurtotic z and a random scale each."""
    z = rng.standard_normal((blocks, size, root.shape[1])) * rng.choice([0.5, np.sqrt(1.75)], (blocks, size, 1))
    w = z @ root.T
    return w.mT @ w / size


@pytest.mark.parametrize(("k", "d", "n"), [(1, 3, 50), (4, 4, 400), (6, 9, 5000)])
@pytest.mark.slow
def test_pvalues_are_uniform_under_the_null(k, d, n):
    sigma, root = prediction(k, d)
    rng = generator(2)
    found = [whole_matrix_test(sigma, wishart_mean(rng, root, n), n, gaussian=True) for _ in range(1500)]
    assert {f.rank for f in found} == {k}
    scores = np.array([f.diagonal_zscores for f in found])
    for j in range(k):
        assert stats.kstest(scores[:, j], "norm").pvalue > 1e-7
    assert stats.kstest([f.joint_pvalue for f in found], "uniform").pvalue > 1e-6
    for alpha in (0.01, 0.1):
        rejected = sum(f.pvalue <= alpha for f in found)
        assert stats.binomtest(rejected, len(found), alpha, "greater").pvalue > 1e-6


@pytest.mark.slow
def test_a_chi_square_law_would_be_wrong_for_the_likelihood_ratio():
    """The statistic at N = 20, k = 5 is visibly larger than its limit."""
    sigma, root = prediction(5, 5)
    rng, found, raw = generator(3), [], []
    for _ in range(1500):
        s = wishart_mean(rng, root, 20)
        found.append(whole_matrix_test(sigma, s, 20, gaussian=True).joint_pvalue)
        white = np.linalg.solve(sigma, s)
        ratio = 20 * (np.trace(white) - np.linalg.slogdet(white)[1] - 5)
        raw.append(stats.chi2.sf(ratio, 15))
    assert stats.kstest(found, "uniform").pvalue > 1e-6
    assert stats.kstest(raw, "uniform").pvalue < 1e-6


@pytest.mark.parametrize("k", [10, 30])
def test_seven_per_cent_in_one_variance_are_found(k):
    """The likelihood ratio alone loses them at k = 30; the diagonals do not."""
    sigma, root = prediction(k, k)
    rng, found = generator(4), []
    for e in range(60):
        wrong = root.copy()
        wrong[:, e % k] *= np.sqrt(1.07)
        found.append(whole_matrix_test(sigma, wishart_mean(rng, wrong, 50_000), 50_000, gaussian=True))
    assert np.mean([f.pvalue < 1e-6 for f in found]) >= 0.95
    assert found[0].detectable < 0.07


@pytest.mark.parametrize("sign", [1, -1])
def test_detectable_error_is_found_with_the_stated_probability(sign):
    """Exactly .9 from the diagonal alone on the weaker side; the joint test and the other diagonals add a little."""
    sigma, root = prediction(4, 4)
    error = whole_matrix_test(sigma, sigma, 20_000, gaussian=True).detectable
    rng, found = generator(5), 0
    for _ in range(1000):
        wrong = root.copy()
        wrong[:, 2] *= np.sqrt(1 + sign * error)
        found += whole_matrix_test(sigma, wishart_mean(rng, wrong, 20_000), 20_000, gaussian=True).pvalue <= 1e-6
    assert stats.binomtest(found, 1000, 0.9, "less").pvalue > 1e-6
    assert found < 985


def test_a_rotation_is_found_by_the_likelihood_ratio():
    sigma, root = prediction(5, 5)
    turn = np.eye(5)
    turn[:2, :2] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
    found = whole_matrix_test(sigma, wishart_mean(generator(6), turn @ root, 50_000), 50_000, gaussian=True)
    assert found.joint_pvalue < 1e-6


def test_weights_outside_the_column_space_refute():
    sigma, root = prediction(3, 5)
    sample = wishart_mean(generator(7), root, 1000)
    assert whole_matrix_test(sigma, sample, 1000, gaussian=True).pvalue > 1e-6
    stray = np.linalg.eigh(sigma)[1][:, 0]
    leaked = whole_matrix_test(sigma, sample + 1e-9 * np.outer(stray, stray), 1000, gaussian=True)
    assert leaked.pvalue == 0
    assert leaked.outside > 1e-11


def test_a_sample_of_lower_rank_refutes():
    sigma, root = prediction(3, 3)
    thin = np.outer(root[:, 0], root[:, 0])
    assert whole_matrix_test(sigma, thin, 100, gaussian=True).pvalue == 0


@pytest.mark.parametrize("k", [1, 4])
def test_estimated_variances_keep_their_size(k):
    sigma, root = prediction(k, 4)
    rng = generator(8)
    found = [
        whole_matrix_test(sigma, skewed_blocks(rng, root, 100, 40), gaussian=False, counts=np.full(100, 40))
        for _ in range(400)
    ]
    scores = np.array([f.diagonal_zscores for f in found])
    for j in range(k):
        assert stats.kstest(scores[:, j], "norm").pvalue > 1e-6
    assert (found[0].joint_pvalue is None) == (k == 1)
    assert stats.binomtest(sum(f.pvalue <= 0.05 for f in found), 400, 0.05, "greater").pvalue > 1e-6
    assert found[0].replicas == 4000


def test_estimated_variances_find_planted_errors():
    sigma, root = prediction(4, 4)
    wrong = root * np.sqrt([1.0, 1.0, 1.15, 1.0])
    moments = skewed_blocks(generator(9), wrong, 200, 250)
    found = whole_matrix_test(sigma, moments, gaussian=False, counts=np.full(200, 250))
    assert found.detectable < 0.1
    assert found.diagonal_pvalue < 1e-6
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
    moments = skewed_blocks(generator(9), turn @ root, 200, 250)
    assert whole_matrix_test(sigma, moments, gaussian=False, counts=np.full(200, 250)).joint_pvalue < 1e-6


def test_entries_that_never_vary_agree_or_do_not():
    """Off-diagonal entries without any spread: 0 as predicted, or not."""
    values = generator(12).gamma(50.0, 1 / 50, (100, 2))
    blocks = values[:, :, None] * np.eye(2)
    counts = np.full(100, 100)
    assert whole_matrix_test(np.eye(2), blocks, gaussian=False, counts=counts).joint_pvalue == 1
    stray = blocks + 1e-6 * (1 - np.eye(2))
    found = whole_matrix_test(np.eye(2), stray, gaussian=False, counts=counts)
    assert found.joint_pvalue < 1e-6
    assert found.pvalue == pytest.approx(2 * found.joint_pvalue)


def test_a_level_that_cannot_be_kept_is_told():
    few = whole_matrix_test(I2, skewed_blocks(generator(13), I2, 99, 10), gaussian=False, counts=np.full(99, 10))
    assert (few.sharp, few.needed, few.joint_pvalue, few.detectable) == (False, few.needed, 1.0, np.inf)
    assert few.needed > 990
    blocks = skewed_blocks(generator(13), I2, 100, 1000)
    enough = whole_matrix_test(I2, blocks, gaussian=False, counts=np.full(100, 1000))
    assert enough.sharp
    assert 3.7 < enough.variance_bound < 7.4  # E z⁴ − 1 of such vectors is 3.69, and twice that is not needed
    assert not whole_matrix_test(I2, blocks, gaussian=False, counts=np.full(100, 1000), variance=300.0).sharp
    gaussian = whole_matrix_test(I2, blocks, 100_000, gaussian=True)
    assert (gaussian.sharp, gaussian.needed, gaussian.variance_bound) == (True, 3, None)


def test_tau_scores_are_normal_and_count_standard_errors():
    basis = haar(generator(10), 5, 1)[0]
    spaces = Eigenspaces(np.array([1.0, 2.0, 3.0]), (2, 1, 2), basis, 0.0)
    tau = np.array([0.5, 1.0, 2.0])
    root = basis * np.sqrt(np.repeat(tau, (2, 1, 2)))
    rng = generator(11)
    scores = [tau_zscores(spaces, tau, skewed_blocks(rng, root, 60, 20)) for _ in range(400)]
    for j in range(3):
        assert stats.kstest(np.array(scores)[:, j], "norm").pvalue > 1e-6
    counts = np.arange(1, 301)
    moments = np.stack([skewed_blocks(rng, root, 1, n)[0] for n in counts])
    blocks = weight_variances(spaces, moments)
    mean = np.average(blocks, axis=0, weights=counts)
    error = np.sqrt(np.average((blocks - mean) ** 2, axis=0, weights=counts) / 299)
    assert tau_zscores(spaces, mean + 3 * error, moments, counts=counts) == pytest.approx(-3, abs=0.15)


@pytest.mark.parametrize("q", [0.6, 0.9, 1.0, 1.3, 1.6])
def test_cube_root_scores_are_those_of_a_chi_square_mean(q):
    """Blocks that alternate about q with a standard error of .2 q, as q χ²_50 / 50 has: Wilson–Hilferty, to 1 %."""
    spaces, blocks = Eigenspaces(np.ones(1), (1,), np.eye(1), 0.0), 4000
    moments = q * (1 + 0.2 * np.sqrt(blocks - 1) * np.tile([1.0, -1.0], blocks // 2)).reshape(-1, 1, 1)
    expected = stats.norm.isf(stats.chi2.sf(50 * q, 50))
    assert tau_zscores(spaces, np.ones(1), moments)[0] == pytest.approx(expected, abs=0.03)


def test_a_variance_predicted_to_vanish_must_vanish():
    spaces = Eigenspaces(np.array([1.0, 2.0]), (1, 1), np.eye(2), 0.0)
    moments = np.array([np.diag([0.0, 1.1]), np.diag([0.0, 0.9]), np.diag([0.0, 1.0])])
    assert tau_zscores(spaces, np.array([0.0, 1.0]), moments)[0] == 0
    assert tau_zscores(spaces, np.array([0.0, 1.0]), moments + 1e-6 * np.eye(2))[0] == np.inf


I2 = np.eye(2)
BAD = {
    "no replicas": (lambda: whole_matrix_test(I2, I2, gaussian=True), "replicas"),
    "too few": (lambda: whole_matrix_test(I2, I2, 2, gaussian=True), "replicas"),
    "not integer": (lambda: whole_matrix_test(I2, I2, 10.5, gaussian=True), "replicas"),
    "no blocks": (lambda: whole_matrix_test(I2, I2, 10, gaussian=False), "second_moment.shape"),
    "batched prediction": (lambda: whole_matrix_test(I2[None], I2, 10, gaussian=True), "predicted.shape"),
    "indefinite": (lambda: whole_matrix_test(-I2, I2, 10, gaussian=True), "predicted"),
    "zero": (lambda: whole_matrix_test(0 * I2, I2, 10, gaussian=True), "predicted"),
    "sizes": (lambda: whole_matrix_test(I2, np.eye(3), 10, gaussian=True), "second_moments.shape"),
    "level": (lambda: whole_matrix_test(I2, I2, 10, gaussian=True, level=0.0), "level, power"),
    "tau shape": (
        lambda: tau_zscores(Eigenspaces(np.ones(1), (2,), I2, 0.0), np.ones(2), np.stack([I2, I2])),
        "predicted",
    ),
    "tau negative": (
        lambda: tau_zscores(Eigenspaces(np.ones(1), (2,), I2, 0.0), -np.ones(1), np.stack([I2, I2])),
        "predicted",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_calls_name_the_argument(name):
    call, key = BAD[name]
    with pytest.raises(InvalidInput) as caught:
        call()
    assert caught.value.key == key
