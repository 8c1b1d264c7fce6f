"""The randomization distribution of an energy by its first three cumulants: levels of 1e-6 without millions of draws.

T = ‖Σ_k w_k g_k Y_k‖² over the parts of a vector space that the group leaves irreducible. For independent Haar g_k the
terms of one part are uncorrelated and isotropic (Schur's lemma), and different parts are uncorrelated. With
q_kc = w_k² ‖part c of Y_k‖² / n_c, n_c the dimension of the part, and v_c = Σ_k q_kc, the cumulants of T are

    κ_1 = Σ_c n_c v_c,    κ_2 = 2 Σ_c n_c (v_c² − Σ_k q_kc²),    κ_3 = 8 Σ_c n_c (v_c³ − 3 v_c Σ_k q_kc² + 2 Σ_k q_kc³),

κ_3 up to third-order terms shared between parts (theory/derivations.md, section 3.8). Without the sums over k they are
the cumulants of Σ_c v_c χ²_{n_c}, the limit of many blocks; few blocks give lighter tails.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy import stats

from theory.symmetry import SymmetryGroup
from theory.testing.blocks import inside


def energy_critical(
    energies: np.ndarray, degrees: np.ndarray, level: float, copies: np.ndarray | None = None
) -> np.ndarray:
    """The value that T exceeds with probability `level`, by the shifted χ² with the same three cumulants.

    Approximate (Pearson type III): within a few per cent for tens of blocks, and too high at extreme levels.

    Parameters
    ----------
    energies : ndarray, shape (K, C)
        q_kc.
    degrees : ndarray, shape (C,)
        n_c.
    level : float
    copies : ndarray of int, shape (B, K), optional
        How often each block occurs in B ensembles; every block once, and B = 1, if None.

    Returns
    -------
    ndarray, shape (B,)
    """
    times = np.ones((1, len(energies))) if copies is None else copies
    largest = float(np.max(energies, initial=0.0))
    if largest == 0 or not np.isfinite(largest):
        return np.full(len(times), largest)
    q = energies / largest  # cubes of an ensemble that blew up would overflow
    total, squares, cubes = (times @ q**p for p in (1, 2, 3))
    first = total @ degrees
    second = 2 * np.maximum(total**2 - squares, 0) @ degrees
    third = 8 * np.maximum(total**3 - 3 * total * squares + 2 * cubes, 0) @ degrees
    # (8/matched)^(1/2) is the skewness; without any the law is taken for normal
    skewness = third / np.where(second > 0, second, 1.0) ** 1.5
    matched = 8 / np.maximum(skewness, 1e-4) ** 2
    above = np.sqrt(second / (2 * matched)) * (stats.chi2.isf(level, matched) - matched)
    return np.asarray(largest * (first + above))


def irreducible_energies(
    weights: np.ndarray, blocks: np.ndarray, group: SymmetryGroup
) -> tuple[np.ndarray, np.ndarray]:
    """q (K, C) and n (C,) of second moments (K, d, d), over the irreducible parts outside the commutant.

    Two blocks a ≠ b: m_a m_b dimensions. One block of size m: its symmetric traceless matrices, m(m + 1)/2 − 1. The f
    fixed directions and a block: f copies of the same part, along the eigenvectors of their covariance.
    """
    weighted = weights[:, None, None] * (blocks - inside(group, blocks))
    energies, degrees = [], []
    for a, b in combinations(group.slices, 2):
        degrees.append((a.stop - a.start) * (b.stop - b.start))
        energies.append(2 * np.sum(weighted[:, a, b] ** 2, axis=(1, 2)) / degrees[-1])
    for s in group.slices:
        m = s.stop - s.start
        if m > 1:
            degrees.append(m * (m + 1) // 2 - 1)
            energies.append(np.sum(weighted[:, s, s] ** 2, axis=(1, 2)) / degrees[-1])
        if group.fixed:
            lines = weighted[:, : group.fixed, s]
            _, vectors = np.linalg.eigh(np.einsum("kfi,kgi->fg", lines, lines))
            degrees += [m] * group.fixed
            energies += list(2 * np.sum((vectors.T @ lines) ** 2, axis=2).T / m)
    return np.array(energies).reshape(-1, len(weights)).T, np.array(degrees, dtype=float)


def mean_energies(weights: np.ndarray, means: np.ndarray, group: SymmetryGroup) -> tuple[np.ndarray, np.ndarray]:
    """q (K, C) and n (C,) of means (K, d) outside the fixed directions: one part for each block of the group."""
    weighted = weights[:, None] * means
    degrees = np.array(group.sizes, dtype=float)
    energies = [np.sum(weighted[:, s] ** 2, axis=1) / (s.stop - s.start) for s in group.slices]
    return np.array(energies).reshape(-1, len(weights)).T, degrees


def noisiest(group: SymmetryGroup, weights: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """The unit matrix (d, d) outside the commutant, among the parts off the diagonal, where the mean varies most."""
    weighted = weights[:, None, None] * (blocks - inside(group, blocks))
    best, direction = -1.0, np.zeros(weighted.shape[1:])
    candidates: list[tuple[float, np.ndarray, int]] = []
    unit = np.eye(group.dimension)
    for a, b in combinations(group.slices, 2):
        n = (a.stop - a.start) * (b.stop - b.start)
        candidates.append((float(np.sum(weighted[:, a, b] ** 2)) / n, unit[a.start], b.start))
    for s in group.slices:
        m = s.stop - s.start
        if m > 1:
            n = m * (m + 1) - 2
            candidates.append((float(np.sum(weighted[:, s, s] ** 2)) / n, unit[s.start], s.start + 1))
        if group.fixed:
            lines = weighted[:, : group.fixed, s]
            values, vectors = np.linalg.eigh(np.einsum("kfi,kgi->fg", lines, lines) / m)
            candidates.append((float(values[-1]), unit[:, : group.fixed] @ vectors[:, -1], s.start))
    for variance, line, column in candidates:
        if variance > best:
            half = np.outer(line, unit[column])
            best, direction = variance, (half + half.T) / np.sqrt(2)
    return direction
