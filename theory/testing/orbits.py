"""Weighted sums over the blocks, each block turned by its own random element of the group: the null distribution.

Two kernels, both with bounded memory. They yield chunks (n, P) of Σ_k w_k (coordinates of g_k Y_k g_kᵀ), one row per
draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from theory.symmetry import SymmetryGroup

_BITS = 1.0 - 2.0 * ((np.arange(256)[:, None] >> np.arange(8)) & 1)  # byte → its eight signs


def signed_sums(
    values: np.ndarray, left: np.ndarray, right: np.ndarray, fixed: int, draws: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Chunks of Σ_k ε_k,left(p) ε_k,right(p) values_kp, with independent signs ε_ki of every block k and coordinate i.

    values (K, P); left, right (P,) name coordinates, of which the first `fixed` always have the sign +. Signs are bits,
    eight blocks per byte, so that the sum over eight blocks is one look-up in a table of 256.
    """
    blocks, features = values.shape
    width = -(-blocks // 8)
    padded = np.zeros((8 * width, features))
    padded[:blocks] = values
    # tables[p, 256 b + byte]: the sum over blocks 8b … 8b + 7 for these eight product signs
    sums_of_eight = _BITS @ padded.reshape(width, 8, features)
    tables = np.ascontiguousarray(sums_of_eight.transpose(2, 0, 1)).reshape(features, width * 256)
    offsets = 256 * np.arange(width)[:, None]
    coordinates = max(fixed, 1 + int(left.max(initial=0)), 1 + int(right.max(initial=0)))
    chunk = max(256, min(draws, 2**18 // max(features, 4 * width * coordinates)))
    for start in range(0, draws, chunk):
        n = min(chunk, draws - start)
        signs = np.zeros((coordinates, width, n), dtype=np.uint8)
        free = coordinates - fixed
        signs[fixed:] = generator.integers(0, 256, size=(free, width, n), dtype=np.uint8)
        sums = np.empty((features, n))
        for p in range(features):
            np.sum(tables[p].take((signs[left[p]] ^ signs[right[p]]) + offsets), axis=0, out=sums[p])
        yield sums.T


def pooled_sums(
    orbit: Callable[[int, np.ndarray, int], np.ndarray],
    group: SymmetryGroup,
    blocks: int,
    features: int,
    draws: int,
    generator: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Chunks of Σ_k orbit_k(g_k g_{0k}⁻¹), the g's picked at random from a pool of Haar elements for every block.

    `orbit(k, elements, origin)` gives the coordinates (M, P) of block k turned by elements_j elements_originᵀ (in the
    basis of the group). A new Haar element for every block and draw would cost one QR each; a pool is equally exact:
    given the pools, let q be the law of (g_1 … g_K) with g_k picked uniformly from pool k. Under H0, X' = g_0⁻¹ X, g_0
    ~ q, has the law of X and is independent of all picks, so X = g_0 X' and g_b X' = g_b g_0⁻¹ X, b = 1 … N, are
    exchangeable (Ramdas, Barber, Candès, Tibshirani, arXiv:2204.13581, for permutations). The pools are so large that a
    coincidence of all K picks, which would count as a tie, has probability below 1/(100 N).
    """
    pool = max(96, int(np.ceil((100.0 * draws) ** (1 / blocks))))
    local = SymmetryGroup(np.eye(group.dimension), group.fixed, group.sizes)

    def turned(k: int) -> np.ndarray:
        return orbit(k, local.draw(generator, pool), int(generator.integers(pool)))

    # small enough for the processor's cache, which decides the speed
    chunk = max(64, min(draws, 2**16 // max(1, features)))
    if draws <= blocks * pool:  # all sums take less room than all pools: one pool at a time
        sums = np.zeros((draws, features))
        for k in range(blocks):
            pool_k, picks = turned(k), generator.integers(0, pool, size=draws)
            for start in range(0, draws, chunk):
                part = slice(start, start + chunk)
                sums[part] += pool_k[picks[part]]
        yield sums
        return
    table = np.stack([turned(k) for k in range(blocks)])
    buffer = np.empty((chunk, features))
    for start in range(0, draws, chunk):
        n = min(chunk, draws - start)
        picks = generator.integers(0, pool, size=(blocks, n))
        sums = np.zeros((n, features))
        for k in range(blocks):
            np.take(table[k], picks[k], axis=0, out=buffer[:n], mode="clip")
            sums += buffer[:n]
        yield sums
