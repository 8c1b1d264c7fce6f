"""Residual networks with batch normalisation, batched over replicas: layers, parameters, forward pass.

Parameters: the weights of the stem, of every block's two layers and, where it has one, its shortcut, block by block,
and of the output layer, each (R, out, in) with filters flattened; then for every normalisation, the first first, its
scales (R, C, 1) and its shifts (R, C, 1). The filters of all replicas are one grouped convolution, on images that lie
beside each other as channels, (n, R·C, H, W); so is the normalisation, which is that of ``torch.nn.BatchNorm2d`` while
it trains: each replica's channels have their own mean and variance, over the rows of its batch and all places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from theory.setting import Network

EPSILON = 1e-5  # what normalisation adds to the variance, as in torch.nn.BatchNorm2d
SIDE = 32  # the side of images for which the numbers that a network holds are counted: its weights do not depend on it


def residual_shapes(network: Network, channels: int, outputs: int) -> tuple[tuple[int, int], ...]:
    """(out, in) of every layer on images of so many channels, then (C, 1) of scales and of shifts.

    >>> residual_shapes(Network(kind="resnet", blocks=((4,), (6,))), 3, 10)
    ((4, 27), (6, 36), (6, 54), (6, 4), (10, 6), (4, 1), (4, 1), (6, 1), (6, 1), (6, 1), (6, 1))
    """
    (stem,) = network.blocks[0]
    shapes, normalised, last = [(stem, channels * math.prod(network.kernel))], [], stem
    for block in network.residual_blocks:
        shapes += [(block.filters, 9 * block.inputs), (block.filters, 9 * block.filters)]
        shapes += [(block.filters, block.inputs)] if block.projects else []
        normalised += [block.inputs, block.filters]
        last = block.filters
    shapes.append((outputs, last))
    return (*shapes, *((each, 1) for each in (*normalised, last) for _ in range(2)))


def held(network: Network) -> int:
    """How many numbers a network holds for an image of 32 × 32: products and activations of every layer."""
    (stem,) = network.blocks[0]
    places, numbers = SIDE * SIDE, stem * SIDE * SIDE
    for block in network.residual_blocks:
        before, places = places, places // block.stride**2
        numbers += before * block.inputs + places * block.filters * (3 + block.projects)
    return numbers + places * network.blocks[-1][-1]


def residual_outputs(
    network: Network, activation: Callable[[Tensor], Tensor], parameters: tuple[Tensor, ...], x: Tensor
) -> Iterator[Tensor]:
    """The output of every normalised layer, (R, n, filters × places), then the outputs (R, n, C).

    Rows x (R, n, channels, height, width) are one batch of every replica: their means and variances are what
    normalises.
    """
    replicas, n = x.shape[:2]
    weights, normal = iter(parameters[: network.layers]), iter(parameters[network.layers :])

    def convolved(h: Tensor, kernel: tuple[int, int], stride: int) -> Tensor:
        w = next(weights)
        filters = w.reshape(replicas * w.shape[1], h.shape[1] // replicas, *kernel)
        border = (kernel[0] // 2, kernel[1] // 2)
        return functional.conv2d(h, filters, stride=stride, padding=border, groups=replicas)

    def active(h: Tensor) -> Tensor:
        scale, shift = next(normal).flatten(), next(normal).flatten()
        # not functional.batch_norm, which refuses a batch that is one number
        z = torch.batch_norm(h, scale, shift, None, None, True, 0.0, EPSILON, torch.backends.cudnn.enabled)
        return activation(z)

    def by_replica(h: Tensor) -> Tensor:
        return h.view(n, replicas, -1).transpose(0, 1)

    h = convolved(x.transpose(0, 1).reshape(n, -1, *x.shape[3:]), network.kernel, 1)
    for block in network.residual_blocks:
        a = active(h)
        yield by_replica(a)
        z = active(convolved(a, (3, 3), block.stride))
        yield by_replica(z)
        more = convolved(z, (3, 3), 1)
        h = more + (convolved(a, (1, 1), block.stride) if block.projects else h)
    a = active(h)
    yield by_replica(a)
    pooled = a.mean((2, 3)).view(n, replicas, -1).transpose(0, 1)
    yield torch.bmm(pooled, next(weights).transpose(1, 2))
