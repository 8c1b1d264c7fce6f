"""Trained output weights: their common path, and each row's own contribution.

The gradient of a is a mean over n rows: in the limit its average, and Gaussian fluctuations of order n^{-1/2}. A row
changes a by only 1/n, but always in the same sense: its output depends on its own contribution. That part,

    b ← the optimizer's update of b by the gradient  A b + s c_2 φ ∂ℓ/n,      A = c_2² E[φ_j φ_k ∂²ℓ/∂f_c∂f_c'],

is kept row by row; A describes how the other rows counteract the contribution of one row.

The bias of an output is the weight of one more neuron, whose φ is 1/c_2; it starts at 0.
"""

from __future__ import annotations

import numpy as np

from theory.network.dmft.batches import Use
from theory.network.dmft.problem import Problem, moved
from theory.network.dmft.row import Residual, Rows


class OutputLayer:
    """a for every row: the common a(t) (m, C), and if it is trained the row's own part (N, m, C).

    With biases m + 1 in place of m, if the layer is trained.
    """

    def __init__(self, problem: Problem, weights: np.ndarray, count: int) -> None:
        self._problem = problem
        if problem.bias and problem.both:
            weights = np.concatenate([weights, np.zeros((1, weights.shape[1]))])
        self._common, self._velocity = weights, np.zeros_like(weights)
        shape = (count, *weights.shape) if problem.both else (0,)
        self._own, self._own_velocity = np.zeros(shape), np.zeros(shape)

    @property
    def weights(self) -> np.ndarray:
        """(m, C), or (N, m, C) with the rows' own parts; the biases last."""
        return self._common + self._own if self._problem.both and not self._problem.fresh else self._common

    def advance(self, step: int, rows: Rows, use: Use, multipliers: np.ndarray) -> None:
        """One update of the weights, by the `rows` that used them, and a multiplier for each."""
        problem, value, found = self._problem, rows.features, rows.residual
        if not problem.both:
            return
        training, scale, count = problem.training, problem.scale, len(value)
        mean = scale * value.T @ (use.expected[:, None] * found.value) / count
        weight = (multipliers * use.drawn)[:, None]
        scatter = scale * value.T @ (weight * found.value) / np.sqrt(count * problem.samples)
        self._common, self._velocity = moved(training, step, self._common, self._velocity, mean + scatter)
        if problem.fresh:
            return
        gradient = scale / problem.samples * value[:, :, None] * (use.drawn[:, None] * found.value)[:, None, :]
        gradient += self._pulled_back(value, found, use)
        self._own, self._own_velocity = moved(training, step, self._own, self._own_velocity, gradient)

    def _pulled_back(self, value: np.ndarray, found: Residual, use: Use) -> np.ndarray:
        """A b for every row's own part b, (N, m, C)."""
        count, m, c = self._own.shape
        kernel = np.zeros((m, c, m, c))
        for k in range(c):
            weight = use.expected * found.weight[:, k]
            kernel[:, k, :, k] = value.T @ (weight[:, None] * value)
        if found.pull.any():
            pulled = (value[:, :, None] * found.pull[:, None, :]).reshape(count, m * c)
            kernel -= (pulled.T @ (use.expected[:, None] * pulled)).reshape(m, c, m, c)
        flat = self._own.reshape(count, m * c) @ kernel.reshape(m * c, m * c)
        return np.asarray(self._problem.scale**2 / count * flat.reshape(count, m, c))
