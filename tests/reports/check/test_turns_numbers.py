"""How many copies are made at once, what is drawn by default, and filters of which nothing is left."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from reports.check.basis_noise import BasisNoise
from reports.check.turns import TurnedFilters, Turns, filters_pvalue, filters_pvalues, networks_pvalue
from tests.reports.check.test_turns import ALIGNED, JOINED, KNOWN, drawn

RNG = np.random.default_rng(1)


@dataclass(frozen=True)
class Counted(Turns):
    """Turns that keep how many elements were drawn at once."""

    asked: list[int] = field(default_factory=list, compare=False)

    def draw(self, generator: np.random.Generator, count: int) -> tuple[np.ndarray | None, np.ndarray]:
        self.asked.append(count)
        return super().draw(generator, count)


def counted(dimension: int) -> Counted:
    return Counted((slice(0, dimension),), (False,))


@pytest.mark.parametrize(
    ("filters", "dimension", "draws", "blocks"),
    [
        (20, 100, 200, [65, 65, 65, 5]),  # 2¹⁷ / 2,000 = 65.5
        (1100, 120, 3, [1, 1, 1]),  # one copy is more than 2¹⁷ numbers
        (1, 1, 100_000, [100_000]),
    ],
)
def test_copies_of_filters_are_at_most_two_to_the_17_numbers(filters, dimension, draws, blocks):
    turns = counted(dimension)
    filters_pvalue(turns, RNG.standard_normal((filters, dimension)), draws=draws)
    assert turns.asked == [filters * count for count in blocks]


@pytest.mark.parametrize(
    ("networks", "dimension", "draws", "blocks"),
    [
        (5, 16, 240, [102, 102, 36]),  # 2¹⁷ / 1,280 = 102.4
        (3, 210, 3, [1, 1, 1]),
        (1, 1, 100_000, [100_000]),
    ],
)
def test_copies_of_networks_are_at_most_two_to_the_17_numbers(networks, dimension, draws, blocks):
    turns = counted(dimension)
    roots = RNG.standard_normal((networks, dimension + 1, dimension))
    networks_pvalue(turns, roots.mT @ roots, draws=draws)
    assert turns.asked == [networks * count for count in blocks]


class Still(BasisNoise):
    """Rotations by nothing, which keep how many copies were rotated at once."""

    def drawn_rows(self, generator: np.random.Generator, rows: np.ndarray) -> np.ndarray:
        ASKED.append(len(rows))
        return rows


ASKED: list[int] = []


@pytest.mark.parametrize(
    ("filters", "dimension", "noisy", "blocks"),
    [
        (31, 140, True, [427, 427, 46]),  # 2²³ / 140² = 427.99
        (100, 140, True, [149] * 6 + [6]),  # a quarter of 2²³ / 14,000 = 149.8
        (1, 140, True, [900]),  # 2¹⁷ / 140 = 936
        (31, 100, True, [42] * 21 + [18]),  # in double precision 2¹⁷ / 3,100 = 42.3
        (31, 140, False, [30] * 30),  # 2¹⁷ / 4,340 = 30.2
    ],
)
def test_in_single_precision_as_many_are_rotated_as_rotations_are_drawn(filters, dimension, noisy, blocks):
    """2²³ numbers of rotations, and at most a quarter as many of filters, unless 2¹⁷ of these are more."""
    ASKED.clear()
    noise = Still(np.zeros((1, 1)), np.zeros((dimension, dimension))) if noisy else None
    turns = counted(dimension)
    filters_pvalue(turns, RNG.standard_normal((filters, dimension)), noise=noise, draws=900)
    assert turns.asked == [filters * count for count in blocks]
    assert not noisy or blocks == ASKED


def test_by_default_the_seed_is_zero():
    one = drawn(np.random.default_rng(2), ALIGNED, 12, turn=2)
    moments = np.stack([w.T @ w for w in one.reshape(4, 3, 5)])
    by_seed = [
        (
            filters_pvalue(KNOWN, one, seed=seed),
            filters_pvalues([TurnedFilters(JOINED, one)], seed=seed)[0],
            networks_pvalue(KNOWN, moments, seed=seed),
        )
        for seed in (0, 1)
    ]
    found = (
        filters_pvalue(KNOWN, one),
        filters_pvalues([TurnedFilters(JOINED, one)])[0],
        networks_pvalue(KNOWN, moments),
    )
    assert found == by_seed[0]
    assert all(a != b for a, b in zip(*by_seed, strict=True))


def test_of_nothing_every_turn_is_alike():
    assert filters_pvalue(KNOWN, np.zeros((3, 5)), draws=19) == 1
    assert networks_pvalue(KNOWN, np.zeros((3, 5, 5)), draws=19) == 1


def test_a_filter_within_an_eigenspace_that_is_left_out_counts_no_more_than_one_of_zeros():
    """A filter counts as zero where the variance is 1e-28 of the largest and the others have no coordinate."""
    w = drawn(np.random.default_rng(3), ALIGNED * [1, 1, 0, 1, 1], 9, turn=0)
    w[:, 3:] @= np.array([[0.6, -0.8], [0.8, 0.6]])
    w[4] = [0, 0, 1e-14, 0, 0]
    plain = w.copy()
    plain[4] = 0
    for seed in range(5):
        # a filter that is zero is left out, and others are drawn for those behind it: the law is what agrees
        found = [filters_pvalue(KNOWN, each, draws=999, seed=seed) for each in (w, plain)]
        assert abs(found[0] - found[1]) < 6 * np.sqrt(2 * 0.25 / 1000)


@pytest.mark.parametrize("dimension", [5, 130])
@pytest.mark.parametrize("scale", [1e-170, 1e-30, 1e30, 1e170])
def test_no_scale_hides_filters_that_lie_along_one_direction(dimension, scale):
    """The p-value is the least possible at every scale, though the squares leave the range of either precision."""
    direction = np.random.default_rng(6).standard_normal(dimension)
    filters = scale * (direction + 0.1 * np.random.default_rng(7).standard_normal((12, dimension)))
    assert filters_pvalue(Turns((slice(0, dimension),), (True,)), filters, draws=39) == 1 / 40


def test_precision_is_that_of_the_dimensions_however_many_filters():
    for shape, kind in (((200, 5), np.float64), ((3, 128), np.float64), ((3, 129), np.float32)):
        case = TurnedFilters(Turns((slice(0, shape[1]),), (True,)), RNG.standard_normal(shape), np.eye(shape[1]))
        assert case.prepared().filters.dtype == case.prepared().change.dtype == kind


def rotations(rng: np.random.Generator, size: float) -> BasisNoise:
    scatter, half = rng.standard_normal((3, 5, 5)), np.triu(np.full((5, 5), 0.5), 1)
    return BasisNoise.of(size * (scatter + scatter.mT), half - half.T)


def test_several_tests_share_the_rotations_that_follow_the_first_ones_turns():
    """Large rotations: the first test, whose turns take other draws than the second's, finds what it finds alone."""
    rng = np.random.default_rng(4)
    basis = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    one = drawn(rng, ALIGNED, 30, turn=2)
    noise = rotations(rng, 0.3)
    alone = filters_pvalue(KNOWN, one, noise=noise)
    cases = [TurnedFilters(KNOWN, one), TurnedFilters(JOINED, one @ basis, basis)]
    assert filters_pvalues(cases, noise=noise)[0] == alone
    assert alone not in (filters_pvalue(KNOWN, one), 1 / 1000, 1)


