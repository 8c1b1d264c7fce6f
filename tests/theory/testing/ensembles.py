"""Ensembles of second moments with and without a symmetry, and their random numbers."""

import numpy as np
from scipy import stats

from theory.eigenspaces import Eigenspaces
from theory.symmetry import SymmetryGroup, haar
from theory.testing import (
    neighbour_rotation,
)


def generator(seed):
    return np.random.Generator(np.random.Philox(seed))


def spaces_of(multiplicity, basis=None):
    """Eigenvalues 1, 2, …; in a random basis, always the same, if none is given."""
    d = sum(multiplicity)
    basis = haar(generator(1), d, 1)[0] if basis is None else basis
    return Eigenspaces(np.arange(len(multiplicity)) + 1.0, tuple(multiplicity), basis, 0.0)


def group_of(sizes, fixed=0, basis_seed=None):
    d = fixed + sum(sizes)
    basis = np.eye(d) if basis_seed is None else haar(generator(basis_seed), d, 1)[0]
    return SymmetryGroup(basis, fixed, tuple(sizes))


def aligned_ensemble(rng, group, replicas, width):
    """S_r of `width` Gaussian vectors whose covariance commutes with the group, and whose replicas differ in scale."""
    tau = np.concatenate([np.full(group.fixed, 0.7)] + [np.full(m, i + 1.0) for i, m in enumerate(group.sizes)])
    vectors = rng.standard_normal((replicas, width, group.dimension)) * np.sqrt(tau) @ group.basis.T
    return np.exp(rng.standard_normal(replicas))[:, None, None] * (vectors.mT @ vectors) / width


def orbit_ensemble(rng, group, replicas, width):
    """S_r = g_r A g_rᵀ, one fixed A that is not aligned: invariant in law, far from Gaussian."""
    vectors = generator(1).standard_normal((width, group.dimension))
    g = group.draw(rng, replicas)
    return g @ (vectors.T @ vectors / width) @ g.mT


def misaligned_ensemble(rng, group, replicas, width, angle):
    turn = group.basis @ neighbour_rotation(group, angle) @ group.basis.T
    return turn @ aligned_ensemble(rng, group, replicas, width) @ turn.T


def sizes_agree(pvalues, false_alarm, levels=(0.01, 0.05, 0.10)):
    """Exact binomial tests of P(p ≤ α) = α, two-sided, Bonferroni over the levels."""
    return all(
        stats.binomtest(int(np.sum(pvalues <= a + 1e-12)), len(pvalues), a).pvalue > false_alarm / len(levels)
        for a in levels
    )
