"""The randomization test: its size, violations, exactness in the small, means, escalation, bad calls."""

import numpy as np
import pytest
import torch
from scipy import stats

from tests.theory.testing.ensembles import (
    aligned_ensemble,
    generator,
    group_of,
    misaligned_ensemble,
    orbit_ensemble,
    sizes_agree,
)
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput
from theory.symmetry import symmetry_group, twirl
from theory.testing import (
    escalating_mean_randomization_test,
    escalating_randomization_test,
    mean,
    mean_randomization_test,
    randomization,
    randomization_test,
)

# ---- size ----


CASES = [  # sizes, fixed, replicas, width, ensemble, statistic
    ((1,) * 6, 0, 20, 3, aligned_ensemble, "energy"),
    ((1,) * 12, 0, 3, 2, orbit_ensemble, "energy"),
    ((2, 1, 3), 0, 2, 2, aligned_ensemble, "energy"),
    ((2, 2), 0, 3, 2, orbit_ensemble, "energy"),
    ((1, 3), 2, 5, 4, aligned_ensemble, "energy"),
    ((4,), 0, 2, 1, aligned_ensemble, "energy"),
    ((3, 2, 1), 0, 5, 4, orbit_ensemble, "misalignment"),
    ((1, 1, 1, 1), 0, 20, 2, aligned_ensemble, "misalignment"),
]


def null_pvalues(case, ensembles, seed, draws=199):
    sizes, fixed, replicas, width, ensemble, statistic = case
    group, rng = group_of(sizes, fixed, basis_seed=15), generator(seed)
    found = np.empty(ensembles)
    for e in range(ensembles):
        moments = ensemble(rng, group, replicas, width)
        found[e] = randomization_test(moments, group, statistic=statistic, draws=draws, seed=e).pvalue
    return found


@pytest.mark.parametrize("case", [CASES[0], CASES[2], CASES[4]])
def test_size_is_exact_at_small_scale(case):
    pvalues = null_pvalues(case, 600, seed=16, draws=99)
    assert sizes_agree(pvalues, 1e-6)
    assert stats.kstest(pvalues - 0.005, "uniform").pvalue > 1e-6


def test_data_shared_between_replicas_would_be_noticed_by_the_size_test():
    """Replicas that share one draw of the noise are not independent: the size is far from nominal."""
    group, rng, found = group_of((1,) * 5), generator(17), []
    for e in range(300):
        shared = aligned_ensemble(rng, group, 1, 3)
        found.append(randomization_test(shared + 0.1 * aligned_ensemble(rng, group, 10, 3), group, seed=e).pvalue)
    assert not sizes_agree(np.array(found), 1e-6)


@pytest.mark.slow
def test_size_over_twenty_thousand_null_ensembles():
    found = [null_pvalues(case, 2500, seed=2006_10455 + i) for i, case in enumerate(CASES)]
    false_alarm = 1e-6 / (len(CASES) + 1)
    failed = [case for case, pvalues in zip(CASES, found, strict=True) if not sizes_agree(pvalues, false_alarm)]
    assert not failed
    assert sizes_agree(np.concatenate(found), false_alarm)


def test_sign_flips_of_two_replicas_are_conservative_by_ties():
    group, rng = group_of((1, 1, 1)), generator(18)
    pvalues = [randomization_test(aligned_ensemble(rng, group, 2, 5), group, seed=e).pvalue for e in range(100)]
    assert min(pvalues) > 0.15  # four values of T, each equally likely


# ---- violations ----


@pytest.mark.parametrize(("sizes", "fixed"), [((1, 1, 1, 1), 0), ((2, 1, 3), 0), ((2, 2), 1)])
@pytest.mark.parametrize("statistic", ["energy", "misalignment"])
def test_rotated_weights_are_rejected(sizes, fixed, statistic):
    group = group_of(sizes, fixed, basis_seed=19)
    moments = misaligned_ensemble(generator(20), group, 200, 50, 0.5)
    assert randomization_test(moments, group, statistic=statistic, draws=1999).pvalue == 1 / 2000


def test_anisotropy_within_an_eigenspace_is_rejected():
    group = group_of((3,))
    vectors = generator(21).standard_normal((100, 30, 3)) * [1.0, 1.0, 1.3]
    assert randomization_test(vectors.mT @ vectors, group, draws=1999).pvalue == 1 / 2000


