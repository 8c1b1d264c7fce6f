"""Kernels of infinitely wide networks: the covariance of their outputs (NNGP), and their tangent kernel (NTK).

The network is f^(1) = W_1 x, f^(l+1) = m_l^(−½) W_(l+1) φ(f^(l)), with rows of W_1 ~ N(0, Σ_w), entries of W_(l+1) ~
N(0, s_(l+1)²), no biases; one hidden layer is f(x) = m^(−½) Σ_j a_j φ(w_j·x), a ~ N(0, s_a²). A network in the "ntk"
parametrization with init variances v_l has x/√d for x, Σ_w = v_1 I and s_l² = v_l. Every function takes and returns
NumPy arrays or torch tensors, in time O(n²d) and memory O(n²).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from theory.arrays import Array, namespace
from theory.errors import InvalidInput
from theory.network.duals import Gram, dual, gram, matrix

TrainedLayers = Literal["first", "last", "all"]


def arc_cosine(order: int, rows: Array, others: Array | None = None, covariance: float | Array = 1.0) -> Array:
    """The arc-cosine kernel k_0 or k_1 of Cho and Saul (2009), 2 E[φ^(1−r)(u) φ^(1−r)(v)] of ReLU, shape (n, p).

        k_0 = (π − θ)/π,   k_1 = |x||z| (sin θ + (π − θ) cos θ)/π,   lengths and angle under Σ_w.

    k_0 is 0 on zero rows.

    >>> import numpy as np
    >>> arc_cosine(1, np.eye(2)).round(4).tolist()
    [[1.0, 0.3183], [0.3183, 1.0]]
    """
    if order not in (0, 1):
        raise InvalidInput("order", order, "must be 0 or 1")
    return 2 * dual("relu", gram(rows, others, covariance), (1 - order, 1 - order))


def arcsine(rows: Array, others: Array | None = None, covariance: float | Array = 1.0) -> Array:
    """The arcsine kernel of Williams (1997), E[erf(u) erf(v)], shape (n, p), with G = xᵀΣ_w z:

    (2/π) arcsin(2 G_xz / √((1 + 2 G_xx)(1 + 2 G_zz))).
    """
    return dual("erf", gram(rows, others, covariance))


def nngp(
    activation: str,
    rows: Array,
    others: Array | None = None,
    *,
    covariance: float | Array = 1.0,
    variances: Sequence[float] = (1.0,),
) -> Array:
    """N(x, z) = E f(x) f(z) of one output, shape (n, p): s_a² E[φ(u) φ(v)] with one hidden layer, whatever its width.

    Deeper: N^(l+1) = s_(l+1)² E[φ(u) φ(v)], (u, v) ~ N^(l), in the limit of wide layers (arXiv:1711.00165).

    Parameters
    ----------
    activation : "relu", "erf" or "tanh"
    rows, others : Array, shapes (n, d) and (p, d)
    covariance : float or Array of shape (d, d)
        s_0² for Σ_w = s_0² I, or Σ_w.
    variances : sequence of float
        s_2², …, s_L² of the layers above the first; one number, s_a², for one hidden layer.

    Raises
    ------
    InvalidInput
        As for `theory.network.duals.gram`, and if variances are not finite and positive.
    """
    return _recursion(activation, rows, others, covariance, variances, "all")[0]


def ntk(
    activation: str,
    rows: Array,
    others: Array | None = None,
    *,
    covariance: float | Array = 1.0,
    variances: Sequence[float] = (1.0,),
    trained: TrainedLayers = "all",
) -> Array:
    """The tangent kernel K(x, z) = ∇f(x)·∇f(z) of one output, in the limit of wide layers, shape (n, p).

    One hidden layer: K_W = s_a² (x·z) E[φ'(u) φ'(v)] if the first layer is trained, K_a = E[φ(u) φ(v)] if the last one
    is, and their sum if all are. K_W contains the raw x·z: Σ_w enters only through u and v. Deeper (arXiv:1806.07572,
    Theorem 1): K^(l+1) = E[φ(u) φ(v)] + s_(l+1)² K^(l) E[φ'(u) φ'(v)], K^(1) = x·z, of which "first" keeps the part
    that begins with x·z. Networks of width m fluctuate around it by O(m^-½).

    With several outputs with independent weights, each has this kernel, and there is none between different outputs.
    Parameters and errors as `nngp`; `trained` is "first", "last" or "all".

    Examples
    --------
    >>> import numpy as np
    >>> [ntk("relu", np.eye(2), trained=t).round(4).tolist() for t in ("first", "last")]
    [[[0.5, 0.0], [0.0, 0.5]], [[0.5, 0.1592], [0.1592, 0.5]]]
    """
    if trained not in ("first", "last", "all"):
        raise InvalidInput("trained", trained, 'must be "first", "last" or "all"')
    return _recursion(activation, rows, others, covariance, variances, trained)[1]


def _recursion(
    activation: str,
    rows: Array,
    others: Array | None,
    covariance: float | Array,
    variances: Sequence[float],
    trained: TrainedLayers,
) -> tuple[Array, Array]:
    """N and K, shape (n, p); with several hidden layers all rows are taken against all on the way."""
    if not len(variances) or not all(0 < v < float("inf") for v in variances):
        raise InvalidInput("variances", tuple(variances), "must be one finite positive number a layer above the first")
    x, count = matrix("rows", rows), rows.shape[0]
    z = x if others is None else matrix("others", others)
    moments = gram(x, None if others is None else z, covariance)
    joint = others is not None and len(variances) > 1
    if joint:
        x = z = namespace(x, z).concat((x, z))
        moments = gram(x, covariance=covariance)
    tangent = x @ z.T
    for layer, variance in enumerate(variances, start=2):
        features = dual(activation, moments)
        below = variance * dual(activation, moments, (1, 1)) * tangent
        tangent = {"first": below, "last": features, "all": below + features}[trained]
        if layer <= len(variances):
            moments = _moments(variance * features)
    kept = (slice(count), slice(count, None)) if joint else (slice(None), slice(None))
    return variance * features[kept], tangent[kept]


def _moments(covariance: Array) -> Gram:
    """The moments of a layer's outputs from their covariance (n, n) alone.

    Angles below 1e-7 (float64) cannot be distinguished from 0 there, and count as 0.
    """
    xp = namespace(covariance)
    variances = xp.linalg.diagonal(covariance)
    largest = xp.sqrt(variances)[:, None] * xp.sqrt(variances)[None, :]
    square = (largest - covariance) * (largest + covariance)
    parallel = square <= 32 * xp.finfo(covariance.dtype).eps * largest**2
    area = xp.sqrt(xp.where(parallel, xp.zeros_like(square), square))
    return Gram(covariance, variances, variances, area)
