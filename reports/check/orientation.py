"""The orientation of the weights: a measure of alignment that is finite at every rank.

With u = w/|w| the direction of a filter, B = E u uᵀ, B₀ = B − (tr B / d) I its anisotropy, and Π(B₀) its aligned part
Σ_i (tr(P_i B₀) / m_i) P_i,

    r = ‖Π(B₀)‖²_F / ‖B₀‖²_F = a / b,    effect = (r − r₀) / (1 − r₀),    r₀ = (k − 1) / (d (d + 1)/2 − 1).

B is aligned if the theorem holds, as Σ_w is: turning w turns u. Then r = 1. Over random bases the average of r is r₀,
whatever B is: the symmetric matrices of trace 0 are one irreducible space of O(d), with k − 1 aligned dimensions
(theory/derivations.md, 3.5). So the effect is 1 at alignment and 0, on average, in a random basis. M gives all
directions equal weight and needs more vectors than dimensions; r weighs directions by the weights' variance along them,
and does not. Directions have no long tails, unlike weights, so that a few long filters do not dominate.

a and b are means over pairs of independent units n ≠ n′ (filters, or networks), and therefore unbiased; with
p_ni = |P_i u_n|², filters have

    b = mean (u_n · u_n′)² − 1/d,    a = mean Σ_i p_ni p_n′i / m_i − 1/d.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from reports.check.estimates import Weights
from reports.check.random_basis import block_sums
from reports.check.verdict import MARGIN, NINE_IN_TEN, LayerVerdict
from reports.judging.intervals import half_width
from theory.eigenspaces import Eigenspaces

_FEWEST = 3  # units, so that pairs remain when one of them is left out
_PAIRED = 1024  # filters whose pairs give the scatter of single pairs
_ERRORS = 4.0  # 2 for the interval or 2.3 for the test of isotropy at 1 %, and 1.28 for nine layers in ten
_TIMES = 1000  # as many units as there are: beyond that, no number is known


@dataclass(frozen=True)
class Orientation:
    """The alignment of the directions of the weights: finite for every layer, at any rank.

    Attributes
    ----------
    effect : float
        1 at alignment, 0 on average over random bases, −r₀/(1 − r₀) at least; sampling noise is removed. Shrunk towards
        0 if the anisotropy itself is within its error; `interval` is then wide.
    interval : (float, float) or None
        95 % interval of the effect; None for fewer than three vectors, or if the data prefer no direction.
    share : float
        r: the share of ‖B₀‖² that is aligned; shrunk like the effect.
    chance : float
        r₀: the average share in a random basis.
    pvalue : float
        p-value of a random basis, by the energy of the unaligned part of B (`random_basis_energy`).
    verdict : "aligned", "partly aligned", "not aligned" or "undecided"
        The verdict by this measure alone.
    """

    effect: float
    interval: tuple[float, float] | None
    share: float
    chance: float
    pvalue: float
    verdict: LayerVerdict


@dataclass(frozen=True, eq=False)
class Anisotropy:
    """a and b of every unit with all others, (n,) each: their means are a and b, their scatter gives the errors."""

    aligned: np.ndarray
    whole: np.ndarray
    chance: float

    @classmethod
    def of(cls, spaces: Eigenspaces, weights: Weights) -> Anisotropy:
        """The anisotropy of three or more networks, which are then the units; otherwise of all filters together."""
        if len(weights.vectors) >= _FEWEST:
            return cls(*_networks(spaces, _moments(weights)), chance_of(spaces))
        return cls(*filter_pairs(spaces, directions(weights.vectors.reshape(-1, spaces.dimension))), chance_of(spaces))

    @property
    def effect(self) -> float:
        """(a − r₀ b) / ((1 − r₀) b), with b at least half the width of its 95 % interval, and r in [0, 1]."""
        if self.chance == 0 or len(self.whole) < 2:
            return 0.0
        a, b = float(self.aligned.mean()), float(self.whole.mean())
        if len(self.whole) >= _FEWEST:
            b = max(b, half_width(math.sqrt(self._variances[2]), degrees=len(self.whole) - 1))
        if b <= 0:
            return 0.0
        least = -self.chance / (1 - self.chance)
        return float(np.clip((a - self.chance * float(self.whole.mean())) / ((1 - self.chance) * b), least, 1))

    @property
    def share(self) -> float:
        """r, shrunk like the effect."""
        return self.chance + (1 - self.chance) * self.effect

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval of the effect: the r with a − r b = 0 not rejected at 5 % (jackknife, Student, Fieller).

        For a mean over pairs of n units with h_i the mean of unit i with all others,
        Var ≈ 4 (n − 1) / (n (n − 2)²) Σ_i (h_i − h)², which is too large where the h_i hardly differ, as at alignment.
        """
        n = len(self.whole)
        if n < _FEWEST or self.chance == 0:
            return None
        a, b = float(self.aligned.mean()), float(self.whole.mean())
        t, (va, cov, vb) = half_width(1.0, degrees=n - 1), self._variances
        low, high = fieller(a, b, t * t * va, t * t * cov, t * t * vb)
        first, last = ((end - self.chance) / (1 - self.chance) for end in (low, high))
        return first, last

    @property
    def _variances(self) -> tuple[float, float, float]:
        """Var a, Cov(a, b), Var b."""
        n = len(self.whole)
        a, b = self.aligned - self.aligned.mean(), self.whole - self.whole.mean()
        factor = 4 * (n - 1) / (n * (n - 2) ** 2)
        return factor * float(a @ a), factor * float(a @ b), factor * float(b @ b)

    def needed(self, pairs: float) -> int | None:
        """How many units make b four times its standard error; `pairs` is the variance of b in single pairs.

        Aligned weights, and those in a random basis, are then four errors from the margin, effect ½. Var b =
        4 z / n + 2 y / n² (Hoeffding), with z the variance of h_i among infinitely many others and y = pairs − 2 z. b
        is reduced by 1.28 of its errors, but not below a tenth of its upper limit. None if no number is known to be
        enough.
        """
        n = len(self.whole)
        if n < _FEWEST or self.chance == 0:
            return None
        seen = float(self.whole.var(ddof=1))
        z = max(0.0, seen - pairs / n)
        y = max(0.0, pairs - 2 * z)
        b, error = float(self.whole.mean()), math.sqrt(self._variances[2])
        least = max(b - NINE_IN_TEN * error, (b + NINE_IN_TEN * error) / 10)
        if least <= 0:
            return None
        # (least / 4)² n² = 4 z n + 2 y
        c = (least / _ERRORS) ** 2
        return math.ceil((2 * z + math.sqrt(4 * z * z + 2 * y * c)) / c)

    def beyond_margin(self) -> int | None:
        """The number of units n (h / δ)² for which the interval, h wide towards the margin ½ at distance δ, ends there.

        None if that is more than a thousand times the present number, or if the interval already ends before it.
        """
        if self.interval is None:
            return None
        distance = self.effect - MARGIN
        reach = self.effect - self.interval[0] if distance > 0 else self.interval[1] - self.effect
        times = (reach / distance) ** 2 if distance else math.inf
        return math.ceil(times * len(self.whole)) if 1 < times < _TIMES else None


