"""The orientation: literal pairs of directions, its mean over random bases, its interval, and how many decide."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from reports.check.estimates import Weights
from reports.check.orientation import (
    Anisotropy,
    directions,
    fieller,
    filter_pairs,
    orientation_effect,
    orientation_needed,
)
from reports.check.weights import filters
from reports.testing.strategies import orthogonal, spectral
from theory.eigenspaces import Eigenspaces
from theory.symmetry import haar, symmetry_group, twirl

SPACES = Eigenspaces(np.array([1.0, 2.0, 4.0]), (2, 1, 2), orthogonal(5, 5), 0.0)
ALIGNED = spectral(np.array([3.0, 3.0, 1.0, 0.5, 0.5]), SPACES.basis)
CHANCE = 2 / 14


def axes(dimension):
    return Eigenspaces(np.arange(1.0, dimension + 1), (1,) * dimension, np.eye(dimension), 0.0)


def of(spaces, *networks):
    return Anisotropy.of(spaces, Weights.of([filters(w) for w in networks], np.ones(spaces.dimension, dtype=bool)))


def pair(first, second):
    """⟨Π(B₀), Π(B′₀)⟩ and ⟨B₀, B′₀⟩ of two second moments, by the definition."""
    plain = [m - np.trace(m) / 5 * np.eye(5) for m in (first, second)]
    aligned = [twirl(symmetry_group(SPACES), m) for m in plain]
    return np.sum(aligned[0] * aligned[1]), np.sum(plain[0] * plain[1])


@pytest.mark.parametrize("count", [2, 3, 9])  # two at least; fewer and more than dimensions
def test_the_means_of_pairs_are_the_literal_ones(count):
    w = directions(np.random.default_rng(0).standard_normal((count, 5)))
    aligned, whole = filter_pairs(SPACES, w)
    for n in range(count):
        others = [pair(np.outer(w[n], w[n]), np.outer(v, v)) for j, v in enumerate(w) if j != n]
        assert (aligned[n], whole[n]) == pytest.approx(np.mean(others, axis=0))


def test_three_networks_are_the_units():
    networks = np.random.default_rng(1).standard_normal((3, 4, 5))
    found = of(SPACES, *networks)
    moments = [u.T @ u / 4 for u in (w / np.linalg.norm(w, axis=1, keepdims=True) for w in networks)]
    for r in range(3):
        others = [pair(moments[r], moments[s]) for s in range(3) if s != r]
        assert (found.aligned[r], found.whole[r]) == pytest.approx(np.mean(others, axis=0))
    assert len(of(SPACES, *networks[:2]).whole) == 8  # of two, the filters are


@pytest.mark.parametrize("turn", [0, 3])
def test_the_pairs_are_free_of_sampling_noise(turn):
    """1,500 layers of four filters each: their mean is ‖Π(B₀)‖² and ‖B₀‖² of the true covariance."""
    covariance = ALIGNED if not turn else spectral(np.array([3.0, 3.0, 1.0, 0.5, 0.5]), orthogonal(turn, 5))
    draws = np.random.default_rng(2).standard_normal((1500, 4, 5)) @ np.linalg.cholesky(covariance).T
    found = np.array([[part.mean() for part in filter_pairs(SPACES, w)] for w in draws])
    errors = found.std(axis=0) / math.sqrt(len(found))
    assert np.all(np.abs(found.mean(axis=0) - pair(covariance, covariance)) < 6 * errors)


def test_a_random_basis_has_an_effect_of_zero_on_average():
    """The aligned share of one matrix's anisotropy averages to r₀ over 1,500 bases, with repeated eigenvalues."""
    spectrum = np.array([5.0, 2.0, 1.0, 0.5, 0.1])
    bases = haar(np.random.default_rng(3), 5, 1500)
    shares = [np.divide(*pair(m, m)) for m in (bases * spectrum) @ bases.mT]
    assert abs(np.mean(shares) - CHANCE) < 6 * np.std(shares) / math.sqrt(1500)
    assert of(SPACES, np.eye(5)).chance == pytest.approx(CHANCE)


