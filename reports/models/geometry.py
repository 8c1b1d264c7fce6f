"""What the filters of a convolution see: all patches of a batch of images, in strips that fit into memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

HELD = 2**21  # the most numbers of a strip: 16 MiB in double precision


@dataclass(frozen=True)
class Geometry:
    """The sizes of a convolution in one, two or three dimensions.

    Attributes
    ----------
    kernel, stride, dilation : tuple of int
        One number per spatial axis.
    padding : tuple of (int, int)
        The padding before and after, per spatial axis.
    mode : str
        "zeros", "reflect", "replicate" or "circular".
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    mode: str = "zeros"


def patches(images: torch.Tensor, geometry: Geometry) -> Iterator[torch.Tensor]:
    """Every patch that a filter is multiplied with, padding included: (n, C, …) → strips (rows, C · Π kernel).

    Each row is an input x of w·x, with w a filter flattened C × kernel. A filter sees its padding, so padded
    zeros are part of the data.
    """
    axes = len(geometry.kernel)
    if any(side for pair in geometry.padding for side in pair):
        sides = [side for pair in reversed(geometry.padding) for side in pair]
        mode = "constant" if geometry.mode == "zeros" else geometry.mode
        images = torch.nn.functional.pad(images, sides, mode=mode)
    for axis in range(axes):
        reach = geometry.dilation[axis] * (geometry.kernel[axis] - 1) + 1
        images = images.unfold(2 + axis, reach, geometry.stride[axis])[..., :: geometry.dilation[axis]]
    # (n, C, *places, *kernel) → (n, *places, C, *kernel)
    places, kernel = range(2, 2 + axes), range(2 + axes, 2 + 2 * axes)
    windows = images.permute(0, *places, 1, *kernel)
    per_line = math.prod(windows.shape[2:])
    lines = max(1, HELD // per_line)  # of the first spatial axis
    if lines >= windows.shape[1]:
        step = max(1, lines // windows.shape[1])
        for first in range(0, len(windows), step):
            yield _flat(windows[first : first + step], axes)
        return
    for image in torch.split(windows, 1):
        for top in range(0, image.shape[1], lines):
            yield _flat(image[:, top : top + lines], axes)


def pixels(images: torch.Tensor) -> Iterator[torch.Tensor]:
    """Every position in a batch of images, as strips of rows (positions, C)."""
    yield from rows(images.movedim(1, -1))


def rows(values: torch.Tensor) -> Iterator[torch.Tensor]:
    """The last axis as features, all others as rows, in strips."""
    flat = values.reshape(-1, values.shape[-1])
    yield from torch.split(flat, max(1, HELD // flat.shape[-1]))


def one_hot(indices: torch.Tensor, classes: int) -> Iterator[torch.Tensor]:
    """Indices as unit vectors, in strips."""
    for part in torch.split(indices.reshape(-1), max(1, HELD // classes)):
        yield torch.nn.functional.one_hot(part.long(), classes)


def _flat(windows: torch.Tensor, axes: int) -> torch.Tensor:
    return windows.reshape(math.prod(windows.shape[: 1 + axes]), -1)
