"""The Monte Carlo: standard normal blocks for N rows, one per update, evenly spread, whitened against earlier ones."""

from __future__ import annotations

import numpy as np
from scipy import linalg
from scipy.special import ndtri
from scipy.stats import qmc

from theory.errors import NoClosedForm
from theory.network.dmft.problem import Problem

LEAST = 1e-7  # the least share of the variance of pre-activations that counts as new at an update
# The largest share of the variance of pre-activations that earlier updates may explain: without errors it is at most 1.
LARGEST_EXCESS = 1e4


class Samples:
    """N rows: their labels, and their pre-activations ξ = L ε, a Gaussian process drawn update by update.

    Scrambled Sobol points, mapped to normals. Every block of ε is made exactly orthogonal to constants, to labels and
    to all earlier blocks over the N rows, and of unit covariance: so labels and ξ have exactly the required moments of
    first and second order.

    Attributes
    ----------
    targets : ndarray, shape (N, C)
        Labels: one-hot for the cross-entropy, otherwise the targets of the squared error.
    coordinates : ndarray, shape (N, K)
        z along the explicit directions, standard normal and whitened like a block of ε.
    noise : ndarray, shape (N, K + T m)
        z and ε.
    factor : ndarray, shape (T m, K + T m)
        (V, L), L lower triangular; V (m, K) at every update multiplies the coordinates: C_h is the factor times its
        transpose.
    """

    def __init__(self, problem: Problem, updates: int, count: int, seed: int) -> None:
        self._width = problem.width
        self._fresh = problem.fresh
        self._steps = problem.training.readings[-1]
        label_columns = 1 if problem.labels.kind == "classes" else problem.outputs
        explicit = self._explicit = problem.explicit
        engine = qmc.Sobol(label_columns + explicit + updates * problem.width, seed=seed)
        points = engine.random(count)
        self.targets, known = _labels(problem, points[:, :label_columns])
        self.noise = ndtri(np.clip(points[:, label_columns:], 1e-12, 1 - 1e-12))
        self.factor = np.zeros((updates * problem.width, explicit + updates * problem.width))
        self._known = np.concatenate([np.ones((count, 1)), known], axis=1)
        self.blocks = 0
        if explicit:
            self._whiten(slice(0, explicit))
        self.coordinates = self.noise[:, :explicit]

    def draw(self, covariance: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """ξ^t (N, m), given C_h(t, s) for s = 0 … t as (m, (t + 1) m), and V^t (m, K).

        Raises
        ------
        NoClosedForm
            If C_h is no covariance, by far: errors have grown from update to update.
        """
        t, m, k = self.blocks, self._width, self._explicit
        now, before = slice(t * m, (t + 1) * m), slice(0, t * m)
        triangle = self.factor[:, k:]
        self.factor[now, :k] = weights
        covariance = covariance - weights @ self.factor[: (t + 1) * m, :k].T
        if t and not self._fresh:
            triangle[now, before] = linalg.solve_triangular(
                triangle[before, before], covariance[:, before].T, lower=True
            ).T
        row, variance = triangle[now, before], float(np.trace(covariance[:, now]))
        if not np.sum(row**2) <= LARGEST_EXCESS * variance:
            rule = f"at update {t} rounding errors outgrow the covariance of pre-activations with earlier updates"
            raise NoClosedForm("training.steps", self._steps, rule)
        new = covariance[:, now] - row @ row.T
        values, vectors = np.linalg.eigh((new + new.T) / 2)
        values = np.maximum(values, LEAST * variance / m)
        triangle[now, now] = np.linalg.cholesky((vectors * values) @ vectors.T)
        self._whiten(slice(k + t * m, k + (t + 1) * m))
        self.blocks += 1
        columns = self._columns()
        return np.asarray(self.noise[:, columns] @ self.factor[now, columns].T)

    def correlation(self, values: np.ndarray) -> np.ndarray:
        """E[values (z, ε)ᵀ] for values (N, m): over the blocks drawn, for fresh rows only the last; (m, q)."""
        return np.asarray(values.T @ self.noise[:, self._columns()] / len(values))

    def known(self) -> np.ndarray:
        """The rows and columns of the factor for `correlation`: of all blocks, for fresh rows only of the last."""
        end = self.blocks * self._width
        return self.factor[end - self._width if self._fresh else 0 : end, self._columns()]

    def _columns(self) -> slice | np.ndarray:
        """The columns of z and ε on which the last block of ξ depends."""
        end = self._explicit + self.blocks * self._width
        return np.r_[: self._explicit, end - self._width : end] if self._fresh else slice(0, end)

    def _whiten(self, now: slice) -> None:
        """Make a block orthogonal to all earlier ones, with unit covariance."""
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
