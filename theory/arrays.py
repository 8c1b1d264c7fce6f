"""What every array-generic function shares: the namespace of its arguments, and the checks of a symmetric matrix."""

from __future__ import annotations

import math
from typing import Any

import array_api_compat
import numpy as np

from theory.errors import InvalidInput

Array = Any  # a NumPy array or a torch tensor; functions return the kind that they are given


def namespace(*arrays: Array) -> Any:
    """The array namespace (NumPy or torch) that all arguments share.

    Raises
    ------
    InvalidInput
        If arguments are array-likes such as lists, or of mixed kinds.
    """
    try:
        return array_api_compat.array_namespace(*arrays)
    except TypeError:
        kinds = ", ".join(sorted({type(array).__name__ for array in arrays}))
        raise InvalidInput("arguments", kinds, "must all be NumPy arrays, or all be torch tensors") from None


def symmetric(name: str, matrix: Array) -> Array:
    """`matrix` (..., d, d) as a float32 or float64 array, checked to be finite and symmetric, and symmetrised.

    Asymmetry up to sqrt(eps) relative to the largest entry of each matrix is taken for rounding and averaged away.
    """
    xp = namespace(matrix)
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2] or matrix.shape[-1] == 0:
        raise InvalidInput(f"{name}.shape", tuple(matrix.shape), "must be (..., d, d) with d >= 1")
    if xp.isdtype(matrix.dtype, ("bool", "integral")):
        matrix = xp.astype(matrix, xp.float64)
    if xp.isdtype(matrix.dtype, "complex floating"):
        raise InvalidInput(f"{name}.dtype", str(matrix.dtype), "must be real")
    if matrix.dtype not in (xp.float32, xp.float64):
        raise InvalidInput(f"{name}.dtype", str(matrix.dtype), "must be float32 or float64")
    if not bool(xp.all(xp.isfinite(matrix))):
        raise InvalidInput(name, "nan or inf", "must be finite")
    transposed = xp.matrix_transpose(matrix)
    if bool(xp.all(matrix == transposed)):
        return xp.asarray(matrix, copy=True)
    asymmetry = xp.max(xp.abs(matrix - transposed), axis=(-2, -1))
    scale = xp.max(xp.abs(matrix), axis=(-2, -1))
    if bool(xp.any(asymmetry > xp.finfo(matrix.dtype).eps ** 0.5 * scale)):
        raise InvalidInput(name, f"largest |{name} - {name}ᵀ| = {float(xp.max(asymmetry)):.3g}", "must be symmetric")
    return matrix / 2 + transposed / 2


def power_of_two(value: float) -> float:
    """2^n near |value|, for scales that change no digit; 1 for 0.

    >>> power_of_two(3.0), power_of_two(0.0)
    (4.0, 1.0)
    """
    return math.ldexp(1.0, min(math.frexp(value)[1], 1023))


def unit(matrix: Array) -> tuple[Array, Array]:
    """`matrix` (..., d, d) over a power of two near its largest entry, and that power (..., 1, 1); exact. 1 for zero.

    >>> scaled, power = unit(np.array([[6e-300, 0.0], [0.0, 2e-300]]))
    >>> bool(np.all(scaled * power == [[6e-300, 0.0], [0.0, 2e-300]])), float(scaled.max()) < 1
    (True, True)
    """
    largest = to_numpy(matrix)
    largest = np.max(np.abs(largest), axis=(-2, -1), keepdims=True)
    power = like(np.ldexp(1.0, np.minimum(np.frexp(largest)[1], 1023 if matrix.dtype.itemsize > 4 else 127)), matrix)
    return matrix / power, power


def like(values: Any, reference: Array) -> Array:
    """NumPy values as an array of the kind, dtype and device of `reference`."""
    xp = namespace(reference)
    return xp.asarray(np.asarray(values), dtype=reference.dtype, device=array_api_compat.device(reference))


def to_numpy(array: Array) -> np.ndarray:
    """A float64 NumPy copy, from any device."""
    host = array_api_compat.to_device(array, "cpu")
    return np.array(host.detach().numpy() if hasattr(host, "detach") else host, dtype=np.float64)
