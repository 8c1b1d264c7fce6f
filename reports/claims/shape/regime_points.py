"""A point of F6's map: theory and networks at one time over the same draws of the rows, and where their shapes part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.judging.intervals import sample_mean
from reports.judging.rules import Ruling, both_shapes_verdict
from reports.judging.shape import mean_shape
from theory.network.lazy import LARGEST_DISPLACEMENT

CLEAR = 3  # how many standard errors a bend must differ from 0 by to be counted


@dataclass(frozen=True, eq=False)
class MapTheory:
    """The theory of order 1/m of one case at T times, on each of D draws of the rows.

    Attributes
    ----------
    times : tuple of float, length T
        u = ηt s_a² tr(Σ)/(4n).
    changes : ndarray, shape (T, D, d)
        m(τ − s_0²) along the eigenvectors of Σ.
    displacement, declared : ndarray, shape (T, D)
        ε, and the error of these changes that the theory declares.
    """

    times: tuple[float, ...]
    changes: np.ndarray
    displacement: np.ndarray
    declared: np.ndarray


@dataclass(frozen=True, eq=False)
class MapNetworks:
    """The networks of one case at T times, averaged on each of the draws of the rows on which any did not diverge.

    Attributes
    ----------
    changes : ndarray, shape (T, D', d)
        m(τ − s_0²) along the eigenvectors of Σ.
    draws : ndarray of int, shape (D',)
        The numbers of these draws.
    replicas, diverged : int
    """

    changes: np.ndarray
    draws: np.ndarray
    replicas: int
    diverged: int


def bend(blocks: np.ndarray) -> tuple[float, float]:
    """The change along the largest σ less that along the middle two, over the mean size; its error.

    A number where a shape is a word: negative where f comes down at large σ.
    """
    middle = blocks.shape[1] // 2
    scale = float(np.abs(blocks.mean(axis=0)).mean())
    return sample_mean((blocks[:, -1] - blocks[:, middle - 1 : middle + 1].mean(axis=1)) / scale)


@dataclass(frozen=True, eq=False)
class RegimePoint:
    """One case at one time, averaged over draws of the rows.

    Attributes
    ----------
    time : float
        u = ηt s_a² tr(Σ)/(4n).
    displacement : float
        ε, the root of its mean square over the draws.
    declared : float
        The error of m(τ − s_0²) that the theory declares, averaged over the draws.
    predicted, simulated : ndarray, shape (D, d)
        m(τ − s_0²) along the eigenvectors of Σ, for each draw of the rows.
    """

    time: float
    displacement: float
    declared: float
    predicted: np.ndarray
    simulated: np.ndarray

    @property
    def distance(self) -> float:
        """The largest difference between theory and networks over the directions."""
        return float(np.abs(self.simulated.mean(axis=0) - self.predicted.mean(axis=0)).max())

    @property
    def outside(self) -> bool:
        """Whether weights move by more than half of what they were."""
        return self.displacement > LARGEST_DISPLACEMENT

    @property
    def decided(self) -> bool:
        """Whether intervals leave at most one shape of the theory, and of the networks."""
        return mean_shape(self.predicted) is not None and mean_shape(self.simulated) is not None

    @property
    def rises(self) -> bool:
        """Whether the theory clearly rises at large σ."""
        up, error = bend(self.predicted)
        return up - CLEAR * error > 0

    @property
    def parted(self) -> bool:
        """Whether networks clearly come down at large σ where the theory clearly rises."""
        down, error = bend(self.simulated)
        return self.rises and down + CLEAR * error < 0


def regime_points(theory: MapTheory, networks: MapNetworks) -> tuple[RegimePoint, ...]:
    """The points of one case, by time: theory and networks over the same draws."""
    draws = networks.draws
    return tuple(
        RegimePoint(
            time=time,
            displacement=float(np.sqrt(np.mean(theory.displacement[i, draws] ** 2))),
            declared=float(theory.declared[i, draws].mean()),
            predicted=theory.changes[i, draws],
            simulated=networks.changes[i],
        )
        for i, time in enumerate(theory.times)
    )


def point_verdict(point: RegimePoint, diverged: int) -> Ruling:
    """Holds where both shapes are decided and agree; refuted where they differ by more than the theory's own error."""
    shapes = mean_shape(point.predicted), mean_shape(point.simulated)
    return both_shapes_verdict(*shapes, apart=point.distance > point.declared, diverged=diverged)
