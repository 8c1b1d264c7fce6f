"""The response of a row's force to earlier perturbations through its memory: forward tangents of some of the rows.

A perturbation of ξ^s changes the row's force at s, and through its memory all its later pre-activations:

    dg^t[s] = J^t x^t[s],      x^t[s] = (1/n) Σ_{s<=r<t} M(t, r) dg^r[s]  for s < t,      x^t[t] = v^t,

J^t = ∂g^t/∂h^t. With independent signs v the mean of dg^t[s] (v^s)ᵀ is R(t, s) without bias, but with noise: it is the
first guess, which `theory.network.dmft.closure` corrects.
"""

from __future__ import annotations

import numpy as np

from theory.network.dmft.batches import Use
from theory.network.dmft.row import Rows


class Tangents:
    """dg of the first `count` rows; 4 N' T² m bytes, rows last, so that the part computed so far is a plain matrix."""

    def __init__(self, count: int, updates: int, width: int, generator: np.random.Generator) -> None:
        self._count, self._width = count, width
        signs = 2.0 * generator.integers(2, size=(count, updates, width)) - 1
        self._pushes = np.ascontiguousarray(signs.transpose(1, 2, 0), np.float32)  # push s, neuron, row
        self._answers = np.zeros((updates, width, updates, count), np.float32)  # force t, neuron, push s, row

    def advance(self, step: int, memory: np.ndarray, rows: Rows, use: Use) -> np.ndarray:
        """R(t, s) for s < t = `step` by the tangents, (m, t m), given M(t, ·)/n (m, t m)."""
        n, m, t = self._count, self._width, step

        def of(values: np.ndarray) -> np.ndarray:
            """Values (N, …) of the rows that are followed, as (…, 1, N')."""
            return np.ascontiguousarray(np.moveaxis(values[:n], 0, -1), np.float32)[..., None, :]

        moved = np.empty((m, t + 1, n), np.float32)
        past = self._answers[:t, :, :t].reshape(t * m, t * n)
        moved[:, :t] = (memory.astype(np.float32) @ past).reshape(m, t, n)
        moved[:, t] = self._pushes[t]
        slope = of(rows.hidden.slope)
        outputs = self._through(rows.weights, slope * moved, "jc,jsn->csn")
        pull = of(rows.residual.pull)
        outputs = of(rows.residual.weight) * outputs - pull * (pull * outputs).sum(axis=0)
        answers = of(rows.hidden.bend * rows.back) * moved
        answers += rows.scale**2 * slope * self._through(rows.weights, outputs, "jc,csn->jsn")
        self._answers[t, :, : t + 1] = of(use.drawn) * answers
        seen = of(use.expected) * answers[:, :t]
        found = np.matmul(seen.transpose(1, 0, 2), self._pushes[:t].transpose(0, 2, 1))  # push, neuron, neuron
        return np.asarray(found.transpose(1, 0, 2).reshape(m, t * m), dtype=float) / n

    def _through(self, weights: np.ndarray, values: np.ndarray, axes: str) -> np.ndarray:
        """Values through output weights that rows share, (m, C), or through each row's own, (N, m, C)."""
        if weights.ndim == 3:
            axes, weights = axes.replace("jc,", "njc,"), weights[: self._count]
        return np.asarray(np.einsum(axes, weights.astype(np.float32), values, optimize=True))
