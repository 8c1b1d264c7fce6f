"""Small networks of every kind, with parameters as training might leave them, and rows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from simulate.networks import layer_shapes
from theory.setting import Network

REPLICAS, ROWS, OUTPUTS = 2, 6, 3
ROW, IMAGE = (4,), (2, 7, 6)


def mlp(*hidden: int, **keys: object) -> Network:
    return Network(kind="mlp", hidden=hidden, **keys)


NETWORKS = {
    "linear": Network(),
    "linear, bias, ntk": Network(bias=True, parametrization="ntk"),
    "relu": mlp(5),
    "tanh, bias": mlp(5, activation="tanh", bias=True),
    "erf, ntk": mlp(5, 4, activation="erf", parametrization="ntk"),
    "identity, bias": mlp(3, 4, activation="identity", bias=True),
    "three relu, ntk, bias": mlp(5, 4, 6, parametrization="ntk", bias=True),
    "four erf, bias": mlp(5, 4, 3, 4, activation="erf", bias=True),
    "four relu": mlp(5, 4, 3, 4),
    "first layer only": mlp(5, 4, activation="tanh", train="first"),
    "first layer only, bias": mlp(5, 4, bias=True, train="first"),
    "conv": Network(kind="conv", filters=4, kernel=(3, 2), hidden=(5,)),
    "conv, no dense layer, bias, ntk, tanh": Network(
        kind="conv", filters=3, kernel=(2, 3), hidden=(), bias=True, parametrization="ntk", activation="tanh"
    ),
    "conv, first layer only": Network(kind="conv", filters=3, hidden=(4, 3), train="first", bias=True),
    "vgg": Network(kind="vgg", blocks=((3, 4), (5,))),
    "vgg, bias, ntk, erf, dense": Network(
        kind="vgg", blocks=((3,), (2, 3)), hidden=(4,), bias=True, parametrization="ntk", activation="erf"
    ),
    "vgg, tanh, first layer only": Network(kind="vgg", blocks=((3, 2),), activation="tanh", train="first"),
}


def draw(
    network: Network, seed: int = 0, *, outputs: int = OUTPUTS, replicas: int = REPLICAS, n: int = ROWS
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Parameters, biases among them, and rows (R, n, …), all from normal laws."""
    generator = np.random.default_rng(seed)
    row = IMAGE if network.convolves else ROW
    parameters = []
    for out, inputs in layer_shapes(network, row, outputs):
        spread = 1.0 if network.parametrization == "ntk" else inputs**-0.5
        parameters.append(1.3 * spread * generator.standard_normal((replicas, out, inputs)))
        if network.bias:
            parameters.append(0.3 * generator.standard_normal((replicas, out)))
    rows = generator.standard_normal((replicas, n, *row))
    return tuple(map(torch.from_numpy, parameters)), torch.from_numpy(rows)


def classes(seed: int, replicas: int = REPLICAS, n: int = ROWS) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, OUTPUTS, (replicas, n)))