@pytest.mark.parametrize("noisy", [False, True])
def test_turns_in_a_basis_of_their_own_are_those_of_turned_networks(noisy):
    """Rotations of the noise, which are those of V, are applied in V, and everything else in U."""
    rng = np.random.default_rng(5)
    basis = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    moments = np.stack([w.T @ w for w in (drawn(rng, ALIGNED, 6, turn=2) for _ in range(4))])
    noise = rotations(rng, 0.2) if noisy else None
    found = networks_pvalue(KNOWN, moments, noise=noise, change=basis, draws=99, seed=3)
    generator, reached = np.random.default_rng(3), 0

    def energy(mean):
        scale = np.concatenate([[np.diag(mean)[s].mean() ** -0.5] * (s.stop - s.start) for s in KNOWN.slices])
        return np.sum((mean * np.outer(scale, scale)) ** 2)

    index, signs = KNOWN.draw(generator, 99 * 4)
    halves = noise.halves(generator, 99) if noisy else np.zeros((99, 5, 5))
    for b in range(99):
        mean = np.zeros((5, 5))
        for k in range(4):
            element = np.eye(5)[index[4 * b + k]] * signs[4 * b + k][:, None]
            mean += element @ moments[k] @ element.T / 4
        rotation = np.linalg.inv(np.eye(5) - halves[b]) @ (np.eye(5) + halves[b])
        inside = basis.T @ rotation.T @ basis @ mean @ basis.T @ rotation @ basis
        reached += energy(inside) >= energy(moments.mean(axis=0)) * (1 - 1e-10)
    assert found == (1 + reached) / 100
