"""Directions with a share of order 1 of a row's variance: all means depend on their weights, given at the start.

Along an ordinary direction the weights are one of many, and averaged over. Along an explicit one, of eigenvalue λ, they
are a path V^t in R^m from a given V^0. A row has a fixed coordinate z ~ N(0, 1) there, which contributes √λ z V^t. The
path follows the gradient (1/n) Σ_i √λ z_i g_i, whose mean follows from Stein's identity in z:

    λ Σ_{s<=t} R(t, s) V^s + √(λ/n) u^t,      Cov(u^t, u^s) = Cov(z g^t, z g^s) .

u does not average out, since it is common to all rows. It is drawn: `theory.network.dmft.multipliers`.
"""

from __future__ import annotations

import numpy as np

from theory.network.dmft.problem import Problem, moved


class Explicit:
    """V^t of the K = `problem.explicit` last eigenvalues, from `start` (K, m)."""

    def __init__(self, problem: Problem, updates: int, start: np.ndarray) -> None:
        self._problem = problem
        self._levels = problem.eigenvalues[len(problem.eigenvalues) - problem.explicit :, None]
        self._path = np.zeros((updates + 1, *start.shape))
        self._path[0] = start
        self._velocity = np.zeros_like(start)
        self._reached = 0

    @property
    def weights(self) -> np.ndarray:
        """√λ V^t, by which a row's coordinates enter its pre-activations; (m, K)."""
        return np.asarray((np.sqrt(self._levels) * self._path[self._reached]).T)

    def covariance(self) -> np.ndarray:
        """V^t (V^s)ᵀ for s = 0 … t, (K, m, t + 1, m)."""
        return np.einsum("ei,seq->eisq", self._path[self._reached], self._path[: self._reached + 1])

    def remembered(self, propagator: np.ndarray) -> np.ndarray:
        """|P V^0|²/m, (K,), by P(t) (K, m, m) of a direction without u; the rest of |V^t|²/m is the label part."""
        kept = np.einsum("ejk,ek->ej", propagator, self._path[0])
        return np.asarray(np.mean(kept**2, axis=1))

    def amplitude(self, propagator: np.ndarray) -> np.ndarray:
        """V^0 · P V^0/(m s_0²), (T + 1, K), by P of every update (T + 1, K, m, m)."""
        start = self._path[0]
        size = self._problem.width * self._problem.s0
        return np.asarray(np.einsum("ej,tejk,ek->te", start, propagator, start) / size)

    def advance(
        self, response: np.ndarray, coordinates: np.ndarray, forces: np.ndarray, multipliers: np.ndarray
    ) -> None:
        """One update, by R(t, s) (m, t + 1, m), the rows' z (N, K) and g^t (N, m), as drawn, and their multipliers."""
        t = self._reached
        mean = np.einsum("jsk,sek->ej", response, self._path[: t + 1])
        scatter = (multipliers[:, None] * coordinates).T @ forces
        noise = scatter / np.sqrt(len(forces) * self._problem.samples)
        gradient = self._levels * mean + np.sqrt(self._levels) * noise
        self._path[t + 1], self._velocity = moved(self._problem.training, t, self._path[t], self._velocity, gradient)
        self._reached += 1
