"""Means with estimated variances: sizes of the sharp test and the bounds, planted errors, and when each speaks."""

import numpy as np
import pytest
from scipy import stats

from tests.theory.testing.ensembles import generator
from theory.errors import InvalidInput
from theory.testing import variances_test
from theory.testing.estimated import (
    FEWEST,
    beyond_noise,
    block_shape,
    critical_values,
    detectable_error,
    estimated_means,
    normal_scores,
    replicas_to_find,
    unskewed,
)


def gamma_blocks(rng, blocks, shape, count=1):
    """Block means whose law is a gamma law of mean 1."""
    return rng.gamma(shape, 1 / shape, (blocks, count))


def squares(rng, replicas, count=1):
    return rng.standard_normal((replicas, count)) ** 2


def test_block_moments_are_those_of_weighted_deviations():
    rng = generator(1)
    values, counts = rng.gamma(2.0, size=(6, 2)), np.array([1.0, 2.0, 1.0, 3.0, 1.0, 2.0])
    mean, error, skewness, kurtosis = block_shape(values, counts)
    expected = np.average(values, axis=0, weights=counts)
    deviations = np.sqrt(counts)[:, None] * (values - expected)
    np.testing.assert_allclose(mean, expected)
    np.testing.assert_allclose(error**2, (deviations**2).sum(axis=0) / 5 / 10)
    np.testing.assert_allclose(skewness, (deviations**3).mean(axis=0) / (deviations**2).mean(axis=0) ** 1.5)
    np.testing.assert_allclose(kurtosis, (deviations**4).mean(axis=0) / (deviations**2).mean(axis=0) ** 2 - 3)


def test_blocks_that_do_not_vary_have_no_shape():
    mean, error, skewness, kurtosis = block_shape(np.full((4, 1), 1.5), np.ones(4))
    assert (mean[0], error[0], skewness[0], kurtosis[0]) == (1.5, 0, 0, 0)


@pytest.mark.parametrize("blocks", [32, 512])
@pytest.mark.parametrize("shape", [1.0, 20.0])
def test_scores_of_gamma_blocks_are_normal(blocks, shape):
    rng = generator(2)
    scores = np.array(
        [estimated_means(gamma_blocks(rng, blocks, shape), np.full(blocks, 100)).scores for _ in range(800)]
    )
    assert stats.kstest(scores[:, 0], "norm").pvalue > 1e-6


def test_the_statistic_is_the_one_that_is_written():
    rng = generator(3)
    values = gamma_blocks(rng, 40, 30.0) * 1.1
    found = estimated_means(values, np.full(40, 100))
    q, c = values.mean(), values.std(ddof=1) / np.sqrt(40) / values.mean()
    gamma, kappa = stats.skew(values[:, 0]), stats.kurtosis(values[:, 0])
    statistic = 3 * (np.cbrt(q) - 1 + c**2 / 9) / c
    degrees = min(39, 80 / (kappa + 2 - gamma**2))
    assert found.errors[0] == pytest.approx(c)
    assert found.degrees[0] == pytest.approx(degrees)
    assert found.skewness[0] == pytest.approx(4 * c - 2 * gamma / np.sqrt(40))
    assert found.scores[0] == pytest.approx(stats.norm.isf(stats.t.sf(statistic, degrees)))
    beyond = np.maximum(np.abs(found.skewness) - 8 * np.sqrt(6) / 40, 0)
    assert beyond_noise(found.skewness, 40) == pytest.approx(beyond)
    assert found.pvalues[0] == pytest.approx(2 * stats.norm.sf(unskewed(found.scores, beyond))[0])
    assert (found.blocks, found.replicas, found.sharp) == (40, 4000, True)
    assert found.needed == np.ceil(500 * 4000 * c**2)


def test_the_correction_solves_its_equation_and_never_helps():
    z, skewness = np.array([0.5, 1.0, 3.0, 6.0]), np.full(4, -0.3)
    corrected = unskewed(z, skewness)
    assert corrected[:2] == pytest.approx(z[:2])
    np.testing.assert_allclose(corrected[2:] + 0.3 * (corrected[2:] ** 2 - 1) / 3, z[2:])
    assert unskewed(z, np.zeros(4)) == pytest.approx(z)
    assert np.all(unskewed(z, np.full(4, 0.1)) <= z)


