"""Random bases: the distribution for weights whose orientation is independent of the data, at any rank.

For fewer vectors than dimensions M is infinite, and the distance from alignment is the share e of ‖B‖² that lies
outside the matrices aligned with A, defined at every rank:

    e = ‖B − Π(B)‖²_F / ‖B‖²_F,   Π(B) = Σ_i (tr(P_i B) / m_i) P_i.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theory.eigenspaces import Eigenspaces
from theory.symmetry import haar


def regularised(matrices: np.ndarray, ridge: float) -> np.ndarray:
    """(1 − ρ) B + ρ (tr B / d) I: the same trace, the same eigenvectors, and no zero eigenvalue."""
    d = matrices.shape[-1]
    scale = np.trace(matrices, axis1=-2, axis2=-1)[..., None, None] / d
    return (1 - ridge) * matrices + ridge * scale * np.eye(d)


def random_basis_energy(
    spaces: Eigenspaces, second_moment: np.ndarray, *, draws: int = 999, seed: int = 0
) -> tuple[float, np.ndarray]:
    """√e of B, and of B with `draws` randomly turned copies of A: the random-basis test at any rank.

    Under H0, that the orientation of B is independent of A, the value of B is exchangeable with the others
    (theory/derivations.md, 3.2). With B = Σ_a b_a u_a u_aᵀ and u_a turned by Haar matrices,
    ‖B − Π(B)‖² = ‖B‖² − Σ_i t_i² / m_i, t_i = Σ_a b_a ‖P_i u_a‖²: it takes only as many random directions as the rank
    of B.
    """
    return random_basis_energies(spaces, [second_moment], draws=draws, seed=seed)[0]


def random_basis_energies(
    spaces: Eigenspaces, second_moments: Sequence[np.ndarray], *, draws: int = 999, seed: int = 0
) -> list[tuple[float, np.ndarray]]:
    """`random_basis_energy` of several B, all with the same random directions, which are the most expensive part."""
    generator = np.random.default_rng(seed)
    spectra = [_spectrum(moment) for moment in second_moments]
    rank = max(len(values) for values, _ in spectra)

    def roots(squares: np.ndarray, values: np.ndarray) -> np.ndarray:
        traces = block_sums(squares @ values, spaces.slices)
        inside_energy = np.sum(traces**2 / np.array(spaces.multiplicity), axis=-1)
        return np.sqrt(np.maximum(1 - inside_energy / np.sum(values**2), 0))

    step = max(1, 2**20 // (spaces.dimension * rank))
    null: list[list[np.ndarray]] = [[] for _ in spectra]
    for first in range(0, draws, step):
        squares = haar(generator, spaces.dimension, min(step, draws - first), rank) ** 2
        for found, (values, _) in zip(null, spectra, strict=True):
            found.append(roots(squares[..., : len(values)], values))
    observed = [float(roots((np.asarray(spaces.basis).T @ vectors) ** 2, values)) for values, vectors in spectra]
    return [(value, np.concatenate(found)) for value, found in zip(observed, null, strict=True)]


def _spectrum(second_moment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The eigenvalues that are not zero up to rounding, and their eigenvectors."""
    values, vectors = np.linalg.eigh(second_moment)
    kept = values > len(values) * np.finfo(float).eps * values[-1]
    return values[kept], vectors[:, kept]


def block_sums(values: np.ndarray, slices: Sequence[slice]) -> np.ndarray:
    """Sums over the coordinates of each space, (..., d) → (..., k)."""
    return np.stack([values[..., s].sum(axis=-1) for s in slices], axis=-1)
