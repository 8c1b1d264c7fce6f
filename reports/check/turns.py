"""Filters, or whole networks, turned one by one: the exact test of alignment, and that of isotropy.

The theorem says that the law of the weights does not change under the orthogonal g that commute with the data's second
moment. Independent filters or networks may then be turned by independent g without changing the joint law, so that the
rank of a statistic among turned copies is uniform. This is exact for every number of filters and dimensions, and for
any law of a filter: nothing is assumed to be Gaussian, and no covariance is estimated for the null hypothesis
(theory/derivations.md, 3.1 and 3.6).

The g are drawn from a subgroup of those that commute, which keeps the test exact: in the eigenbasis, signs of the
coordinates and, within a known eigenspace, cyclic shifts of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reports.check.basis_noise import BasisNoise, precision

_AT_ONCE = 2**17  # numbers of filters turned together
_ROTATED = 2**23  # numbers of rotations drawn together, and at most a quarter as many of the filters they rotate
_TIE = 1e-10  # relative: rounding errors must not decide a rank
_SINGLE_TIE = 1e-6  # in single precision
_SAME = 1e-6  # of 1: the cosine of two columns that are the same, in single precision
_NEGLIGIBLE = 1e-24  # of the largest variance, below which an eigenspace is ignored


@dataclass(frozen=True)
class Turns:
    """Signed cyclic shifts of the coordinates within each space, or one sign for a space whose own basis is unknown.

    Attributes
    ----------
    slices : tuple of slice
        The spaces, side by side.
    known : tuple of bool
        Whether every orthogonal matrix within the space is allowed, instead of only ± the identity.
    """

    slices: tuple[slice, ...]
    known: tuple[bool, ...]

    def draw(self, generator: np.random.Generator, count: int) -> tuple[np.ndarray | None, np.ndarray]:
        """`count` elements: the coordinate that each coordinate comes from (None: itself), and its sign, (count, d).

        >>> index, signs = Turns((slice(0, 3), slice(3, 5)), (True, False)).draw(np.random.default_rng(2), 2)
        >>> index.tolist()
        [[0, 1, 2, 3, 4], [1, 2, 0, 3, 4]]
        >>> bool(np.all(signs[:, 3] == signs[:, 4]))
        True
        """
        d = self.slices[-1].stop
        signs = 1 - 2 * generator.integers(0, 2, size=(count, d), dtype=np.int8)
        index = None
        for s, known in self._wide:
            m = s.stop - s.start
            if known:
                index = np.tile(np.arange(d), (count, 1)) if index is None else index
                index[:, s] = s.start + (np.arange(m) + generator.integers(0, m, size=(count, 1))) % m
            else:
                signs[:, s] = signs[:, s.start, None]
        return index, signs

    @cached_property
    def _wide(self) -> tuple[tuple[slice, bool], ...]:
        pairs = zip(self.slices, self.known, strict=True)
        return tuple((s, known) for s, known in pairs if s.stop - s.start > 1)

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.array([s.start for s in self.slices])

    @cached_property
    def _sizes(self) -> np.ndarray:
        return np.array([s.stop - s.start for s in self.slices])

    def inverse_roots(self, variances: np.ndarray) -> np.ndarray:
        """1 / √(mean variance in the space), (..., d) → (..., d); 0 where the variance is negligible."""
        means = np.add.reduceat(variances, self._starts, axis=-1) / self._sizes
        seen = means > _NEGLIGIBLE * means.max(axis=-1, keepdims=True)
        means[~seen] = 1
        return np.repeat(seen / np.sqrt(means), self._sizes, axis=-1)


def filters_pvalue(
    turns: Turns, filters: np.ndarray, *, noise: BasisNoise | None = None, draws: int = 999, seed: int = 0
) -> float:
    """P-value of H0: the filters are independent, and the law of each is unchanged by the turns.

    p = (1 + #{T_b ≥ T}) / (draws + 1), with T for the filters and T_b after every filter is turned by its own element:
    P(p ≤ α) ≤ α for every α. T is ‖Σ_n u_n u_nᵀ‖²_F for the directions u_n = D^(−½) w_n / |D^(−½) w_n|, D the mean
    variance in each space. The turns do not change lengths and variances, so the test remains exact after division by
    them, and neither a space of large variance nor a few long filters dominate.

    Parameters
    ----------
    turns : Turns
    filters : ndarray, shape (N, d)
        The filters, in the basis of the turns.
    noise : BasisNoise, optional
        Rotations by which the basis may be wrong, `DataMoment.basis_noise`. Only the turned copies are rotated by them,
        because the measured basis already contains such an error. Exact without noise; conservative with it, to first
        order in the angle.
    """
    return filters_pvalues([TurnedFilters(turns, filters)], noise=noise, draws=draws, seed=seed)[0]


@dataclass(frozen=True, eq=False)
class TurnedFilters:
    """One of several tests of the same filters.

    Attributes
    ----------
    turns : Turns
    filters : ndarray, shape (N, d)
        The filters, in the basis of the turns.
    change : ndarray, shape (d, d), or None
        Orthogonal VᵀU, if the turns are those of a basis U and the noise is that of V. Where U has the columns of V in
        another order, as it nearly always has, coordinates are reordered instead of multiplied.
    """

    turns: Turns
    filters: np.ndarray
    change: np.ndarray | None = None

    @cached_property
    def order(self) -> np.ndarray | None:
        """The column of V that each column of U is; None if U is not V in another order."""
        if self.change is None:
            return None
        place = np.abs(self.change).argmax(axis=0)
        same = np.all(self.change[place, np.arange(len(place))] > 1 - _SAME)
        return place if same and len(np.unique(place)) == len(place) else None

    def prepared(self) -> TurnedFilters:
        """The same without zero filters, scaled to order one, which does not change T, in the basis's precision."""
        kind = precision(self.filters.shape[1])
        filters = self.filters[self.filters.any(axis=1)]
        filters = np.ldexp(filters, -int(np.frexp(np.abs(filters).max(initial=0))[1])).astype(kind, copy=False)
        change = None if self.change is None else self.change.astype(kind, copy=False)
        return TurnedFilters(self.turns, filters, change)

    def turned(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """`count` copies (count, N, d), every filter turned by its own element, in the basis of the noise."""
        n, d = self.filters.shape
        index, signs = self.turns.draw(generator, count * n)
        copies = np.broadcast_to(self.filters, (count, n, d))
        found = copies if index is None else np.take_along_axis(copies, index.reshape(count, n, d), axis=2)
        found = found * signs.reshape(count, n, d)
        if self.change is None:
            return found
        return found @ self.change.T if self.order is None else found[..., np.argsort(self.order)]

    def energy(self, filters: np.ndarray) -> np.ndarray:
        """T of filters (b, N, d) in the basis of the noise."""
        if self.change is not None:
            filters = filters @ self.change if self.order is None else filters[..., self.order]
        return _direction_energy(self.turns, filters)


def filters_pvalues(
    cases: Sequence[TurnedFilters], *, noise: BasisNoise | None = None, draws: int = 999, seed: int = 0
) -> list[float]:
    """`filters_pvalue` of several tests at once: they share the random rotations of the basis, the most expensive part.

    Single precision for many dimensions, where copies that differ by less than 1e-6 count as equal.
    """
    kept = [case.prepared() for case in cases]
    generators = [np.random.default_rng(seed) for _ in kept]
    observed = [float(_direction_energy(case.turns, case.filters[None])[0]) for case in kept]
    tie = _TIE if kept[0].filters.dtype == np.float64 else _SINGLE_TIE
    reached = [0] * len(kept)
    n, d = kept[0].filters.shape
    step = max(1, _AT_ONCE // max(1, n * d))
    if noise is not None and kept[0].filters.dtype == np.float32:
        step = max(step, min(_ROTATED // d**2, _ROTATED // (4 * n * d)))
    for first in range(0, draws, step):
        count = min(step, draws - first)
        turned = [case.turned(generator, count) for case, generator in zip(kept, generators, strict=True)]
        if noise is not None:
            together = noise.drawn_rows(generators[0], np.concatenate(turned, axis=1))
            turned = np.split(together, len(kept), axis=1)
        for place, (case, copies) in enumerate(zip(kept, turned, strict=True)):
            reached[place] += int(np.count_nonzero(case.energy(copies) >= observed[place] * (1 - tie)))
    return [(1 + count) / (draws + 1) for count in reached]


def networks_pvalue(
    turns: Turns,
    moments: np.ndarray,
    *,
    noise: BasisNoise | None = None,
    change: np.ndarray | None = None,
    draws: int = 999,
    seed: int = 0,
) -> float:
    """`filters_pvalue` for the second moments (K, d, d) of K independent networks, which are turned as wholes.

    Filters of one network may depend on each other in any way. T is ‖D^(−½) S̄ D^(−½)‖²_F for the mean S̄. `change` is
    as in `TurnedFilters`.
    """
    generator = np.random.default_rng(seed)
    observed = float(_moment_energy(turns, moments.mean(axis=0)[None])[0])
    reached = 0
    networks, d = moments.shape[:2]
    step = max(1, _AT_ONCE // max(1, networks * d * d))
    for first in range(0, draws, step):
        count = min(step, draws - first)
        index, signs = turns.draw(generator, count * networks)
        signs = signs.reshape(count, networks, d)
        turned = np.broadcast_to(moments, (count, *moments.shape))
        if index is not None:
            places = index.reshape(count, networks, d)
            turned = np.take_along_axis(turned, places[..., :, None], axis=2)
            turned = np.take_along_axis(turned, places[..., None, :], axis=3)
        means = np.einsum("bkij,bki,bkj->bij", turned, signs, signs, optimize=True) / networks
        if noise is not None:
            means = means if change is None else change @ means @ change.T
            means = noise.moment(noise.halves(generator, count), means)
            means = means if change is None else change.T @ means @ change
        reached += int(np.count_nonzero(_moment_energy(turns, means) >= observed * (1 - _TIE)))
    return (1 + reached) / (draws + 1)


def isotropic_turns(dimension: int) -> Turns:
    """Turns under which only multiples of the identity are unchanged.

    A law that is invariant under them has isotropic weights. Such laws include independent, identically distributed
    coordinates, as in initial weights, and spherical laws.
    """
    return Turns((slice(0, dimension),), (True,))


def _direction_energy(turns: Turns, filters: np.ndarray) -> np.ndarray:
    """T of filters (b, N, d) → (b,)."""
    scaled = filters * turns.inverse_roots(np.einsum("bnd,bnd->bd", filters, filters))[:, None]
    squares = np.einsum("bnd,bnd->bn", scaled, scaled)
    squares[squares == 0] = 1
    directions = scaled / np.sqrt(squares)[..., None]
    gram = directions @ directions.mT if filters.shape[1] < filters.shape[2] else directions.mT @ directions
    return np.asarray(np.einsum("bij,bij->b", gram, gram, dtype=np.float64))


def _moment_energy(turns: Turns, moments: np.ndarray) -> np.ndarray:
    """T of second moments (b, d, d) → (b,)."""
    scales = turns.inverse_roots(np.einsum("bii->bi", moments).copy())
    return np.asarray(np.sum((moments * scales[:, :, None] * scales[:, None, :]) ** 2, axis=(1, 2)))
