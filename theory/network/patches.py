"""The inputs and outputs of layers of filters, and the adjoints of both, in NumPy or torch.

Images have their channels last, (R, n, H, W, C). A layer of filters is then a dense layer on one row per place, its
patch, and its special operations are linear: cutting patches, and picking one of 2 × 2 places.
"""

from __future__ import annotations

from typing import NamedTuple

import array_api_compat
import numpy as np

from theory.arrays import Array, like, namespace
from theory.setting import Network

WINDOW = 2  # the side of the squares that are pooled


class FrozenFilters(NamedTuple):
    """One layer of filters, stride 1.

    Attributes
    ----------
    kernel : (kh, kw)
    border : int
        Rows and columns of zeros around its input.
    pools : bool
        Whether the maximum over 2 × 2 places, stride 2, follows its activation.
    """

    kernel: tuple[int, int]
    border: int = 0
    pools: bool = False

    def places(self, sides: tuple[int, int]) -> tuple[int, int]:
        """The number of places of a filter on images of these sides, down and across."""
        down, across = (side + 2 * self.border - length + 1 for side, length in zip(sides, self.kernel, strict=True))
        return down, across

    def handed_on(self, sides: tuple[int, int]) -> tuple[int, int]:
        """The sides of the input of the layer above."""
        down, across = self.places(sides)
        return (down // WINDOW, across // WINDOW) if self.pools else (down, across)


def filters_of(network: Network) -> tuple[FrozenFilters, ...]:
    """The layers of filters of a network, first layer first; empty for a network of dense layers.

    >>> filters_of(Network(kind="vgg", blocks=((4, 4),)))[1]
    FrozenFilters(kernel=(3, 3), border=1, pools=True)
    """
    if network.kind == "conv":
        return (FrozenFilters(network.kernel),)
    return tuple(
        FrozenFilters((3, 3), border=1, pools=i + 1 == len(block))
        for block in network.blocks
        for i in range(len(block))
    )


def cut_patches(layer: FrozenFilters, images: Array) -> Array:
    """The patch at every place of images (R, n, H, W, C), shape (R, n, H', W', C·kh·kw), C slowest.

    >>> cut_patches(FrozenFilters((1, 2)), np.arange(6.0).reshape(1, 1, 2, 3, 1))[0, 0, 0].tolist()
    [[0.0, 1.0], [1.0, 2.0]]
    """
    xp = namespace(images)
    replicas, n, height, width, channels = images.shape
    down, across = layer.places((height, width))
    if layer.border:
        images = _bordered(images, layer.border)
    seen = xp.stack([images[:, :, i : i + down, j : j + across] for i, j in _offsets(layer)], axis=-1)
    return xp.reshape(seen, (replicas, n, down, across, channels * len(_offsets(layer))))


def from_patches(layer: FrozenFilters, seen: Array, sides: tuple[int, int]) -> Array:
    """The adjoint of `cut_patches`: (R, n, H', W', C·kh·kw) → (R, n, H, W, C), every place the sum over its patches.

    >>> from_patches(FrozenFilters((1, 2)), np.ones((1, 1, 1, 2, 2)), (1, 3))[0, 0, 0, :, 0].tolist()
    [1.0, 2.0, 1.0]
    """
    replicas, n, down, across, numbers = seen.shape
    offsets, border = _offsets(layer), layer.border
    parts = namespace(seen).reshape(seen, (replicas, n, down, across, numbers // len(offsets), len(offsets)))
    height, width = (side + 2 * border for side in sides)
    images = _zeros((replicas, n, height, width, parts.shape[4]), seen)
    for k, (i, j) in enumerate(offsets):
        images[:, :, i : i + down, j : j + across] += parts[..., k]
    return images[:, :, border : height - border, border : width - border]


def strongest(h: Array) -> Array:
    """1 at the place of every window that holds its maximum, the first of equals, and 0 elsewhere; of the shape of h.

    Windows are 2 × 2, stride 2; an odd row or column at the end is in none. `window_sums` of h times this is the
    maximum over every window.

    >>> strongest(np.array([[0.0, 3.0, 9.0], [3.0, 1.0, 9.0]]).reshape(1, 1, 2, 3, 1))[0, 0, :, :, 0].tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    xp = namespace(h)
    chosen = xp.argmax(_windows(h), axis=-1)
    held = chosen[..., None] == like(np.arange(WINDOW**2), chosen)
    return _from_windows(xp.astype(held, h.dtype), h.shape[2:4])


def window_sums(h: Array) -> Array:
    """The sum over every window of h (R, n, H, W, C), shape (R, n, ⌊H/2⌋, ⌊W/2⌋, C)."""
    xp = namespace(h)
    return xp.sum(_windows(h), axis=-1)


def over_windows(pooled: Array, sides: tuple[int, int]) -> Array:
    """The adjoint of `window_sums`: every place of a window gets its number, an odd row or column zero."""
    spread = namespace(pooled).broadcast_to(pooled[..., None], (*pooled.shape, WINDOW**2))
    return _from_windows(spread, sides)


def _offsets(layer: FrozenFilters) -> list[tuple[int, int]]:
    """Where the numbers of a patch lie from its corner, row by row."""
    return [(i, j) for i in range(layer.kernel[0]) for j in range(layer.kernel[1])]


def _zeros(shape: tuple[int, ...], reference: Array) -> Array:
    return namespace(reference).zeros(shape, dtype=reference.dtype, device=array_api_compat.device(reference))


def _bordered(images: Array, border: int) -> Array:
    """Images with a border of zeros."""
    replicas, n, height, width, channels = images.shape
    wide = _zeros((replicas, n, height + 2 * border, width + 2 * border, channels), images)
    wide[:, :, border : height + border, border : width + border] = images
    return wide


def _windows(h: Array) -> Array:
    """(R, n, H, W, C) → (R, n, ⌊H/2⌋, ⌊W/2⌋, C, 4), each window row by row."""
    xp = namespace(h)
    replicas, n, height, width, channels = h.shape
    down, across = height // WINDOW, width // WINDOW
    whole = xp.reshape(
        h[:, :, : WINDOW * down, : WINDOW * across], (replicas, n, down, WINDOW, across, WINDOW, channels)
    )
    return xp.reshape(xp.permute_dims(whole, (0, 1, 2, 4, 6, 3, 5)), (replicas, n, down, across, channels, WINDOW**2))


def _from_windows(windows: Array, sides: tuple[int, int]) -> Array:
    """The inverse of `_windows`, onto images of these sides; places in no window are zero."""
    xp = namespace(windows)
    replicas, n, down, across, channels, _ = windows.shape
    apart = xp.reshape(windows, (replicas, n, down, across, channels, WINDOW, WINDOW))
    whole = xp.reshape(
        xp.permute_dims(apart, (0, 1, 2, 5, 3, 6, 4)), (replicas, n, WINDOW * down, WINDOW * across, channels)
    )
    if whole.shape[2:4] == tuple(sides):
        return whole
    images = _zeros((replicas, n, *sides, channels), windows)
    images[:, :, : WINDOW * down, : WINDOW * across] = whole
    return images