def test_the_mean_of_the_data_frees_the_fixed_directions():
    """Σ_w may mix the u_i = P_i μ: accepted with the mean's group, rejected without it."""
    spaces, mu = eigenspaces(np.diag([1.0, 1.0, 3.0, 3.0])), np.array([1.0, 0.0, 1.0, 0.0])
    vectors = generator(22).standard_normal((100, 30, 4)) + generator(23).standard_normal((100, 30, 1)) * mu
    moments = vectors.mT @ vectors / 30
    assert randomization_test(moments, symmetry_group(spaces, mean=mu)).pvalue > 1e-3
    assert randomization_test(moments, symmetry_group(spaces)).pvalue == 0.001


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(1,) * 8, (2, 2, 3, 1)])
def test_two_million_draws_reach_a_millionth(sizes):
    group = group_of(sizes, basis_seed=24)
    moments = misaligned_ensemble(generator(25), group, 512, 30, 0.5)
    found = escalating_randomization_test(moments, group)
    assert (found.pvalue, found.draws, found.blocks) == (1 / 2_000_001, 2_000_000, 64)
    assert len(found.null_distribution) == 100_000


# ---- exactness in the small ----


def test_commuting_replicas_give_one():
    group = group_of((2, 1, 2), basis_seed=26)
    moments = twirl(group, aligned_ensemble(generator(27), group, 6, 9))
    assert randomization_test(moments, group).pvalue == 1
    assert randomization_test(moments, group, statistic="misalignment").pvalue == 1
    assert randomization_test(moments[:, :1, :1], group_of((1,))).pvalue == 1
    assert randomization_test(moments, group_of((), fixed=5)).pvalue == 1


def test_merged_blocks_are_weighted_means_of_every_sixth():
    group = group_of((1, 1, 2))
    moments, counts = aligned_ensemble(generator(28), group, 14, 3), np.arange(1, 15)
    merged = np.stack([np.average(moments[k::6], axis=0, weights=counts[k::6]) for k in range(6)])
    totals = [counts[k::6].sum() for k in range(6)]
    found = randomization_test(moments, group, counts=counts, blocks=6)
    expected = randomization_test(merged, group, counts=np.array(totals))
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert found.null_distribution == pytest.approx(expected.null_distribution, rel=1e-9)
    assert randomization_test(moments, group, blocks=99).blocks == 14


def test_seed_decides_and_torch_is_welcome():
    group = group_of((1, 2))
    moments = aligned_ensemble(generator(29), group, 8, 3)
    first, second = (randomization_test(moments, group, seed=s).null_distribution for s in (1, 1))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, randomization_test(moments, group, seed=2).null_distribution)
    there = randomization_test(torch.from_numpy(moments), group, seed=1)
    assert np.array_equal(first, there.null_distribution)


# ---- means ----


@pytest.mark.parametrize(("sizes", "fixed"), [((1,) * 5, 0), ((2, 2), 1), ((1, 1, 1, 1), 2)])
def test_mean_test_has_exact_size(sizes, fixed):
    group, rng, found = group_of(sizes, fixed, basis_seed=30), generator(31), []
    offset = group.basis[:, :fixed].sum(axis=1)
    for e in range(600):
        means = rng.standard_normal((5, group.dimension)) * np.exp(rng.standard_normal((5, 1))) + offset
        found.append(mean_randomization_test(means, group, draws=99, seed=e).pvalue)
    assert sizes_agree(np.array(found), 1e-6)


def test_mean_statistic_and_a_planted_mean():
    group, counts = group_of((2, 3), 1, basis_seed=32), np.array([1, 5, 2, 2] * 10)
    means = generator(33).standard_normal((40, 6)) + group.basis[:, 2]
    found = mean_randomization_test(means, group, counts=counts)
    mean = np.average(means, axis=0, weights=counts)
    line = group.basis[:, :1]
    assert found.statistic == pytest.approx(np.linalg.norm(mean - line @ (line.T @ mean)) ** 2, rel=1e-12)
    assert (found.pvalue, found.name) == (0.001, "mean")
    assert mean_randomization_test(means - group.basis[:, 2] + line[:, 0], group).pvalue > 1e-3


def test_a_mean_in_the_fixed_directions_alone_gives_one():
    group = group_of((1, 1), 1)
    assert mean_randomization_test(np.array([[1.0, 0, 0], [3.0, 0, 0]]), group).pvalue == 1
    assert mean_randomization_test(np.array([[1.0], [3.0]]), group_of((), 1)).pvalue == 1


# ---- escalation ----


