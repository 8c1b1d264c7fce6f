"""What would have been found: the tail approximation, planted violations, the table of powers, bad input."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from tests.theory.testing.ensembles import generator
from theory.errors import InvalidInput
from theory.symmetry import SymmetryGroup, haar
from theory.testing import (
    detectable_energy,
    detectable_mean,
    detectable_rotation,
    escalating_randomization_test,
    mean_randomization_test,
    neighbour_rotation,
    randomization_test,
    rotation_power_table,
)
from theory.testing.null_energy import energy_critical, irreducible_energies, mean_energies
from theory.testing.randomization import randomized_means
from theory.testing.search import Search

GROUPS = [
    SymmetryGroup(haar(generator(1), 6, 1)[0], 0, (1,) * 6),
    SymmetryGroup(haar(generator(1), 6, 1)[0], 0, (2, 1, 3)),
    SymmetryGroup(haar(generator(1), 6, 1)[0], 2, (1, 3)),
]


def local(group):
    return SymmetryGroup(np.eye(group.dimension), group.fixed, group.sizes)


def ensemble(rng, group, replicas=256, width=20, turn=None, added=None):
    tau = np.concatenate([np.full(group.fixed, 0.5)] + [np.full(m, i + 1.0) for i, m in enumerate(group.sizes)])
    vectors = rng.standard_normal((replicas, width, group.dimension)) * np.sqrt(tau)
    moments = vectors.mT @ vectors / width
    if turn is not None:
        moments = turn @ moments @ turn.T
    if added is not None:
        moments = moments + added
    return group.basis @ moments @ group.basis.T


@pytest.mark.parametrize("group", GROUPS)
def test_irreducible_variances_are_the_moments_of_the_null(group):
    """Mean and variance of the randomized energy, with blocks enough for the Gaussian limit."""
    moments = ensemble(generator(2), local(group), 200, 3)
    weights = np.full(200, 1 / 200)
    energies, degrees = irreducible_energies(weights, moments, local(group))
    dimension = group.dimension * (group.dimension + 1) // 2
    commutant = group.fixed * (group.fixed + 1) // 2 + len(group.sizes)
    assert np.sum(degrees) == dimension - commutant
    null = randomization_test(moments, local(group), draws=20_000).null_distribution
    total, squares = energies.sum(axis=0), (energies**2).sum(axis=0)
    mean, variance = degrees @ total, 2 * degrees @ (total**2 - squares)
    # the pools have finite size (96), which moves the mean by about a tenth of a standard deviation over its root
    assert np.mean(null) == pytest.approx(mean, rel=0.03)
    assert np.var(null) == pytest.approx(variance, rel=0.12)


@pytest.mark.parametrize("group", GROUPS)
def test_critical_values_agree_with_the_randomization_distribution(group):
    moments = ensemble(generator(3), local(group), 64, 10)
    null = randomization_test(moments, local(group), draws=100_000).null_distribution
    for level in (0.05, 1e-2, 1e-3):
        found = energy_critical(*irreducible_energies(np.full(64, 1 / 64), moments, local(group)), level)
        assert found == pytest.approx(np.quantile(null, 1 - level), rel=0.05)


@pytest.mark.parametrize("blocks", [2, 3, 5])
def test_cumulants_of_few_blocks_are_exact(blocks):
    """All sign patterns of one coordinate: Σ ± w_k y_k squared; the matched law has its mean, variance and skewness."""
    y = generator(11).standard_normal(blocks) + 0.5
    energies, degrees = mean_energies(np.full(blocks, 1 / blocks), y[:, None], SymmetryGroup(np.eye(1), 0, (1,)))
    every = np.array([np.dot(signs, y / blocks) ** 2 for signs in product((-1, 1), repeat=blocks)])
    mean, variance = every.mean(), every.var()
    third = np.mean((every - mean) ** 3)
    for level in (0.5, 0.05):
        known = mean + np.sqrt(variance) * stats.norm.isf(level)
        if third > 1e-12 * variance**1.5:
            known = stats.pearson3.isf(level, third / variance**1.5, mean, np.sqrt(variance))
        assert energy_critical(energies, degrees, level)[0] == pytest.approx(known, rel=1e-3)


def test_critical_values_of_resampled_blocks_are_those_of_their_copies():
    q, degrees = generator(12).random((4, 3)), np.array([1.0, 2.0, 5.0])
    copies = np.array([[2, 0, 1, 1], [1, 1, 1, 1]])
    found = energy_critical(q, degrees, 0.01, copies)
    assert found[0] == pytest.approx(energy_critical(q[[0, 0, 2, 3]], degrees, 0.01)[0])
    assert found[1] == pytest.approx(energy_critical(q, degrees, 0.01)[0])
    assert energy_critical(0 * q, degrees, 0.01)[0] == 0


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", ["rotation", "energy"])
@pytest.mark.slow
def test_the_detectable_violation_is_found_with_the_stated_probability(group, kind):
    """Planted into fresh ensembles, at level .005: between .8 and .97, beyond binomial error at 1e-6."""
    rng, found = generator(4), 0
    detect = detectable_rotation if kind == "rotation" else detectable_energy
    answer = detect(ensemble(rng, group), group, level=0.005)
    turn = added = None
    if kind == "rotation":
        turn = neighbour_rotation(group, answer.value)
    else:
        tau = np.concatenate([np.full(group.fixed, 0.5)] + [np.full(m, i + 1.0) for i, m in enumerate(group.sizes)])
        size = np.linalg.norm(tau) * answer.value / np.sqrt(1 - answer.value**2)
        added = np.zeros((6, 6))
        added[4, 5] = added[5, 4] = size / np.sqrt(2)
    for e in range(150):
        moments = ensemble(rng, group, turn=turn, added=added)
        found += randomization_test(moments, group, draws=999, blocks=64, seed=e).pvalue <= 0.005
    assert stats.binomtest(found, 150, 0.8, "less").pvalue > 1e-6
    assert stats.binomtest(found, 150, 0.97, "greater").pvalue > 1e-6
    assert (answer.blocks, answer.quantity, answer.level) == (64, kind, 0.005)


@pytest.mark.slow
def test_the_detectable_rotation_is_found_at_a_millionth():
    group, rng = GROUPS[0], generator(5)
    answer = detectable_rotation(ensemble(rng, group), group)
    turn = neighbour_rotation(group, answer.value)
    found = sum(
        escalating_randomization_test(ensemble(rng, group, turn=turn), group, seed=e).pvalue < 1e-6 for e in range(60)
    )
    assert stats.binomtest(found, 60, 0.8, "less").pvalue > 1e-6
    assert stats.binomtest(found, 60, 0.97, "greater").pvalue > 1e-6
    half = neighbour_rotation(group, answer.value / 2)
    missed = sum(
        escalating_randomization_test(ensemble(rng, group, turn=half), group, seed=e).pvalue >= 1e-6 for e in range(20)
    )
    assert missed > 10


def test_more_replicas_find_less():
    group = GROUPS[1]
    few, many = (detectable_energy(ensemble(generator(6), group, k), group).value for k in (128, 2048))
    assert many == pytest.approx(few / 4, rel=0.25)
    assert detectable_energy(ensemble(generator(6), group, 20_000), group).value < 0.05


def test_the_detectable_mean_is_found_with_the_stated_probability():
    """Along the noisiest direction, where another ensemble names the size; in a quieter one at least so often."""
    group, rng, found, quiet = SymmetryGroup(np.eye(4), 1, (1, 1, 1)), generator(7), 0, 0
    counts = generator(8).integers(1, 6, 30)
    spread, fixed = np.array([1.0, 1.0, 2.0, 0.5]), np.array([3.0, 0.0, 0.0, 0.0])

    def means(added):
        return rng.standard_normal((30, 4)) * spread / np.sqrt(counts)[:, None] + fixed + added

    def seen(added, seed):
        return mean_randomization_test(means(added), group, counts=counts, draws=499, seed=seed).pvalue <= 0.01

    for e in range(150):
        size = detectable_mean(means(0.0), group, counts=counts, level=0.01, draws=399, seed=e)
        found, quiet = found + seen(size * np.eye(4)[2], e), quiet + seen(size * np.eye(4)[3], e)
    assert stats.binomtest(found, 150, 0.87, "less").pvalue > 1e-6
    assert stats.binomtest(found, 150, 0.93, "greater").pvalue > 1e-6
    assert quiet >= found


def test_no_mean_is_found_by_too_few_blocks():
    group, means = SymmetryGroup(np.eye(3), 0, (1, 1, 1)), generator(13).standard_normal((6, 3))
    assert detectable_mean(means, group) == np.inf  # 2^15 sign patterns never reach 1e-6
    assert np.isfinite(detectable_mean(means, group, level=0.05))
    assert detectable_mean(np.tile(means[0], (6, 1)), group, level=0.05) == 0
    assert detectable_mean(means, SymmetryGroup(np.eye(3), 3, ())) == 0


def test_the_detectable_mean_is_that_of_the_spread_between_blocks():
    """Known noise of many blocks in one direction: (z_level + z_power) standard errors, K − 1 in the variance."""
    group, level = SymmetryGroup(np.eye(1), 0, (1,)), 1e-3
    values = np.where(np.arange(600) % 2, 1.0, -1.0)[:, None]
    known = (stats.norm.isf(level / 2) + stats.norm.ppf(0.9)) * values.std(ddof=1) / np.sqrt(600)
    assert detectable_mean(values + 5.0, group, level=level, draws=1999) == pytest.approx(known, rel=0.03)
    few = np.array([[1.0], [2.0], [4.0], [5.0]] * 4)
    shifted = detectable_mean(few - 7.0, group, level=0.05, seed=1)
    assert shifted == pytest.approx(detectable_mean(few, group, level=0.05, seed=1))


def test_noise_of_few_blocks_has_their_unbiased_variance():
    """The search by hand: deviations from the weighted mean, whose squares sum to K − 1 of K variances."""
    group, weights = SymmetryGroup(np.eye(2), 0, (1, 1)), np.array([0.2, 0.3, 0.5])
    values, level = np.array([[1.0, 0.0], [2.0, 3.0], [5.0, -3.0]]), 0.3
    found = detectable_mean(values, group, counts=[2, 3, 5], level=level, power=0.6, draws=299, seed=4)
    rng = generator(4)
    noise = (values - weights @ values) * np.sqrt(3 / 2)
    energies, degrees = mean_energies(weights, noise, group)
    (sums,) = randomized_means(noise, weights, group, 299, rng)
    search, loudest = Search.over(energies, degrees, level, 0.6, 299, rng), np.eye(2)[np.argmax(energies.sum(axis=0))]
    known = search.smallest(
        lambda size: (
            sums,
            size * loudest,
            energy_critical(*mean_energies(weights, noise + size * loudest, group), level)[0],
        ),
        1e-2,
        1e3,
    )
    assert found == pytest.approx(known, rel=1e-4)


def test_the_smallest_size_is_found_with_the_power_and_the_next_smaller_is_not():
    rng = generator(14)
    noise, critical, answer = rng.standard_normal((50, 2)), 4 + rng.random(50), 1 + 0.1 * rng.standard_normal(50)
    search, effect = Search(0.05, 0.9, critical, answer), np.array([1.0, 0.5])

    def share(size):
        planted = np.array([a + n @ effect / (size * effect @ effect) for a, n in zip(answer, noise, strict=True)])
        needed = critical + (2.0 * size**2) * planted**2 * 0.1
        return np.mean([np.sum((n + a * size * effect) ** 2) for n, a in zip(noise, answer, strict=True)] >= needed)

    size = search.smallest(lambda size: (noise, size * effect, critical.mean() + 0.2 * size**2), 1e-3, 1e3, np.ones(50))
    assert share(size) >= 0.9 > share(size * (1 - 1e-6))
    assert search.smallest(lambda size: (noise, 0 * effect, 0.0), 1e-3, 1e3) is None
    assert search.smallest(lambda size: (noise, size * effect, critical.mean() + 2 * size**2), 1e-3, 1e3) is None


@pytest.mark.parametrize("detect", [detectable_rotation, detectable_energy])
def test_nothing_is_found_where_nothing_can_be(detect):
    signs = SymmetryGroup(np.eye(3), 0, (1, 1, 1))
    assert detect(ensemble(generator(8), signs, 4), signs).value is None  # 64 sign patterns never reach 1e-6
    assert detect(ensemble(generator(8), signs, 200), SymmetryGroup(np.eye(3), 3, ())).value is None


def test_isotropic_weights_have_no_orientation():
    group = SymmetryGroup(np.eye(4), 0, (2, 2))
    vectors = generator(9).standard_normal((200, 20, 4))
    moments = vectors.mT @ vectors / 20
    assert detectable_rotation(moments, group).value is None
    assert detectable_energy(moments, group).value is not None


def test_neighbours_turn_by_the_angle():
    group = SymmetryGroup(np.eye(5), 1, (2, 1, 1))
    turn = neighbour_rotation(group, 0.3)
    assert turn @ turn.T == pytest.approx(np.eye(5))
    assert np.arccos(np.diag(turn)) == pytest.approx([0, 0.3, 0, 0.3, 0], abs=1e-7)
    alone = neighbour_rotation(SymmetryGroup(np.eye(3), 1, (2,)), 0.3)
    assert np.arccos(np.diag(alone)) == pytest.approx([0.3, 0.3, 0], abs=1e-7)


@pytest.mark.parametrize("multiplicity", [None, (1, 2, 1, 1)])
def test_power_rises_with_angle_and_replicas(multiplicity):
    table = rotation_power_table([0.0, 0.1, 0.3], [3, 30], multiplicity=multiplicity, ensembles=60, seed=10)
    assert table.power.shape == table.standard_error.shape == (3, 2)
    assert table.power[0, 1] < 0.15
    assert table.power[2, 1] > 0.8
    assert table.power[2, 1] > table.power[1, 1]
    assert table.power[2, 1] > table.power[2, 0] + 0.3
    assert table.standard_error == pytest.approx(np.sqrt(table.power * (1 - table.power) / 60))


GOOD, GROUP = np.stack([np.eye(2), np.diag([1.0, 2.0])]), SymmetryGroup(np.eye(2), 0, (1, 1))
BAD = {
    "level": (lambda: detectable_energy(GOOD, GROUP, level=0), "level, power"),
    "power": (lambda: detectable_rotation(GOOD, GROUP, power=1), "level, power"),
    "draws": (lambda: detectable_rotation(GOOD, GROUP, draws=0), "draws"),
    "one block": (lambda: detectable_rotation(GOOD[:1], GROUP), "second_moments.shape[0]"),
    "mean level": (lambda: detectable_mean(GOOD[0], GROUP, level=1), "level, power"),
    "mean power": (lambda: detectable_mean(GOOD[0], GROUP, power=0), "level, power"),
    "mean draws": (lambda: detectable_mean(GOOD[0], GROUP, draws=0), "draws"),
    "mean shape": (lambda: detectable_mean(GOOD[0][:, :1], GROUP), "means.shape"),
    "one mean": (lambda: detectable_mean(GOOD[0][:1], GROUP), "means.shape[0]"),
    "no angles": (lambda: rotation_power_table([], [5]), "replicas"),
    "one replica": (lambda: rotation_power_table([0.1], [1]), "replicas"),
    "multiplicity": (lambda: rotation_power_table([0.1], [5], multiplicity=[1]), "multiplicity"),
    "tau": (lambda: rotation_power_table([0.1], [5], tau=[1.0, -1.0]), "tau"),
    "table level": (lambda: rotation_power_table([0.1], [5], level=0.001), "level"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_calls_name_the_argument(name):
    call, key = BAD[name]
    with pytest.raises(InvalidInput) as caught:
        call()
    assert caught.value.key == key


def test_what_is_left_out_of_a_call_is_what_is_documented():
    """Level 1e-6, power .9, 64 blocks, 999 draws, seed 0; the table of four variances, one direction each."""
    rng, group = generator(21), GROUPS[0]
    moments, means = ensemble(rng, group), rng.standard_normal((64, 6))
    options = {"level": 1e-6, "power": 0.9, "draws": 999, "seed": 0}
    for detect in (detectable_rotation, detectable_energy):
        found = detect(moments, group)
        assert found.value is not None
        assert found == detect(moments, group, blocks=64, **options)
    assert detectable_mean(means, group) == detectable_mean(means, group, **options)
    options = {"tau": (1.0, 1.5, 2.0, 3.0), "multiplicity": (1, 1, 1, 1), "width": 50, "level": 0.01, "draws": 199}
    plain, said = (rotation_power_table([0.2], [20], ensembles=20, **keys) for keys in ({}, {**options, "seed": 0}))
    np.testing.assert_array_equal(plain.power, said.power)
    assert 0 < plain.power[0, 0] < 1
    assert (plain.level, plain.ensembles, rotation_power_table([0.1], [2], draws=99).ensembles) == (0.01, 20, 200)
