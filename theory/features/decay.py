"""Stationary points with weight decay: WᵀW from the gradients of the loss (features at convergence, FACT)."""

from __future__ import annotations

from theory.arrays import Array, namespace
from theory.errors import InvalidInput
from theory.features.matrices import feature_matrix


def decay_factor(decay: float, /) -> float:
    """−1/λ: at a stationary point of (1/n) Σ_i ℓ_i + ½ λ ‖W‖², WᵀW is this times (1/n) Σ_i ∇_h ℓ_i h_iᵀ. Exact.

    h_i is the input of the layer W at row i. Boix-Adserà et al. (arXiv:2507.05644); theory/derivations.md, section
    3.9. It holds for any loss, and for any network behind the layer; but not on a kink of a ReLU, where there is no
    gradient, and where many rows of a network with decay end up.

    >>> decay_factor(0.5)
    -2.0
    """
    if not decay > 0:
        raise InvalidInput("decay", decay, "must be positive")
    return -1 / decay


def decay_residual(weights: Array, inputs: Array, gradients: Array, decay: float, /) -> Array:
    """‖WᵀW + (1/(nλ)) Σ_i ∇_h ℓ_i h_iᵀ‖ / ‖WᵀW‖ (Frobenius), 0 at stationary points with decay.

    Parameters
    ----------
    weights : Array, shape (..., m, d)
    inputs : Array, shape (..., n, d)
        h_i.
    gradients : Array, shape (..., n, d)
        ∇_h ℓ_i of the loss of row i, not divided by n, and without the decay.
    decay : float
        λ.

    Returns
    -------
    Array, shape (...)

    Raises
    ------
    InvalidInput
        If λ is not positive, or shapes do not fit.

    Examples
    --------
    Ridge regression of one row, w = x y/(x² + λ):

    >>> import numpy as np
    >>> x, y, decay = 2.0, 3.0, 0.5
    >>> w = x * y / (x**2 + decay)
    >>> float(decay_residual(np.array([[w]]), np.array([[x]]), np.array([[(w * x - y) * w]]), decay).round(12))
    0.0
    """
    xp = namespace(weights, inputs, gradients)
    if inputs.shape != gradients.shape or inputs.shape[-1] != weights.shape[-1]:
        raise InvalidInput("gradients.shape", tuple(gradients.shape), f"must be that of inputs, {tuple(inputs.shape)}")
    found = feature_matrix(weights)
    moment = xp.matrix_transpose(gradients) @ inputs / inputs.shape[-2]
    off = found - decay_factor(decay) * moment
    return xp.sqrt(xp.sum(off**2, axis=(-2, -1)) / xp.sum(found**2, axis=(-2, -1)))
