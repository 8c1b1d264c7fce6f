"""Rows, roots and means that tests of transfer in the kernel regime share."""

from __future__ import annotations

import numpy as np
from scipy import stats

RATE = 0.5


def summary(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean over networks, and Student's two-sided quantile of level 1e-7 for its error."""
    count = len(samples)
    return samples.mean(axis=0), stats.t.isf(0.5e-7, count - 1) * samples.std(axis=0, ddof=1) / count**0.5


def problem(seed: int, n: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows X with eigenvalues of Σ_x from 2 to 0.1, and the eigenvalues and eigenvectors of S = X'X/n."""
    rows = np.random.default_rng(seed).standard_normal((n, d)) * np.sqrt(np.geomspace(2, 0.1, d))
    return rows, *np.linalg.eigh(rows.T @ rows / n)


def root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values)) @ vectors.T


def within(measured: np.ndarray, sampling: np.ndarray, predicted: np.ndarray, budget: float) -> bool:
    return bool(np.all(np.abs(measured - predicted) <= budget + sampling))
