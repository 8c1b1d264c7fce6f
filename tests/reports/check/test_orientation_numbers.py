"""Bounds of the orientation, from both sides: where it is zero, clipped, unknown, and how many units decide."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from reports.check import orientation
from reports.check.orientation import Anisotropy, chance_of, directions, fieller, orientation_needed
from tests.reports.check.layers import axes, weights_of
from tests.reports.check.test_orientation import SPACES, of
from theory.eigenspaces import Eigenspaces


@pytest.mark.parametrize(
    ("multiplicity", "chance"), [((1,), 0), ((1, 1), 1 / 2), ((2,), 0), ((1, 1, 1), 2 / 5), ((2, 1), 1 / 5)]
)
def test_the_share_of_chance_is_a_ratio_of_dimensions(multiplicity, chance):
    """The dimensions are those of symmetric matrices of trace 0: 2 in two dimensions, 5 in three."""
    d = sum(multiplicity)
    spaces = Eigenspaces(np.arange(1.0, len(multiplicity) + 1), multiplicity, np.eye(d), 0.0)
    assert chance_of(spaces) == pytest.approx(chance)


def test_the_ends_of_fiellers_set_stay_within_their_range():
    assert fieller(2.0, 1.0, 0.01, 0.0, 0.0) == (1.0, 1.0)
    assert fieller(-1.0, 1.0, 0.01, 0.0, 0.0) == (0.0, 0.0)
    assert fieller(0.5, 0.0, 0.01, 0.0, 0.04) == (0.0, 1.0)


def test_without_errors_fiellers_set_is_the_ratio():
    """The set is the ratio, whatever rounding makes of (a b)² − b² a²."""
    for a in np.linspace(0.011, 0.3, 40):
        for b in np.linspace(0.31, 0.97, 40):
            assert fieller(a, b, 0.0, 0.0, 0.0) == pytest.approx((a / b, a / b), abs=1e-7)


def test_one_unit_or_one_eigenspace_has_no_effect_and_needs_no_number():
    one = Anisotropy(np.array([0.3]), np.array([0.5]), 0.1)
    assert (one.effect, one.interval, one.needed(1.0)) == (0.0, None, None)
    two = Anisotropy(np.array([0.3, 0.3]), np.array([0.5, 0.5]), 0.1)
    assert two.effect == pytest.approx((0.3 - 0.05) / (0.9 * 0.5))
    assert (two.interval, two.needed(1.0)) == (None, None)
    alike = Anisotropy(np.array([0.3, 0.2, 0.4]), np.array([0.5, 0.4, 0.6]), 0.0)
    assert (alike.effect, alike.interval, alike.needed(1.0), alike.beyond_margin()) == (0.0, None, None, None)
    flat = Eigenspaces(np.array([1.0]), (5,), np.eye(5), 0.0)
    assert orientation_needed(flat, weights_of(np.random.default_rng(0).standard_normal((30, 5)))) is None


@pytest.mark.parametrize("b", [0.0, -0.5, -2.0])
def test_an_anisotropy_that_is_not_positive_has_no_effect(b):
    """The effect is 0 for two units, which have no error, and for three whose error is zero."""
    for count in (2, 3):
        found = Anisotropy(np.full(count, 0.2), np.full(count, b), 0.1)
        assert found.effect == 0.0
        assert found.needed(1.0) is None


def test_three_units_are_shrunk_and_two_are_not():
    aligned, whole = np.array([0.3, 0.5, 0.1]), np.array([0.2, 0.9, 0.4])
    error = math.sqrt(4 * 2 / (3 * 1) * np.sum((whole - 0.5) ** 2))
    b = stats.t.ppf(0.975, 2) * error
    assert b > 0.5
    assert Anisotropy(aligned, whole, 0.1).effect == pytest.approx((0.3 - 0.05) / (0.9 * b))
    assert Anisotropy(aligned[:2], whole[:2], 0.1).effect == pytest.approx((0.4 - 0.055) / (0.9 * 0.55))


def test_the_effect_ends_at_one_and_at_minus_the_odds_of_chance():
    assert Anisotropy(np.full(4, 0.9), np.full(4, 0.5), 0.1).effect == 1
    assert Anisotropy(np.full(4, -0.9), np.full(4, 0.5), 0.1).effect == pytest.approx(-1 / 9)


def towards_margin(found):
    """The factor (h / δ)² by which units must grow: h is the interval's part towards ½, and δ the distance from ½."""
    low, high = found.interval
    if found.effect > 0.5:
        return ((found.effect - low) / (found.effect - 0.5)) ** 2
    return ((high - found.effect) / (0.5 - found.effect)) ** 2 if found.effect < 0.5 else math.inf


