"""Slow, literal versions of the linear algebra, for the tests: sums and definitions as the papers write them."""

from __future__ import annotations

from itertools import permutations, product

import mpmath
import numpy as np
from scipy.linalg import block_diag
from scipy.optimize import minimize

from theory.eigenspaces import Eigenspaces


def projectors(spaces: Eigenspaces) -> list[np.ndarray]:
    """P_i = Σ_j v_j v_jᵀ over the basis vectors of eigenspace i."""
    found, start = [], 0
    for m in spaces.multiplicity:
        found.append(sum(np.outer(v, v) for v in spaces.basis.T[start : start + m]))
        start += m
    return found


def misalignment_squared(spaces: Eigenspaces, b: np.ndarray, digits: int = 60) -> float:
    """Σ_i sqrt(tr(P_i B) tr(P_i B⁻¹)) − d as written, with so many digits that cancellation does not matter.

    The basis is made orthonormal to all digits by Gram–Schmidt.
    """
    with mpmath.workdps(digits):
        d = len(b)
        basis: list[mpmath.matrix] = []
        for column in spaces.basis.T:
            v = mpmath.matrix(column.tolist())
            for u in basis:
                v = v - u * (u.T * v)[0]
            basis.append(v / mpmath.norm(v))
        exact = mpmath.matrix(b.tolist())
        inverse = exact**-1
        total, start = mpmath.mpf(-d), 0
        for m in spaces.multiplicity:
            block = basis[start : start + m]
            total += mpmath.sqrt(sum((v.T * exact * v)[0] for v in block) * sum((v.T * inverse * v)[0] for v in block))
            start += m
        return float(total)


def jeffreys(first: np.ndarray, second: np.ndarray) -> float:
    """tr(½ Σ⁻¹ B + ½ B⁻¹ Σ) − d as written."""
    inverse = np.linalg.inv
    return float(np.trace(inverse(first) @ second + inverse(second) @ first) / 2 - len(first))


def minimised_jeffreys(spaces: Eigenspaces, b: np.ndarray) -> tuple[float, np.ndarray]:
    """The least Jeffreys divergence from B over Σ = Σ_i exp(t_i) P_i, found numerically, and its minimiser Σ."""
    found = projectors(spaces)

    def aligned(t: np.ndarray) -> np.ndarray:
        return sum(np.exp(x) * p for x, p in zip(t, found, strict=True))

    start = np.full(len(found), np.log(np.trace(b) / len(b)))
    # the divergence is convex in t
    result = minimize(lambda t: jeffreys(aligned(t), b), start, method="BFGS", options={"gtol": 1e-9})
    return float(result.fun), aligned(result.x)


def finite_average(basis: np.ndarray, fixed: int, sizes: tuple[int, ...], b: np.ndarray) -> np.ndarray:
    """The average of g B gᵀ over all signed permutations g of the basis vectors within each block.

    Blocks of size 1: all sign flips. On larger blocks this finite group is irreducible and averages as O(m) does. The
    first `fixed` basis vectors stay.
    """
    blocks = [[np.eye(fixed)]] + [_signed_permutations(size) for size in sizes]
    total, count = np.zeros_like(b), 0
    for choice in product(*blocks):
        g = basis @ block_diag(*choice) @ basis.T
        total += g @ b @ g.T
        count += 1
    return total / count


def _signed_permutations(size: int) -> list[np.ndarray]:
    return [
        np.diag(signs)[list(order)]
        for signs in product([-1.0, 1.0], repeat=size)
        for order in permutations(range(size))
    ]


def operator_norm(matrix: np.ndarray) -> float:
    return float(np.linalg.norm(matrix, 2))