def test_escalation_draws_more_only_where_it_must():
    group = group_of((1, 1, 1, 1))
    null = escalating_randomization_test(aligned_ensemble(generator(34), group, 50, 5), group)
    assert (null.draws, null.blocks) == (1999, 50)
    broken = misaligned_ensemble(generator(35), group, 200, 50, 0.5)
    found = escalating_randomization_test(broken, group, level=1e-4)
    assert (found.draws, found.blocks, found.pvalue) == (20_000, 64, 1 / 20_001)


def test_escalation_keeps_its_size():
    group, rng = group_of((1,) * 6), generator(36)
    found = np.array(
        [
            escalating_randomization_test(
                aligned_ensemble(rng, group, 8, 3), group, level=0.02, screen=0.1, seed=e
            ).pvalue
            for e in range(1500)
        ]
    )
    for alpha in (0.02, 0.05, 0.1, 0.2):
        assert stats.binomtest(int(np.sum(found <= alpha)), len(found), alpha, "greater").pvalue > 1e-6 / 4
    assert np.sum(found <= 0.05) > 20


# ---- bad calls ----


GOOD, GROUP = np.stack([np.eye(3), 2 * np.eye(3)]), group_of((1, 2))
BAD = {
    "one block": (lambda: randomization_test(GOOD[:1], GROUP), "second_moments.shape[0]"),
    "one merged block": (lambda: randomization_test(GOOD, GROUP, blocks=1), "blocks"),
    "dimension": (lambda: randomization_test(GOOD[:, :2, :2], GROUP), "second_moments.shape"),
    "no batch": (lambda: randomization_test(GOOD[0], GROUP), "second_moments.shape"),
    "nan": (lambda: randomization_test(GOOD * np.nan, GROUP), "second_moments"),
    "asymmetric": (lambda: randomization_test(GOOD + np.triu(np.ones((3, 3)), 1), GROUP), "second_moments"),
    "counts shape": (lambda: randomization_test(GOOD, GROUP, counts=np.ones(3)), "counts.shape"),
    "empty block": (lambda: randomization_test(GOOD, GROUP, counts=[1, 0]), "counts"),
    "no draws": (lambda: randomization_test(GOOD, GROUP, draws=0), "draws"),
    "bool draws": (lambda: randomization_test(GOOD, GROUP, draws=True), "draws"),
    "negative seed": (lambda: randomization_test(GOOD, GROUP, seed=-1), "seed"),
    "float seed": (lambda: randomization_test(GOOD, GROUP, seed=1.5), "seed"),
    "statistic": (lambda: randomization_test(GOOD, GROUP, statistic="M"), "statistic"),
    "singular": (
        lambda: randomization_test(GOOD * np.diag([1.0, 1.0, 0.0]), GROUP, statistic="misalignment"),
        "second_moments",
    ),
    "mean shape": (lambda: mean_randomization_test(np.ones((2, 2)), GROUP), "means.shape"),
    "mean nan": (lambda: mean_randomization_test(np.full((2, 3), np.inf), GROUP), "means"),
    "one mean": (lambda: mean_randomization_test(np.ones((1, 3)), GROUP), "means.shape[0]"),
    "level": (lambda: escalating_randomization_test(GOOD, GROUP, level=0.1), "level"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_calls_name_the_argument(name):
    call, key = BAD[name]
    with pytest.raises(InvalidInput) as caught:
        call()
    assert caught.value.key == key


def test_what_is_left_out_of_a_call_is_what_is_documented(monkeypatch):
    """999 draws, no merging, seed 0; the escalating tests at 1e-6, screened at 1/1,000, with 64 blocks."""
    rng, group = generator(31), group_of((2, 1, 2))
    moments, means = aligned_ensemble(rng, group, 9, 4), rng.standard_normal((9, 5))
    plain, said = (
        randomization_test(moments, group),
        randomization_test(moments, group, statistic="energy", draws=999, blocks=None, seed=0),
    )
    assert (plain.pvalue, plain.statistic, len(plain.null_distribution)) == (said.pvalue, said.statistic, 999)
    np.testing.assert_array_equal(plain.null_distribution, said.null_distribution)
    plain, said = (
        mean_randomization_test(means, group, **options) for options in ({}, {"draws": 999, "blocks": None, "seed": 0})
    )
    np.testing.assert_array_equal(plain.null_distribution, said.null_distribution)
    for module, test in ((randomization, escalating_randomization_test), (mean, escalating_mean_randomization_test)):
        monkeypatch.setattr(module, "escalated", lambda *given: given[-4:])
        assert test(moments, group) == (1e-6, 1e-3, 64, 0)
