"""Networks, batched over replicas: initial parameters, forward pass, loss.

Parameters are a tuple in the order of ``torch.nn.Module.parameters()``: for every layer the weights (R, out, in), then,
with `bias`, the biases (R, out). The first entry is always the first layer's weights, raw as stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from theory.setting import InvalidInput, Network

# (out, in, …) of every layer's weights.
Shapes = tuple[tuple[int, ...], ...]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "identity": lambda z: z,
}


def require_trainable(network: Network) -> None:
    """Raise InvalidInput for a network that no kernel trains."""
    if network.kind == "conv":
        raise InvalidInput("network.kind", "conv", "is not trained by ensembles; 'linear' and 'mlp' are")


def layer_shapes(network: Network, dimension: int, outputs: int) -> tuple[tuple[int, int], ...]:
    """(out, in) of every layer.

    >>> layer_shapes(Network(kind="mlp", hidden=(8, 4)), 3, 2)
    ((8, 3), (4, 8), (2, 4))
    """
    sizes = (dimension, *network.widths, outputs)
    return tuple(zip(sizes[1:], sizes[:-1], strict=True))


def draw_parameters(network: Network, generator: np.random.Generator, out: list[np.ndarray]) -> None:
    """Fill `out`, the parameters of one replica, with initial values.

    ``standard``: entries of layer l ~ N(0, v_l / fan_in); ``ntk``: N(0, v_l). With `init_spectrum` the j-th coordinate
    of a first-layer weight vector is N(0, init_spectrum[j]), as stored, in both. Biases start at zero.
    """
    weights = out[:: 1 + network.bias]
    for layer, (w, variance) in enumerate(zip(weights, network.layer_variances, strict=True)):
        generator.standard_normal(out=w)
        if layer == 0 and network.init_spectrum:
            w *= np.sqrt(network.init_spectrum)
        else:
            w *= math.sqrt(variance if network.parametrization == "ntk" else variance / w.shape[1])
    if network.bias:
        for b in out[1::2]:
            b[...] = 0.0


def multipliers(network: Network, shapes: Shapes) -> tuple[float, ...]:
    """What each layer's product W x is multiplied by: 1 (standard) or 1/sqrt(fan_in) (ntk)."""
    ntk = network.parametrization == "ntk"
    return tuple(1 / math.sqrt(math.prod(shape[1:])) if ntk else 1.0 for shape in shapes)


def forward(network: Network, parameters: tuple[Tensor, ...], x: Tensor) -> Tensor:
    """The network's outputs (R, n, C) on rows x (R, n, d)."""
    activation = ACTIVATIONS[network.activation]
    weights = parameters[:: 1 + network.bias]
    scales = multipliers(network, tuple((w.shape[1], w.shape[2]) for w in weights))
    for layer, (w, scale) in enumerate(zip(weights, scales, strict=True)):
        x = torch.bmm(x, w.transpose(1, 2))
        if scale != 1.0:
            x = x * scale
        if network.bias:
            x = x + parameters[2 * layer + 1].unsqueeze(1)
        if layer + 1 < len(weights):
            x = activation(x)
    return x


def losses(outputs: Tensor, y: Tensor) -> Tensor:
    """The training loss of every replica, shape (R,).

    Mean squared error ½ · mean over rows of ‖f − y‖² for targets y (R, n, C); cross-entropy (natural logarithm, mean
    over rows) for class indices y (R, n).
    """
    if y.ndim == 3:
        return 0.5 * (outputs - y).square().sum(2).mean(1)
    return functional.cross_entropy(outputs.transpose(1, 2), y, reduction="none").mean(1)
