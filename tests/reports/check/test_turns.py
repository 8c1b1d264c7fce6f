"""Filters and networks turned one by one: literal versions, sizes, and that each test can say no."""

import itertools

import numpy as np
import pytest
from scipy import stats

from reports.check.basis_noise import BasisNoise, precision
from reports.check.data import samples
from reports.check.moments import data_moment
from reports.check.turns import (
    TurnedFilters,
    Turns,
    filters_pvalue,
    filters_pvalues,
    isotropic_turns,
    networks_pvalue,
)
from reports.check.weights import filters as layer_of
from reports.testing.strategies import orthogonal

SPACES = (slice(0, 2), slice(2, 3), slice(3, 5))
KNOWN, JOINED = Turns(SPACES, (True, True, True)), Turns(SPACES, (False, True, False))
ALIGNED = np.sqrt([3.0, 3.0, 1.0, 0.5, 0.5])
WITHIN = np.sqrt([1.0, 5.0, 2.0, 1.0, 3.0])  # aligned with some data that have the joined spaces


def drawn(rng, deviations, count, turn=0, tails=None):
    z = rng.standard_normal((count, len(deviations)))
    if tails:
        z /= np.sqrt(rng.chisquare(tails, (count, 1)) / tails)
    return z * deviations @ orthogonal(turn, len(deviations)).T


def uniform(pvalues):
    """Assert that small p-values are not too frequent: P(p ≤ α) ≤ α is not rejected at 1e-7 by the binomial tail."""
    for level in (0.025, 0.05, 0.2):
        assert stats.binom.sf(np.sum(np.array(pvalues) <= level) - 1, len(pvalues), level) > 1e-7


def matrices(turns):
    """All elements as matrices, by the definition: signs times cyclic shifts within each known space."""
    blocks = []
    for s, known in zip(turns.slices, turns.known, strict=True):
        m = s.stop - s.start
        if known:
            shifts = [np.roll(np.eye(m), k, axis=1) for k in range(m)]
            blocks.append(
                [sign @ shift for sign in map(np.diag, itertools.product((1, -1), repeat=m)) for shift in shifts]
            )
        else:
            blocks.append([np.eye(m), -np.eye(m)])
    for chosen in itertools.product(*blocks):
        element = np.zeros((5, 5))
        for s, block in zip(turns.slices, chosen, strict=True):
            element[s, s] = block
        yield element


@pytest.mark.parametrize("turns", [KNOWN, JOINED])
def test_all_elements_are_drawn_and_commute_with_the_data(turns):
    want = {element.astype(int).tobytes() for element in matrices(turns)}
    data = np.diag([1.0, 1.0, 2.0, 4.0, 4.0])
    index, signs = turns.draw(np.random.default_rng(0), 4000)
    found = set()
    for n in range(4000):
        order = np.arange(5) if index is None else index[n]
        element = np.eye(5)[order] * signs[n][:, None]
        np.testing.assert_array_equal(element @ data @ element.T, data)
        found.add(element.astype(int).tobytes())
    assert found == want


def energy(vectors, slices=SPACES):
    """‖Σ u uᵀ‖² by the definition."""
    variances = np.mean(vectors**2, axis=0)
    scale = np.concatenate([[np.sqrt(variances[s].mean())] * (s.stop - s.start) for s in slices])
    units = [v / scale / np.linalg.norm(v / scale) for v in vectors]
    return np.sum(sum(np.outer(u, u) for u in units) ** 2)


@pytest.mark.parametrize("turns", [KNOWN, JOINED])
@pytest.mark.parametrize("count", [3, 9])
def test_the_filters_test_is_the_literal_one(turns, count):
    rng = np.random.default_rng(3)
    vectors = drawn(rng, ALIGNED, count, turn=2)
    elements = list(matrices(turns))
    null = [energy(np.stack([elements[rng.integers(len(elements))] @ v for v in vectors])) for _ in range(1000)]
    want = np.mean(np.array(null) >= energy(vectors) * (1 - 1e-10))
    found = filters_pvalue(turns, vectors, draws=1000)
    assert abs(found - want) < 6 * np.sqrt(2 * 0.25 / 1000)


