"""Estimates for one layer's weights: their second moment, the interval of M, f with intervals, its shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.check.random_basis import nonzero_eigenvalues
from reports.check.turns import Turns
from reports.check.weights import WeightVectors
from reports.judging.intervals import half_width
from reports.judging.rules import CONFIDENCE
from theory.eigenspaces import Eigenspaces, weight_variances
from theory.errors import InvalidInput
from theory.misalignment import misalignment_squared
from theory.shape import PANELS, classify_interval
from theory.testing import misalignment_interval

_AFFORDED = 2**22  # resamples × d² × eigenspaces of a bootstrap
MANY = 5  # the vectors per dimension from which on the jackknife of networks removes their noise
_NETWORKS = 30  # from which resampling them is reliable
_GROUPS = 20  # of the vectors of one network, for the jackknife


@dataclass(frozen=True, eq=False)
class Weights:
    """The weight vectors of all networks (K, m, d) on the coordinates that vary, and their second moments (K, d, d).

    They are divided by one number, so that the trace of the mean second moment is d; only f depends on it, by `scale`.
    """

    vectors: np.ndarray
    moments: np.ndarray
    scale: float
    rank: int
    alive: int

    @classmethod
    def of(cls, layers: Sequence[WeightVectors], varies: np.ndarray) -> Weights:
        vectors = np.stack([layer.vectors[:, varies] for layer in layers])
        if not vectors.any(axis=(1, 2)).all():
            raise InvalidInput("weights", "zero", "are all zero where the data vary")
        scale = math.sqrt(float(np.mean(vectors**2)))
        vectors = vectors / scale
        moments = vectors.mT @ vectors / vectors.shape[1]
        rank = len(nonzero_eigenvalues(vectors.reshape(-1, vectors.shape[-1])))
        return cls(vectors, moments, scale, rank, int(np.count_nonzero(vectors.any(axis=2))))

    @property
    def mean(self) -> np.ndarray:
        """The mean second moment over trainings, Σ_w."""
        return self.moments.mean(axis=0)

    @property
    def full(self) -> bool:
        """Whether Σ_w can be inverted."""
        return self.rank == len(self.mean)

    def grouped(self, groups: int) -> np.ndarray:
        """Second moments of `groups` equally large groups of the first network's vectors, (groups, d, d); or none."""
        size = self.vectors.shape[1] // groups
        if not size:
            return self.moments[:0]
        parts = self.vectors[0, : groups * size].reshape(groups, size, -1)
        return parts.mT @ parts / size

    def scaled(self, spaces: Eigenspaces) -> np.ndarray:
        """The vectors (K, m, d) in the basis of the data, divided by the mean variance in every eigenspace."""
        turned = self.vectors @ spaces.basis
        return turned * Turns(spaces.slices, (True,) * len(spaces.slices)).inverse_roots((turned**2).mean(axis=(0, 1)))

    def variances(self, spaces: Eigenspaces) -> np.ndarray:
        """τ of the independent units, (n, k): of every network, or of every vector if there is only one network."""
        if len(self.moments) > 1:
            return weight_variances(spaces, self.moments)
        projections = (self.vectors[0] @ spaces.basis) ** 2
        return np.stack([projections[:, s].mean(axis=1) for s in spaces.slices], axis=1)


@dataclass(frozen=True, eq=False)
class TransferFunction:
    """f on every eigenspace, σ ascending, with 95 % intervals (each on its own). Arrays of shape (k,)."""

    sigma: np.ndarray
    f: np.ndarray
    low: np.ndarray
    high: np.ndarray
    multiplicity: tuple[int, ...]


