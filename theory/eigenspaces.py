"""Eigenspaces with their multiplicities, spectral projectors, and the transfer function read on them.

Two eigenvalues belong to one eigenspace when the gap between neighbours is not larger than an explicit tolerance:
with finite precision, or finite data, "equal" needs a rule, and the rule is part of the result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from array_api_compat import device

from theory.arrays import Array, namespace, symmetric, to_numpy
from theory.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Eigenspaces:
    """The eigenspaces of a symmetric matrix, eigenvalues ascending.

    Attributes
    ----------
    eigenvalues : Array, shape (k,)
        The mean eigenvalue of each eigenspace.
    multiplicity : tuple of int, length k
        The dimensions m_i of the eigenspaces, summing to d.
    basis : Array, shape (d, d)
        Orthonormal columns, eigenspace after eigenspace.
    gap : float
        The absolute gap up to which neighbouring eigenvalues were joined (the largest one, if it varied).
    spread : tuple of float, length k, or empty
        The largest distance of a joined eigenvalue from the mean of its eigenspace; empty where all are zero.
    """

    eigenvalues: Array
    multiplicity: tuple[int, ...]
    basis: Array
    gap: float
    spread: tuple[float, ...] = ()

    @property
    def dimension(self) -> int:
        """d, the dimension of the whole space."""
        return sum(self.multiplicity)

    @property
    def slices(self) -> tuple[slice, ...]:
        """The columns of `basis` that span each eigenspace."""
        return tuple(slice(a, b) for a, b in pairwise(accumulate(self.multiplicity, initial=0)))

    @property
    def separations(self) -> tuple[float, ...]:
        """The distance from the eigenvalues of each eigenspace to all others of the matrix; infinite if k = 1."""
        values = to_numpy(self.eigenvalues)
        spread = self.spread or (0.0,) * len(values)
        between = [b - a - s - t for (a, b), (s, t) in zip(pairwise(values), pairwise(spread), strict=True)]
        return tuple(float(min(pair)) for pair in pairwise([math.inf, *between, math.inf]))

    @property
    def projectors(self) -> Array:
        """The spectral projectors P_i, shape (k, d, d); they sum to the identity."""
        xp = namespace(self.basis)
        return xp.stack([self.basis[:, s] @ self.basis[:, s].T for s in self.slices])

    @property
    def matrix(self) -> Array:
        """Σ_i λ_i P_i, shape (d, d)."""
        xp = namespace(self.basis)
        repeated = xp.concat(
            [xp.ones_like(self.basis[0, s]) * e for s, e in zip(self.slices, self.eigenvalues, strict=True)]
        )
        return (self.basis * repeated) @ self.basis.T


def eigenspaces(
    matrix: Array, /, *, gap: float | None = None, standard_errors: Sequence[float] | None = None
) -> Eigenspaces:
    """The eigenspaces of a symmetric matrix A = Σ_i λ_i P_i.

    Neighbouring eigenvalues are joined while λ_{j+1} − λ_j ≤ tolerance. The tolerance is `gap` · ‖A‖ (operator norm),
    by default 64 d eps ‖A‖: the rounding error of a symmetric eigensolver. With `standard_errors` (d,), ascending with
    the eigenvalues, it is at least twice the standard error of the difference, 2 sqrt(se_j² + se_{j+1}²): eigenvalues
    closer than their sampling error have arbitrary eigenvectors, so only the space that they span is meaningful.

    Parameters
    ----------
    matrix : Array, shape (d, d)

    Raises
    ------
    InvalidInput
        If `matrix` is not one finite symmetric matrix, or `gap` or a standard error is negative.

    Examples
    --------
    >>> import numpy as np
    >>> spaces = eigenspaces(np.diag([3.0, 1.0, 3.0]))
    >>> spaces.multiplicity, spaces.eigenvalues.tolist()
    ((1, 2), [1.0, 3.0])
    """
    matrix = symmetric("matrix", matrix)
    if matrix.ndim != 2:
        raise InvalidInput("matrix.shape", tuple(matrix.shape), "must be (d, d): eigenspaces of a batch are ragged")
    if gap is not None and not gap >= 0:
        raise InvalidInput("gap", gap, "must not be negative")
    xp = namespace(matrix)
    eigenvalues, basis = xp.linalg.eigh(matrix)
    values = to_numpy(eigenvalues)
    d = len(values)
    norm = max(abs(values[0]), abs(values[-1]))
    floor = norm * (64 * d * xp.finfo(matrix.dtype).eps if gap is None else gap)
    tolerances = [floor] * (d - 1)
    if standard_errors is not None:
        if len(standard_errors) != d or not all(se >= 0 for se in standard_errors):
            raise InvalidInput("standard_errors", standard_errors, f"must be {d} numbers that are not negative")
        tolerances = [max(floor, 2 * math.hypot(a, b)) for a, b in pairwise(standard_errors)]
    multiplicity = [1]
    for j, tolerance in enumerate(tolerances):
        if values[j + 1] - values[j] <= tolerance:
            multiplicity[-1] += 1
        else:
            multiplicity.append(1)
    groups = [slice(a, b) for a, b in pairwise(accumulate(multiplicity, initial=0))]
    means = xp.stack([xp.mean(eigenvalues[s]) for s in groups])
    spread = tuple(float(max(abs(values[s] - values[s].mean()))) for s in groups)
    return Eigenspaces(means, tuple(multiplicity), basis, float(max(tolerances, default=floor)), spread)


def weight_variances(spaces: Eigenspaces, second_moment: Array, /) -> Array:
    """τ_i = tr(P_i Σ_w) / m_i, the mean of vᵀ Σ_w v over eigenspace i (arXiv:2006.10455, Def. 3, squared).

    `second_moment` (..., d, d) → (..., k).
    """
    xp = namespace(spaces.basis, second_moment)
    check_dimension(spaces, "second_moment", second_moment)
    # diag(Vᵀ B V) without the off-diagonal products: Σ_ab V_aj B_ab V_bj
    diagonal = xp.sum(spaces.basis * (second_moment @ spaces.basis), axis=-2)
    return xp.stack([xp.mean(diagonal[..., s], axis=-1) for s in spaces.slices], axis=-1)


def transfer_function(spaces: Eigenspaces, second_moment: Array, /) -> Array:
    """f(σ_i) = sqrt(τ_i), from data standard deviations to weight standard deviations (arXiv:2006.10455, Def. 3).

    `second_moment` (..., d, d) → (..., k). Raises InvalidInput where a τ_i is negative.
    """
    xp = namespace(spaces.basis, second_moment)
    tau = weight_variances(spaces, second_moment)
    if bool(xp.any(tau < 0)):
        raise InvalidInput("second_moment", float(xp.min(tau)), "a variance in an eigenspace must not be negative")
    return xp.sqrt(tau)


def matching(spaces: Eigenspaces, name: str, matrix: Array) -> Array:
    """`matrix` (..., d, d), checked to be symmetric and of the kind, dtype, device and dimension of `spaces`."""
    namespace(spaces.basis, matrix)
    matrix = symmetric(name, matrix)
    check_dimension(spaces, name, matrix)
    if matrix.dtype != spaces.basis.dtype:
        raise InvalidInput(f"{name}.dtype", str(matrix.dtype), f"must be {spaces.basis.dtype}, as the eigenspaces are")
    if device(matrix) != device(spaces.basis):
        raise InvalidInput(f"{name}.device", device(matrix), f"must be {device(spaces.basis)}, as the eigenspaces are")
    return matrix


def check_dimension(spaces: Eigenspaces, name: str, matrix: Array) -> None:
    """Raise InvalidInput unless `matrix` is (..., d, d) with the d of `spaces`."""
    d = spaces.dimension
    if matrix.ndim < 2 or tuple(matrix.shape[-2:]) != (d, d):
        raise InvalidInput(f"{name}.shape", tuple(matrix.shape), f"must be (..., {d}, {d}), as the eigenspaces are")