def test_the_networks_test_is_the_literal_one():
    rng = np.random.default_rng(4)
    moments = np.stack([w.T @ w for w in (drawn(rng, ALIGNED, 6, turn=2) for _ in range(4))])
    elements = list(matrices(KNOWN))

    def statistic(mean):
        scale = np.concatenate([[np.diag(mean)[s].mean() ** -0.5] * (s.stop - s.start) for s in SPACES])
        return np.sum((mean * np.outer(scale, scale)) ** 2)

    null = []
    for _ in range(1000):
        turned = [g @ moment @ g.T for g, moment in zip(rng.choice(elements, 4), moments, strict=True)]
        null.append(statistic(np.mean(turned, axis=0)))
    want = np.mean(np.array(null) >= statistic(moments.mean(axis=0)) * (1 - 1e-10))
    assert abs(networks_pvalue(KNOWN, moments, draws=1000) - want) < 6 * np.sqrt(2 * 0.25 / 1000)


@pytest.mark.parametrize("tails", [None, 4])
@pytest.mark.parametrize("count", [3, 12, 60])
@pytest.mark.parametrize(("turns", "deviations"), [(KNOWN, ALIGNED), (JOINED, WITHIN)])
def test_the_filters_test_keeps_its_size(turns, deviations, count, tails):
    rng = np.random.default_rng(5)
    uniform([filters_pvalue(turns, drawn(rng, deviations, count, tails=tails), draws=39, seed=i) for i in range(80)])


def test_the_size_is_exact_where_there_are_no_ties():
    rng = np.random.default_rng(6)
    found = [filters_pvalue(KNOWN, drawn(rng, ALIGNED, 12, tails=3), draws=39, seed=i) for i in range(200)]
    assert stats.kstest(np.array(found) - rng.random(200) / 40, "uniform").pvalue > 1e-6


@pytest.mark.parametrize("count", [8, 60])
@pytest.mark.parametrize("tails", [None, 4])
def test_the_networks_test_keeps_its_size(count, tails):
    rng = np.random.default_rng(7)
    uniform(
        [
            networks_pvalue(
                KNOWN,
                np.stack([w.T @ w for w in (drawn(rng, ALIGNED, count, tails=tails) for _ in range(6))]),
                draws=39,
                seed=i,
            )
            for i in range(60)
        ]
    )


@pytest.mark.parametrize("turns", [KNOWN, JOINED])
def test_what_is_not_aligned_is_found(turns):
    rng = np.random.default_rng(8)
    assert filters_pvalue(turns, drawn(rng, ALIGNED, 200, turn=9)) == 0.001
    moments = np.stack([w.T @ w for w in (drawn(rng, ALIGNED, 8, turn=9) for _ in range(30))])
    assert networks_pvalue(turns, moments) == 0.001


def test_a_joined_space_demands_nothing_within_and_a_known_one_does():
    rng = np.random.default_rng(9)
    vectors = drawn(rng, WITHIN, 300)
    assert filters_pvalue(KNOWN, vectors) == 0.001
    assert filters_pvalue(JOINED, vectors) > 0.01


@pytest.mark.parametrize(("draws", "want"), [(19, 1 / 20), (99, 1 / 100)])
def test_the_least_p_value_is_one_in_draws_plus_one(draws, want):
    rng = np.random.default_rng(10)
    vectors = drawn(rng, ALIGNED, 200, turn=9)
    assert filters_pvalue(KNOWN, vectors, draws=draws) == want
    moments = np.stack([v.T @ v for v in vectors.reshape(20, 10, 5)])
    assert networks_pvalue(KNOWN, moments, draws=draws) == want


def test_where_every_turn_is_alike_p_is_one():
    rng = np.random.default_rng(11)
    one_space = Turns((slice(0, 5),), (False,))
    assert filters_pvalue(one_space, drawn(rng, ALIGNED, 30)) == 1
    assert filters_pvalue(Turns(tuple(slice(i, i + 1) for i in range(5)), (True,) * 5), drawn(rng, ALIGNED, 1)) == 1
    assert networks_pvalue(one_space, np.stack([np.eye(5), np.diag(ALIGNED)])) == 1
    assert filters_pvalue(KNOWN, np.diag(ALIGNED)[[0, 2, 3]] * [1, 0, 1, 0, 1]) == 1  # filters that are never together


@pytest.mark.parametrize("scale", [1e-140, 1e-9, 1e140])
def test_lengths_and_scales_change_nothing(scale):
    rng = np.random.default_rng(12)
    vectors = drawn(rng, ALIGNED, 20, turn=1)
    want = filters_pvalue(KNOWN, vectors)
    assert filters_pvalue(KNOWN, scale * vectors) == want
    assert filters_pvalue(KNOWN, np.concatenate([vectors, np.zeros((7, 5))])) == want  # dead units


