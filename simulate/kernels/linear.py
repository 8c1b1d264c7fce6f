"""Linear models f = W x: two small products a step, or one where every step sees every row.

With outputs f = W xᵀ (R, C, B) and δ/B the derivative of the loss by them, ∂W = δ x / B. For the mean squared error on
all rows this is W S − Q, S = XᵀX/n and Q = YᵀX/n, so that rows need not be looked at again. Biases are the weights of
a coordinate that is always 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from simulate.inputs import Inputs
from simulate.kernels.descent import Descent, folds
from simulate.kernels.minibatches import Minibatches
from simulate.kernels.one_hidden import output_delta
from simulate.networks import Shapes, multipliers
from theory.setting import Setting


def applies(setting: Setting) -> bool:
    """Whether this kernel trains such a setting: no hidden layer, by SGD."""
    return setting.network.kind == "linear" and folds(setting)


def touched(setting: Setting, shapes: Shapes, batch: int, rows: int) -> int:
    """How many numbers of a replica a step goes through: all rows, which its batch is gathered from, or S and Q."""
    ((outputs, dimension),) = shapes
    return (outputs + dimension if _worth_moments(setting, dimension, rows) else rows) * dimension


def train(setting: Setting, inputs: Inputs) -> dict[int, tuple[Tensor, ...]]:
    """All parameters at every reading of the setting, keyed by step; see `simulate.train`."""
    network, training, readings = setting.network, setting.training, setting.training.readings
    first = inputs.parameters[0]
    (scale,) = multipliers(network, (tuple(first.shape[1:]),))
    batches = Minibatches(setting, inputs, scale=scale, ones=network.bias)
    w = torch.cat((first, inputs.parameters[1].unsqueeze(2)), 2) if network.bias else first.clone()
    descent = Descent(training, w)
    gradient = AllRows(*batches.at(0), w) if _worth_moments(setting, w.shape[2], batches.size) else SomeRows(batches, w)
    read: dict[int, tuple[Tensor, ...]] = {}
    for step in range(readings[-1] + 1):
        if step in readings:
            read[step] = (w[:, :, :-1].clone(), w[:, :, -1].clone()) if network.bias else (w.clone(),)
        if step < readings[-1]:
            descent.step(*gradient(step), 1 / batches.size, training.learning_rate_at(step))
    return read


class SomeRows:
    """B times the gradient on the rows of each step, as the product of δ (R, C, B) and x (R, B, d)."""

    def __init__(self, batches: Minibatches, w: Tensor) -> None:
        self._batches, self._w = batches, w
        self._f = w.new_empty(w.shape[0], w.shape[1], batches.size)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        x, y = self._batches.at(step)
        if y.ndim == 3:
            return torch.baddbmm(y.transpose(1, 2), self._w, x.transpose(1, 2), beta=-1, out=self._f), x
        return output_delta(torch.bmm(self._w, x.transpose(1, 2), out=self._f), y), x


class AllRows:
    """n times the gradient of the mean squared error on all rows, as the product of (W, 1) and (nS, −nQ) stacked."""

    def __init__(self, x: Tensor, y: Tensor, w: Tensor) -> None:
        self._w = w
        self._left = torch.cat((w, torch.eye(w.shape[1], dtype=w.dtype, device=w.device).expand(len(w), -1, -1)), 2)
        self._moments = torch.cat((torch.bmm(x.transpose(1, 2), x), -torch.bmm(y.transpose(1, 2), x)), 1)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        self._left[:, :, : self._w.shape[2]] = self._w
        return self._left, self._moments


def _worth_moments(setting: Setting, dimension: int, rows: int) -> bool:
    """Whether the rows' second moment is smaller than the rows, and there are steps enough to pay for it."""
    squared = setting.training.loss == "mse" and setting.full_batch
    return squared and dimension <= rows and dimension <= setting.training.readings[-1]