@pytest.mark.parametrize("turn", [0, 9])
def test_many_filters_have_the_effect_of_their_directions(turn):
    """Filters along the axes of a basis, with known probabilities and any lengths: E u uᵀ is known."""
    basis = SPACES.basis if not turn else orthogonal(turn, 5)
    spectrum = np.array([0.3, 0.3, 0.2, 0.1, 0.1])
    rng = np.random.default_rng(4)
    w = basis.T[rng.choice(5, 20_000, p=spectrum)]
    second = (basis * spectrum) @ basis.T
    a, b = pair(second, second)
    effect = (a / b - CHANCE) / (1 - CHANCE)
    assert turn or effect == pytest.approx(1)
    found = of(SPACES, w * rng.lognormal(size=(20_000, 1)))
    assert found.effect == pytest.approx(effect, abs=0.04)
    assert found.share == pytest.approx(a / b, abs=0.04)
    low, high = found.interval
    assert low - 1e-9 <= effect <= high + 1e-9
    assert high - low < 0.1


def literal_interval(a, b, n, chance):
    """{r : |T(r)| ≤ t SE} on a grid, T(r) = a − r b, SE by leaving out one unit after the other."""
    t, kept = stats.t.ppf(0.975, n - 1), []
    for r in np.linspace(0, 1, 2001):
        values = a - r * b  # (n, n), of pairs
        rows = values.sum(axis=1)
        without = [(rows.sum() - 2 * rows[i]) / ((n - 1) * (n - 2)) for i in range(n)]
        whole = rows.sum() / (n * (n - 1))
        error = math.sqrt((n - 1) / n * np.sum((np.array(without) - np.mean(without)) ** 2))
        if abs(whole) <= t * error:
            kept.append(r)
    return [(end - chance) / (1 - chance) for end in (min(kept), max(kept))]


def test_the_interval_is_the_literal_one():
    root = orthogonal(6, 5) * np.sqrt([6.0, 3.0, 1.0, 0.5, 0.2])
    w = directions(np.random.default_rng(5).standard_normal((40, 5)) @ root.T)
    a, b = np.zeros((40, 40)), np.zeros((40, 40))
    for i, j in itertools.combinations(range(40), 2):
        a[i, j], b[i, j] = a[j, i], b[j, i] = pair(np.outer(w[i], w[i]), np.outer(w[j], w[j]))
    assert of(SPACES, 3 * w).interval == pytest.approx(literal_interval(a, b, 40, CHANCE), abs=6e-4)


@pytest.mark.parametrize("scale", [1e-90, 1e90])
def test_no_scale_and_no_common_turn_changes_it(scale):
    w, turn = np.random.default_rng(6).standard_normal((12, 5)) * np.arange(1, 6), orthogonal(2, 5)
    turned = Eigenspaces(SPACES.eigenvalues, SPACES.multiplicity, turn @ SPACES.basis, 0.0)
    one, two = of(SPACES, w), of(turned, scale * w @ turn.T)
    assert two.effect == pytest.approx(one.effect)
    assert two.interval == pytest.approx(one.interval)


def test_lengths_and_dead_filters_change_nothing():
    w = np.random.default_rng(12).standard_normal((12, 5)) * np.arange(1, 6)
    one = of(SPACES, w)
    two = of(SPACES, np.concatenate([w * np.arange(1, 13)[:, None], np.zeros((3, 5))]))
    assert two.effect == pytest.approx(one.effect)
    assert two.interval == pytest.approx(one.interval)
    units = directions(np.concatenate([w, np.zeros((1, 5))]))
    np.testing.assert_allclose(units.T @ units, sum(np.outer(v, v) / (v @ v) for v in w))


def test_the_effect_lies_in_its_interval():
    """Four filters that avoid the eigenvectors: what is left of r after the noise would be negative."""
    found = [of(axes(9), w) for w in np.random.default_rng(20).standard_normal((300, 4, 9))]
    assert all(one.interval[0] <= one.effect <= one.interval[1] for one in found)
    assert any(one.share == 0 for one in found)