def test_units_beyond_the_margin_are_reckoned_on_its_side():
    """The number follows from the side of the interval towards the margin, where the sides differ in length."""
    rng, sides = np.random.default_rng(1), set()
    for _ in range(200):
        base = rng.uniform(0.3, 0.9)
        whole = 1 + 0.5 * rng.standard_normal(12)
        found = Anisotropy(base * whole + 0.1 * rng.standard_normal(12), whole, 0.1)
        times = towards_margin(found)
        assert found.beyond_margin() == (math.ceil(12 * times) if 1 < times < 1000 else None)
        low, high = found.interval
        uneven = abs((high - found.effect) / (found.effect - low) - 1) > 0.1
        sides.add((found.effect > 0.5, uneven, 1 < times < 2, times < 1))
    assert {(above, True, near, False) for above in (True, False) for near in (True, False)} <= sides
    assert any(inside for *_, inside in sides)


@pytest.mark.parametrize(("times", "known"), [(999.5, True), (1000.5, False)])
def test_a_thousand_times_as_many_are_the_most(times, known):
    values = np.array([-0.03, -0.01, 0.01, 0.03])
    low, high = Anisotropy(0.6 + values, np.ones(4), 1e-12).interval
    width = (high - low) / 2
    for side in (1, -1):
        found = Anisotropy(0.5 + side * width / math.sqrt(times) + values, np.ones(4), 1e-12)
        assert (found.beyond_margin() is not None) == known
    assert Anisotropy(0.5 + values, np.ones(4), 0.0 + 1e-12).beyond_margin() is None


def test_as_many_units_as_are_needed_are_judged_by_the_margin(monkeypatch):
    w = np.random.default_rng(2).standard_normal((12, 6)) * np.exp(np.linspace(0.4, -0.4, 6))
    monkeypatch.setattr(Anisotropy, "beyond_margin", lambda _: 77)
    for needed, asked in ((11, 77), (12, 77), (13, 13), (None, None)):
        monkeypatch.setattr(Anisotropy, "needed", lambda *_, needed=needed: needed)
        assert orientation_needed(axes(6), weights_of(w)) == asked


def needed_of(values, whole):
    """The root of (b/4)² N² = 4 z N + 2 y, with the variance of single pairs from `values`."""
    n, pairs = len(whole), np.var(values, ddof=1)
    z = max(0.0, np.var(whole, ddof=1) - pairs / n)
    y = max(0.0, pairs - 2 * z)
    error = math.sqrt(4 * (n - 1) / (n * (n - 2) ** 2) * np.sum((whole - whole.mean()) ** 2))
    b = max(whole.mean() - 1.28 * error, (whole.mean() + 1.28 * error) / 10)
    return math.ceil(max(np.roots([(b / 4) ** 2, -4 * z, -2 * y]).real)) if b > 0 else None


def test_of_three_networks_the_pairs_are_those_of_networks():
    networks = np.random.default_rng(3).standard_normal((3, 7, 6)) * np.exp(np.linspace(0.2, -0.2, 6))
    moments = [directions(w).T @ directions(w) / 7 for w in networks]
    pairs = [np.sum(moments[i] * moments[j]) - 1 / 6 for i, j in ((0, 1), (0, 2), (1, 2))]
    wanted = needed_of(pairs, of(axes(6), *networks).whole)
    assert wanted > 3
    assert orientation_needed(axes(6), weights_of(*networks)) == 7 * wanted


def test_units_needed_where_single_pairs_vary_less_than_units():
    """If single pairs vary less than units, y is 0 and N is 4 z / (b/4)²."""
    whole = np.array([0.2, 0.9, 1.4, 0.3, 0.8])
    found = Anisotropy(0.5 * whole, whole, 0.1)
    z = np.var(whole, ddof=1)
    error = math.sqrt(4 * 4 / (5 * 9) * np.sum((whole - whole.mean()) ** 2))
    b = max(whole.mean() - 1.28 * error, (whole.mean() + 1.28 * error) / 10)
    assert found.needed(0.0) == math.ceil(4 * z / (b / 4) ** 2)
    pairs = 1e-3
    z -= pairs / 5
    assert found.needed(pairs) == math.ceil(4 * z / (b / 4) ** 2)


@pytest.mark.parametrize("count", [1025, 1026])
def test_of_many_filters_every_second_one_is_looked_at_from_the_first_on(count, monkeypatch):
    w = np.random.default_rng(count).standard_normal((count, 5)) * np.linspace(1, 2, 5)
    asked = []
    monkeypatch.setattr(orientation.Anisotropy, "needed", lambda _, pairs: asked.append(pairs))
    assert orientation_needed(SPACES, weights_of(w)) is None
    units = directions(w)[::2]
    squares = (units @ units.T)[np.triu_indices(len(units), 1)] ** 2
    assert asked == [pytest.approx(np.var(squares, ddof=1), rel=1e-12)]
