"""The two matrices of feature learning: WᵀW, and the average gradient outer product (AGOP)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from theory.arrays import Array, namespace
from theory.errors import InvalidInput


def feature_matrix(weights: Array, /) -> Array:
    """N = WᵀW, not divided by the number of units. `weights` W (..., m, d) → (..., d, d).

    Raises
    ------
    InvalidInput
        If the array has fewer than two axes, or its squares are not finite.
    """
    _check("weights", weights, 2, "(..., m, d)")
    return _finite("weights", lambda: _transposed(weights) @ weights)


def gradient_outer_product(gradients: Array, /, *, centred: bool = False) -> Array:
    """A = (1/n) Σ_i Σ_c ∇f_c(x_i) ∇f_c(x_i)ᵀ, summed over outputs c, averaged over rows i.

    Radhakrishnan et al. (2024, doi:10.1126/science.adi5639). Exact; positive semi-definite.

    Parameters
    ----------
    gradients : Array, shape (..., C, n, d)
        ∇f_c(x_i), of every output and row.
    centred : bool
        Whether to subtract the gradients' mean over rows: A − Σ_c ḡ_c ḡ_cᵀ, 0 for a linear function.

    Returns
    -------
    Array, shape (..., d, d)

    Raises
    ------
    InvalidInput
        If the array has fewer than three axes or no rows, or its squares are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> gradient_outer_product(np.array([[[1.0, 0.0], [0.0, 2.0]]]))
    array([[0.5, 0. ],
           [0. , 2. ]])
    """
    _check("gradients", gradients, 3, "(..., C, n, d)")
    xp = namespace(gradients)
    if centred:
        gradients = gradients - xp.mean(gradients, axis=-2, keepdims=True)
    rows = gradients.shape[-2]
    return _finite("gradients", lambda: xp.sum(_transposed(gradients) @ gradients, axis=-3) / rows)


def _check(name: str, array: Array, axes: int, shape: str) -> None:
    xp = namespace(array)
    if array.ndim < axes or 0 in array.shape:
        raise InvalidInput(f"{name}.shape", tuple(array.shape), f"must be {shape}, without empty axes")
    if not bool(xp.all(xp.isfinite(array))):
        raise InvalidInput(name, "nan or inf", "must be finite")


def _finite(name: str, product: Callable[[], Array]) -> Array:
    """A product of an array with itself, or a refusal where its numbers leave the range of their type."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = product()
    if not bool(namespace(found).all(namespace(found).isfinite(found))):
        raise InvalidInput(name, "too large", "must have squares that are finite")
    return found


def _transposed(array: Array) -> Array:
    return namespace(array).matrix_transpose(array)
