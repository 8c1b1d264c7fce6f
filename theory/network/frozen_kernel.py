"""The tangent kernel of actual networks between all outputs, from frozen gates: by layers, without a Jacobian.

A dense layer adds c_l² (h_i·h_j)(g_ic·g_je) to K, where h is the layer's input and g_ic the derivative of output c on
row i with respect to z_l: products of n rows and of n C derivatives take the place of n C gradients of all weights.
"""

from __future__ import annotations

import numpy as np

from theory.arrays import Array, like, namespace
from theory.network.frozen_gates import FrozenGates


def frozen_ntk(frozen: FrozenGates) -> Array:
    """K = J Jᵀ over the trained parameters, of R networks on n rows: exact, as `empirical_ntk` with `full`.

    K_ij^ce = Σ_l c_l² (h_i·h_j)(g_ic·g_je), plus (g_ic·g_je) if there are biases; for filters the gradient of
    their weights, summed over places, is formed row by row. Memory R n² C², and for filters R n C times their weights.

    Parameters
    ----------
    frozen : FrozenGates
        The networks with frozen gates, made by `theory.network.frozen_gates.freeze`.

    Returns
    -------
    Array, shape (R, n, n, C, C)

    Examples
    --------
    f = a φ(w·x) at w = (1, 2), a = 3: K(x, z) = 9 x·z + (w·x)(w·z).

    >>> from theory.network.frozen_gates import freeze
    >>> from theory.setting import Network
    >>> weights = [np.array([[[1.0, 2.0]]]), np.array([[[3.0]]])]
    >>> rows = np.array([[[1.0, 0.0], [1.0, 1.0]]])
    >>> frozen_ntk(freeze(Network(kind="mlp", hidden=(1,)), weights, rows))[0, :, :, 0, 0].tolist()
    [[10.0, 12.0], [12.0, 27.0]]
    """
    xp = namespace(frozen.outputs)
    replicas, n, outputs = frozen.outputs.shape
    units = like(np.eye(outputs), frozen.outputs)
    ones = xp.ones_like(frozen.outputs)
    passes = [frozen.derivatives(ones * units[c]) for c in range(outputs)]
    kernel = 0.0
    for column in zip(*passes, strict=True):
        layer, rows, _ = column[0]
        places = rows.shape[1] // n
        # (R, n, places, C, out)
        each = xp.stack([back for _, _, back in column], axis=2)
        each = xp.reshape(each, (replicas, n, places, outputs, -1))
        scale = frozen.scales[layer] ** 2
        if places == 1:
            apart = _products(each[:, :, 0])
            inner = (rows @ xp.matrix_transpose(rows))[..., None, None]
            kernel = kernel + apart * (scale * inner + (1.0 if frozen.bias else 0.0))
            continue
        seen = xp.reshape(rows, (replicas, n, places, 1, -1))
        gradients = sum(each[:, :, p, :, :, None] * seen[:, :, p, :, None, :] for p in range(places))
        gradients = xp.reshape(gradients, (replicas, n, outputs, -1))
        kernel = kernel + scale * _products(gradients)
        if frozen.bias:
            biases = xp.sum(each, axis=2)
            kernel = kernel + _products(biases)
    return kernel


def _products(vectors: Array) -> Array:
    """Inner products of all vectors (R, n, C, k) of a replica: (R, n, n, C, C)."""
    xp = namespace(vectors)
    replicas, n, outputs, size = vectors.shape
    flat = xp.reshape(vectors, (replicas, n * outputs, size))
    inner = xp.reshape(flat @ xp.matrix_transpose(flat), (replicas, n, outputs, n, outputs))
    return xp.permute_dims(inner, (0, 1, 3, 2, 4))
