"""How a row's force answers to pushes of the past that it remembers: forward tangents of some of the rows.

A push of ξ^s moves the row's force at s, and through its memory all its later pre-activations:

    dg^t[s] = J^t x^t[s],      x^t[s] = (1/n) Σ_{s<=r<t} M(t, r) dg^r[s]  for s < t,      x^t[t] = v^t,

J^t = ∂g^t/∂h^t. With independent signs v the mean of dg^t[s] (v^s)ᵀ is R(t, s) without bias, but with noise: it is the
first guess, which `theory.network.dmft.closure` corrects.
"""

from __future__ import annotations

import numpy as np

from theory.network.dmft.batches import Use
from theory.network.dmft.row import Activated, Residual


class Tangents:
    """dg of the first `count` rows; 4 N' T² m bytes."""

    def __init__(self, count: int, updates: int, width: int, generator: np.random.Generator) -> None:
        self._count, self._width = count, width
        self._pushes = (2.0 * generator.integers(2, size=(count, updates, width)) - 1).astype(np.float32)
        self._answers = np.zeros((count, updates, updates, width), np.float32)  # row, push s, force t, neuron

    def advance(
        self,
        step: int,
        memory: np.ndarray,
        at: Activated,
        back: np.ndarray,
        found: Residual,
        weights: np.ndarray,
        scale: float,
        use: Use,
    ) -> np.ndarray:
        """R(t, s) for s < t = `step` by the tangents, (m, t m), given M(t, ·)/n (m, t m)."""
        n, m, t = self._count, self._width, step
        moved = np.empty((n, t + 1, m), np.float32)
        past = self._answers[:, :t, :t].reshape(n * t, t * m)
        moved[:, :t] = (past @ memory.T.astype(np.float32)).reshape(n, t, m)
        moved[:, t] = self._pushes[:, t]
        slope = at.slope[:n].astype(np.float32)[:, None, :]
        felt = weights[:n] if weights.ndim == 3 else weights
        outputs = np.matmul(moved * slope, felt.astype(np.float32))
        pull, weight = (part[:n].astype(np.float32)[:, None, :] for part in (found.pull, found.weight))
        outputs = weight * outputs - pull * (pull * outputs).sum(axis=2, keepdims=True)
        turned = np.swapaxes(felt, -1, -2).astype(np.float32)
        bend = (at.bend[:n] * back[:n]).astype(np.float32)[:, None, :]
        answers = bend * moved + scale**2 * slope * np.matmul(outputs, turned)
        expected, drawn = (part[:n].astype(np.float32)[:, None, None] for part in (use.expected, use.drawn))
        self._answers[:, : t + 1, t] = drawn * answers
        seen = (expected * answers)[:, :t]
        return np.einsum("nsj,nsk->jsk", seen, self._pushes[:, :t], optimize=True).reshape(m, t * m).astype(float) / n