def test_where_nothing_can_be_said_it_is_zero_without_an_interval():
    w = np.random.default_rng(7).standard_normal((9, 5))
    one_space = Eigenspaces(np.array([1.0]), (5,), np.eye(5), 0.0)
    assert (of(one_space, w).effect, of(one_space, w).interval) == (0.0, None)
    assert (of(SPACES, w[:1]).effect, of(SPACES, w[:1]).interval) == (0.0, None)
    assert (of(axes(1), w[:, :1]).effect, of(axes(1), w[:, :1]).interval) == (0.0, None)
    assert of(SPACES, w[:2]).interval is None
    assert -1 <= of(SPACES, w[:2]).effect <= 1
    assert of(SPACES, w[:3]).interval is not None


def test_anisotropy_within_its_error_shrinks_the_effect_and_widens_the_interval():
    found = [of(axes(8), w) for w in np.random.default_rng(8).standard_normal((200, 6, 8))]
    assert all(abs(one.effect) <= 1 for one in found)
    assert np.mean([abs(one.effect) for one in found]) < 0.2
    assert np.mean([one.interval == pytest.approx((-1 / 4, 1.0)) for one in found]) > 0.9  # r₀ = 7/35


def test_the_effect_of_a_monitor_is_that_of_a_check():
    w = np.random.default_rng(9).standard_normal((7, 5)) * np.arange(1, 6)
    assert orientation_effect(SPACES, w) == pytest.approx(of(SPACES, w).effect)


def test_fiellers_set_ends_where_the_test_is_met():
    low, high = fieller(0.5, 1.0, 0.02, 0.005, 0.04)
    for r in (low, high):
        assert (0.5 - r) ** 2 == pytest.approx(0.02 - 2 * r * 0.005 + r * r * 0.04)
    assert fieller(0.5, 1.0, 0.0, 0.0, 0.0) == (0.5, 0.5)
    for b in (-1.0, -0.5):
        assert fieller(0.5, b, 0.0, 0.0, 0.0) == (0.0, 1.0)
    assert fieller(0.1, 1.0, 0.05, 0.0, 0.0)[0] == 0.0
    assert fieller(0.9, 1.0, 0.05, 0.0, 0.0)[1] == 1.0


def test_from_so_many_units_on_the_anisotropy_is_four_errors():
    """With the number of units that very many pairs ask for, b is about four of its own standard errors."""
    rng, deviations = np.random.default_rng(10), np.exp(np.linspace(0.5, -0.5, 12))

    def units(count):
        return directions(rng.standard_normal((count, 12)) * deviations)

    known = Anisotropy(*filter_pairs(axes(12), units(20_000)), 11 / 77)
    needed = known.needed(float(np.var(np.sum(units(100_000) * units(100_000), axis=1) ** 2)))
    layers = [filter_pairs(axes(12), units(needed))[1].mean() for _ in range(300)]
    assert 3.2 < np.mean(layers) / np.std(layers) < 5
    assert of(SPACES, np.eye(5)[:2]).needed(1.0) is None


def test_more_vectors_are_asked_for_where_the_orientation_is_weaker():
    rng = np.random.default_rng(11)

    def asked(top, networks=1):
        layers = rng.standard_normal((networks, 10, 12)) * np.exp(np.linspace(top, -top, 12))
        found = orientation_needed(axes(12), Weights.of([filters(w) for w in layers], np.ones(12, dtype=bool)))
        return math.inf if found is None else found

    strong, weak = (np.median([asked(top) for _ in range(15)]) for top in (1.0, 0.3))
    assert 10 < strong < weak
    assert asked(0.3, networks=4) % 10 == 0  # whole networks


def test_near_the_margin_the_interval_must_shrink():
    """Half of ‖B₀‖² aligned, beyond chance: the interval holds ½ however many there are, and they are never enough."""
    values = Anisotropy(np.array([0.58, 0.60, 0.62, 0.64]), np.ones(4), 0.0 + 1e-12)
    low, high = values.interval
    assert low < 0.5 < 0.61 < high
    assert values.beyond_margin() == math.ceil(4 * ((0.61 - low) / 0.11) ** 2)
    assert Anisotropy(np.array([0.9, 0.9, 0.9]), np.ones(3), 1e-12).beyond_margin() is None
    assert Anisotropy(np.array([0.4, 0.5, 0.6]), np.ones(3), 1e-12).beyond_margin() is None


