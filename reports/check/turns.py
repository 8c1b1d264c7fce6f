"""Filters, or whole networks, turned one by one: the exact test of alignment, and that of isotropy.

The theorem says that the law of the weights does not change under the orthogonal g that commute with the data's second
moment. What is independent may then be turned by independent g without changing the joint law, so that the rank of a
statistic among turned copies is uniform: exact at every number of filters and dimensions, whatever the law of a filter
is. Nothing is assumed to be Gaussian, and no covariance is estimated for the null (theory/derivations.md, 3.1 and 3.6).

Of the commuting g a subgroup is drawn, which keeps the test exact: in the eigenbasis signs of the coordinates and,
within an eigenspace that is known, cyclic shifts of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Noise = Callable[[np.random.Generator], np.ndarray]

_TIE = 1e-10  # relative: rounding decides no rank
_NEGLIGIBLE = 1e-24  # of the largest variance, below which an eigenspace is not looked at


@dataclass(frozen=True)
class Turns:
    """Signed cyclic shifts of the coordinates within each space, or one sign for a space whose own basis is unknown.

    Attributes
    ----------
    slices : tuple of slice
        The spaces, side by side.
    known : tuple of bool
        Whether every orthogonal matrix within the space is allowed, and not ± the identity alone.
    """

    slices: tuple[slice, ...]
    known: tuple[bool, ...]

    def draw(self, generator: np.random.Generator, count: int) -> tuple[np.ndarray | None, np.ndarray]:
        """`count` elements: from which coordinate each coordinate comes (None: from itself), and its sign, (count, d).

        >>> index, signs = Turns((slice(0, 3), slice(3, 5)), (True, False)).draw(np.random.default_rng(0), 2)
        >>> index.tolist()
        [[2, 0, 1, 3, 4], [1, 2, 0, 3, 4]]
        >>> bool(np.all(signs[:, 3] == signs[:, 4]))
        True
        """
        d = self.slices[-1].stop
        signs = 1.0 - 2.0 * generator.integers(0, 2, size=(count, d), dtype=np.int8)
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
        """1 / √(mean variance in the space), a number a coordinate; 0 where the space holds next to nothing."""
        means = np.add.reduceat(variances, self._starts) / self._sizes
        seen = means > _NEGLIGIBLE * means.max()
        means[~seen] = 1
        return np.repeat(seen / np.sqrt(means), self._sizes)


def filters_pvalue(
    turns: Turns, filters: np.ndarray, *, noise: Noise | None = None, draws: int = 999, seed: int = 0
) -> float:
    """P-value of H0: the filters are independent, and the law of each is unchanged by the turns.

    p = (1 + #{T_b ≥ T}) / (draws + 1), T of the filters, T_b with every filter turned by an element of its own:
    P(p ≤ α) ≤ α for every α. T is ‖Σ_n u_n u_nᵀ‖²_F for the directions u_n = D^(−½) w_n / |D^(−½) w_n|, D the mean
    variance in each space: lengths and variances are unchanged by the turns, so that dividing by them costs nothing,
    and neither a space of large variance nor a few long filters decide alone.

    Parameters
    ----------
    turns : Turns
    filters : ndarray, shape (N, d)
        In the basis of the turns.
    noise : Generator → (d, d), optional
        A random rotation by which the basis may be off, `DataMoment.basis_noise`. The turned copies are rotated by it,
        the filters as they are have been already. Exact without it, conservative with it to first order in the angle.
    """
    generator = np.random.default_rng(seed)
    found = filters[filters.any(axis=1)]
    observed = _direction_energy(turns, found)
    reached = 0
    for _ in range(draws):
        index, signs = turns.draw(generator, len(found))
        turned = (found if index is None else np.take_along_axis(found, index, axis=1)) * signs
        if noise is not None:
            turned = turned @ noise(generator)
        reached += _direction_energy(turns, turned) >= observed * (1 - _TIE)
    return (1 + reached) / (draws + 1)


def networks_pvalue(
    turns: Turns, moments: np.ndarray, *, noise: Noise | None = None, draws: int = 999, seed: int = 0
) -> float:
    """`filters_pvalue` for the second moments (K, d, d) of K independent networks, which are turned as wholes.

    Filters of one network may depend on each other in any way. T is ‖D^(−½) S̄ D^(−½)‖²_F of the mean S̄.
    """
    generator = np.random.default_rng(seed)
    observed = _moment_energy(turns, moments.mean(axis=0))
    reached = 0
    for _ in range(draws):
        index, signs = turns.draw(generator, len(moments))
        mean = np.zeros(moments.shape[1:])
        for r, (moment, sign) in enumerate(zip(moments, signs, strict=True)):
            mean += (moment if index is None else moment[np.ix_(index[r], index[r])]) * np.outer(sign, sign)
        if noise is not None:
            rotation = noise(generator)
            mean = rotation.T @ mean @ rotation
        reached += _moment_energy(turns, mean / len(moments)) >= observed * (1 - _TIE)
    return (1 + reached) / (draws + 1)


def isotropic_turns(dimension: int) -> Turns:
    """Turns under which only multiples of the identity are unchanged.

    A law that they leave alone has isotropic weights; both independent equal coordinates, as initial weights have, and
    spherical laws are among them.
    """
    return Turns((slice(0, dimension),), (True,))


def _direction_energy(turns: Turns, filters: np.ndarray) -> float:
    n, d = filters.shape
    scaled = filters * turns.inverse_roots(np.einsum("nd,nd->d", filters, filters))
    squares = np.einsum("nd,nd->n", scaled, scaled)
    squares[squares == 0] = 1
    if n < d:
        return float(np.sum((scaled @ scaled.T) ** 2 / np.outer(squares, squares)))
    return float(np.sum(((scaled.T / squares) @ scaled) ** 2))


def _moment_energy(turns: Turns, moment: np.ndarray) -> float:
    scale = turns.inverse_roots(np.diagonal(moment))
    return float(np.sum((moment * np.outer(scale, scale)) ** 2))
