"""Remedies against the loss of plasticity: from the network at the end of one task to that at the start of the next.

There is one function per remedy, for all replicas at once; they are described in `theory.setting.Remedy`. Decay acts
during training, in `simulate.tasks.sequence`, and does not change the network between tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from simulate.networks import layer_outputs
from simulate.transfer.measures import norms
from theory.setting import Network

# Every layer's weights (R, out, in), each followed by its biases (R, out) if the network has any.
LayerTensors = tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Between:
    """What a remedy may use between two tasks.

    Attributes
    ----------
    network : Network
    initial : tuple of Tensor
        The values before the first task.
    new : tuple of Tensor
        New initial values, drawn by the next task.
    trained : tuple of Tensor
        The network at the end of the last task; it is not changed.
    rows : Tensor, shape (R, n, d)
        The rows of the last task.
    """

    network: Network
    initial: LayerTensors
    new: LayerTensors
    trained: LayerTensors
    rows: Tensor


def kept(between: Between) -> LayerTensors:
    """The network, unchanged."""
    return between.trained


def anew(between: Between) -> LayerTensors:
    """New initial values."""
    return between.new


def rescaled(between: Between) -> LayerTensors:
    """Every layer at its norm before the first task, biases by the product of the factors up to their layer."""
    step = 1 + between.network.bias
    sizes, wanted = norms(between.trained[::step]), norms(between.initial[::step])
    factors = torch.where(sizes > 0, wanted / sizes, 1.0)
    along = factors.cumprod(1)
    found = []
    for layer in range(factors.shape[1]):
        w = between.trained[layer * step]
        found.append((w * factors[:, layer, None, None]).to(w.dtype))
        if between.network.bias:
            b = between.trained[layer * step + 1]
            found.append((b * along[:, layer, None]).to(b.dtype))
    return tuple(found)


def revived(between: Between) -> LayerTensors:
    """The network with hidden units that are 0 on all rows redrawn, with outgoing weights 0."""
    step = 1 + between.network.bias
    found = [w.clone() for w in between.trained]
    x = between.rows.expand(len(found[0]), *between.rows.shape[-2:])
    outputs = layer_outputs(between.network, between.trained, x)
    for layer in range(between.network.layers - 1):
        dead = ~(next(outputs) > 0).any(1)
        for place in range(layer * step, (layer + 1) * step):
            found[place][dead] = between.new[place][dead]
        found[(layer + 1) * step].transpose(1, 2)[dead] = 0.0
    return tuple(found)


REMEDIES: Mapping[str, Callable[[Between], LayerTensors]] = MappingProxyType(
    {"none": kept, "anew": anew, "decay": kept, "rescaled": rescaled, "revived": revived}
)
