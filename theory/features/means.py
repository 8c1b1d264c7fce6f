"""Estimates for the means of feature matrices from independent networks, corrected for the noise of single networks.

One network's WᵀW and AGOP share its initial weights, and are therefore similar before anything is learned. Products of
matrices of two *different* networks have no such part: their mean over pairs is an unbiased estimate of the product of
the means. All functions return R + 1 values, from all networks and leaving out each one, as the jackknife needs.
"""

from __future__ import annotations

import numpy as np

from theory.arrays import power_of_two
from theory.eigenspaces import Eigenspaces
from theory.errors import InvalidInput


def mean_correlation(first: np.ndarray, second: np.ndarray, /) -> np.ndarray:
    """The correlation of E A₀ with E B₀, A₀ = A − (tr A/d) I, (R + 1,).

    `first` A and `second` B (R, d, d), symmetric, of the same R networks. It may exceed 1 by its error; NaN where the
    estimate of a square is not positive.
    """
    a, b = _flat("first", first), _flat("second", second)
    if a.shape != b.shape:
        raise InvalidInput("second.shape", second.shape, f"must be {first.shape}")
    return _ratio(_product(a, b), _product(a, a), _product(b, b))


def aligned_part(spaces: Eigenspaces, matrices: np.ndarray, /) -> np.ndarray:
    """‖Π(E A₀)‖/‖E A₀‖, (R + 1,): the largest correlation that E A₀ has with any matrix aligned with Σ_x.

    Π is the average over rotations that commute with Σ_x, whose eigenspaces are `spaces`; `matrices` (R, d, d). 1 under
    alignment; NaN where the estimate of a square is not positive.
    """
    a, d = _flat("matrices", matrices), spaces.dimension
    if matrices.shape[1] != d:
        raise InvalidInput("matrices.shape", matrices.shape, f"must be (R, {d}, {d}), as the data are")
    basis = np.asarray(spaces.basis)
    along = np.einsum("ik,rij,jk->rk", basis, a.reshape(matrices.shape), basis, optimize=True)
    parts = [along[:, s].sum(axis=1) / np.sqrt(s.stop - s.start) for s in spaces.slices]
    p = np.stack(parts, axis=1)  # in the orthonormal basis P_i/√m_i of the aligned matrices
    square, whole = _product(p, p), _product(a, a)
    return _ratio(square, square, whole)


def axis_part(spaces: Eigenspaces, matrices: np.ndarray, /) -> np.ndarray:
    """How much of what is not aligned in E A lies along the coordinate axes, (R + 1,): ‖Q(E N)‖²/‖E N‖².

    N = A − Π(A) is what is not aligned with Σ_x, whose eigenspaces are `spaces`, and Q projects on the matrices
    D − Π(D) of all diagonal D: 1 where E A is aligned but for a diagonal matrix. `matrices` (R, d, d), symmetric. To
    be compared with `axis_chance`; theory/derivations.md, section 3.9. NaN where the estimate of ‖E N‖² is not
    positive.
    """
    d = spaces.dimension
    a = _flat("matrices", matrices).reshape(matrices.shape)
    if matrices.shape[1] != d:
        raise InvalidInput("matrices.shape", matrices.shape, f"must be (R, {d}, {d}), as the data are")
    n = _outside(spaces, a)
    p = n @ _axes(spaces).T
    square, whole = _product(p, p), _product(n, n)
    return np.asarray(square / np.where(whole > 0, whole, np.nan))


def axis_chance(spaces: Eigenspaces, /) -> float:
    """The mean of `axis_part` if E N had a uniformly random direction: r/(d(d + 1)/2 − k).

    r is the dimension of the matrices D − Π(D), d − 1 in general and 0 where the axes are eigenvectors of Σ_x; k is the
    number of eigenspaces. NaN in one dimension.
    """
    d, k = spaces.dimension, len(spaces.multiplicity)
    unaligned = d * (d + 1) // 2 - k
    return len(_axes(spaces)) / unaligned if unaligned else float("nan")


def _outside(spaces: Eigenspaces, matrices: np.ndarray) -> np.ndarray:
    """A − Π(A) in the eigenbasis, flat, (R, d²)."""
    basis = np.asarray(spaces.basis)
    found = np.einsum("ik,rij,jl->rkl", basis, matrices, basis, optimize=True)
    for s in spaces.slices:
        here = range(s.start, s.stop)
        found[:, here, here] -= found[:, here, here].mean(axis=1, keepdims=True)
    return np.asarray(found.reshape(len(found), -1))


def _axes(spaces: Eigenspaces) -> np.ndarray:
    """An orthonormal basis (r, d²) of the D − Π(D); a matrix of length 1 that keeps less than 1e-6 counts as 0."""
    d = spaces.dimension
    units = np.zeros((d, d, d))
    units[range(d), range(d), range(d)] = 1
    _, lengths, directions = np.linalg.svd(_outside(spaces, units), full_matrices=False)
    return np.asarray(directions[lengths > 1e-6])


def jackknife(values: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """The value from all networks and its standard error, from values (R + 1, ...) of all and leaving out each one."""
    left = values[1:]
    count = len(left)
    return values[0], np.sqrt((count - 1) / count * np.sum((left - left.mean(axis=0)) ** 2, axis=0))


def _flat(name: str, matrices: np.ndarray) -> np.ndarray:
    if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2] or len(matrices) < 3:
        raise InvalidInput(f"{name}.shape", matrices.shape, "must be (R, d, d) of at least three networks")
    if not np.isfinite(matrices).all():
        raise InvalidInput(name, "nan or inf", "must be finite")
    d = matrices.shape[1]
    matrices = matrices / power_of_two(float(np.abs(matrices).max()))  # a ratio of squares, which may be no doubles
    traces = np.trace(matrices, axis1=1, axis2=2)
    return np.asarray((matrices - traces[:, None, None] / d * np.eye(d)).reshape(len(matrices), -1))


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The mean of a_r · b_s over pairs r ≠ s, of all and leaving out each."""
    total_a, total_b = a.sum(axis=0), b.sum(axis=0)
    own = np.einsum("ri,ri->r", a, b)
    whole = total_a @ total_b - own.sum()
    without = whole - a @ total_b - b @ total_a + 2 * own
    count = len(a)
    return np.concatenate(([whole / (count * (count - 1))], without / ((count - 1) * (count - 2))))


def _ratio(product: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    squares = np.where((first > 0) & (second > 0), first, np.nan) * np.where(second > 0, second, np.nan)
    return np.asarray(product / np.sqrt(squares))
