"""Averages over Gaussian rows by brute force: many draws of S = X'X/n, and moments of Wishart matrices written out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def draws_of_s(generator: np.random.Generator, spectrum: np.ndarray, samples: int, count: int) -> np.ndarray:
    """X'X/n (count, d, d) for n rows N(0, diag(spectrum)); for n > d by Bartlett's triangular factor."""
    d = len(spectrum)
    if samples <= d:
        x = generator.standard_normal((count, samples, d))
        s = np.swapaxes(x, 1, 2) @ x
    else:
        factor = np.tril(generator.standard_normal((count, d, d)), -1)
        index = np.arange(d)
        factor[:, index, index] = np.sqrt(generator.chisquare(samples - index, (count, d)))
        s = factor @ np.swapaxes(factor, 1, 2)
    scale = np.sqrt(spectrum)
    return s * scale[:, None] * scale / samples


def averaged_diagonal(
    function: Callable[[np.ndarray], np.ndarray],
    generator: np.random.Generator,
    spectrum: np.ndarray,
    samples: int,
    count: int,
) -> tuple[np.ndarray, np.ndarray]:
    """E[g(S)]_ii and its standard error, (r, d) each; g from eigenvalues (m,) to (r, m)."""
    total, squares, done = 0.0, 0.0, 0
    while done < count:
        size = min(count - done, 2000)
        values, vectors = np.linalg.eigh(draws_of_s(generator, spectrum, samples, size))
        g = function(np.maximum(values, 0).ravel()).reshape(-1, *values.shape)
        diagonal = np.einsum("rck,cik->rci", g, vectors**2)
        total, squares, done = total + diagonal.sum(axis=1), squares + (diagonal**2).sum(axis=1), done + size
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0) / (count - 1))


def third_power(spectrum: np.ndarray, samples: int) -> np.ndarray:
    """E[S³]_ii exactly: the triples of rows k, l, m by which of them coincide."""
    s, n = spectrum, samples
    t, t2 = s.sum(), (s**2).sum()
    distinct = n * (n - 1) * (n - 2) * s**3
    neighbours = 2 * n * (n - 1) * (2 * s**2 + t * s) * s  # k = l or l = m: E[xxᵀxxᵀ] = 2Σ² + tr(Σ)Σ
    ends = n * (n - 1) * (2 * s**3 + t2 * s)  # k = m: E[xxᵀΣxxᵀ] = 2Σ³ + tr(Σ²)Σ
    one = n * (s * (t**2 + 2 * t2) + 4 * t * s**2 + 8 * s**3)  # E[xxᵀ|x|⁴]
    return (distinct + neighbours + ends + one) / n**3
