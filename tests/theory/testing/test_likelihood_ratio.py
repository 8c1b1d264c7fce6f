"""The likelihood ratio of a Wishart matrix: its law against Monte Carlo, χ² tails and another quadrature."""

import itertools

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import loggamma

from tests.theory.testing.ensembles import generator
from theory.testing.likelihood_ratio import likelihood_ratio_sf


def ratios(rng, rank, vectors, draws):
    """L by Bartlett's decomposition: the squared diagonal of the factor is χ²_{N−j}, what lies below is N(0, 1)."""
    diagonal = rng.chisquare(vectors - np.arange(rank), (draws, rank))
    below = rng.chisquare(rank * (rank - 1) / 2, draws) if rank > 1 else 0.0
    logdet = np.log(diagonal / vectors).sum(axis=1)
    return diagonal.sum(axis=1) + below - vectors * (logdet + rank)


@pytest.mark.parametrize("vectors", [1, 2, 5, 40, 3000])
@pytest.mark.parametrize("value", [1e-3, 0.3, 2.0, 9.0, 30.0, 120.0])
def test_one_direction_has_the_tails_of_a_chi_square(vectors, value):
    """q − N log(q/N) − N = value at one q on each side, down to tails of 1e-27; the lower root in logarithms."""

    def excess(log_q):
        return np.exp(log_q) - vectors * (log_q - np.log(vectors)) - vectors - value

    middle = np.log(vectors)
    low = np.exp(brentq(excess, -1000, middle, xtol=1e-14))
    high = np.exp(brentq(excess, middle, middle + 20, xtol=1e-14))
    expected = stats.chi2.cdf(low, vectors) + stats.chi2.sf(high, vectors)
    assert likelihood_ratio_sf(value, 1, vectors) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("rank", "vectors"), [(3, 3), (5, 6), (20, 21), (20, 100), (100, 120), (30, 30_000)])
def test_pvalues_are_uniform_at_every_number_of_vectors(rank, vectors):
    found = [likelihood_ratio_sf(value, rank, vectors) for value in ratios(generator(1), rank, vectors, 1000)]
    assert stats.kstest(found, "uniform").pvalue > 1e-6


@pytest.mark.parametrize(("value", "rank", "vectors"), [(80.0, 5, 20), (110.0, 4, 5), (52.0, 3, 400)])
def test_far_tails_agree_with_another_contour(value, rank, vectors):
    """A straight line elsewhere, by adaptive quadrature, from the moments E|A|^h etr(…) as products of gammas."""

    def log_moment(t):
        """E e^{t tr W} |W|^{−tN} = 2^{−tNk} Γ_k(a)/Γ_k(N/2) (1 − 2t)^{−ka}, W = N Ŝ, a = N(1 − 2t)/2."""
        a, j = vectors * (1 - 2 * t) / 2, np.arange(rank) / 2
        gammas = np.sum(loggamma(a - j) - loggamma(vectors / 2 - j))
        constants = vectors * rank * (np.log(vectors) - 1 - np.log(2)) * t
        return gammas + constants - rank * a * np.log(1 - 2 * t)

    line = 0.6 * (1 - (rank - 1) / vectors) / 2
    scale = np.exp(log_moment(line).real - line * value)

    def integrand(u):
        t = line + 1j * u
        return (np.exp(log_moment(t) - t * value) / t).real / scale

    ends = [0, 0.1, 0.3, 1, 3, 10, 30, 100, 300]
    parts = [quad(integrand, *pair, limit=5000, epsabs=1e-9, epsrel=1e-9)[0] for pair in itertools.pairwise(ends)]
    expected = scale * sum(parts) / np.pi
    assert expected < 1e-6
    assert likelihood_ratio_sf(value, rank, vectors) == pytest.approx(expected, rel=1e-6)


def test_what_cannot_be_and_what_underflows():
    assert likelihood_ratio_sf(0.0, 3, 10) == 1
    assert likelihood_ratio_sf(-1e-9, 3, 10) == 1
    assert likelihood_ratio_sf(1e9, 3, 10) == 0
    assert likelihood_ratio_sf(1e300, 3, 4) == 0


def test_the_tail_falls_and_is_smooth_where_the_contour_changes_sides():
    """Around the mean, where the pole of 1/t is passed on the other side."""
    values = np.linspace(12.0, 18.0, 61)  # the mean of 15 degrees of freedom lies between
    tail = np.array([likelihood_ratio_sf(value, 5, 60) for value in values])
    assert np.all(np.diff(tail) < 0)
    assert np.max(np.abs(np.diff(tail, 3))) < 1e-4
