"""Gaussian expectations of tanh, which has no closed form: Hermite series, and the trapezoidal rule.

With orthonormal Hermite polynomials h_k and a_k(l) = E[f(√l ζ) h_k(ζ)], ζ ~ N(0, 1), Mehler's formula is

    E[f(u) g(v)] = Σ_k a_k(E u²) b_k(E v²) ρ^k,   ρ the correlation of u and v.

By Cauchy and Schwarz the terms k >= K hold at most |ρ|^K √(E f² E g²). Pairs with |ρ| near 1, few in general, are
integrated in the plane instead. Trapezoidal rules converge exponentially, since tanh is analytic for |Im z| < π/2:
derived in theory/derivations.md, section 2.1. Measured for E u² up to 9 and all orders: within 1e-13 √(E f² E g²), with
557 nodes for a coefficient and up to 87 × 29 in the plane at E u² = 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from theory.arrays import Array, like, namespace, to_numpy
from theory.errors import InvalidInput

ScalarFunction = Callable[[Array], Array]

# The largest share of √(E f² E g²) in the Hermite terms that are left out.
LEFT_OUT = 1e-11
# The largest |ρ| for which Hermite terms are summed; pairs beyond it are integrated in the plane.
FAR = 0.95
# The number of Hermite terms after which no more is left out up to |ρ| = FAR: 494, of which every second one is 0.
TERMS = math.ceil(math.log(LEFT_OUT) / math.log(FAR))

# The step on ζ where a function has unit spread: singularities at distance π/(2√l) leave e^(−2π · π/(2 · 0.2)) = e^−49,
# times powers of 2π/0.2 since those of derivatives are of higher order.
STEP = 0.2
# The largest step on ζ: the Gaussian leaves e^(−2π²/0.7²).
LARGEST_STEP = 0.7

# The largest |ζ| of the nodes: beyond it the Gaussian holds 2e-17.
REACH = 8.5
# The largest |ζ| of the nodes for coefficients: beyond it Hermite functions, bounded by 1 times the
# Gaussian's root, hold 2e-17.
HERMITE_REACH = 12.5

# The largest E u²: beyond it tanh is all but a sign, and the rules need too many nodes.
LARGEST_VARIANCE = 1e4

# The numbers in a block: a megabyte.
BLOCK = 2**17


def tanh_dual(cross: Array, left: Array, right: Array, orders: tuple[int, int]) -> Array:
    """E[tanh^(a)(u_i) tanh^(b)(v_k)], a + b even, shape (n, p), of E uv `cross`, E u² `left`, E v² `right`."""
    return _expectation(DERIVATIVES[orders[0]], DERIVATIVES[orders[1]], (orders[0] + 1) % 2, cross, left, right)


def tanh_dual_quartic(cross: Array, left: Array, right: Array) -> Array:
    """E[ψ(u_i) ψ(v_k)] with ψ = tanh tanh', shape (n, p)."""

    def product(z: Array) -> Array:
        return _tanh(z) * _slope(z)

    return _expectation(product, product, 1, cross, left, right)


def _tanh(z: Array) -> Array:
    return namespace(z).tanh(z)


def _slope(z: Array) -> Array:
    """tanh' = 1 − tanh² = 4e^(−2|z|)/(1 + e^(−2|z|))², which loses no digits where tanh is near 1."""
    xp = namespace(z)
    decayed = xp.exp(-2 * xp.abs(z))
    return 4 * decayed / (1 + decayed) ** 2


# The function tanh and its first three derivatives.
DERIVATIVES: tuple[ScalarFunction, ...] = (
    _tanh,
    _slope,
    lambda z: -2 * _tanh(z) * _slope(z),
    lambda z: (4 - 6 * _slope(z)) * _slope(z),
)


