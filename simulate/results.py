"""The results of a simulation: moments in blocks of replicas, whose size does not grow with the number of replicas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.setting import Setting


@dataclass(frozen=True, eq=False)
class Population:
    """The first and second moments of the law of the rows.

    Attributes
    ----------
    second_moment : ndarray, shape (d, d)
        E[x xᵀ], about zero.
    mean : ndarray, shape (d,)
    rows : int or None
        How many rows the population has (real data), None for a law.
    dropped : int
        The number of coordinates of real data that never vary and were left out.
    """

    second_moment: np.ndarray
    mean: np.ndarray
    rows: int | None
    dropped: int

    @property
    def covariance(self) -> np.ndarray:
        """E[x xᵀ] − μ μᵀ, shape (d, d)."""
        return self.second_moment - np.outer(self.mean, self.mean)


@dataclass(frozen=True, eq=False)
class SimulatedReading:
    """The first-layer weights of all replicas after `step` updates, averaged in K fixed blocks of replicas.

    Replica r belongs to block r mod K, whatever the number of replicas; diverged replicas are left out of `counts`.

    Attributes
    ----------
    step : int
    counts : ndarray of int, shape (K,)
        The number of replicas in each block; K never exceeds the number of replicas, and no count is zero.
    second_moments : ndarray, shape (K, d, d)
        Block means of S_r = W_rᵀ W_r / m, W_r (m, d) the first-layer weights of replica r, raw as stored.
    means : ndarray, shape (K, d)
        Block means of the neuron average of W_r.
    losses : ndarray, shape (K,)
        Block means of the training loss on all rows of the replica (NaN when the data are online).
    """

    step: int
    counts: np.ndarray
    second_moments: np.ndarray
    means: np.ndarray
    losses: np.ndarray

    @property
    def replicas(self) -> int:
        return int(self.counts.sum())

    @property
    def second_moment(self) -> np.ndarray:
        """The mean of S_r over replicas, an estimate of Σ_w, shape (d, d)."""
        return np.einsum("k,kij->ij", self.counts / self.replicas, self.second_moments)

    @property
    def mean(self) -> np.ndarray:
        """The mean weight vector over neurons and replicas, shape (d,)."""
        return self.counts / self.replicas @ self.means


@dataclass(frozen=True, eq=False)
class Simulation:
    """An ensemble of independent trainings of one setting.

    Attributes
    ----------
    setting : Setting
    replicas : int
        How many were trained, including diverged ones.
    diverged : int
        How many ended with numbers that are not finite; they are excluded from every reading.
    device : str
    width : int
        m, the number of first-layer weight vectors per replica.
    data_moment : ndarray, shape (d, d)
        The matrix whose eigenvectors are the v_i of τ_i = v_iᵀ Σ_w v_i: X'X/n when the data are fixed, the population
        covariance when a mean is given, otherwise the population second moment. For filters, it is that of patches.
    readings : tuple of SimulatedReading, one per step of the setting
    """

    setting: Setting
    replicas: int
    diverged: int
    device: str
    width: int
    data_moment: np.ndarray
    readings: tuple[SimulatedReading, ...]
