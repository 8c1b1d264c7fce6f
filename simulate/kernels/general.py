"""The plain way: automatic differentiation of the sum of all replicas' losses. Trains anything, and is the oracle."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from simulate.inputs import Inputs
from simulate.kernels.minibatches import Minibatches
from simulate.networks import Shapes, forward, losses, row_numbers, slices
from simulate.optimizers import make_optimizer
from theory.setting import Network, Setting


def applies(setting: Setting) -> bool:
    """Whether this kernel trains such a setting: always."""
    return True


def touched(setting: Setting, shapes: Shapes, batch: int, rows: int) -> int:
    """How many numbers of a replica a step goes through: rows, activations and their derivatives, parameters."""
    return 2 * batch * row_numbers(setting.network, shapes) + 3 * sum(map(math.prod, shapes))


def train(setting: Setting, inputs: Inputs) -> dict[int, tuple[Tensor, ...]]:
    """All parameters at every reading of the setting, keyed by step; see `simulate.train`."""
    network, readings = setting.network, setting.training.readings
    parameters = tuple(w.clone() for w in inputs.parameters)
    trained = parameters[: 1 + network.bias] if network.train == "first" else parameters
    optimizer = make_optimizer(setting.training, trained)
    batches = Minibatches(setting, inputs)
    read: dict[int, tuple[Tensor, ...]] = {}
    for step in range(readings[-1] + 1):
        if step in readings:
            read[step] = tuple(w.clone() for w in parameters)
        if step < readings[-1]:
            optimizer.step(gradients(network, parameters, trained, *batches.at(step)))
    return read


def gradients(
    network: Network, parameters: tuple[Tensor, ...], trained: tuple[Tensor, ...], x: Tensor, y: Tensor
) -> tuple[Tensor, ...]:
    """Every replica's gradients of its loss on rows x (R, B, …), labels y, by the `trained` of its parameters."""
    for w in trained:
        w.requires_grad_(True)
    found: tuple[Tensor, ...] = ()
    for part, labels in slices(network, parameters, x, y):
        # Replicas share nothing, so the gradient of the sum holds each replica's own gradient.
        loss = losses(forward(network, parameters, part), labels).sum() * (part.shape[1] / x.shape[1])
        more = torch.autograd.grad(loss, trained)
        found = tuple(a.add_(b) for a, b in zip(found, more, strict=True)) if found else more
    for w in trained:
        w.requires_grad_(False)
    return found
