"""Permuted copies, decided by plain loops near the bounds of both conditions; and ties, which are no relation."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from reports.check.independence import Relation, relations


def near_copies(rng: np.random.Generator, m: int, share: float, count: int = 2) -> np.ndarray:
    """Two networks of which about `share` of the filters have their neighbour in the other, and unrelated ones.

    Filters come in pairs of nearly one direction, in three dimensions, where no other filter is far away either.
    """
    base = rng.standard_normal((m, 3))
    other = base + rng.uniform(0.001, 0.1, (m, 1)) * rng.standard_normal((m, 3))
    apart = np.arange(m) < 2 * round(share * m / 2)
    within = np.flatnonzero(~apart)
    first, second = within[: len(within) // 2], within[len(within) // 2 :]
    networks = [
        np.concatenate([base[apart], base[first], other[first]]),
        np.concatenate([other[apart], base[second], other[second]]),
        *rng.standard_normal((count - 2, m, 3)),
    ]
    return np.stack([each[rng.permutation(m)] for each in networks])


def literal_anywhere(filters: np.ndarray, seed: int) -> tuple[list[Relation], list[float]]:
    """Filter by filter: its neighbour, whether that is in the other network, and the same for reassigned filters.

    Also how many standard deviations beyond the mean of the reassigned ones the number is, where the pair is close.
    """
    count, m = filters.shape[:2]
    generator = np.random.default_rng(seed)
    generator.permuted(np.tile(np.arange(m), (count, 999, 1)), axis=2)  # what the test in place draws
    units = filters / np.linalg.norm(filters, axis=2, keepdims=True)
    found, scores = [], []
    for r, s in combinations(range(count), 2):
        both = np.concatenate([units[r], units[s]])
        cosines = np.abs(both @ both.T)
        of_first = [max(cosines[i, j] for j in range(m, 2 * m)) for i in range(m)]
        of_second = [max(cosines[i, j] for i in range(m)) for j in range(m, 2 * m)]
        nearest = (np.mean(of_first) + np.mean(of_second)) / 2
        if nearest < 0.8:
            continue
        neighbour = [max((cosines[i, j], -j) for j in range(2 * m) if j != i)[1] * -1 for i in range(2 * m)]
        crossing = sum((i < m) != (neighbour[i] < m) for i in range(2 * m))
        labels = generator.permuted(np.tile([True] * m + [False] * m, (999, 1)), axis=1)
        null = [sum(row[i] != row[neighbour[i]] for i in range(2 * m)) for row in labels]
        score = (crossing - np.mean(null)) / np.std(null)
        limit = stats.norm.isf(0.001 / (count * (count - 1) / 2))
        scores.append(float(score))
        if score > limit and crossing > max(null):
            found.append(Relation((r + 1, s + 1), float(nearest), 0.8, False))
    return found, scores


@pytest.mark.parametrize(("count", "m", "shares"), [(2, 20, (0.9,)), (2, 30, (0.8, 0.87)), (3, 30, (0.87, 0.93))])
def test_permuted_copies_are_found_as_by_plain_loops(count, m, shares):
    """Near the level, where both conditions decide: some pairs are beyond it, and some within."""
    decided = []
    for seed in range(12):
        for share in shares:
            found = near_copies(np.random.default_rng([seed, m]), m, share, count)
            wanted, scores = literal_anywhere(found, seed)
            seen = [each for each in relations(found, seed=seed) if not each.in_place]
            assert [each.networks for each in seen] == [each.networks for each in wanted]
            for one, other in zip(seen, wanted, strict=True):
                assert one.correlation == pytest.approx(other.correlation)
                assert one.limit == 0.8
            decided += [(score, bool(wanted)) for score in scores]
    assert any(was for _, was in decided)
    assert any(score > 2.5 and not was for score, was in decided)


def test_a_mean_cosine_of_four_fifths_is_near_enough():
    """Sixteen orthogonal filters, whose lengths and mean are exact."""
    first = np.eye(32)[:16]
    second = 4 * np.eye(32)[:16] + 3 * np.eye(32)[16:]
    (relation,) = relations(np.stack([first, np.roll(second, 5, axis=0)]))
    assert (relation.networks, relation.in_place, relation.correlation) == ((1, 2), False, 0.8)


def test_where_an_order_drawn_is_that_of_the_filters_nothing_exceeds_it():
    """Seven axes, 5,040 orders: a pair that one of 999 draws leaves in place is no more than that draw."""
    met = set()
    for seed in range(40):
        generator = np.random.default_rng(seed)
        one, other = generator.permuted(np.tile(np.arange(7), (2, 999, 1)), axis=2)
        tied = any(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
        found = [each for each in relations(np.stack([np.eye(7), 1.5 * np.eye(7)]), seed=seed) if each.in_place]
        assert bool(found) == (not tied)
        met.add(tied)
    assert met == {False, True}
