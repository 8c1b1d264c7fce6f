"""Weights as vectors: dense layers (m, d), filters (m, C, kh, kw), from arrays, tensors and files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.check.files import stored
from theory.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class WeightVectors:
    """The weight vectors of one layer of one network.

    Attributes
    ----------
    vectors : ndarray, shape (m, d), float64
        The weight vectors; filters are flattened C × kh × kw, like patches.
    kernel : tuple of int, or None
        (C, kh, kw) of filters, None for a dense layer.
    group : (int, int)
        (j, g): the j-th of g groups of channels, counted from 1.
    integers : bool
        Whether they were stored as integers.
    """

    vectors: np.ndarray
    kernel: tuple[int, int, int] | None
    group: tuple[int, int] = (1, 1)
    integers: bool = False


def read_filters(source: str, *, transposed: bool = False, group: tuple[int, int] = (1, 1)) -> WeightVectors:
    """The layer in FILE[:KEY]; see `filters`."""
    array = stored(source, "weights", (2, 3, 4))
    _check_shape(array.shape)
    return filters(array.read(0, array.shape[0]), transposed=transposed, group=group)


def filters(array: Any, *, transposed: bool = False, group: tuple[int, int] = (1, 1)) -> WeightVectors:
    """A layer's weights from an array or a tensor.

    Parameters
    ----------
    array : (m, d), (m, C, k) or (m, C, kh, kw)
        The weights in PyTorch's layout, output first.
    transposed : bool
        Whether inputs come first: (d, m), (k, C, m) or (kh, kw, C, m), as Keras and JAX store them.
    group : (j, g)
        Only the filters that see the j-th of g groups of channels (grouped and depthwise convolutions).

    Raises
    ------
    InvalidInput
        If the shape is any other, the array is empty, numbers are not real or not finite, or the weights are all zero.
    """
    values = host(array, "weights")
    _check_shape(values.shape)
    if transposed:
        values = values.transpose(3, 2, 0, 1) if values.ndim == 4 else values.T
    j, g = group
    if not 1 <= j <= g or len(values) % g:
        raise InvalidInput(
            "group", f"{j}/{g}", f"must be J/G with 1 <= J <= G, and G must divide {len(values)} filters"
        )
    if g > 1 and values.ndim == 2:
        raise InvalidInput("group", f"{j}/{g}", "a dense layer has no groups")
    values = values[(j - 1) * (len(values) // g) : j * (len(values) // g)]
    vectors = values.reshape(len(values), -1).astype(np.float64)
    if not np.isfinite(vectors).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise InvalidInput("weights", "nan or inf", f"must be finite, and entry {where} is not")
    if not vectors.any():
        raise InvalidInput("weights", values.shape, "are all zero: zero weights have no covariance")
    scale = np.abs(vectors).max()
    if not 1e-100 < scale < 1e100:
        raise InvalidInput("weights", float(scale), "the largest entry must lie between 1e-100 and 1e100")
    kernel = None
    if values.ndim > 2:
        kernel = (values.shape[1], 1 if values.ndim == 3 else values.shape[2], values.shape[-1])
    return WeightVectors(vectors, kernel, group, values.dtype.kind in "iu")


def parse_group(text: str) -> tuple[int, int]:
    """Read J/G as (J, G)."""
    j, _, g = text.partition("/")
    if not (j.isdecimal() and g.isdecimal()):
        raise InvalidInput("group", text, "must be J/G, such as 1/4")
    return int(j), int(g)


def host(array: Any, argument: str) -> np.ndarray:
    """A NumPy array of real numbers, from an array or a tensor of any precision on any device."""
    if hasattr(array, "detach"):
        tensor = array.detach().cpu()
        if tensor.is_sparse or tensor.is_quantized:
            raise InvalidInput(argument, str(tensor.dtype), "must be a plain tensor of real numbers")
        array = (tensor.float() if tensor.dtype.is_floating_point and tensor.element_size() < 4 else tensor).numpy()
    if not isinstance(array, np.ndarray):
        raise InvalidInput(argument, type(array).__name__, "must be a NumPy array or a torch tensor")
    if array.dtype.kind not in "fiub":
        raise InvalidInput(argument, str(array.dtype), "must hold real numbers")
    return array


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) not in (2, 3, 4):
        rule = "must be (m, d) of a dense layer, or (m, C, k) or (m, C, kh, kw) of filters"
        raise InvalidInput("weights.shape", tuple(shape), rule)
    if not math.prod(shape):
        raise InvalidInput("weights.shape", tuple(shape), "must not be empty")
