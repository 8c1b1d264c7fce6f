"""Misalignment M(A, B): the Jeffreys divergence from N(0, B) to the nearest Gaussian aligned with A.

Everything is computed as a sum of squares, so that M² is never negative and keeps its digits near alignment, where
the textbook form Σ_i sqrt(tr(P_i B) tr(P_i B⁻¹)) − d loses them all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import poch

from theory.arrays import Array, namespace, symmetric, to_numpy, unit
from theory.eigenspaces import Eigenspaces, matching
from theory.errors import InvalidInput


def misalignment(spaces: Eigenspaces, second_moment: Array, /) -> Array:
    """M(A, B) = sqrt(M²), see `misalignment_squared`. `second_moment` B (..., d, d) → (...)."""
    squared = misalignment_squared(spaces, second_moment)
    return namespace(squared).sqrt(squared)


def misalignment_squared(spaces: Eigenspaces, second_moment: Array, /) -> Array:
    """M(A, B)² = Σ_i sqrt(tr(P_i B) tr(P_i B⁻¹)) − d (arXiv:2006.10455, Def. 2). Exact.

    It is the infimum of `jeffreys(Σ, B)` over positive definite Σ aligned with A, attained by `closest_aligned`, and
    is evaluated there, as ½ ‖Σ*^(−½) (B − Σ*) B^(−½)‖²_F. Rounding changes M by about δ (1 + M), with δ = d eps κ(B)
    and κ the condition number: near alignment M² by 2 M δ + δ², where the sum of square roots would lose δ.

    Parameters
    ----------
    spaces : Eigenspaces
        The eigenspaces of A, the second moment of the data; its eigenvalues do not matter.
    second_moment : Array, shape (..., d, d)
        B = Σ_w, positive definite.

    Returns
    -------
    Array, shape (...)
        At least 0, and 0 exactly at alignment (up to δ²). Unchanged by B → cB, by B → B⁻¹, and by turning A
        and B together.

    Raises
    ------
    InvalidInput
        If B is not finite, symmetric and positive definite. A singular B has M = ∞: the rank is named, since a second
        moment of fewer vectors than dimensions is the usual cause.

    Examples
    --------
    >>> import numpy as np
    >>> from theory.eigenspaces import eigenspaces
    >>> spaces = eigenspaces(np.diag([1.0, 2.0, 2.0]))
    >>> float(misalignment_squared(spaces, np.diag([5.0, 1.0, 1.0])))
    0.0
    >>> round(float(misalignment_squared(spaces, np.diag([5.0, 1.0, 4.0]))), 12)  # sqrt(5 · 5/4) − 2
    0.5
    """
    turned, factor, _ = _in_eigenbasis(spaces, second_moment)
    xp = namespace(turned)
    scales = _aligned_scales(spaces, turned, factor)
    difference = turned - scales[..., None] * xp.eye(spaces.dimension, dtype=turned.dtype, device=factor.device)
    return xp.sum((difference @ factor) ** 2 / scales[..., None], axis=(-2, -1)) / 2


def closest_aligned(spaces: Eigenspaces, second_moment: Array, /) -> Array:
    """Σ* = Σ_i sqrt(tr(P_i B) / tr(P_i B⁻¹)) P_i, the minimiser in M's definition (theory/derivations.md, 3.3). Exact.

    `second_moment` B (..., d, d), positive definite → (..., d, d), aligned with A. Raises InvalidInput as
    `misalignment_squared` does.
    """
    turned, factor, power = _in_eigenbasis(spaces, second_moment)
    scales = _aligned_scales(spaces, turned, factor)
    return (spaces.basis * scales[..., None, :]) @ spaces.basis.T * power


def jeffreys(first: Array, second: Array, /) -> Array:
    """tr(½ Σ⁻¹ B + ½ B⁻¹ Σ) − d, the sum of both Kullback–Leibler divergences between N(0, Σ) and N(0, B).

    Evaluated as ½ ‖Σ^(−½) (B − Σ) B^(−½)‖²_F, which is the same and cannot be negative. Exact; symmetric in Σ and B.

    `first` Σ and `second` B (..., d, d), positive definite, of one dtype → (...), batches broadcast. Raises
    InvalidInput for matrices that are not finite, symmetric and positive definite.
    """
    xp = namespace(first, second)
    first, second = symmetric("first", first), symmetric("second", second)
    if first.shape[-1] != second.shape[-1]:
        raise InvalidInput("second.shape", tuple(second.shape), f"must end as first.shape = {tuple(first.shape)} does")
    if first.dtype != second.dtype:
        raise InvalidInput("second.dtype", str(second.dtype), f"must be {first.dtype}, as that of first")
    _, power = unit(first)
    first, second = first / power, second / power
    left, right = _inverse_factor("first", first, power), _inverse_factor("second", second, power)
    return xp.sum((xp.matrix_transpose(left) @ (second - first) @ right) ** 2, axis=(-2, -1)) / 2


@dataclass(frozen=True)
class NullFloor:
    """The expected M² of a second moment estimated from finitely many vectors under perfect alignment.

    Attributes
    ----------
    value : float
        The expected M²; infinite for N = d.
    standard_error : float
        The standard error of the Monte Carlo part; 0 if exact, infinite for N = d + 1, where M² has a mean but no
        variance.
    method : str
        "exact", or "Monte Carlo" with the number of draws.
    """

    value: float
    standard_error: float
    method: str


def null_floor(multiplicity: Sequence[int], vectors: int, /, *, seed: int = 0, draws: int = 100_000) -> NullFloor:
    """E[M²] when B = (1/N) Σ_n w_n w_nᵀ for N independent Gaussian vectors whose covariance is aligned with A.

    M is biased upward by sampling; this is by how much. It depends on N, d and the multiplicities m_i alone, since
    M(A, B) = M(A, gBg) for the commuting g = Σ_w^(−½). With n = N − d + m, the block of B on an eigenspace is
    S + H, S ~ Wishart_m(n) the inverse of B⁻¹'s block, H ~ Wishart_m(d − m) independent of it; tr S and tr H are
    χ², independent of S / tr S, so that (derived in theory/derivations.md; Γ-quotients from Beta moments)

        E[M²] + d = Σ_i  Γ((mn−1)/2) Γ(mN/2) / (Γ(mn/2) Γ((mN−1)/2)) · K(m, n),   K(m, n) = E sqrt(tr S tr S⁻¹).

    K(1, n) = 1, K(2, n) = 2 (n−1)/(n−2) (the sphericity 2 sqrt(det S)/tr S of a 2 × 2 Wishart matrix has the
    distribution function x^(n−1)): exact for m_i ≤ 2. For m ≥ 3, K is a Monte Carlo mean over bidiagonal matrices
    with χ entries and the spectrum of S (arXiv:math-ph/0206043). For N ≫ d the sum is [d(d+1) − 2k] / (2N).

    For the neurons of one network, which depend on each other, it is a lower limit.

    Parameters
    ----------
    multiplicity : sequence of int
        m_i of every eigenspace of A, summing to d.
    vectors : int
        N ≥ d.
    seed, draws : int
        The seed and the number of draws of the Monte Carlo mean.

    Examples
    --------
    >>> round(null_floor([1] * 6, 50).value, 4)
    0.3354
    """
    if not len(multiplicity) or not all(_is_integer(m) and m >= 1 for m in multiplicity):
        raise InvalidInput("multiplicity", multiplicity, "must be positive integers")
    d = sum(multiplicity)
    if not _is_integer(vectors) or vectors < d:
        raise InvalidInput(
            "vectors", vectors, f"must be an integer >= {d}: fewer vectors than dimensions span too little"
        )
    if not _is_integer(draws) or draws < 2:
        raise InvalidInput("draws", draws, "must be an integer >= 2")
    repeated = max(multiplicity) > 2
    if vectors == d or d == 1:
        return NullFloor(0.0 if d == 1 else math.inf, 0.0, "exact")
    generator = np.random.default_rng(seed)
    value, variance = 0.0, 0.0
    for m, count in sorted(Counter(multiplicity).items()):
        n = vectors - d + m
        mixing = float(poch(m * n / 2, -0.5) / poch(m * vectors / 2, -0.5))  # quotients Γ(x − ½)/Γ(x)
        mean, standard_error = _mean_sphericity(int(m), int(n), generator, draws)
        value += count * (mixing * mean - m)
        variance += (count * mixing * standard_error) ** 2
    if repeated and vectors == d + 1:
        variance = math.inf
    return NullFloor(value, math.sqrt(variance), f"Monte Carlo, {draws} draws" if repeated else "exact")


def _mean_sphericity(m: int, n: int, generator: np.random.Generator, draws: int) -> tuple[float, float]:
    """K(m, n) = E sqrt(tr S tr S⁻¹), S ~ Wishart_m(n), with its standard error."""
    if m == 1:
        return 1.0, 0.0
    if m == 2:
        return 2 * (n - 1) / (n - 2), 0.0
    # S = L Lᵀ in spectrum, L bidiagonal: independent diag² χ²(n), …, χ²(n−m+1), below it χ²(m−1), …, χ²(1). Row i of
    # L⁻¹ is (e_i − L_{i,i−1} row_{i−1}) / L_ii, its two terms orthogonal: a recursion for the squared norms.
    trace = np.zeros(draws)
    inverse_trace = np.zeros(draws)
    row = np.zeros(draws)
    below = np.zeros(draws)
    for i in range(m):
        diagonal = generator.chisquare(n - i, draws)
        row = (1 + below * row) / diagonal
        inverse_trace += row
        trace += diagonal + below
        below = generator.chisquare(m - 1 - i, draws) if i < m - 1 else below
    samples = np.sqrt(trace * inverse_trace)
    return float(samples.mean()), float(samples.std(ddof=1) / math.sqrt(draws))


def _in_eigenbasis(spaces: Eigenspaces, second_moment: Array) -> tuple[Array, Array, Array]:
    """Vᵀ B V, and Vᵀ F with F Fᵀ = B⁻¹, of B over the power of two that is the third: no scale of B overflows."""
    matrix, power = unit(matching(spaces, "second_moment", second_moment))
    factor = _inverse_factor("second_moment", matrix, power)
    return spaces.basis.T @ matrix @ spaces.basis, spaces.basis.T @ factor, power


def _aligned_scales(spaces: Eigenspaces, turned: Array, factor: Array) -> Array:
    """The eigenvalues sqrt(tr(P_i B) / tr(P_i B⁻¹)) of Σ*, one a column of the basis, shape (..., d)."""
    xp = namespace(turned)
    diagonal = xp.linalg.diagonal(turned)
    inverse = xp.sum(factor**2, axis=-1)
    scales = []
    for s in spaces.slices:
        ratio = xp.sum(diagonal[..., s], axis=-1, keepdims=True) / xp.sum(inverse[..., s], axis=-1, keepdims=True)
        scales.append(xp.sqrt(ratio) * xp.ones_like(diagonal[..., s]))
    return xp.concat(scales, axis=-1)


def _inverse_factor(name: str, matrix: Array, power: Array) -> Array:
    """F with F Fᵀ = B⁻¹; raises InvalidInput, in the units of B · `power`, unless every B is positive definite."""
    xp = namespace(matrix)
    eigenvalues, vectors = xp.linalg.eigh(matrix)
    d = matrix.shape[-1]
    largest = xp.max(xp.abs(eigenvalues), axis=-1, keepdims=True)
    floor = d * xp.finfo(matrix.dtype).eps * largest
    if bool(xp.any(eigenvalues < -floor)):
        least = float(xp.min(eigenvalues * power[..., 0]))
        raise InvalidInput(name, f"an eigenvalue {least:.3g}", "must be positive definite")
    if bool(xp.any(eigenvalues <= floor)):
        rank = int(np.min(np.sum(to_numpy(eigenvalues) > to_numpy(floor), axis=-1)))
        rule = "must be positive definite: a singular matrix is infinitely misaligned (project, or regularise)"
        raise InvalidInput(name, f"rank {rank} in dimension {d}", rule)
    return vectors / xp.sqrt(eigenvalues)[..., None, :]


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
