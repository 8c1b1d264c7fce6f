"""Random bases: the distribution for weights whose orientation is independent of the data, at any rank.

For fewer vectors than dimensions M is infinite, and the distance from alignment is the share e of ‖B‖² that lies
outside the matrices aligned with A, defined at every rank:

    e = ‖B − Π(B)‖²_F / ‖B‖²_F,   Π(B) = Σ_i (tr(P_i B) / m_i) P_i.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reports.check.basis_noise import precision
from theory.eigenspaces import Eigenspaces
from theory.symmetry import haar


def regularised(matrices: np.ndarray, ridge: float) -> np.ndarray:
    """(1 − ρ) B + ρ (tr B / d) I: the same trace, the same eigenvectors, and no zero eigenvalue."""
    d = matrices.shape[-1]
    scale = np.trace(matrices, axis1=-2, axis2=-1)[..., None, None] / d
    return (1 - ridge) * matrices + ridge * scale * np.eye(d)


def random_basis_energy(
    spaces: Eigenspaces, vectors: np.ndarray, *, draws: int = 999, seed: int = 0
) -> tuple[float, np.ndarray]:
    """√e of B = WᵀW, and of B with `draws` randomly turned copies of A: the random-basis test at any rank.

    Under H0, that the orientation of B is independent of A, the value of B is exchangeable with the others
    (theory/derivations.md, 3.2). With B = Σ_a b_a u_a u_aᵀ and u_a turned by Haar matrices,
    ‖B − Π(B)‖² = ‖B‖² − Σ_i t_i² / m_i, t_i = Σ_a b_a ‖P_i u_a‖²: it takes only as many random directions as the rank
    of B, and none of its eigenvectors. Bases are drawn in single precision for many dimensions.

    `vectors` are the rows of W, (n, d).
    """
    return random_basis_energies(spaces, [vectors], draws=draws, seed=seed)[0]


def random_basis_energies(
    spaces: Eigenspaces, several: Sequence[np.ndarray], *, draws: int = 999, seed: int = 0
) -> list[tuple[float, np.ndarray]]:
    """`random_basis_energy` of several W, all with the same random directions, which are the most expensive part."""
    generator = np.random.default_rng(seed)
    spectra = [nonzero_eigenvalues(vectors) for vectors in several]
    rank = max(len(values) for values in spectra)

    def roots(diagonals: np.ndarray, values: np.ndarray) -> np.ndarray:
        traces = block_sums(diagonals, spaces.slices)
        inside_energy = np.sum(traces**2 / np.array(spaces.multiplicity), axis=-1)
        return np.sqrt(np.maximum(1 - inside_energy / np.sum(values**2), 0))

    kind = precision(spaces.dimension)
    step = max(1, 2**20 // (spaces.dimension * rank))
    null: list[list[np.ndarray]] = [[] for _ in spectra]
    for first in range(0, draws, step):
        squares = haar(generator, spaces.dimension, min(step, draws - first), rank, dtype=kind) ** 2
        for found, values in zip(null, spectra, strict=True):
            diagonals = squares[..., : len(values)] @ values.astype(kind)
            found.append(roots(diagonals.astype(np.float64), values))
    observed = [
        float(roots(np.sum((vectors @ np.asarray(spaces.basis)) ** 2, axis=0), values))
        for vectors, values in zip(several, spectra, strict=True)
    ]
    return [(value, np.concatenate(found)) for value, found in zip(observed, null, strict=True)]


def nonzero_eigenvalues(vectors: np.ndarray) -> np.ndarray:
    """The eigenvalues of WᵀW for the rows (n, d) of W, ascending, except those that are zero up to rounding.

    Those of the smaller of WᵀW and WWᵀ, which are the same.
    """
    n, d = vectors.shape
    values = np.linalg.eigvalsh(vectors @ vectors.T if n < d else vectors.T @ vectors)
    return values[values > 4 * d * np.finfo(float).eps * values[-1]]


def block_sums(values: np.ndarray, slices: Sequence[slice]) -> np.ndarray:
    """Sums over the coordinates of each space, (..., d) → (..., k); the spaces lie side by side."""
    return np.asarray(np.add.reduceat(values, [s.start for s in slices], axis=-1))
