"""How a row's force answers to pushes of the past that it remembers: forward tangents of some of the rows.

A push of ξ^s moves the row's force at s, and through its memory all its later pre-activations:

    dg^t[s] = J^t x^t[s],      x^t[s] = (1/n) Σ_{s<=r<t} M(t, r) dg^r[s]  for s < t,      x^t[t] = v^t,

J^t = ∂g^t/∂h^t. With independent signs v the mean of dg^t[s] (v^s)ᵀ is R(t, s) without bias, but with noise: it is the
first guess, which `theory.network.dmft.closure` corrects.
"""

from __future__ import annotations

import numpy as np

from theory.network.dmft.batches import Use
from theory.network.dmft.row import Rows


class Tangents:
    """dg of the first `count` rows; 4 N' T² m bytes."""

    def __init__(self, count: int, updates: int, width: int, generator: np.random.Generator) -> None:
        self._count, self._width = count, width
        self._pushes = (2.0 * generator.integers(2, size=(count, updates, width)) - 1).astype(np.float32)
        self._answers = np.zeros((count, updates, updates, width), np.float32)  # row, push s, force t, neuron

    def advance(self, step: int, memory: np.ndarray, rows: Rows, use: Use) -> np.ndarray:
        """R(t, s) for s < t = `step` by the tangents, (m, t m), given M(t, ·)/n (m, t m)."""
        n, m, t = self._count, self._width, step

        def of(values: np.ndarray) -> np.ndarray:
            return values[:n].astype(np.float32)

        moved = np.empty((n, t + 1, m), np.float32)
        past = self._answers[:, :t, :t].reshape(n * t, t * m)
        moved[:, :t] = (past @ memory.T.astype(np.float32)).reshape(n, t, m)
        moved[:, t] = self._pushes[:, t]
        weights = of(rows.weights) if rows.weights.ndim == 3 else rows.weights.astype(np.float32)
        slope = of(rows.hidden.slope)[:, None, :]
        outputs = np.matmul(moved * slope, weights)
        pull = of(rows.residual.pull)[:, None, :]
        outputs = of(rows.residual.weight)[:, None, :] * outputs - pull * (pull * outputs).sum(axis=2, keepdims=True)
        bend = of(rows.hidden.bend * rows.back)[:, None, :]
        answers = bend * moved + rows.scale**2 * slope * np.matmul(outputs, np.swapaxes(weights, -1, -2))
        self._answers[:, : t + 1, t] = of(use.drawn)[:, None, None] * answers
        seen = of(use.expected)[:, None, None] * answers[:, :t]
        found = np.einsum("nsj,nsk->jsk", seen, self._pushes[:, :t], optimize=True)
        return np.asarray(found.reshape(m, t * m), dtype=float) / n