def test_an_eigenspace_without_weights_is_left_out():
    rng = np.random.default_rng(13)
    vectors = drawn(rng, ALIGNED * [1, 1, 0, 1, 1], 40)
    assert filters_pvalue(KNOWN, vectors) > 0.01
    assert filters_pvalue(KNOWN, vectors + vectors[:, :1] * 1e-15 * np.eye(5)[2]) > 0.01  # rounding, and no orientation


@pytest.mark.parametrize("law", ["spherical, t4", "uniform coordinates"])
@pytest.mark.parametrize("count", [3, 40])
def test_isotropy_keeps_its_size(law, count):
    rng, found = np.random.default_rng(14), []
    for i in range(80):
        vectors = (
            drawn(rng, np.ones(5), count, tails=4) if law != "uniform coordinates" else rng.uniform(-1, 1, (count, 5))
        )
        found.append(filters_pvalue(isotropic_turns(5), vectors, draws=39, seed=i))
    uniform(found)


def test_anisotropy_is_found():
    rng = np.random.default_rng(15)
    assert filters_pvalue(isotropic_turns(5), drawn(rng, ALIGNED, 60, turn=3)) == 0.001


def test_eigenvectors_of_few_rows_are_no_evidence_against_alignment():
    """400 filters of a steep f in the true basis, 500 rows: without the basis's noise nearly all would be rejected."""
    rng, deviations = np.random.default_rng(16), 1.5 ** (np.arange(6) / 2)
    plain, found = [], []
    for i in range(40):
        vectors = rng.standard_normal((400, 6)) / deviations**2
        data = data_moment(samples(rng.standard_normal((500, 6)) * deviations, layer_of(vectors)))
        spaces = data.known_eigenspaces()
        turns = Turns(spaces.slices, tuple(m == 1 for m in spaces.multiplicity))
        plain.append(filters_pvalue(turns, vectors @ spaces.basis, draws=39, seed=i))
        found.append(filters_pvalue(turns, vectors @ spaces.basis, noise=data.basis_noise(spaces), draws=39, seed=i))
    assert np.mean(np.array(plain) <= 0.05) > 0.5
    uniform(found)


def test_the_noise_of_the_basis_is_that_of_samples():
    """Mean squares of the angles between sampled and true eigenvectors, over 150 samples, within a factor of 1.5."""
    rng, variances = np.random.default_rng(17), np.array([1.0, 2.0, 4.0])
    angles, drawn_angles = [], []
    for _ in range(150):
        rows = rng.standard_normal((2000, 3)) * np.sqrt(variances)
        data = data_moment(samples(rows, layer_of(np.ones((4, 3)))))
        spaces = data.known_eigenspaces()
        angles.append(spaces.basis * np.sign(np.diag(spaces.basis)))
        noise = data.basis_noise(spaces)
        rotation = noise.rows(noise.halves(rng, 1)[0], np.eye(3))
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        drawn_angles.append(rotation)
    seen, said = (np.mean(np.square(a), axis=0) for a in (angles, drawn_angles))
    off = ~np.eye(3, dtype=bool)
    assert np.all((said / seen)[off] < 1.5)
    assert np.all((said / seen)[off] > 1 / 1.5)


def test_one_sample_has_no_noise_to_tell():
    data = data_moment(samples(np.random.default_rng(0).standard_normal((1, 1, 9, 9)), layer_of(np.ones((4, 1, 2, 2)))))
    assert data.basis_noise(data.known_eigenspaces()) is None


@pytest.mark.parametrize("dimension", [255, 300])
def test_what_no_turn_changes_has_a_p_value_of_one_in_both_precisions(dimension):
    """One space that is not known: only signs of whole filters are drawn, and T stays the same up to rounding."""
    vectors = np.random.default_rng(5).standard_normal((40, dimension)) * 1e30
    assert filters_pvalue(Turns((slice(0, dimension),), (False,)), vectors, draws=99) == 1


def test_tests_done_together_are_those_done_alone():
    """The second test's copies are rotated by the first one's rotations: one draw of them serves both."""
    rng = np.random.default_rng(6)
    basis = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    one, other = drawn(rng, ALIGNED, 30), drawn(rng, ALIGNED, 30)
    cases = [TurnedFilters(KNOWN, one), TurnedFilters(JOINED, other, basis)]
    alone = [filters_pvalue(KNOWN, one), filters_pvalue(JOINED, other)]
    assert filters_pvalues(cases) == alone
    noise = BasisNoise(1e-8 * rng.standard_normal((3, 25)), np.triu(np.ones((5, 5)), 1) - np.tril(np.ones((5, 5)), -1))
    first, second = filters_pvalues(cases, noise=noise)
    assert first == filters_pvalue(KNOWN, one, noise=noise)
    assert abs(second - alone[1]) < 6 * np.sqrt(2 * 0.25 / 1000)


