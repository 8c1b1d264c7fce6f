"""Fewer eigenvalues that represent many: Gauss quadrature of the spectrum, and interpolation back to it.

The results of the solver are polynomials in an eigenvalue λ, of a degree that grows with time but with decreasing
coefficients, so a few nodes are enough. K nodes and weights of Gauss, from Lanczos' method on diag(λ), integrate
polynomials of degree 2K − 1 over the spectrum exactly, with positive weights, so that covariances stay covariances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

LEVELS = 16  # the most eigenvalues that the solver follows


@dataclass(frozen=True, eq=False)
class Levels:
    """K eigenvalues with weights in place of k with multiplicities.

    Attributes
    ----------
    nodes, weights : ndarray, shape (K,)
        Σ weights = d.
    interpolation : ndarray, shape (k, K)
        Maps values at the nodes to values at the eigenvalues.
    """

    nodes: np.ndarray
    weights: np.ndarray
    interpolation: np.ndarray


def with_explicit(levels: Levels, eigenvalues: np.ndarray, multiplicity: np.ndarray) -> Levels:
    """Levels of the bulk, and after them one for each of the directions of the other eigenvalues.

    >>> found = with_explicit(levels_of(np.array([1.0]), np.array([20]), 1), np.array([9.0]), np.array([2]))
    >>> found.nodes.tolist(), found.weights.tolist(), found.interpolation.tolist()
    ([1.0, 9.0, 9.0], [20.0, 1.0, 1.0], [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    """
    mean = np.repeat(np.diag(1 / multiplicity), multiplicity, axis=1)
    return Levels(
        nodes=np.concatenate([levels.nodes, np.repeat(eigenvalues, multiplicity)]),
        weights=np.concatenate([levels.weights, np.ones(mean.shape[1])]),
        interpolation=linalg.block_diag(levels.interpolation, mean),
    )


def levels_of(eigenvalues: np.ndarray, multiplicity: np.ndarray, most: int) -> Levels:
    """The spectrum itself if it has at most this many distinct eigenvalues, otherwise Gauss nodes.

    >>> found = levels_of(np.linspace(1, 2, 50), np.ones(50), 8)
    >>> len(found.nodes), bool(abs(found.weights @ found.nodes**15 / np.sum(np.linspace(1, 2, 50) ** 15) - 1) < 1e-12)
    (8, True)
    """
    count = len(eigenvalues)
    if count <= most:
        return Levels(eigenvalues, multiplicity, np.eye(count))
    share = np.sqrt(multiplicity / multiplicity.sum())
    vectors = np.zeros((count, most))
    vectors[:, 0] = share
    for j in range(1, most):
        new = eigenvalues * vectors[:, j - 1]
        for _ in range(2):  # twice is enough to be orthogonal to rounding
            new = new - vectors[:, :j] @ (vectors[:, :j].T @ new)
        vectors[:, j] = new / np.linalg.norm(new)
    nodes, basis = np.linalg.eigh(vectors.T @ (eigenvalues[:, None] * vectors))
    interpolation = (vectors / share[:, None]) @ basis * basis[0]
    return Levels(nodes, multiplicity.sum() * basis[0] ** 2, interpolation)
