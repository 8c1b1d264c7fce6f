"""Weights drawn from a second moment Σ_w: trained weights of which only the covariance is kept.

A first layer drawn in this way recovers most of a pretrained one's gain (arXiv:2006.10455, Fig. 5).
"""

from __future__ import annotations

import numpy as np


def draw_weights(second_moment: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Independent rows w = V Λ^½ z ~ N(0, Σ), z ~ N(0, 1_d), for Σ = V Λ Vᵀ (d, d): shape (count, d). Exact.

    Eigenvalues below zero, by rounding, count as zero.

    >>> draw_weights(np.diag([1.0, 0.0]), 3, np.random.default_rng(0))[:, 1].tolist()
    [0.0, 0.0, 0.0]
    """
    variances, basis = principal_axes(second_moment)
    return (generator.standard_normal((count, len(basis))) * np.sqrt(variances)) @ basis.T


def principal_axes(second_moment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, ascending and not negative, and eigenvectors in columns, of a symmetric (d, d)."""
    variances, basis = np.linalg.eigh(second_moment)
    return np.maximum(variances, 0.0), basis


def of_norm(w: np.ndarray, norm: float) -> np.ndarray:
    """`w` scaled to a Frobenius norm; zeros stay zeros."""
    size = float(np.linalg.norm(w))
    return w * (norm / size) if size else w
