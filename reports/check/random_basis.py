"""Random bases: the distribution for weights whose orientation is independent of the data, at any rank.

For fewer vectors than dimensions M is infinite, and the distance from alignment is the share e of ‖B‖² that lies
outside the matrices aligned with A, defined at every rank:

    e = ‖B − Π(B)‖²_F / ‖B‖²_F,   Π(B) = Σ_i (tr(P_i B) / m_i) P_i.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg.lapack import sorgqr

from reports.check.basis_noise import precision
from theory.eigenspaces import Eigenspaces
from theory.errors import InvalidInput
from theory.symmetry import haar
from theory.testing.randomization import generator_of


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
    return random_bases(spaces, several, draws=draws, seed=seed)[0]


def random_bases(
    spaces: Eigenspaces,
    several: Sequence[np.ndarray],
    *,
    eigenvalues: np.ndarray | None = None,
    draws: int = 999,
    seed: int = 0,
) -> tuple[list[tuple[float, np.ndarray]], np.ndarray]:
    """`random_basis_energies`, and M(U A Uᵀ, B) with the same random bases U, (draws,), of B with these `eigenvalues`.

    Without eigenvalues (d,) there are no values of M. With them, the bases are those of
    `theory.testing.random_basis_test`, up to the dimension from which they are drawn in single precision.

    Raises
    ------
    InvalidInput
        If B is singular up to rounding.
    """
    generator = generator_of(seed)
    spectra = [nonzero_eigenvalues(vectors) for vectors in several]
    d, kind = spaces.dimension, precision(spaces.dimension)
    both = np.zeros((d, 0)) if eigenvalues is None else _with_inverse(eigenvalues)
    rank = d if both.size else max(len(values) for values in spectra)

    def roots(diagonals: np.ndarray, values: np.ndarray) -> np.ndarray:
        traces = block_sums(diagonals, spaces.slices)
        inside_energy = np.sum(traces**2 / np.array(spaces.multiplicity), axis=-1)
        return np.sqrt(np.maximum(1 - inside_energy / np.sum(values**2), 0))

    step = max(1, 2**20 // (d * rank))
    null: list[list[np.ndarray]] = [[] for _ in spectra]
    distances = [np.zeros(0)]
    for first in range(0, draws, step):
        count = min(step, draws - first)
        squares = squared_bases(generator, d, count, rank)
        if both.size:
            squares = squares.mT  # a row of U for each eigenvector of B
            distances.append(_misalignments(spaces, (squares @ both.astype(kind)).astype(np.float64)))
        for found, values in zip(null, spectra, strict=True):
            diagonals = squares[..., : len(values)] @ values.astype(kind)
            found.append(roots(diagonals.astype(np.float64), values))
    observed = [
        float(roots(np.sum((vectors @ np.asarray(spaces.basis)) ** 2, axis=0), values))
        for vectors, values in zip(several, spectra, strict=True)
    ]
    energies = [(value, np.concatenate(found)) for value, found in zip(observed, null, strict=True)]
    return energies, np.concatenate(distances)


def squared_bases(generator: np.random.Generator, dimension: int, count: int, columns: int) -> np.ndarray:
    """The squares of the entries of `count` Haar matrices, of each the first `columns`, (count, d, columns).

    In many dimensions, and for more than half of the columns, they are products of d reflections along Gaussian vectors
    of d, d − 1, …, 1 dimensions (Stewart, SIAM J. Numer. Anal. 17, 1980): the reflections that QR would find for a
    Gaussian matrix, in a third of its time. The signs that make Q Haar do not matter for squares.
    """
    kind = precision(dimension)
    if kind is np.float64 or 2 * columns <= dimension:
        return haar(generator, dimension, count, columns, dtype=kind) ** 2
    rows = np.triu(generator.standard_normal((count, dimension, dimension)).astype(kind))
    ends = -np.copysign(np.linalg.norm(rows, axis=2), np.einsum("kii->ki", rows))  # what each vector is reflected to
    factors = 1 - np.einsum("kii->ki", rows) / ends
    rows /= (np.einsum("kii->ki", rows) - ends)[..., None]  # LAPACK takes the diagonal for 1
    found = np.empty((count, dimension, columns), dtype=kind)
    for place, (vectors, taus) in enumerate(zip(rows, factors, strict=True)):
        found[place] = sorgqr(vectors.T, taus, lwork=64 * dimension, overwrite_a=True)[0][:, :columns]
    return np.asarray(found**2)


def _with_inverse(values: np.ndarray) -> np.ndarray:
    """The eigenvalues of B, ascending, and of B⁻¹, (d, 2)."""
    if not values[0] > 4 * len(values) * np.finfo(float).eps * values[-1]:
        rule = "must be positive definite: M is infinite for a singular matrix"
        raise InvalidInput("second_moment", f"smallest eigenvalue {values[0]:.3g}", rule)
    return np.stack([values, 1 / values], axis=1)


def _misalignments(spaces: Eigenspaces, diagonals: np.ndarray) -> np.ndarray:
    """M of the diagonals of B and B⁻¹ in the basis of the data, (n, d, 2) → (n,)."""
    first, inverse = block_sums(np.moveaxis(diagonals, -1, 0), spaces.slices)
    terms = np.sqrt(first * inverse) - np.array(spaces.multiplicity)
    return np.asarray(np.sqrt(np.maximum(terms.sum(axis=-1), 0)))


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