def test_two_directions_without_anisotropy_have_no_effect():
    """u · u′ = ½ in four dimensions: as much as two random directions have on average."""
    assert of(axes(4), np.array([[1.0, 0, 0, 0], [0.5, 0.5, 0.5, 0.5]])).effect == 0.0


def literal_needed(found, squares):
    """The larger root of (b/4)² N² = 4 z N + 2 y, b reduced by 1.28 errors; `squares` of single pairs."""
    n, pairs = len(found.whole), np.var(squares, ddof=1)
    z = max(0.0, np.var(found.whole, ddof=1) - pairs / n)
    y = max(0.0, pairs - 2 * z)
    error = math.sqrt(4 * (n - 1) / (n * (n - 2) ** 2) * np.sum((found.whole - found.whole.mean()) ** 2))
    b = max(found.whole.mean() - 1.28 * error, (found.whole.mean() + 1.28 * error) / 10)
    return math.ceil(max(np.roots([(b / 4) ** 2, -4 * z, -2 * y]).real)) if b > 0 else None


@pytest.mark.parametrize(
    ("count", "top"), [(3, 1.0), (12, 0.5), (12, 0.1), (40, 0.3), (40, 0.8), (1024, 0.1), (1025, 0.1)]
)
def test_the_number_needed_is_the_root_of_its_equation(count, top):
    """The number is the root of the equation as written; above 1,024 filters only every second one enters the pairs."""
    w = np.random.default_rng(count).standard_normal((count, 6)) * np.exp(np.linspace(top, -top, 6))
    found, units = of(axes(6), w), directions(w)[:: 2 if count > 1024 else 1]
    squares = ((units @ units.T) ** 2)[np.triu_indices(len(units), 1)]
    wanted = literal_needed(found, squares)
    assert found.needed(float(np.var(squares, ddof=1))) == wanted
    asked = orientation_needed(axes(6), Weights.of([filters(w)], np.ones(6, dtype=bool)))
    assert asked == (found.beyond_margin() if wanted is not None and wanted <= count else wanted)


def test_whole_networks_are_needed():
    networks = np.random.default_rng(13).standard_normal((4, 5, 6)) * np.exp(np.linspace(0.1, -0.1, 6))
    found, moments = of(axes(6), *networks), [directions(w).T @ directions(w) / 5 for w in networks]
    products = [np.sum(a * b) - 1 / 6 for a, b in itertools.combinations(moments, 2)]
    wanted = literal_needed(found, products)
    asked = orientation_needed(axes(6), Weights.of([filters(w) for w in networks], np.ones(6, dtype=bool)))
    assert wanted > 4
    assert asked == 5 * wanted


def test_an_effect_is_shrunk_by_the_error_of_the_anisotropy():
    """b is half the width of its own interval, or more: of five directions hardly more than noise."""
    seen = []
    for seed in range(40):
        found = of(SPACES, np.random.default_rng(seed).standard_normal((5, 5)) * np.exp(np.linspace(0.5, -0.5, 5)))
        a, b, h = found.aligned.mean(), found.whole.mean(), found.whole
        error = math.sqrt(4 * 4 / (5 * 9) * np.sum((h - b) ** 2))
        shrunk = max(b, stats.t.ppf(0.975, 4) * error)
        effect = (a - CHANCE * b) / ((1 - CHANCE) * shrunk) if shrunk > 0 else 0.0
        assert found.effect == pytest.approx(min(max(effect, -CHANCE / (1 - CHANCE)), 1))
        assert found.share == pytest.approx(CHANCE + (1 - CHANCE) * found.effect)
        seen.append(shrunk > b)
    assert any(seen)


def test_a_thousand_times_as_many_are_no_number():
    """Four units, whose interval reaches so many times further than the margin is away."""
    values = np.array([-0.03, -0.01, 0.01, 0.03])
    for distance in (0.05, 0.004, 0.003):
        found = Anisotropy(0.5 + distance + values, np.ones(4), 1e-12)
        low, _ = found.interval
        times = ((0.5 + distance - low) / distance) ** 2
        assert (found.beyond_margin() is None) == (times >= 1000)
        if times < 1000:
            assert found.beyond_margin() == math.ceil(4 * times)