def test_rows_are_turned_by_cayleys_rotation():
    """X (I − H)⁻¹ (I + H) with H half of the error over the distance; one matrix alone, and many together."""
    rng = np.random.default_rng(7)
    half_inverse = np.triu(rng.random((4, 4)), 1)
    half_inverse -= half_inverse.T
    scatter = 0.3 * rng.standard_normal((3, 4, 4))
    scatter += scatter.mT
    noise = BasisNoise.of(scatter, half_inverse)
    half = noise.halves(np.random.default_rng(1), 2)
    drawn = np.random.default_rng(1).standard_normal((2, 3))
    for h, factors in zip(half, drawn, strict=True):
        np.testing.assert_allclose(h, half_inverse * sum(f * s for f, s in zip(factors, scatter, strict=True)))
    rows = rng.standard_normal((2, 5, 4))
    turned = [x @ np.linalg.inv(np.eye(4) - h) @ (np.eye(4) + h) for x, h in zip(rows, half, strict=True)]
    np.testing.assert_allclose(noise.rows(half, rows), turned, rtol=1e-10)
    np.testing.assert_allclose(noise.rows(half[0], rows[0]), turned[0], rtol=1e-10)
    np.testing.assert_allclose(noise.rows(half[:1], rows[:1]), turned[:1], rtol=1e-10)
    moments = rows.mT @ rows
    np.testing.assert_allclose(noise.moment(half, moments), [x.T @ x for x in turned], rtol=1e-9)


def test_errors_are_in_single_precision_and_bounded_beyond_128_dimensions():
    assert (precision(128), precision(129)) == (np.float64, np.float32)
    for d, largest in ((2, np.inf), (129, 1e3)):
        scatter, half_inverse = np.full((1, d, d), 1e6), np.triu(np.ones((d, d)), 1) - np.tril(np.ones((d, d)), -1)
        half = BasisNoise.of(scatter, half_inverse).halves(np.random.default_rng(0), 1)[0]
        assert np.abs(half).max() == (largest if np.isfinite(largest) else pytest.approx(125730, rel=1e-3))
        np.testing.assert_array_equal(half, -half.T)


@pytest.mark.parametrize("order", [[2, 0, 4, 3, 1], None])
def test_a_basis_with_its_columns_in_another_order_is_a_change_like_any_other(order):
    """Reordered coordinates are those of the product with the matrix, and so are those of any orthogonal matrix."""
    rng = np.random.default_rng(9)
    change = np.eye(5)[:, order] if order else np.linalg.qr(rng.standard_normal((5, 5)))[0]
    own, copies = drawn(rng, ALIGNED, 30), rng.standard_normal((4, 30, 5))
    plain, case = TurnedFilters(JOINED, own), TurnedFilters(JOINED, own, change)
    expected = plain.turned(np.random.default_rng(1), 3) @ change.T
    np.testing.assert_allclose(case.turned(np.random.default_rng(1), 3), expected, rtol=1e-12)
    np.testing.assert_allclose(case.energy(copies), plain.energy(copies @ change), rtol=1e-12)


def test_rotations_drawn_in_single_precision_are_those_of_their_halves():
    rng = np.random.default_rng(10)
    scatter = rng.standard_normal((3, 260, 260)).astype(np.float32)
    inverse = np.triu(np.full((260, 260), 0.01), 1)
    noise = BasisNoise.of(scatter + scatter.mT, inverse - inverse.T)
    rows = rng.standard_normal((3, 7, 260))
    together = noise.drawn_rows(np.random.default_rng(1), rows)
    halves = noise.halves(np.random.default_rng(1), 3).astype(float)
    for found, given, half in zip(together, rows, halves, strict=True):
        rotation = np.linalg.solve(np.eye(260) - half, np.eye(260) + half)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(260), atol=1e-5)
        np.testing.assert_allclose(found, given @ rotation, atol=1e-4)


def test_a_basis_in_another_order_is_known_as_one():
    """A permutation is; a small turn is not, though each of its columns has its own largest entry."""
    place = [2, 0, 1, 3]
    known = TurnedFilters(isotropic_turns(4), np.eye(4), np.eye(4)[:, place])
    np.testing.assert_array_equal(known.order, place)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    assert TurnedFilters(isotropic_turns(4), np.eye(4), turn).order is None
    assert TurnedFilters(isotropic_turns(4), np.eye(4)).order is None