def _expectation(f: ScalarFunction, g: ScalarFunction, parity: int, cross: Array, left: Array, right: Array) -> Array:
    """E f(u_i) g(v_k), f and g both even (`parity` 0) or both odd (1), in blocks of rows that stay in the cache."""
    xp = namespace(cross)
    largest = max(float(xp.max(left)), float(xp.max(right)))
    if largest > LARGEST_VARIANCE:
        raise InvalidInput("covariance", largest, f"gives an E u² too large for tanh: at most {LARGEST_VARIANCE:g}")
    a, b = (like(_coefficients(h, to_numpy(v))[:, parity::2], cross) for h, v in ((f, left), (g, right)))
    first, second = xp.sqrt(left), xp.sqrt(right)
    blocks = []
    for rows in _blocks(cross.shape[0], BLOCK // cross.shape[1]):
        scale = first[rows][:, None] * second[None, :]
        rho = xp.clip(cross[rows] / xp.where(scale > 0, scale, xp.ones_like(scale)), -1.0, 1.0)
        near = xp.abs(rho) > FAR
        total = _mehler(a[rows], b, parity, xp.where(near, xp.zeros_like(rho), rho))
        if bool(xp.any(near)):
            i, j = xp.nonzero(near)
            total[i, j] = _plane(f, g, first[rows][i], second[j], rho[i, j])
        blocks.append(total)
    return xp.concat(blocks)


def _mehler(a: Array, b: Array, parity: int, rho: Array) -> Array:
    """Σ_k a_k b_k ρ^k over k ≡ `parity` (mod 2) by Horner's rule, until powers of the largest |ρ| leave too little."""
    xp = namespace(rho)
    square, largest = rho**2, max(float(xp.max(xp.abs(rho))), 1e-6)
    terms = min(a.shape[1], 1 + math.ceil(math.log(LEFT_OUT) / (2 * math.log(largest))))
    total = xp.zeros_like(rho)
    for k in reversed(range(terms)):
        total = total * square + a[:, k, None] * b[None, :, k]
    return total * rho if parity else total


def _plane(f: ScalarFunction, g: ScalarFunction, first: Array, second: Array, rho: Array) -> Array:
    """E f(√l ζ) g(√r(ρζ + √(1 − ρ²) ξ)) for pairs (√l, √r, ρ), each of shape (N,), by the trapezoidal rule in ζ and ξ.

    The nearer to parallel a pair is, the fewer nodes it needs in ξ: blocks are of pairs alike.
    """
    xp = namespace(rho)
    sine = xp.sqrt(xp.maximum(1 - rho**2, xp.zeros_like(rho)))
    order = xp.argsort(sine * second)
    spread = max(float(xp.max(first)), float(xp.max(second)))
    along, density = (like(values, rho) for values in _rule(spread))
    found = xp.zeros_like(rho)
    for pairs in _blocks(rho.shape[0], max(BLOCK // (along.shape[0] * 32), 1)):
        here = order[pairs]
        across, weights = (like(values, rho) for values in _rule(float(xp.max((sine * second)[here]))))
        v = (second * rho)[here][:, None, None] * along[:, None] + (second * sine)[here][:, None, None] * across
        inner = g(v) @ weights
        found[here] = (f(first[here][:, None] * along) * inner) @ density
    return found


def _rule(spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes on ζ, and weights with the Gaussian density, for functions of spread · ζ."""
    step = min(LARGEST_STEP, STEP / max(spread, STEP))
    half = math.ceil(REACH / step)
    nodes = step * np.arange(-half, half + 1)
    return nodes, step * np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)


def _coefficients(f: ScalarFunction, variances: np.ndarray) -> np.ndarray:
    """a_k(l) = E[f(√l ζ) h_k(ζ)] for k < TERMS and variances l (n,), shape (n, TERMS), by the trapezoidal rule.

    The step resolves Hermite functions up to order K, of frequency √K, too.
    """
    distinct, where = np.unique(variances, return_inverse=True)
    step = min(STEP / max(math.sqrt(distinct[-1]), 1.0), 1 / math.sqrt(TERMS))
    half = math.ceil(HERMITE_REACH / step)
    nodes = step * np.arange(-half, half + 1)
    ground = np.exp(-(nodes**2) / 4) / (2 * math.pi) ** 0.25
    return (f(np.sqrt(distinct)[:, None] * nodes) @ (step * ground * _hermite(nodes, ground)).T)[where]


def _hermite(nodes: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """h_k(ζ) times the root of the Gaussian density `ground`, shape (TERMS, M), by their recurrence."""
    table = np.empty((TERMS, len(nodes)))
    table[0] = ground
    table[1] = nodes * ground
    for k in range(2, TERMS):
        table[k] = (nodes * table[k - 1] - math.sqrt(k - 1) * table[k - 2]) / math.sqrt(k)
    return table


def _blocks(length: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` rows, or one, that cover 0 … length − 1."""
    size = max(size, 1)
    return (slice(first, first + size) for first in range(0, length, size))
