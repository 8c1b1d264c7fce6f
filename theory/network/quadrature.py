"""Gaussian expectations of tanh, which has no closed form, as sums over Hermite functions (Mehler's formula).

With orthonormal Hermite polynomials h_k and a_k(l) = E[f(√l ζ) h_k(ζ)], ζ ~ N(0, 1),

    E[f(u) g(v)] = Σ_k a_k(E u²) b_k(E v²) ρ^k,   ρ the correlation of u and v.

By Cauchy and Schwarz what is left out is at most the root of the product of the energies Σ_{k>K} a_k² and Σ_{k>K} b_k²,
which Parseval gives: Σ_k a_k² = E f². Derived in theory/derivations.md, section 2.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from theory.arrays import Array, like, namespace, to_numpy
from theory.errors import InvalidInput

Function = Callable[[np.ndarray], np.ndarray]

# The energy that the terms left out may hold: the expectation is then good to 1e-11 √(E f² E g²).
LEFT_OUT = 1e-11

# Terms beyond which a variance is refused; tanh is then all but a sign.
MOST = 4096

# Beyond |ζ| = 12.5 the Gaussian holds e^-78; Hermite functions bounded by 1 times its root hold 1e-17.
REACH = 12.5


def _squared_slope(z: np.ndarray) -> np.ndarray:
    """tanh' = 1 − tanh², without cancellation where tanh is near 1."""
    return 1 / np.cosh(np.minimum(np.abs(z), 350.0)) ** 2


DERIVATIVES: tuple[Function, ...] = (
    np.tanh,
    _squared_slope,
    lambda z: -2 * np.tanh(z) * _squared_slope(z),
    lambda z: (4 - 6 * _squared_slope(z)) * _squared_slope(z),
)


def tanh_dual(cross: Array, left: Array, right: Array, orders: tuple[int, int]) -> Array:
    """E[tanh^(a)(u_i) tanh^(b)(v_k)], shape (n, p), of E uv `cross`, E u² `left` (n,), E v² `right` (p,)."""
    return _mehler(DERIVATIVES[orders[0]], DERIVATIVES[orders[1]], cross, left, right)


def tanh_dual_quartic(cross: Array, left: Array, right: Array) -> Array:
    """E[ψ(u_i) ψ(v_k)] with ψ = tanh tanh', shape (n, p)."""

    def product(z: np.ndarray) -> np.ndarray:
        return np.tanh(z) * _squared_slope(z)

    return _mehler(product, product, cross, left, right)


def _mehler(f: Function, g: Function, cross: Array, left: Array, right: Array) -> Array:
    """Σ_k a_k b_k ρ^k by Horner's rule, in the precision and on the device of `cross`."""
    xp = namespace(cross)
    first, second = _coefficients(f, to_numpy(left)), _coefficients(g, to_numpy(right))
    terms = min(first.shape[1], second.shape[1])
    scale = xp.sqrt(left)[:, None] * xp.sqrt(right)[None, :]
    rho = xp.where(scale > 0, cross / xp.where(scale > 0, scale, xp.ones_like(scale)), xp.zeros_like(scale))
    rho = xp.clip(rho, -1, 1)
    a, b = like(first, cross), like(second, cross)
    total = xp.zeros_like(cross)
    for k in reversed(range(terms)):
        total = total * rho + a[:, k, None] * b[None, :, k]
    return total


def _coefficients(f: Function, variances: np.ndarray) -> np.ndarray:
    """a_k(l) = E[f(√l ζ) h_k(ζ)] for variances l (n,), shape (n, K), K as many as the energy left out allows.

    By the trapezoidal rule, which converges exponentially here: tanh is analytic up to |Im √l ζ| = π/2, so that the
    step below leaves e^-75 of its singularities, and of Hermite functions up to order K, of frequency √K, e^-36.
    """
    distinct, where = np.unique(variances, return_inverse=True)
    spread = math.sqrt(distinct[-1])
    for terms in (32, 64, 128, 256, 512, 1024, 2048, MOST):
        nodes, weights = _nodes(min(0.13 / max(spread, 1.0), 1 / math.sqrt(terms)))
        values = f(np.sqrt(distinct)[:, None] * nodes)
        found = values @ (_hermite(nodes, terms) * weights).T
        energy = values**2 @ (weights * _ground(nodes))
        missing = energy - (found**2).sum(axis=1)
        if np.all(missing <= LEFT_OUT * energy):
            return found[where]
    raise InvalidInput("covariance", distinct[-1], f"E u² is too large for tanh: {MOST} Hermite terms do not suffice")


def _nodes(step: float) -> tuple[np.ndarray, np.ndarray]:
    """Equidistant nodes, and step times the root of the Gaussian density there."""
    half = math.ceil(REACH / step)
    nodes = step * np.arange(-half, half + 1)
    return nodes, step * _ground(nodes)


def _ground(nodes: np.ndarray) -> np.ndarray:
    """(2π)^(−¼) exp(−ζ²/4), the root of the Gaussian density."""
    return np.exp(-(nodes**2) / 4) / (2 * math.pi) ** 0.25


def _hermite(nodes: np.ndarray, terms: int) -> np.ndarray:
    """Hermite functions h_k(ζ) times the root of the Gaussian density, shape (K, M), by their recurrence."""
    table = np.empty((terms, len(nodes)))
    table[0] = _ground(nodes)
    table[1] = nodes * table[0]
    for k in range(2, terms):
        table[k] = (nodes * table[k - 1] - math.sqrt(k - 1) * table[k - 2]) / math.sqrt(k)
    return table
