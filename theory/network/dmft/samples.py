"""The Monte Carlo: standard normal blocks for N rows, one an update, spread evenly and whitened against all before."""

from __future__ import annotations

import numpy as np
from scipy import linalg
from scipy.special import ndtri
from scipy.stats import qmc

from theory.network.dmft.problem import Problem

LEAST = 1e-7  # of the variance of pre-activations, what is new of them at an update is at least


class Samples:
    """N rows: their labels, and their pre-activations ξ = L ε, a Gaussian process drawn update by update.

    Scrambled Sobol points, mapped to normals. Every block of ε is made exactly orthogonal to constants, to labels and
    to all earlier blocks over the N rows, and of unit covariance: so labels and ξ have exactly the moments of first and
    second order that they should have.

    Attributes
    ----------
    targets : ndarray, shape (N, C)
        Labels: one-hot for the cross-entropy, otherwise as the squared error sees them.
    noise : ndarray, shape (N, T m)
        ε.
    factor : ndarray, shape (T m, T m)
        L, lower triangular, C_h = L Lᵀ.
    """

    def __init__(self, problem: Problem, updates: int, count: int, seed: int) -> None:
        self._width = problem.width
        self._fresh = problem.fresh
        label_columns = 1 if problem.labels.kind == "classes" else problem.outputs
        engine = qmc.Sobol(label_columns + updates * problem.width, seed=seed)
        points = engine.random(count)
        self.targets, known = _labels(problem, points[:, :label_columns])
        self.noise = ndtri(np.clip(points[:, label_columns:], 1e-12, 1 - 1e-12))
        self.factor = np.zeros((updates * problem.width,) * 2)
        self._known = np.concatenate([np.ones((count, 1)), known], axis=1)
        self.blocks = 0

    def draw(self, covariance: np.ndarray) -> np.ndarray:
        """ξ^t (N, m), given C_h(t, s) for s = 0 … t as (m, (t + 1) m)."""
        t, m = self.blocks, self._width
        now, before = slice(t * m, (t + 1) * m), slice(0, t * m)
        if t and not self._fresh:
            self.factor[now, before] = linalg.solve_triangular(
                self.factor[before, before], covariance[:, before].T, lower=True
            ).T
        row = self.factor[now, before]
        new = covariance[:, now] - row @ row.T
        values, vectors = np.linalg.eigh((new + new.T) / 2)
        values = np.maximum(values, LEAST * np.trace(covariance[:, now]) / m)
        self.factor[now, now] = np.linalg.cholesky((vectors * values) @ vectors.T)
        self._whiten(now)
        self.blocks += 1
        upto = slice(t * m if self._fresh else 0, (t + 1) * m)
        return np.asarray(self.noise[:, upto] @ self.factor[now, upto].T)

    def correlation(self, values: np.ndarray) -> np.ndarray:
        """E[values εᵀ] over the blocks drawn, (m, t m), for values (N, m)."""
        drawn = self.blocks * self._width
        return np.asarray(values.T @ self.noise[:, :drawn] / len(values))

    def _whiten(self, now: slice) -> None:
        """Make a block orthogonal to all that is known, and of unit covariance."""
        count, block = len(self.noise), self.noise[:, now]
        for known in (self._known, self.noise[:, : now.start]):
            block = block - known @ (known.T @ block) / count
        root = np.linalg.cholesky(block.T @ block / count)
        self.noise[:, now] = linalg.solve_triangular(root, block.T, lower=True).T


def _labels(problem: Problem, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N, C) from points of the unit cube, and an orthonormal basis over the rows of what is linear in them."""
    law, count = problem.labels, len(points)
    if law.kind == "classes":
        ranks = np.argsort(np.argsort(points[:, 0]))
        targets = np.eye(law.classes)[ranks * law.classes // count]
        centred = targets - targets.mean(axis=0)
        basis = np.linalg.svd(centred, full_matrices=False)[0][:, : law.classes - 1] * np.sqrt(count)
        return (targets if problem.training.loss == "cross-entropy" else targets - 1 / law.classes), basis
    normal = ndtri(np.clip(points, 1e-12, 1 - 1e-12))
    values = np.sign(normal) if law.kind == "rademacher" else normal
    centred = values - values.mean(axis=0)
    root = np.linalg.cholesky(centred.T @ centred / count)
    basis = linalg.solve_triangular(root, centred.T, lower=True).T
    return np.sqrt(law.variance) * (values if law.kind == "rademacher" else basis), basis
