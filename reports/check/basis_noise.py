"""The sampling error of the data's eigenvectors, as random rotations that widen a null distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lu_factor, lu_solve

_LARGE = 128  # dimensions; beyond, single precision is enough: the tests use ranks of numbers that differ by far more
_MOST = 1e3  # tan of half an angle in single precision: half a turn to within .002


@dataclass(frozen=True, eq=False)
class BasisNoise:
    """Random rotations by which the eigenvectors of a second moment may be wrong, in their own basis.

    To first order an error E of A turns V into V (I + Θ), Θ_ij = (Vᵀ E V)_ij / (λ_j − λ_i), which has no meaning within
    an eigenspace. E is drawn as Σ_k ε_k S_k with standard normal ε_k; the rotation is Cayley's, R = (I − H)⁻¹ (I + H)
    with H = Θ/2, so that X R = 2 X (I − H)⁻¹ − X: the rows of X are right-hand sides of a system in (I − H)ᵀ = I + H.

    Attributes
    ----------
    scatter : ndarray, shape (K, d²)
        S_k = √(c_k / (n (K − 1))) Vᵀ (A_k − A) V of the groups of samples: Σ_k of their squares are squared errors.
    half_inverse : ndarray, shape (d, d)
        ½ / (λ_j − λ_i), antisymmetric; 0 within the eigenspaces.
    """

    scatter: np.ndarray
    half_inverse: np.ndarray

    @classmethod
    def of(cls, scatter: np.ndarray, half_inverse: np.ndarray) -> BasisNoise:
        """`scatter` (K, d, d) and ½ / (λ_j − λ_i), in single precision for many dimensions."""
        kind = precision(len(half_inverse))
        return cls(scatter.reshape(len(scatter), -1).astype(kind, copy=False), half_inverse.astype(kind, copy=False))

    def halves(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """H of `count` rotations, (count, d, d)."""
        drawn = generator.standard_normal((count, len(self.scatter))).astype(self.scatter.dtype)
        found = (drawn @ self.scatter).reshape(count, *self.half_inverse.shape)
        found *= self.half_inverse
        return found if found.dtype == np.float64 else np.clip(found, -_MOST, _MOST, out=found)

    def rows(self, half: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """X R for the rows X (..., n, d), in the precision of the noise; `half` is H, (..., d, d)."""
        given = rows.astype(self.half_inverse.dtype, copy=False)
        system = np.eye(len(self.half_inverse), dtype=self.half_inverse.dtype) + half
        if math.prod(given.shape[:-2]) == 1:  # LAPACK without NumPy's copies: twice as fast for large matrices
            d = given.shape[-1]
            factors = lu_factor(system.reshape(d, d), overwrite_a=True, check_finite=False)
            solved = lu_solve(factors, given.reshape(-1, d).T, check_finite=False).T.reshape(given.shape)
        else:
            solved = np.linalg.solve(system, given.mT).mT
        return np.asarray(2 * solved - given)

    def drawn_rows(self, generator: np.random.Generator, rows: np.ndarray) -> np.ndarray:
        """X R for the rows X (b, n, d), with R drawn for each of the b."""
        count, _, d = rows.shape
        half = self.halves(generator, count)
        if half.dtype == np.float64:
            return self.rows(half, rows)
        found = rows.astype(half.dtype)
        half[:, range(d), range(d)] += 1
        for place, system in enumerate(half):  # I − H, transposed, has LAPACK's memory order and needs no copy
            factors = lu_factor(system.T, overwrite_a=True, check_finite=False)
            found[place] = 2 * lu_solve(factors, found[place].T, trans=1, check_finite=False).T - found[place]
        return found

    def moment(self, half: np.ndarray, moment: np.ndarray) -> np.ndarray:
        """Rᵀ M R of symmetric M (..., d, d), in double precision."""
        return np.asarray(self.rows(half, self.rows(half, moment).mT), dtype=np.float64)


def precision(dimension: int) -> type[np.floating]:
    """The dtype of the errors of a basis in this many dimensions."""
    return np.float32 if dimension > _LARGE else np.float64