def interval_of(spaces: Eigenspaces, weights: Weights, floor: float | None, seed: int) -> tuple[float, float] | None:
    """The 95 % interval of M, corrected for sampling noise; None if there are too few vectors or networks.

    It comes from the bootstrap of `misalignment_interval`, resampling networks, or the vectors if there is only one; or
    from `jackknife_interval` for few networks, and in many dimensions and eigenspaces, where the bootstrap is too
    expensive. The upper end is infinite if most samples of so few vectors are singular: see `beyond`.
    """
    if not weights.full:
        return None
    one = len(weights.moments) == 1
    resamples = min(999, _AFFORDED // (spaces.dimension**2 * len(spaces.multiplicity)))
    if one and resamples < 99:
        return None if floor is None else jackknife_interval(spaces, weights.grouped(_GROUPS), floor)
    if resamples < 99 or 1 < len(weights.moments) < _NETWORKS:
        many = weights.alive >= MANY * spaces.dimension
        return jackknife_interval(spaces, weights.moments) if many else None
    if not one:
        found = misalignment_interval(spaces, weights.moments, resamples=resamples, seed=seed)
    elif weights.vectors.shape[1] > spaces.dimension:
        found = misalignment_interval(spaces, vectors=weights.vectors[0], resamples=resamples, seed=seed)
    else:
        return None
    unbounded = not math.isfinite(found.null_floor) or beyond(found.high, spaces.dimension)
    return found.low, math.inf if unbounded else found.high


def beyond(high: float, dimension: int) -> bool:
    """Whether only matrices that are singular in double precision, κ ≥ 1/(4 d eps), are this misaligned.

    By Kantorovich's inequality, direction by direction, M² + d ≤ d (√κ + 1/√κ) / 2.

    >>> beyond(100.0, 27), beyond(1e28, 27)
    (False, True)
    """
    root = 1 / math.sqrt(4 * dimension * np.finfo(float).eps)
    return not high**2 + dimension <= dimension * (root + 1 / root) / 2


def jackknife_interval(
    spaces: Eigenspaces, moments: np.ndarray, floor: float | None = None
) -> tuple[float, float] | None:
    """The interval of M, corrected for sampling noise, from K independent second moments (K, d, d); None for K < 3.

    θ = M² of the mean, θ_r without the r-th: SE² = (K − 1)/K Σ (θ_r − mean θ_r)² (Tukey), with Student's quantile of
    K − 1 degrees of freedom. All moments have equal weight. `without_noise` removes the bias if the `floor` of
    independent vectors is known; otherwise only its part of order 1/K is removed, by K θ − (K − 1) mean θ_r
    (Quenouille), which needs many more vectors than dimensions. Also None if a mean without one of them is singular.
    """
    count = len(moments)
    if count < 3:
        return None
    mean = moments.mean(axis=0)
    try:
        whole = float(misalignment_squared(spaces, mean))
        without = np.array([misalignment_squared(spaces, mean + (mean - moment) / (count - 1)) for moment in moments])
    except InvalidInput:  # singular
        return None
    centre = count * whole - (count - 1) * float(without.mean())
    if floor is not None:
        centre = without_noise(whole, floor, spaces.dimension)
    error = math.sqrt((count - 1) / count * float(np.sum((without - without.mean()) ** 2)))
    margin = float(half_width(error, degrees=count - 1))
    return math.sqrt(max(centre - margin, 0)), math.sqrt(max(centre + margin, 0))


def without_noise(squared: Any, floor: float, dimension: int) -> Any:
    """M² corrected for noise, with E[M²] = `floor` under alignment: (M² + d) d / (floor + d) − d.

    Exact in the mean at alignment, and nearly so elsewhere: noise multiplies M² + d = Σ_i sqrt(tr(P_i B) tr(P_i B⁻¹)),
    since E B̂⁻¹ is B⁻¹ times a number. The result may be negative near 0.
    """
    return (squared + dimension) * dimension / (floor + dimension) - dimension


def transfer_function(spaces: Eigenspaces, weights: Weights) -> TransferFunction:
    """f = √τ; intervals of log τ from the scatter between networks, or between vectors, by Student's quantile."""
    values = weights.variances(spaces)
    tau = values.mean(axis=0)
    low, high = np.full_like(tau, np.nan), np.full_like(tau, np.nan)
    if len(values) > 1:
        known = tau > 0
        error = values.std(axis=0, ddof=1)[known] / math.sqrt(len(values)) / tau[known]
        factor = np.exp(half_width(error, degrees=len(values) - 1))
        low[known], high[known] = tau[known] / factor, tau[known] * factor
    sigma = np.sqrt(np.maximum(spaces.eigenvalues, 0))
    f, low, high = (weights.scale * np.sqrt(part) for part in (tau, low, high))
    return TransferFunction(sigma, f, low, high, spaces.multiplicity)


def shape_seen(values: np.ndarray) -> str | None:
    """The shape of f from the variances (n, k) of the independent units; None: undecided."""
    if values.shape[0] < 2 or values.shape[1] < 2:
        return None
    return classify_interval(values.mean(axis=0), blocks=values, confidence=CONFIDENCE, alternatives=PANELS)
