"""Gaussian expectations of an activation and its derivatives, E[φ^(a)(w·x_i) φ^(b)(w·z_k)] with w ~ N(0, Σ_w).

The theory of one hidden layer depends on the activation only through such "duals", and on w·x_i and w·z_k only through
their second moments. ReLU's are arc-cosine kernels (Cho and Saul 2009), erf's arcsine kernels (Williams 1997), tanh's
are sums over Hermite functions (`theory.network.quadrature`). Derived in theory/derivations.md, section 2.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from theory.arrays import Array, namespace, symmetric
from theory.errors import InvalidInput
from theory.network.quadrature import tanh_dual, tanh_dual_quartic

ACTIVATIONS = ("relu", "erf", "tanh")  # the activations whose duals are known
# The orders (a, b) of the derivatives whose duals are known.
ORDERS = ((0, 0), (1, 1), (2, 0), (0, 2), (3, 1), (1, 3), (2, 2))

# Cosines beyond this one leave too few digits to their sines, which are then taken from distances.
CLOSE = 0.9


@dataclass(frozen=True, eq=False)
class Gram:
    """The second moments of the Gaussians u_i = w·x_i and v_k = w·z_k.

    Attributes
    ----------
    cross : Array, shape (n, p)
        E u_i v_k = x_iᵀΣ_w z_k.
    left : Array, shape (n,)
        E u_i².
    right : Array, shape (p,)
        E v_k².
    area : Array, shape (n, p)
        sqrt(E u_i² E v_k² − (E u_i v_k)²), the area of the parallelogram of x_i and z_k under Σ_w; exactly 0 where they
        are parallel up to rounding. Computed as a difference of moments, it would lose half of its digits at small
        angles.
    """

    cross: Array
    left: Array
    right: Array
    area: Array

    @property
    def transposed(self) -> Gram:
        """The same moments with u and v exchanged."""
        return Gram(self.cross.T, self.right, self.left, self.area.T)


def gram(rows: Array, others: Array | None = None, covariance: float | Array = 1.0) -> Gram:
    """The Gram matrices of rows against others under w ~ N(0, Σ_w), time O(npd), memory O(np).

    Parameters
    ----------
    rows : Array, shape (n, d)
    others : Array, shape (p, d), optional
        The rows themselves if None.
    covariance : float or Array of shape (d, d)
        s_0² for Σ_w = s_0² I, or Σ_w, which may be singular.

    Raises
    ------
    InvalidInput
        If rows are not finite real matrices of the same d, the covariance is not positive semi-definite, or rows are so
        long or short, in units of Σ_w, that products of their squares overflow or underflow.

    Examples
    --------
    >>> import numpy as np
    >>> found = gram(np.array([[3.0, 4.0], [0.0, 2.0]]))
    >>> found.cross.tolist(), found.left.tolist(), found.area.round(12).tolist()
    ([[25.0, 8.0], [8.0, 4.0]], [25.0, 4.0], [[0.0, 6.0], [6.0, 0.0]])
    """
    x = matrix("rows", rows)
    z = x if others is None else matrix("others", others)
    xp = namespace(x, z)
    if x.shape[1] != z.shape[1] or x.dtype != z.dtype:
        value = (tuple(x.shape), str(x.dtype), tuple(z.shape), str(z.dtype))
        raise InvalidInput("rows, others", value, "must have the same number of columns and the same precision")
    root = _root(covariance, x)
    x, z = x @ root if root.ndim else x * root, z @ root if root.ndim else z * root
    _require_squares(x)
    _require_squares(z)
    left, right = xp.linalg.vector_norm(x, axis=1), xp.linalg.vector_norm(z, axis=1)
    scale = left[:, None] * right[None, :]
    return Gram(x @ z.T, left**2, right**2, scale * _sines(_directions(x, left), _directions(z, right)))


def dual(activation: str, gram: Gram, orders: tuple[int, int] = (0, 0)) -> Array:
    """E[φ^(a)(u_i) φ^(b)(v_k)], shape (n, p), for the orders (a, b) in `ORDERS`.

    With c = E uv, l = E u², r = E v², A the area and δ = π − θ, where (cos θ, sin θ) ∝ (c, A):

        relu  (0,0) (A + δc)/2π   (1,1) δ/2π   (2,0) A/(2πl)   (3,1) −c/(2πlA)   (2,2) 1/(2πA)
        erf   (0,0) (2/π) atan2(2c, √Δ)   (1,1) P = 4/(π√Δ)   (2,0) −2cP/(1 + 2l)
              (3,1) −2(1 + 2r)P/Δ   (2,2) 4cP/Δ   with Δ = 1 + 2(l + r) + 4A².

    ReLU's (3,1) and (2,2) are distributions, E δ'(u) 1(v > 0) and E δ(u) δ(v); both are set to 0 where A = 0, since
    only the part of z_k perpendicular to x_i remains of (3,1) x_i + (2,2) z_k, and it then has no direction. For zero
    rows all duals of ReLU are 0 (φ'(0) = 0). tanh: by quadrature, within 1e-10 √(E φ^(a)(u)² E φ^(b)(v)²).

    Raises
    ------
    InvalidInput
        If the activation is not one of `ACTIVATIONS`, or the orders are not in `ORDERS`.

    Examples
    --------
    >>> import numpy as np
    >>> moments = gram(np.eye(2))
    >>> dual("relu", moments, (1, 1)).round(4).tolist()
    [[0.5, 0.25], [0.25, 0.5]]
    >>> dual("erf", moments).round(4).tolist()  # E erf(u)² = (2/π) arcsin(2/3)
    [[0.4646, 0.0], [0.0, 0.4646]]
    """
    _known(activation)
    if orders not in ORDERS:
        raise InvalidInput("orders", orders, f"must be one of {ORDERS}")
    if orders[0] < orders[1]:
        return dual(activation, gram.transposed, (orders[1], orders[0])).T
    if activation == "tanh":
        return tanh_dual(gram.cross, gram.left, gram.right, orders)
    return (_relu if activation == "relu" else _erf)(gram, orders)


def dual_quartic(activation: str, gram: Gram) -> Array:
    """E[φ(u_i) φ'(u_i) φ(v_k) φ'(v_k)], shape (n, p).

    ReLU has φφ' = φ, so this is its order (0, 0). erf: φ'(u)φ'(v) tilts the Gaussian to moments T = (G⁻¹ + 2)⁻¹, so
    it is order (1, 1) times the order (0, 0) of T, with T_uu = (l + 2A²)/Δ, T_uv = c/Δ and area A/√Δ. tanh: by
    quadrature, as `dual`.

    >>> import numpy as np
    >>> moments = gram(np.ones((1, 1)))
    >>> [round(float(dual_quartic(name, moments)[0, 0]), 6) for name in ("relu", "erf", "tanh")]
    [0.5, 0.105034, 0.075051]
    """
    _known(activation)
    if activation == "relu":
        return _relu(gram, (0, 0))
    if activation == "tanh":
        return tanh_dual_quartic(gram.cross, gram.left, gram.right)
    xp = namespace(gram.cross)
    left, right, square = gram.left[:, None], gram.right[None, :], gram.area**2
    delta = 1 + 2 * (left + right) + 4 * square
    tilted = 1 + 2 * (left + right + 4 * square) / delta + 4 * square / delta
    return _erf(gram, (1, 1)) * (2 / math.pi) * xp.atan2(2 * gram.cross / delta, xp.sqrt(tilted))


def _known(activation: str) -> None:
    if activation not in ACTIVATIONS:
        raise InvalidInput("activation", activation, f"must be one of {', '.join(ACTIVATIONS)}")


def _relu(gram: Gram, orders: tuple[int, int]) -> Array:
    xp = namespace(gram.cross)
    left, right = gram.left[:, None], gram.right[None, :]
    nowhere = xp.zeros_like(gram.area)
    if orders in ((0, 0), (1, 1)):
        supplement = xp.atan2(gram.area, -gram.cross)  # π − θ
        density = supplement if orders == (1, 1) else gram.area + supplement * gram.cross
        return xp.where((left > 0) & (right > 0), density, nowhere) / (2 * math.pi)
    safe = xp.where(gram.left > 0, gram.left, xp.ones_like(gram.left))[:, None]
    if orders == (2, 0):
        return xp.where(left > 0, gram.area / safe, nowhere) / (2 * math.pi)
    spread = gram.area > 0
    area = xp.where(spread, gram.area, xp.ones_like(gram.area))
    density = 1 / area if orders == (2, 2) else -gram.cross / (safe * area)
    return xp.where(spread, density, nowhere) / (2 * math.pi)


def _erf(gram: Gram, orders: tuple[int, int]) -> Array:
    xp = namespace(gram.cross)
    left, right = gram.left[:, None], gram.right[None, :]
    delta = 1 + 2 * (left + right) + 4 * gram.area**2
    if orders == (0, 0):
        return 2 / math.pi * xp.atan2(2 * gram.cross, xp.sqrt(delta))
    both = 4 / math.pi / xp.sqrt(delta)
    if orders == (1, 1):
        return both
    if orders == (2, 0):
        return -2 * gram.cross * both / (1 + 2 * left)
    if orders == (2, 2):
        return 4 * gram.cross * both / delta
    return -2 * (1 + 2 * right) * both / delta


def matrix(name: str, rows: Array) -> Array:
    """`rows` as a checked float32 or float64 matrix."""
    xp = namespace(rows)
    if rows.ndim != 2 or not all(rows.shape):
        raise InvalidInput(f"{name}.shape", tuple(rows.shape), "must be (n, d) with n, d >= 1")
    if xp.isdtype(rows.dtype, ("bool", "integral")):
        rows = xp.astype(rows, xp.float64)
    if rows.dtype not in (xp.float32, xp.float64):
        raise InvalidInput(f"{name}.dtype", str(rows.dtype), "must be float32 or float64")
    if not bool(xp.all(xp.isfinite(rows))):
        raise InvalidInput(name, "nan or inf", "must be finite")
    return rows


def _root(covariance: float | Array, rows: Array) -> Array:
    """s_0, or a root L (d, d) of Σ_w = L Lᵀ, as an array of the kind of `rows`."""
    xp = namespace(rows)
    if isinstance(covariance, int | float):
        if not 0 <= covariance < math.inf:
            raise InvalidInput("covariance", covariance, "must be finite and not negative")
        return xp.sqrt(xp.ones_like(rows[0, 0]) * covariance)
    namespace(rows, covariance)
    matrix = symmetric("covariance", covariance)
    d = rows.shape[1]
    if tuple(matrix.shape) != (d, d):
        raise InvalidInput("covariance.shape", tuple(matrix.shape), f"must be ({d}, {d}), one row a column of `rows`")
    values, vectors = xp.linalg.eigh(matrix)
    if bool(values[0] < -d * xp.finfo(matrix.dtype).eps * xp.max(xp.abs(values)) * 16):
        raise InvalidInput("covariance", f"eigenvalue {float(values[0]):.3g}", "must be positive semi-definite")
    root = vectors * xp.sqrt(xp.maximum(values, xp.zeros_like(values)))
    return xp.astype(root, rows.dtype)


def _require_squares(rows: Array) -> None:
    xp = namespace(rows)
    limits = xp.finfo(rows.dtype)
    longest = xp.max(xp.abs(rows), axis=1)
    outside = (longest > 0) & ((longest < 8 * limits.tiny**0.5) | (longest > limits.max**0.25 / rows.shape[1]))
    if bool(xp.any(outside)):
        value = float(longest[outside][0])
        raise InvalidInput("rows", value, "squares of the largest entry of a row are out of range: rescale the rows")


def _directions(rows: Array, lengths: Array) -> Array:
    """Rows of length 1; zero rows stay."""
    xp = namespace(rows)
    return rows / xp.where(lengths > 0, lengths, xp.ones_like(lengths))[:, None]


def _sines(x: Array, z: Array) -> Array:
    """The sines (n, p) of the angles between directions x (n, d) and z (p, d), exactly 0 where they are parallel.

    Near 0 and π from the chord to the nearer of z and −z: |x ∓ z| is a difference of neighbours, hence accurate.
    """
    xp = namespace(x)
    cosines = x @ z.T
    sines = xp.sqrt(xp.maximum(1 - cosines**2, xp.zeros_like(cosines)))
    rounding = 16 * xp.finfo(x.dtype).eps * x.shape[1] ** 0.5
    close = xp.abs(cosines) > CLOSE
    for i in range(x.shape[0]):
        near = close[i]
        if bool(xp.any(near)):
            turned = z[near] * xp.sign(cosines[i][near])[:, None]
            chords = xp.linalg.vector_norm(x[i] - turned, axis=1)
            found = chords * xp.sqrt(1 - chords**2 / 4)
            sines[i][near] = xp.where(chords > rounding, found, xp.zeros_like(found))
    return sines
