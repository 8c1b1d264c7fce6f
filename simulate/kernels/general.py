"""The plain way: automatic differentiation of the sum of all replicas' losses. Trains anything, and is the oracle."""

from __future__ import annotations

import torch
from torch import Tensor

from simulate.inputs import Inputs
from simulate.kernels import dense
from simulate.kernels.minibatches import Batches
from simulate.networks import Shapes, forward, losses
from simulate.optimizers import make_optimizer
from theory.setting import Setting


def applies(setting: Setting) -> bool:
    """Whether this kernel trains such a setting: always."""
    return True


def touched(setting: Setting, shapes: Shapes, batch: int, rows: int) -> int:
    """How many numbers of a replica a step goes through: rows, activations and their derivatives, parameters."""
    return dense.touched(setting, shapes, batch, rows)


def train(setting: Setting, inputs: Inputs) -> dict[int, tuple[Tensor, ...]]:
    """All parameters at every reading of the setting, keyed by step; see `simulate.train`."""
    network, readings = setting.network, setting.training.readings
    parameters = tuple(w.clone() for w in inputs.parameters)
    trained = parameters[: 1 + network.bias] if network.train == "first" else parameters
    optimizer = make_optimizer(setting.training, trained)
    batches = Batches(setting, inputs)
    read: dict[int, tuple[Tensor, ...]] = {}
    for step in range(readings[-1] + 1):
        if step in readings:
            read[step] = tuple(w.clone() for w in parameters)
        if step < readings[-1]:
            x, y = batches.at(step)
            for w in trained:
                w.requires_grad_(True)
            # Replicas share nothing, so the gradient of the sum holds each replica's own gradient.
            loss = losses(forward(network, parameters, x), y).sum()
            gradients = torch.autograd.grad(loss, trained)
            for w in trained:
                w.requires_grad_(False)
            optimizer.step(gradients)
    return read