def test_student_scores_keep_sign_and_tail():
    scores = normal_scores(np.array([-3.0, 0.0, 3.0, 1e300]), 5)
    assert stats.norm.sf(scores[2]) == pytest.approx(stats.t.sf(3.0, 5))
    assert scores[0] == -scores[2]
    assert scores[1] == 0
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(("blocks", "count"), [(2, 1), (3, 1), (10, 1), (100, 1), (10, 99), (10, 100)])
def test_the_sharp_test_speaks_from_a_thousand_replicas_on(blocks, count):
    values = gamma_blocks(generator(4), blocks, 500.0)
    found = estimated_means(values, np.full(blocks, count))
    assert found.sharp == (blocks * count >= FEWEST)
    assert found.needed == FEWEST
    assert np.isfinite(found.detectable(1e-6, 0.9, 1)) == found.sharp


def test_it_wants_more_replicas_where_they_are_unequal():
    """A relative variance v asks for 500 v replicas, as seen or as predicted."""
    values, counts = gamma_blocks(generator(5), 512, 0.5), np.full(512, 2)
    plain = estimated_means(values, counts)
    variance = 1024 * plain.errors[0] ** 2
    assert plain.sharp == (500 * variance <= 1024)
    assert plain.needed == pytest.approx(max(500 * variance, 1000), abs=1)
    predicted = estimated_means(values, counts, np.array([50.0]))
    assert not predicted.sharp
    assert predicted.needed == 25_000
    assert not estimated_means(values, counts, np.array([np.inf])).sharp
    edge = estimated_means(gamma_blocks(generator(5), 100, 1e4), np.full(100, 10), np.array([2.0]))
    assert edge.sharp  # 500 · 2 = 1,000 exactly


def test_blocks_that_one_carries_are_not_trusted():
    values = gamma_blocks(generator(6), 200, 1000.0)
    values[7] += 6.0
    found = estimated_means(values, np.full(200, 1000))
    assert abs(found.skewness[0]) > 0.6
    assert not found.sharp
    assert found.needed > found.replicas


@pytest.mark.parametrize("replicas", [2, 3, 10, 100])
def test_bounds_are_not_fooled(replicas):
    rng = generator(7)
    pvalues = np.array([
        estimated_means(squares(rng, replicas), np.ones(replicas), np.array([2.0])).pvalues[0] for _ in range(1000)
    ])  # fmt: skip
    for level in (0.01, 0.1):
        assert stats.binomtest(int(np.sum(pvalues <= level)), 1000, level, "greater").pvalue > 1e-6


def test_bounds_find_gross_errors_on_both_sides():
    """Ten times too large from 30 replicas; a tenth from 100, where the variance is predicted, and never without."""
    rng = generator(8)
    large = estimated_means(20 * squares(rng, 30), np.ones(30))
    assert large.pvalues[0] < 1e-6
    assert not large.sharp
    small = 0.1 * squares(rng, 100)
    assert estimated_means(small, np.ones(100), np.array([2.0])).pvalues[0] < 1e-6
    assert estimated_means(small, np.ones(100)).pvalues[0] > 0.1
    assert estimated_means(small, np.ones(100), np.array([np.inf])).pvalues[0] > 0.1


def test_the_bound_below_is_chernoffs_at_its_best():
    q, v, n = 0.4, 3.0, 40
    found = estimated_means(np.full((n, 1), q) + np.linspace(-0.1, 0.1, n)[:, None], np.ones(n), np.array([v]))
    g = np.linspace(0, 1, 100_001)
    best = np.min(n * (g * q + np.log(1 - g + g**2 * (1 + v) / 2)))
    assert found.pvalues[0] == pytest.approx(2 * np.exp(best), rel=1e-6)


def test_the_bound_above_is_an_average_of_bets():
    x = np.array([[3.0], [0.5], [9.0]])
    bets = [np.prod(1 + g * (x - 1)) for g in 0.5 ** np.arange(1, 13)]
    assert estimated_means(x, np.ones(3)).pvalues[0] == pytest.approx(min(1.0, 2 / np.mean(bets)))


