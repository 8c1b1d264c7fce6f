"""Layers of filters: the input of each of a network's convolutions, how filters slide over it, and their output."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from theory.setting import InvalidInput, Network


class Convolution(NamedTuple):
    """One layer of filters, stride 1.

    Attributes
    ----------
    filters : int
    kernel : (kh, kw)
    border : int
        Rows and columns of zeros around its input.
    pools : bool
        Whether the maximum over 2 × 2 places, stride 2, follows its activation.
    """

    filters: int
    kernel: tuple[int, int]
    border: int = 0
    pools: bool = False

    def places(self, sides: tuple[int, int]) -> tuple[int, int]:
        """The number of places of a filter on images of these sides, down and across."""
        down, across = (side + 2 * self.border - length + 1 for side, length in zip(sides, self.kernel, strict=True))
        return down, across


def convolutions(network: Network) -> tuple[Convolution, ...]:
    """The layers of filters of a network, first layer first; empty for a network of dense layers."""
    if network.kind == "conv":
        return (Convolution(network.filters, network.kernel),)
    return tuple(
        Convolution(filters, (3, 3), border=1, pools=i + 1 == len(block))
        for block in network.blocks
        for i, filters in enumerate(block)
    )


def filter_shapes(network: Network, image: tuple[int, ...]) -> tuple[tuple[tuple[int, int], ...], int]:
    """(filters, C kh kw) of every layer of filters on images (C, H, W), and how many numbers the last one gives.

    Raises
    ------
    InvalidInput
        If pooling leaves nothing of an image.

    Examples
    --------
    >>> filter_shapes(Network(kind="vgg", blocks=((4, 4), (6,))), (3, 8, 9))
    (((4, 27), (4, 36), (6, 36)), 24)
    """
    channels, *rest = image
    sides = (rest[0], rest[1])
    shapes = []
    for layer in convolutions(network):
        shapes.append((layer.filters, channels * layer.kernel[0] * layer.kernel[1]))
        channels, sides = layer.filters, layer.places(sides)
        sides = (sides[0] // 2, sides[1] // 2) if layer.pools else sides
        if min(sides) < 1:
            rule = f"must have fewer entries: pooling leaves nothing of images of {rest[0]} × {rest[1]}"
            raise InvalidInput("network.blocks", network.blocks, rule)
    return tuple(shapes), channels * sides[0] * sides[1]


def held(network: Network, shapes: tuple[tuple[int, ...], ...]) -> int:
    """How many numbers per image the layers of filters hold, given the networks' `shapes`.

    Where filters are products with patches, these are the patches and the activations; otherwise the products and the
    activations. Odd rows and columns that pooling leaves out are not counted.
    """
    layers = convolutions(network)
    places, numbers = shapes[len(layers)][1] // layers[-1].filters, 0
    for layer, (filters, seen) in zip(reversed(layers), reversed(shapes[: len(layers)]), strict=True):
        places *= 4 if layer.pools else 1
        numbers += places * ((2 * filters) if layer.border else (seen + filters))
    return numbers


def slide(layer: Convolution, w: Tensor, x: Tensor) -> Tensor:
    """The filters w (R, filters, C kh kw) at every place of x (R, n, C, H, W): (R, n, filters, places).

    With a border all replicas are one grouped convolution; without one, products with patches, which are up to twice as
    fast.
    """
    if not layer.border:
        return w.unsqueeze(1) @ patches(x, layer.kernel)
    replicas, n, channels, *sides = x.shape
    kernels = w.view(replicas * layer.filters, channels, *layer.kernel)
    stacked = x.transpose(0, 1).reshape(n, replicas * channels, *sides)
    z = functional.conv2d(stacked, kernels, padding=layer.border, groups=replicas)
    return z.view(n, replicas, layer.filters, -1).transpose(0, 1)


def pool(h: Tensor, places: tuple[int, int]) -> Tensor:
    """The maximum over 2 × 2 places, stride 2, of activations h (R, n, filters, places): (R, n, filters, H, W)."""
    pooled = functional.max_pool2d(h.reshape(-1, h.shape[2], *places), 2)
    return pooled.view(*h.shape[:3], *pooled.shape[2:])


def patches(x: Tensor, kernel: tuple[int, int]) -> Tensor:
    """What a filter sees of images x (R, n, C, H, W) at every place, (R, n, C·kh·kw, places)."""
    columns = functional.unfold(x.flatten(0, 1), kernel)
    return columns.view(*x.shape[:2], *columns.shape[1:])
