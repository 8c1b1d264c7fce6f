"""Are these independent trainings? Checkpoints of one run, fine-tuned copies and permuted copies are not.

Independent networks may have the same covariance, but their individual filters are independent. Cosines of pairs of
filters, in the basis of the data and divided by the variance in every eigenspace, show whether they are:

- *In place*: filter n of one network against filter n of the other. Independent networks whose units were drawn alike
  keep their joint law when the units of each are permuted, so that the largest |mean cosine − mean over all pairs of
  filters| among all pairs of networks is one of 1,000 exchangeable ones. Exact for any filters.
- *Anywhere*: whether the nearest other filter of each of the 2 m filters of two networks lies in the other network more
  often than after random reassignment of the filters, at .001 over all pairs by the normal tail, and is close: a mean
  cosine of at least .8. The level holds if the filters of a network are independent; if they avoid each other, the
  second condition prevents false alarms.

Each test raises a false alarm in one of 1,000 checks of independent networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

FALSE_ALARM = 1e-3
FEWEST = 7  # the fewest filters that can show dependence: 6! permutations are too few for one in 1,000
_DRAWS = 999
_COMPARED = 512  # filters of a network
_NEAR = 0.8


@dataclass(frozen=True)
class Relation:
    """Two networks that are not independent.

    Attributes
    ----------
    networks : (int, int)
        The numbers of the two networks, counted from 1.
    correlation : float
        The mean cosine of their filters: in place, in excess of that of any two filters; otherwise, of each filter and
        the nearest one of the other network.
    limit : float
        The value that independent networks exceed in one of 1,000 checks.
    in_place : bool
        Whether filter n of one belongs to filter n of the other.
    """

    networks: tuple[int, int]
    correlation: float
    limit: float
    in_place: bool


def relations(filters: np.ndarray, *, seed: int = 0) -> tuple[Relation, ...]:
    """All pairs of networks that are not independent; `filters` (K, m, d), variances divided out."""
    count, m = filters.shape[:2]
    if count < 2 or m < FEWEST:
        return ()
    generator = np.random.default_rng(seed)
    chosen = filters[:, np.linspace(0, m - 1, min(m, _COMPARED)).astype(int)]
    lengths = np.linalg.norm(chosen, axis=2, keepdims=True)
    units = np.divide(chosen, lengths, out=np.zeros_like(chosen), where=lengths > 0)
    found = _in_place(units, generator)
    seen = {relation.networks for relation in found}
    return tuple(sorted((*found, *_anywhere(units, seen, generator)), key=lambda relation: relation.networks))


def representatives(count: int, found: Sequence[Relation]) -> tuple[int, ...]:
    """The first network of every group of related ones, counted from 0."""
    group = list(range(count))
    for a, b in (sorted(relation.networks) for relation in found):
        low, high = sorted((group[a - 1], group[b - 1]))
        group = [low if g == high else g for g in group]
    return tuple(sorted(set(group)))


def _in_place(units: np.ndarray, generator: np.random.Generator) -> list[Relation]:
    count, m = units.shape[:2]
    orders = generator.permuted(np.tile(np.arange(m), (count, _DRAWS, 1)), axis=2)
    observed, highest = {}, np.zeros(_DRAWS)
    for r, s in combinations(range(count), 2):
        cosines = units[r] @ units[s].T
        mean = float(cosines.mean())
        observed[r, s] = float(np.trace(cosines)) / m - mean
        null = cosines[orders[r], orders[s]].mean(axis=1) - mean
        highest = np.maximum(highest, np.abs(null))
    limit = float(highest.max())
    return [Relation((r + 1, s + 1), value, limit, True) for (r, s), value in observed.items() if abs(value) > limit]


def _anywhere(units: np.ndarray, seen: set[tuple[int, int]], generator: np.random.Generator) -> list[Relation]:
    count, m = units.shape[:2]
    pairs = count * (count - 1) // 2
    found = []
    for r, s in combinations(range(count), 2):
        across = np.abs(units[r] @ units[s].T)
        nearest = float(across.max(axis=0).mean() + across.max(axis=1).mean()) / 2
        if nearest < _NEAR or (r + 1, s + 1) in seen:
            continue
        both = np.concatenate([units[r], units[s]])
        cosines = np.abs(both @ both.T)
        np.fill_diagonal(cosines, -1)
        neighbour = cosines.argmax(axis=1)
        dealt = generator.permuted(np.tile(np.arange(2 * m) < m, (_DRAWS, 1)), axis=1)
        null = np.sum(dealt != dealt[:, neighbour], axis=1)
        crossing = int(np.sum((np.arange(2 * m) < m) != (neighbour < m)))
        if crossing > null.mean() + float(stats.norm.isf(FALSE_ALARM / pairs)) * null.std() and crossing > null.max():
            found.append(Relation((r + 1, s + 1), nearest, _NEAR, False))
    return found