def test_no_spread_and_no_mean():
    same = estimated_means(np.ones((50, 1)), np.full(50, 100))
    assert same.pvalues[0] == pytest.approx(1)
    assert estimated_means(np.full((50, 1), 1 + 1e-9), np.full(50, 100)).pvalues[0] < 1e-6
    assert estimated_means(np.zeros((50, 1)), np.full(50, 100)).pvalues[0] == 1


def test_a_mean_of_zero_has_an_interval_without_an_upper_end():
    low, high = estimated_means(np.array([[-1.0], [1.0], [2.0], [-2.0]]), np.full(4, 500.0)).interval(0.95)
    assert low.tolist() == [0.0]
    assert high.tolist() == [np.inf]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("blocks", "shape"), [(32, 100.0), (512, 3.0)])
def test_detectable_errors_are_found_as_often_as_declared(sign, blocks, shape):
    """Detectable errors are found with probability .9 on the harder side, and at least as often on the other.

    The level is 1e-3, so that a few hundred blocks are enough.
    """
    rng, found = generator(9), []
    for _ in range(1000):
        values = gamma_blocks(rng, blocks, shape)
        error = estimated_means(values, np.full(blocks, 100)).detectable(1e-3, 0.9, 2)
        wrong = estimated_means(values * (1 + sign * error), np.full(blocks, 100))
        found.append(2 * wrong.pvalue <= 1e-3)
    assert stats.binomtest(sum(found), 1000, 0.87, "less").pvalue > 1e-6
    assert sign == -1 or stats.binomtest(sum(found), 1000, 0.93, "greater").pvalue > 1e-6


def test_detectable_errors_by_hand_and_where_nothing_is_found():
    """With many degrees of freedom, (1 + ε)^{1/3} (1 − 1.28 c/3 …) reaches 1 + z c/3.

    With two degrees of freedom no error is detectable.
    """
    c, z, power = 0.01, stats.norm.isf(0.5e-6), stats.norm.ppf(0.9)
    u = (1 - c**2 / 9 + z * c / 3) / (1 - c**2 / 9 - power * c / 3)
    assert detectable_error(c, 1e7, 1e-6, 0.9) == pytest.approx(u**3 - 1, rel=1e-3)
    assert detectable_error(c, 1e7, 1e-6, 0.9, skewness=0.1) > u**3 - 1
    assert detectable_error(0.04, 2, 1e-6, 0.9) == np.inf


def test_errors_that_differ_by_noise_alone_are_shrunk_and_others_are_not():
    alike = estimated_means(gamma_blocks(generator(15), 32, 50.0, 500), np.full(32, 100))
    assert np.max(alike.errors) > 1.3 * np.mean(alike.errors)
    assert np.max(alike.typical) < 1.1 * np.mean(alike.errors)
    blocks = gamma_blocks(generator(15), 512, 50.0, 2) ** [1.0, 0.2]
    apart = estimated_means(blocks / blocks.mean(axis=0), np.full(512, 100))
    assert apart.typical == pytest.approx(apart.errors, rel=0.01)
    alone = estimated_means(gamma_blocks(generator(15), 32, 50.0), np.full(32, 100))
    assert alone.typical == pytest.approx(alone.errors)


def test_critical_values_are_where_pvalues_cross_the_level():
    critical = critical_values(np.array([20.0]), np.array([0.2]), 1e-4)
    z = normal_scores(critical, 20.0)
    assert 2 * stats.norm.sf(unskewed(z, np.array([0.2])))[0] == pytest.approx(1e-4, rel=1e-6)


def test_needed_replicas_suffice_and_fewer_do_not():
    for variance, blocks, tests in ((2.0, 512, 1), (2.0, 32, 2048), (0.25, 512, 6)):
        needed = replicas_to_find(0.05, variance, blocks, 1e-6, 0.9, tests)
        at = [detectable_error((variance / n) ** 0.5, blocks - 1, 1e-6 / tests, 0.9) for n in (needed, 0.999 * needed)]
        assert at[0] <= 0.05 < at[1]
    assert replicas_to_find(0.5, 0.001, 512, 1e-6, 0.9) == FEWEST
    assert replicas_to_find(0.05, 1e15, 512, 1e-6, 0.9) is None
    assert replicas_to_find(0.05, np.inf, 512, 1e-6, 0.9) is None


