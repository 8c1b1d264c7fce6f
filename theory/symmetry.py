"""The orthogonal group that leaves the law of the data invariant, and the average over it (the twirl).

If Σ_x has eigenspaces V_1 … V_k, the rotations that commute with Σ_x are G = ∏ O(m_i) (for distinct eigenvalues the
2^d sign flips). If the mean μ must be fixed too, each eigenspace splits into the line of u_i = P_i μ, which G leaves
fixed, and its complement, on which O(m_i − 1) acts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from theory.arrays import Array, like, namespace, to_numpy
from theory.eigenspaces import Eigenspaces
from theory.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class SymmetryGroup:
    """G = {identity on the first `fixed` basis vectors} × ∏_i O(sizes_i) on the blocks that follow.

    Attributes
    ----------
    basis : Array, shape (d, d)
        Orthonormal columns: the fixed directions, then block after block.
    fixed : int
        How many directions every element leaves fixed.
    sizes : tuple of int
        The dimensions of the blocks on which orthogonal groups act; fixed + Σ sizes = d.
    """

    basis: Array
    fixed: int
    sizes: tuple[int, ...]

    @property
    def dimension(self) -> int:
        return self.fixed + sum(self.sizes)

    @property
    def slices(self) -> tuple[slice, ...]:
        """The columns of `basis` that span each block."""
        return tuple(slice(a, b) for a, b in pairwise(accumulate(self.sizes, initial=self.fixed)))

    def draw(self, generator: np.random.Generator, count: int) -> Array:
        """`count` independent Haar elements of G, shape (count, d, d), in the coordinates of the data."""
        elements = np.zeros((count, self.dimension, self.dimension))
        elements[:, range(self.fixed), range(self.fixed)] = 1
        for block in self.slices:
            elements[:, block, block] = haar(generator, block.stop - block.start, count)
        return self.basis @ like(elements, self.basis) @ self.basis.T


def symmetry_group(spaces: Eigenspaces, /, *, mean: Array | None = None) -> SymmetryGroup:
    """The orthogonal matrices that commute with Σ_i λ_i P_i and, if `mean` (d,) is given, fix it.

    A component P_i μ below 1e-10 ‖μ‖ counts as zero. Derived in theory/derivations.md, section 3.0.
    """
    if mean is None:
        return SymmetryGroup(spaces.basis, 0, spaces.multiplicity)
    if tuple(mean.shape) != (spaces.dimension,):
        raise InvalidInput("mean.shape", tuple(mean.shape), f"must be ({spaces.dimension},)")
    basis, mu = to_numpy(spaces.basis), to_numpy(mean)
    if not np.isfinite(mu).all():
        raise InvalidInput("mean", "nan or inf", "must be finite")
    mu = mu / (np.abs(mu).max() or 1)  # so that no square overflows
    lines, blocks = [], []
    for s in spaces.slices:
        block = basis[:, s]
        component = block.T @ mu
        if np.linalg.norm(component) <= 1e-10 * np.linalg.norm(mu):
            blocks.append(block)
            continue
        # a Householder QR of the component: the first column spans it, the others its complement in the eigenspace
        turned = block @ np.linalg.qr(component[:, None], mode="complete")[0]
        lines.append(turned[:, :1])
        blocks.append(turned[:, 1:])
    sizes = tuple(block.shape[1] for block in blocks if block.shape[1])
    return SymmetryGroup(like(np.hstack(lines + blocks), spaces.basis), len(lines), sizes)


def twirl(group: SymmetryGroup, matrix: Array, /) -> Array:
    """Π(B) = ∫_G g B gᵀ dg, the projection of B on the matrices that commute with G. Shape (..., d, d).

    With no fixed direction Π(B) = Σ_i (tr(P_i B) / m_i) P_i, so Π(B) is aligned with Σ_x (claim A2). Fixed
    directions keep their whole block of B; between them and the rest, and between blocks, the average vanishes.

    Exact for every B, symmetric or not. By Schur's lemma (theory/derivations.md, section 3.0).
    """
    xp = namespace(group.basis, matrix)
    d = group.dimension
    if matrix.ndim < 2 or tuple(matrix.shape[-2:]) != (d, d):
        raise InvalidInput("matrix.shape", tuple(matrix.shape), f"must be (..., {d}, {d})")
    line = group.basis[:, : group.fixed]
    averaged = line @ (line.T @ matrix @ line) @ line.T
    for s in group.slices:
        block = group.basis[:, s]
        trace = xp.sum(block * (matrix @ block), axis=(-2, -1)) / (s.stop - s.start)
        averaged = averaged + trace[..., None, None] * (block @ block.T)
    return averaged


def haar(
    generator: np.random.Generator,
    dimension: int,
    count: int,
    columns: int | None = None,
    *,
    dtype: type[np.floating] = np.float64,
) -> np.ndarray:
    """`count` Haar-distributed orthogonal matrices, (count, d, d): QR of a Gaussian matrix with diag(R) > 0.

    Without the sign convention the law would not be Haar (Mezzadri, arXiv:math-ph/0609050, section 5). With
    `columns`, only that many columns of each are drawn, (count, d, columns), in O(d columns²). For at most half of them
    the factor R comes from the Gram matrix, whose condition number is then small: the same Q, and faster.
    In single precision the draws are those of double precision, rounded.
    """
    if dimension == 1:
        return generator.choice([-1.0, 1.0], size=(count, 1, 1)).astype(dtype)
    if columns is not None and 2 * columns <= dimension:
        drawn = generator.standard_normal((count, dimension, columns)).astype(dtype, copy=False)
        return np.asarray(drawn @ np.linalg.inv(np.linalg.cholesky(drawn.mT @ drawn)).mT)
    drawn = generator.standard_normal((count, dimension, columns or dimension)).astype(dtype, copy=False)
    q, r = np.linalg.qr(drawn)
    return np.asarray(q * np.sign(np.einsum("...ii->...i", r))[:, None, :])
