"""What would have been found: the tail approximation, planted violations, the table of powers, bad input."""

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
from theory.testing.power import irreducible_variances, null_critical_value

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
    parts = irreducible_variances(weights, moments, local(group))
    dimension = group.dimension * (group.dimension + 1) // 2
    commutant = group.fixed * (group.fixed + 1) // 2 + len(group.sizes)
    assert sum(n for _, n in parts) == dimension - commutant
    null = randomization_test(moments, local(group), draws=20_000).null_distribution
    mean, variance = sum(n * v for v, n in parts), 2 * sum(n * v * v for v, n in parts)
    # the pools have finite size (96), which moves the mean by about a tenth of a standard deviation over its root
    assert np.mean(null) == pytest.approx(mean, rel=0.03)
    assert np.var(null) == pytest.approx(variance, rel=0.12)


@pytest.mark.parametrize("group", GROUPS)
def test_critical_values_agree_with_the_randomization_distribution(group):
    moments = ensemble(generator(3), local(group), 64, 10)
    null = randomization_test(moments, local(group), draws=100_000).null_distribution
    for level in (0.05, 1e-2, 1e-3):
        found = null_critical_value(np.full(64, 1 / 64), moments, local(group), level)
        assert found == pytest.approx(np.quantile(null, 1 - level), rel=0.08)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", ["rotation", "energy"])
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


def test_the_detectable_mean_is_found_with_at_least_the_stated_probability():
    group, rng, found = SymmetryGroup(np.eye(4), 1, (1, 1, 1)), generator(7), 0
    spread = np.array([1.0, 1.0, 2.0, 0.5])
    size = detectable_mean(rng.standard_normal((64, 4)) * spread, group, level=0.005)
    for e in range(200):
        means = rng.standard_normal((64, 4)) * spread + [3.0, 0, size, 0]
        found += mean_randomization_test(means, group, draws=999, seed=e).pvalue <= 0.005
    assert stats.binomtest(found, 200, 0.8, "less").pvalue > 1e-6


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
