"""Networks, batched over replicas: initial parameters, forward pass, loss.

Parameters are a tuple in the order of ``torch.nn.Module.parameters()``: for every layer the weights (R, out, in), then,
with `bias`, the biases (R, out). The first entry is always the first layer's weights, raw as stored. Those of residual
networks end with scales and shifts of their normalisations: see `simulate.residual`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from simulate import residual
from simulate.filters import convolutions, filter_shapes, held, pool, slide
from theory.setting import Network

# The shape (out, in, …) of every layer's weights.
Shapes = tuple[tuple[int, ...], ...]

# The most numbers that a forward pass through filters may hold.
HELD = 2**25

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "identity": lambda z: z,
}


def layer_shapes(network: Network, row: tuple[int, ...], outputs: int) -> tuple[tuple[int, int], ...]:
    """(out, in) of every layer, for rows of shape (d,), or (C, H, W); filters are flattened C × kh × kw.

    Those of a residual network are followed by (C, 1), twice for every normalisation of C channels.

    >>> layer_shapes(Network(kind="mlp", hidden=(8, 4)), (3,), 2)
    ((8, 3), (4, 8), (2, 4))
    >>> layer_shapes(Network(kind="conv", filters=16, hidden=(8,)), (3, 6, 5), 2)
    ((16, 27), (8, 192), (2, 8))
    """
    if not network.convolves:
        sizes = (*row, *network.widths, outputs)
        return tuple(zip(sizes[1:], sizes[:-1], strict=True))
    if network.kind == "resnet":
        return residual.residual_shapes(network, row[0], outputs)
    shapes, inputs = filter_shapes(network, row)
    dense = (inputs, *network.widths, outputs)
    return (*shapes, *zip(dense[1:], dense[:-1], strict=True))


def draw_parameters(network: Network, generator: np.random.Generator, out: list[np.ndarray]) -> None:
    """Fill `out`, the parameters of one replica, with initial values.

    ``standard``: entries of layer l ~ N(0, v_l / fan_in); ``ntk``: N(0, v_l). With `init_spectrum` the j-th coordinate
    of a first-layer weight vector is N(0, init_spectrum[j]), as stored, in both. Biases start at zero.
    """
    weights = out[: network.layers] if network.kind == "resnet" else out[:: 1 + network.bias]
    for layer, w in enumerate(weights):
        generator.standard_normal(out=w)
        if layer == 0 and network.init_spectrum:
            w *= np.sqrt(network.init_spectrum)
        else:
            w *= initial_deviation(network, layer, w.shape[1])
    if network.bias:
        for b in out[1::2]:
            b[...] = 0.0
    if network.kind == "resnet":
        for scale, shift in zip(out[network.layers :: 2], out[network.layers + 1 :: 2], strict=True):
            scale[...], shift[...] = 1.0, 0.0


def initial_deviation(network: Network, layer: int, inputs: int) -> float:
    """The standard deviation of the initial weights of layer number `layer` (0 is the first), by its fan-in.

    Of a first layer with `init_spectrum` it is not that of every coordinate.
    """
    variance = network.layer_variances[layer]
    return math.sqrt(variance if network.parametrization == "ntk" else variance / inputs)


def multipliers(network: Network, shapes: Shapes) -> tuple[float, ...]:
    """The factor of each layer's product W x: 1 (standard) or 1/sqrt(fan_in) (ntk)."""
    ntk = network.parametrization == "ntk"
    return tuple(1 / math.sqrt(math.prod(shape[1:])) if ntk else 1.0 for shape in shapes)


def forward(network: Network, parameters: tuple[Tensor, ...], x: Tensor) -> Tensor:
    """The network's outputs (R, n, C) on rows x (R, n, d), or images (R, n, channels, height, width)."""
    return deque(layer_outputs(network, parameters, x), maxlen=1).pop()


def layer_outputs(network: Network, parameters: tuple[Tensor, ...], x: Tensor) -> Iterator[Tensor]:
    """The output of each layer, (R, n, width): the activations of hidden layers, filters × places, then the outputs."""
    if network.kind == "resnet":
        yield from residual.residual_outputs(network, ACTIVATIONS[network.activation], parameters, x)
        return
    activation, layers = ACTIVATIONS[network.activation], convolutions(network)
    weights = parameters[:: 1 + network.bias]
    scales = multipliers(network, tuple((w.shape[1], w.shape[2]) for w in weights))
    for layer, (w, scale) in enumerate(zip(weights, scales, strict=True)):
        filters = layers[layer] if layer < len(layers) else None
        sides = x.shape[3:]
        x = slide(filters, w, x) if filters else torch.bmm(x.flatten(2), w.transpose(1, 2))
        if scale != 1.0:
            x = x * scale
        if network.bias:
            b = parameters[2 * layer + 1].unsqueeze(1)
            x = x + (b.unsqueeze(3) if filters else b)
        if layer + 1 < len(weights):
            x = activation(x)
        if filters:
            places = filters.places((sides[0], sides[1]))
            x = pool(x, places) if filters.pools else x.reshape(*x.shape[:3], *places)
        yield x.flatten(2)


def row_numbers(network: Network, shapes: Shapes) -> int:
    """How many numbers per row of a batch a network holds: its activations, those of filters at every place."""
    if not network.convolves:
        return sum(shape[0] for shape in shapes) + shapes[0][1]
    if network.kind == "resnet":
        return residual.held(network)
    return held(network, shapes) + sum(shape[0] for shape in shapes[len(convolutions(network)) :])


def slices(
    network: Network, parameters: tuple[Tensor, ...], x: Tensor, y: Tensor, batch: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows (R, n, …) and their labels, in parts of which a pass through filters holds no more than `HELD` numbers.

    Where the rows of a batch interact, parts have `batch` rows, the last one what is left; all rows if None.
    """
    at_once = x.shape[1]
    if network.mixes_rows:
        at_once = min(batch or at_once, at_once)
    elif network.convolves:
        shapes = tuple(w.shape[1:] for w in parameters[:: 1 + network.bias])
        at_once = max(1, HELD // (len(y) * row_numbers(network, shapes)))
    for first in range(0, x.shape[1], at_once):
        yield x[:, first : first + at_once], y[:, first : first + at_once]


def losses(outputs: Tensor, y: Tensor) -> Tensor:
    """The training loss of every replica, shape (R,).

    Mean squared error ½ · mean over rows of ‖f − y‖² for targets y (R, n, C); cross-entropy (natural logarithm, mean
    over rows) for class indices y (R, n).
    """
    if y.ndim == 3:
        return 0.5 * (outputs - y).square().sum(2).mean(1)
    return functional.cross_entropy(outputs.transpose(1, 2), y, reduction="none").mean(1)