def orientation_needed(spaces: Eigenspaces, weights: Weights) -> int | None:
    """About how many vectors decide whether layers with such weights are oriented by the data; see `Anisotropy.needed`.

    Nine in ten aligned layers then get the verdict "aligned". If there are already as many, the effect is near the
    margin, and the result is the number for which the interval no longer reaches it if it shrinks as one over the root.
    """
    found = Anisotropy.of(spaces, weights)
    if len(weights.vectors) >= _FEWEST:
        values, size = _network_pairs(spaces, _moments(weights))[1], weights.vectors.shape[1]
    else:
        vectors = directions(weights.vectors.reshape(-1, spaces.dimension))
        chosen = vectors[:: -(-len(vectors) // _PAIRED)]
        values, size = (chosen @ chosen.T) ** 2, 1
    upper = values[np.triu_indices(len(values), 1)]
    if len(upper) < _FEWEST:
        return None
    units = found.needed(float(upper.var(ddof=1)))
    if units is not None and units <= len(found.whole):
        units = found.beyond_margin()
    return None if units is None else units * size


def orientation_effect(spaces: Eigenspaces, vectors: np.ndarray) -> float:
    """The effect of one network's weight vectors (N, d): finite for every N, 0 for a single one."""
    return Anisotropy(*filter_pairs(spaces, directions(vectors)), chance_of(spaces)).effect


def chance_of(spaces: Eigenspaces) -> float:
    """r₀: the share of aligned dimensions among symmetric matrices of trace 0."""
    d = spaces.dimension
    return (len(spaces.multiplicity) - 1) / (d * (d + 1) / 2 - 1) if d > 1 else 0.0


def directions(vectors: np.ndarray) -> np.ndarray:
    """The rows (N, d) divided by their lengths, without zero rows."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors[lengths[:, 0] > 0] / lengths[lengths[:, 0] > 0])


def fieller(a: float, b: float, va: float, cov: float, vb: float) -> tuple[float, float]:
    """The ends within [0, 1] of {r : (a − r b)² ≤ va − 2 r cov + r² vb}; all of [0, 1] if b is within its error.

    >>> fieller(0.5, 1.0, 0.0625, 0.0, 0.0)
    (0.25, 0.75)
    >>> fieller(0.5, 1.0, 0.01, 0.0, 1.0)
    (0.0, 1.0)
    """
    square, linear, constant = b * b - vb, a * b - cov, a * a - va
    inside = linear * linear - square * constant
    if b <= 0 or square <= 0:
        return 0.0, 1.0
    root = math.sqrt(max(inside, 0.0))  # a/b is always in the set
    low, high = (linear - root) / square, (linear + root) / square
    return min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)


def filter_pairs(spaces: Eigenspaces, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a and b of every filter with all others, (n,) each, in n d min(n, d) operations."""
    n, d = vectors.shape
    if n < 2:
        return np.zeros(n), np.zeros(n)
    powers = block_sums((vectors @ spaces.basis) ** 2, spaces.slices)
    lengths = powers.sum(axis=1)
    if n < d:
        squares = np.sum((vectors @ vectors.T) ** 2, axis=1)
    else:
        squares = np.einsum("nd,nd->n", vectors @ (vectors.T @ vectors), vectors)
    scaled = powers / np.sqrt(np.array(spaces.multiplicity))
    own = np.sum(scaled**2, axis=1)
    isotropic = lengths * (lengths.sum() - lengths) / d
    aligned = scaled @ scaled.sum(axis=0) - own
    return (aligned - isotropic) / (n - 1), (squares - lengths**2 - isotropic) / (n - 1)


def _moments(weights: Weights) -> np.ndarray:
    """E u uᵀ of every network, (K, d, d)."""
    units = [directions(vectors) for vectors in weights.vectors]
    return np.stack([u.T @ u / len(u) for u in units])


def _network_pairs(spaces: Eigenspaces, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a and b of every pair of networks, (K, K) each."""
    flat = moments.reshape(len(moments), -1)
    traces = np.trace(moments, axis1=1, axis2=2)
    turned = np.einsum("ia,kij,ja->ka", spaces.basis, moments, spaces.basis, optimize=True)
    powers = block_sums(turned, spaces.slices) / np.sqrt(np.array(spaces.multiplicity))
    isotropic = np.outer(traces, traces) / spaces.dimension
    return powers @ powers.T - isotropic, flat @ flat.T - isotropic


def _networks(spaces: Eigenspaces, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a and b of every network with all others, (K,) each."""
    count = len(moments)
    aligned, whole = _network_pairs(spaces, moments)
    np.fill_diagonal(aligned, 0)
    np.fill_diagonal(whole, 0)
    return aligned.sum(axis=1) / (count - 1), whole.sum(axis=1) / (count - 1)