@pytest.mark.parametrize("replicas", [3, 10, 30, 100])
def test_intervals_cover_from_three_replicas_on(replicas):
    rng, missed = generator(10), 0
    for _ in range(1000):
        low, high = estimated_means(squares(rng, replicas, 2), np.ones(replicas)).interval(0.95)
        missed += not bool(np.all((low <= 1) & (high >= 1)))
    assert stats.binomtest(missed, 1000, 0.05, "greater").pvalue > 1e-6


def test_an_interval_holds_the_means_that_the_test_does_not_reject():
    values = gamma_blocks(generator(11), 100, 20.0)
    found = estimated_means(values, np.full(100, 100))
    (low,), (high,) = found.interval(0.99)
    for end in (low, high):
        again = estimated_means(values / end, np.full(100, 100))
        score = unskewed(np.abs(again.scores), again.skewness)[0]
        assert 2 * stats.norm.sf(score) == pytest.approx(0.01, rel=1e-6)
    assert low < found.means[0] < high
    assert estimated_means(squares(generator(12), 2), np.ones(2)).interval(0.99)[1][0] == np.inf


def test_variances_by_eigenspace_are_tested_together():
    rng, tau = generator(13), np.array([0.5, 2.0, 1.0])
    blocks = gamma_blocks(rng, 300, 40.0, 3) * tau
    found = variances_test(tau, blocks, counts=np.full(300, 50))
    assert found.pvalue == pytest.approx(min(1.0, 3 * found.means.pvalues.min()))
    assert found.detectable == found.means.detectable(1e-6, 0.9, 3)
    assert variances_test(tau * [1, 1.2, 1], blocks, counts=np.full(300, 50)).pvalue < 1e-6


def test_a_variance_that_must_vanish():
    blocks = gamma_blocks(generator(14), 300, 40.0, 2) * [1.0, 0.0]
    assert variances_test(np.array([1.0, 0.0]), blocks, counts=np.full(300, 50)).pvalue > 1e-6
    stray = blocks + np.array([0.0, 1e-9])
    assert variances_test(np.array([1.0, 0.0]), stray, counts=np.full(300, 50)).pvalue == 0
    nothing = variances_test(np.zeros(2), np.zeros((300, 2)))
    assert (nothing.pvalue, nothing.detectable, nothing.means) == (1.0, 0.0, None)


def test_bad_calls_name_the_argument():
    cases = {
        "counts": lambda: estimated_means(np.ones((1, 1)), np.ones(1)),
        "blocks.shape[0]": lambda: variances_test(np.ones(2), np.ones((1, 2))),
        "blocks.shape": lambda: variances_test(np.ones(2), np.ones((1, 3, 2))),
        "predicted": lambda: variances_test(-np.ones(2), np.ones((3, 2))),
        "level, power": lambda: variances_test(np.ones(2), np.ones((3, 2)), power=1.0),
    }
    for key, call in cases.items():
        with pytest.raises(InvalidInput) as caught:
            call()
        assert caught.value.key == key


@pytest.mark.parametrize(("blocks", "size"), [(12, 1), (40, 5)])
def test_the_bound_of_a_variance_is_that_of_its_chi_squared_law(blocks, size):
    """The bound for one mean, whose error is not shrunk, is N SE² ν/χ²(5 %) in units of the mean's square.

    Two means that are alike have the same bound.
    """
    values = np.random.default_rng(blocks).gamma(4.0, 0.25, (blocks, 1))
    counts = np.full(blocks, size)
    one = estimated_means(values, counts)
    bound = blocks * size * one.errors[0] ** 2 * one.degrees[0] / stats.chi2.ppf(0.05, one.degrees[0])
    assert one.variance_bound == pytest.approx(bound)
    assert estimated_means(np.hstack([values, values]), counts).variance_bound == pytest.approx(bound)
