"""The moments that the tests read: independent blocks of replicas, their weights, and what lies outside the commutant.

Everything is written in the basis of the symmetry group, where its elements are block diagonal and the orthogonal
projection Π on the commutant (the twirl) keeps the fixed block and the mean of the diagonal of every other block.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from theory.arrays import Array, symmetric, to_numpy
from theory.errors import InvalidInput
from theory.symmetry import SymmetryGroup


def block_weights(key: str, blocks: int, counts: Array | None, at_least: int = 2) -> np.ndarray:
    """Checked `counts` of replicas (K,) as float64, equal by default; `key` names the array that they belong to."""
    if blocks < at_least:
        rule = f"needs at least {at_least} independent replicas or blocks: one alone says nothing of their spread"
        raise InvalidInput(f"{key}.shape[0]", blocks, rule)
    if counts is None:
        return np.ones(blocks)
    values = to_numpy(np.asarray(counts) if isinstance(counts, (list, tuple)) else counts)
    if values.shape != (blocks,):
        raise InvalidInput("counts.shape", values.shape, f"must be ({blocks},), one for each of {key}")
    if not (np.all(np.isfinite(values)) and np.all(values >= 1)):
        raise InvalidInput("counts", values.tolist(), "must all be at least 1: a block without replicas has no mean")
    return values


def merge_blocks(values: np.ndarray, counts: np.ndarray, blocks: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Block means and counts after merging to at most `blocks` blocks: block k joins block k mod `blocks`.

    The rule is fixed beforehand, so merged blocks are again means over independent replicas, and exact tests remain
    exact.
    """
    if blocks is None or blocks >= len(counts):
        return values, counts
    if blocks < 2:
        raise InvalidInput("blocks", blocks, "must be at least 2: with one block every statistic is invariant")
    target = np.arange(len(counts)) % blocks
    totals = np.bincount(target, weights=counts)
    sums = np.zeros((blocks, *values.shape[1:]))
    np.add.at(sums, target, values * counts.reshape(-1, *[1] * (values.ndim - 1)))
    return sums / totals.reshape(-1, *[1] * (values.ndim - 1)), totals


def block_moments(
    second_moments: Array, dimension: int, counts: Array | None, blocks: int | None = None, at_least: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Checked block means (K, d, d), float64 NumPy and symmetric, and their counts (K,), merged to `blocks`."""
    if second_moments.ndim != 3 or tuple(second_moments.shape[1:]) != (dimension, dimension):
        rule = f"must be (K, {dimension}, {dimension}): one second moment for each independent block"
        raise InvalidInput("second_moments.shape", tuple(second_moments.shape), rule)
    weights = block_weights("second_moments", len(second_moments), counts, at_least)
    return merge_blocks(symmetric("second_moments", to_numpy(second_moments)), weights, blocks)


@dataclass(frozen=True)
class Outside:
    """Orthonormal coordinates of B − Π(B), B symmetric and given in the basis of the group.

    The P coordinates are √2 B_ij, i < j, for all pairs that are not both fixed, then, for blocks larger than 1, the
    diagonal minus its mean. Their sum of squares is ‖B − Π(B)‖_F².
    """

    group: SymmetryGroup

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """The indices i < j of the off-diagonal coordinates."""
        i, j = np.triu_indices(self.group.dimension, 1)
        free = j >= self.group.fixed
        return i[free], j[free]

    @cached_property
    def diagonal(self) -> np.ndarray:
        """The indices of the diagonal coordinates."""
        wide = [np.arange(s.start, s.stop) for s in self.group.slices if s.stop - s.start > 1]
        return np.concatenate(wide) if wide else np.zeros(0, dtype=int)

    @cached_property
    def averages(self) -> np.ndarray:
        """The projection (q, q) of the q diagonal coordinates on the block means."""
        matrix = np.zeros((self.group.dimension, self.group.dimension))
        for s in self.group.slices:
            matrix[s, s] = 1 / (s.stop - s.start)
        return matrix[np.ix_(self.diagonal, self.diagonal)]

    @property
    def size(self) -> int:
        return len(self.pairs[0]) + len(self.diagonal)

    def coordinates(self, matrices: np.ndarray) -> np.ndarray:
        """(..., d, d), in the basis of the group → (..., P)."""
        off = np.sqrt(2) * matrices[..., *self.pairs]
        if not len(self.diagonal):
            return off
        diagonal = matrices[..., self.diagonal, self.diagonal]
        return np.concatenate([off, diagonal - diagonal @ self.averages], axis=-1)

    def matrices(self, coordinates: np.ndarray) -> np.ndarray:
        """(..., P) → B − Π(B), (..., d, d), in the basis of the group."""
        i, j = self.pairs
        d = self.group.dimension
        result = np.zeros((*coordinates.shape[:-1], d, d))
        result[..., i, j] = result[..., j, i] = coordinates[..., : len(i)] / np.sqrt(2)
        result[..., self.diagonal, self.diagonal] = coordinates[..., len(i) :]
        return result


def inside(group: SymmetryGroup, matrix: np.ndarray) -> np.ndarray:
    """Π(B) (..., d, d) for B in the basis of the group, where no rotation is needed."""
    result = np.zeros_like(matrix)
    f = group.fixed
    result[..., :f, :f] = matrix[..., :f, :f]
    for s in group.slices:
        index = np.arange(s.start, s.stop)
        result[..., index, index] = np.mean(matrix[..., index, index], axis=-1, keepdims=True)
    return result


def rotated(basis: Array, matrices: np.ndarray) -> np.ndarray:
    """Vᵀ B V: matrices (..., d, d) in the coordinates of the columns of `basis`."""
    v = to_numpy(basis)
    return v.T @ matrices @ v


def misalignment_in_basis(group: SymmetryGroup, matrices: np.ndarray) -> np.ndarray:
    """M² against the commutant of the group, for positive definite B (n, d, d) in its basis; inf where B is not.

    M² = Σ_i sqrt(tr(P_i B) tr(P_i B⁻¹)) − d over the blocks (arXiv:2006.10455, Def. 2). Fixed directions F, on which
    the aligned Σ is free, contribute inf_C ½ tr(C⁻¹ B_FF) + ½ tr(C (B⁻¹)_FF) = Σ sqrt(eig(B_FF (B⁻¹)_FF)): the
    minimum is at the geometric mean of B_FF and ((B⁻¹)_FF)⁻¹.
    """
    values, vectors = np.linalg.eigh(matrices)
    regular = values[..., 0] > np.finfo(float).eps * values[..., -1]
    safe = np.where(regular[..., None], values, 1.0)
    inverse = (vectors / safe[..., None, :]) @ vectors.mT
    total = np.full(matrices.shape[:-2], -float(group.dimension))
    for s in group.slices:
        direct = np.trace(matrices[..., s, s], axis1=-2, axis2=-1)
        total += np.sqrt(np.where(regular, direct, 1.0) * np.trace(inverse[..., s, s], axis1=-2, axis2=-1))
    if f := group.fixed:
        identity = np.eye(f)
        kept = np.where(regular[..., None, None], matrices[..., :f, :f], identity)
        root = np.linalg.cholesky(kept)
        eigenvalues = np.linalg.eigvalsh(
            root.mT @ np.where(regular[..., None, None], inverse[..., :f, :f], identity) @ root
        )
        total += np.sum(np.sqrt(np.maximum(eigenvalues, 0)), axis=-1)
    return np.where(regular, np.maximum(total, 0), np.inf)
