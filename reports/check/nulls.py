"""What chance alone would give: weights that are aligned, isotropic, or turned at random.

For fewer vectors than dimensions M is infinite, and the distance from alignment is the share e of ‖B‖² that lies
outside the matrices aligned with A, defined at every rank:

    e = ‖B − Π(B)‖²_F / ‖B‖²_F,   Π(B) = Σ_i (tr(P_i B) / m_i) P_i.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from theory.eigenspaces import Eigenspaces
from theory.symmetry import SymmetryGroup, haar, symmetry_group
from theory.testing.blocks import inside, rotated

Distance = Callable[[SymmetryGroup, np.ndarray], np.ndarray]

_TIE = 1e-10  # relative


def outside_share(group: SymmetryGroup, matrices: np.ndarray) -> np.ndarray:
    """e of matrices B (n, d, d) in the basis of the group → (n,): 0 at alignment, below 1."""
    return np.sum((matrices - inside(group, matrices)) ** 2, axis=(-2, -1)) / np.sum(matrices**2, axis=(-2, -1))


def squared_misalignment(group: SymmetryGroup, matrices: np.ndarray) -> np.ndarray:
    """M² of positive definite B (n, d, d) in the basis of the group → (n,): plainly, for thousands of them."""
    direct, inverse = (np.einsum("nii->ni", m) for m in (matrices, np.linalg.inv(matrices)))
    traces = [direct[:, s].sum(axis=1) * inverse[:, s].sum(axis=1) for s in group.slices]
    return np.sqrt(traces).sum(axis=0) - group.dimension


def regularised(matrices: np.ndarray, ridge: float) -> np.ndarray:
    """(1 − ρ) B + ρ (tr B / d) I: the same trace, the same eigenvectors, and no zero eigenvalue."""
    d = matrices.shape[-1]
    scale = np.trace(matrices, axis1=-2, axis2=-1)[..., None, None] / d
    return (1 - ridge) * matrices + ridge * scale * np.eye(d)


def between_share(spaces: Eigenspaces) -> Distance:
    """Σ_{i≠j} ‖B_ij‖² / Σ_{i≠j} tr(B_ii) tr(B_jj), B_ij between different eigenspaces of A, whatever B is within them.

    For eigenvalues that were joined because their sampling errors are larger than their distance: within the space that
    they span the eigenvectors are unknown, so nothing can be demanded there. Of N aligned Gaussian vectors
    E ‖B_ij‖² = tr(Σ_i) tr(Σ_j) / N: it is near 1/N whatever Σ_i is, which few vectors do not tell. 0 if there is but
    one eigenspace.

    Where N is below the dimension of a joined space the test is mild and weak. Of 60 networks each with eigenvalues
    from e^-1.5 to e^1.5, aligned and in a random basis, `aligned_pvalue` rejects at 5 %:

    | joined spaces | N | aligned | random basis |
    |---|---|---|---|
    | 20, 20 | 10 | 0 | .02 |
    | 20, 20 | 80 | 0 | 1 |
    | 30, 5, 5 | 20 | 0 | .62 |
    | 2, 1, 3, 2, 2 | 8 | .08 | .47 |
    | 2, 1, 3, 2, 2 | 60 | 0 | 1 |
    """
    outside = np.ones((spaces.dimension, spaces.dimension))
    for s in spaces.slices:
        outside[s, s] = 0

    def share(group: SymmetryGroup, matrices: np.ndarray) -> np.ndarray:
        diagonal = np.einsum("nii->ni", matrices)
        between = np.sum(outside * matrices**2, axis=(-2, -1))
        expected = np.einsum("ni,ij,nj->n", diagonal, outside, diagonal, optimize=True)
        return np.divide(between, expected, out=np.zeros_like(between), where=expected > 0)

    return share


def aligned_pvalue(
    spaces: Eigenspaces,
    second_moment: np.ndarray,
    vectors: int,
    *,
    joined: bool = False,
    ridge: float = 0.0,
    draws: int = 999,
    seed: int = 0,
) -> float:
    """How often weights that *are* aligned lie as far from alignment as B does: the "parametric null".

    B_b = (1/N) Σ_n w_n w_nᵀ of N independent w_n ~ N(0, Π(B)); p = (1 + #{D_b ≥ D}) / (draws + 1). D is M², or e where
    B is singular; if eigenvalues were `joined`, the energy between eigenspaces, and Π(B) keeps the whole
    diagonal blocks. Π(B) is estimated, and the w_n are independent as the filters of a trained network are not: such
    filters scatter more, so that p errs downward and no rejection is sure. Exact for independent Gaussian vectors and
    M², which does not depend on Π(B) (B ↦ C B C with commuting C leaves it alone).
    """
    observed = rotated(spaces.basis, second_moment)
    root = np.zeros_like(observed)
    for s in spaces.slices:
        block = observed[s, s] if joined else np.trace(observed[s, s]) / (s.stop - s.start) * np.eye(s.stop - s.start)
        values, basis = np.linalg.eigh(block)
        root[s, s] = basis * np.sqrt(np.maximum(values, 0))
    values = np.linalg.eigvalsh(regularised(observed, ridge))
    full = values[0] > 4 * len(values) * np.finfo(float).eps * values[-1]
    distance = between_share(spaces) if joined else squared_misalignment if full else outside_share
    return _exceedance(symmetry_group(spaces), observed, root, vectors, distance, ridge, draws, seed)


def isotropic_pvalue(second_moment: np.ndarray, vectors: int, *, draws: int = 999, seed: int = 0) -> float:
    """How often isotropic weights N(0, c I) are as far from isotropy as B is; conventions of `aligned_pvalue`.

    What is isotropic is aligned with everything, so alignment says nothing until isotropy is rejected. The distance is
    e = 1 − (tr B)² / (d tr B²), which is John's statistic (Biometrika 58, 1971) up to a monotone map, at every rank.
    """
    d = len(second_moment)
    return _exceedance(isotropic_group(d), second_moment, np.eye(d), vectors, outside_share, 0.0, draws, seed)


def isotropic_group(dimension: int) -> SymmetryGroup:
    """O(d), with which only multiples of the identity commute."""
    return SymmetryGroup(np.eye(dimension), 0, (dimension,))


def _exceedance(
    group: SymmetryGroup,
    observed: np.ndarray,
    root: np.ndarray,
    vectors: int,
    distance: Distance,
    ridge: float,
    draws: int,
    seed: int,
) -> float:
    """(1 + #{D_b ≥ D}) / (draws + 1) for N vectors of covariance root rootᵀ; all in the basis of the group."""
    generator = np.random.default_rng(seed)
    d = len(root)
    statistic = float(distance(group, regularised(observed[None], ridge))[0])
    reached = 0
    step = max(1, 2**21 // (d * max(d, min(vectors, d))))
    for first in range(0, draws, step):
        factor = root @ wishart_factor(generator, d, vectors, min(step, draws - first))
        moments = factor @ factor.mT / vectors
        reached += int(np.count_nonzero(distance(group, regularised(moments, ridge)) >= statistic * (1 - _TIE)))
    return (1 + reached) / (draws + 1)


def between_randomization_pvalue(
    spaces: Eigenspaces, second_moments: np.ndarray, *, draws: int = 999, seed: int = 0
) -> float:
    """An exact test of alignment for K independent networks whose data eigenvalues could not all be told apart.

    ±P_1 ± … ± P_k commute with A whatever its eigenvectors within the joined spaces are, so that S_r and g_r S_r g_rᵀ
    with independent signs have one law under the theorem (theory/derivations.md, 3.1). The statistic is the energy
    between eigenspaces, Σ_{i<j} ‖Σ_r s_ri s_rj S_r^{ij}‖² = Σ_{i<j} ε_ijᵀ G_ij ε_ij with ε_ij,r = s_ri s_rj and
    G_ij = (⟨S_r^{ij}, S_q^{ij}⟩)_rq. `second_moments` (K, d, d) → p.
    """
    generator = np.random.default_rng(seed)
    turned = rotated(spaces.basis, second_moments)
    k = len(spaces.multiplicity)
    pairs = [(i, j) for i in range(k) for j in range(i + 1, k)]
    blocks = [turned[:, spaces.slices[i], spaces.slices[j]].reshape(len(turned), -1) for i, j in pairs]
    grams = [block @ block.T for block in blocks]
    observed = sum(float(gram.sum()) for gram in grams)
    signs = generator.choice([-1.0, 1.0], size=(draws, len(turned), k))
    energy = np.zeros(draws)
    for (i, j), gram in zip(pairs, grams, strict=True):
        product = signs[:, :, i] * signs[:, :, j]
        energy += np.sum((product @ gram) * product, axis=1)
    return (1 + int(np.count_nonzero(energy >= observed * (1 - _TIE)))) / (draws + 1)


def wishart_factor(generator: np.random.Generator, dimension: int, vectors: int, count: int) -> np.ndarray:
    """`count` matrices L with L Lᵀ = Σ_n z_n z_nᵀ in law, of N(0, I_d) vectors z_n, (count, d, min(N, d)).

    The vectors themselves, or for N ≥ d Bartlett's triangular factor.
    """
    if vectors < dimension:
        return generator.standard_normal((count, dimension, vectors))
    factor = np.tril(generator.standard_normal((count, dimension, dimension)), -1)
    index = np.arange(dimension)
    factor[:, index, index] = np.sqrt(generator.chisquare(vectors - index, (count, dimension)))
    return factor


def random_basis_energy(
    spaces: Eigenspaces, second_moment: np.ndarray, *, draws: int = 999, seed: int = 0
) -> tuple[float, np.ndarray]:
    """√e of B, and of B against `draws` randomly turned copies of A: the random-basis test at any rank.

    Under H0, that the orientation of B has nothing to do with A, the value of B is exchangeable with the others
    (theory/derivations.md, 3.2). With B = Σ_a b_a u_a u_aᵀ and u_a turned by Haar matrices,
    ‖B − Π(B)‖² = ‖B‖² − Σ_i t_i² / m_i, t_i = Σ_a b_a ‖P_i u_a‖²: only as many random directions as B has rank.
    """
    generator = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(second_moment)
    kept = values > len(values) * np.finfo(float).eps * values[-1]
    values, vectors = values[kept], vectors[:, kept]

    def roots(bases: np.ndarray) -> np.ndarray:
        shares = np.einsum("...ja,a->...j", bases**2, values)
        traces = _block_sums(shares, spaces.slices)
        inside_energy = np.sum(traces**2 / np.array(spaces.multiplicity), axis=-1)
        return np.sqrt(np.maximum(1 - inside_energy / np.sum(values**2), 0))

    step = max(1, 2**20 // (spaces.dimension * len(values)))
    null = [
        roots(haar(generator, spaces.dimension, min(step, draws - first), len(values)))
        for first in range(0, draws, step)
    ]
    return float(roots(np.asarray(spaces.basis).T @ vectors)), np.concatenate(null)


def _block_sums(values: np.ndarray, slices: Sequence[slice]) -> np.ndarray:
    return np.stack([values[..., s].sum(axis=-1) for s in slices], axis=-1)
