"""Networks with one hidden layer, the slow way: duals by quadrature in the plane, kernels from published formulas."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy import special
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

Function = Callable[[np.ndarray], np.ndarray]


def bell(z: np.ndarray) -> np.ndarray:
    """erf', the bell curve."""
    return 2 / np.sqrt(np.pi) * np.exp(-(z**2))


# φ, φ', φ'', φ'''
DERIVATIVES: dict[str, tuple[Function, ...]] = {
    "erf": (
        special.erf,
        bell,
        lambda z: -2 * z * bell(z),
        lambda z: (4 * z**2 - 2) * bell(z),
    ),
    "tanh": (
        np.tanh,
        lambda z: 1 - np.tanh(z) ** 2,
        lambda z: -2 * np.tanh(z) * (1 - np.tanh(z) ** 2),
        lambda z: (6 * np.tanh(z) ** 2 - 2) * (1 - np.tanh(z) ** 2),
    ),
}


gauss_legendre = cache(np.polynomial.legendre.leggauss)


def plane_expectation(f: Function, g: Function, left: float, right: float, cross: float) -> float:
    """E f(u) g(v) for smooth f and g, by Gauss and Legendre on 500 × 500 nodes of the square |ζ| <= 9."""
    nodes, weights = gauss_legendre(500)
    nodes, weights = 9 * nodes, 9 * weights * norm.pdf(9 * nodes)
    slope = cross / left**0.5
    v = slope * nodes[:, None] + max(right - slope**2, 0) ** 0.5 * nodes[None, :]
    return float((weights * f(left**0.5 * nodes)) @ g(v) @ weights)


def relu_expectation(orders: tuple[int, int], left: float, right: float, cross: float) -> float:
    """ReLU's duals of orders (0, 0), (1, 1), (2, 0) and (2, 2), from their definitions.

    In polar coordinates (u, v) = r (√l cos ψ, √r' cos(ψ − θ)), ∫ r³ exp(−r²/2) dr = 2 and ∫ r exp(−r²/2) dr = 1;
    E δ(u) φ(v) is the density of u at 0 times E φ(v) given u = 0, and E δ(u) δ(v) the density of (u, v) at 0.
    """
    theta = np.arccos(cross / (left * right) ** 0.5)
    start, end = theta - np.pi / 2, np.pi / 2  # where both are positive
    if orders == (0, 0):
        angular = quad(lambda psi: np.cos(psi) * np.cos(psi - theta), start, end, epsabs=1e-13)[0]
        return 2 * (left * right) ** 0.5 * angular / (2 * np.pi)
    if orders == (1, 1):
        return (end - start) / (2 * np.pi)
    if orders == (2, 0):
        spread = (right - cross**2 / left) ** 0.5
        mean = quad(lambda z: spread * z * norm.pdf(z), 0, 40, epsabs=1e-13, limit=200)[0]
        return norm.pdf(0) / left**0.5 * mean
    return float(multivariate_normal.pdf([0, 0], cov=[[left, cross], [cross, right]]))


def published_relu(rows: np.ndarray, weight: float, output: float) -> tuple[np.ndarray, np.ndarray]:
    """NNGP and NTK of Dense – Relu – Dense as neural-tangents computes them (arXiv:1912.02803), W_std² given.

    Cov_0 = W_1² x·z/d, then with prod = Cov_xx Cov_zz; NTK = NNGP + W_2² P Cov_0.
    """
    cov = weight * rows @ rows.T / rows.shape[1]
    prod = np.outer(cov.diagonal(), cov.diagonal())
    sqrt = np.sqrt(np.maximum(prod - cov**2, 1e-30))
    angles = np.arctan2(sqrt, cov)
    dot_sigma = (1 - angles / np.pi) / 2
    kernel = (sqrt / np.pi + (1 - angles / np.pi) * cov) / 2
    return output * kernel, output * (kernel + dot_sigma * cov)


def published_erf(rows: np.ndarray, weight: float, output: float) -> tuple[np.ndarray, np.ndarray]:
    """The same for Dense – Erf – Dense (Williams 1997; arXiv:1902.06720, appendix)."""
    cov = weight * rows @ rows.T / rows.shape[1]
    first, second = 1 + 2 * cov.diagonal()[:, None], 1 + 2 * cov.diagonal()[None, :]
    kernel = 2 / np.pi * np.arcsin(2 * cov / np.sqrt(first * second))
    slope = 4 / np.pi / np.sqrt(first * second - 4 * cov**2)
    return output * kernel, output * (kernel + slope * cov)


# φ and φ' as they train: of ReLU with φ'(0) = 0.
TRAINABLE: dict[str, tuple[Function, Function]] = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "erf": DERIVATIVES["erf"][:2],
    "tanh": DERIVATIVES["tanh"][:2],
}


def descend(
    activation: str,
    rows: np.ndarray,
    targets: np.ndarray,
    weights: tuple[np.ndarray, np.ndarray],
    rate: float,
    steps: int,
    trained: str = "all",
    subtract: bool = False,
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Gradient descent of f = m^(−½) Σ_c,j a_jc φ(w_j·x) on ½ mean ‖f − y‖², gradients by hand; y (n,) or (n, C).

    Returns the weights W (m, d), a (m,) or (m, C) after the last step, and the losses (steps + 1,).
    """
    phi, slope = TRAINABLE[activation]
    w, a = weights
    root, n, losses = len(w) ** 0.5, len(rows), []
    initial = phi(rows @ w.T) @ a / root if subtract else 0.0
    for step in range(steps + 1):
        z = rows @ w.T
        h = phi(z)
        residual = h @ a / root - initial - targets
        losses.append(float((residual**2).sum()) / (2 * n))
        if step < steps:
            back = residual.reshape(n, -1) @ a.reshape(len(w), -1).T * slope(z)
            move = h.T @ residual
            if trained != "last":
                w = w - rate / (n * root) * back.T @ rows
            if trained != "first":
                a = a - rate / (n * root) * move
    return (w, a), np.array(losses)
