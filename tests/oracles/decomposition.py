"""Slow, literal decompositions: every label, initial weight and batch enumerated, and plain loops of the jackknife."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from theory.setting import Training


def enumerated_parts(
    rows: np.ndarray, sigma_y: float, sigma_0: float, training: Training, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """A and F along the axes, (d,) each: E[w_t w_0]/σ_0² and E[w_t²] − A² σ_0² over all signs and batches.

    Labels are ±σ_y, initial weights ±σ_0, batches those that `batches` lists. 2^(n + d) times as many trainings.
    """
    n, d = rows.shape
    cross, square, count = np.zeros(d), np.zeros(d), 0
    for order in batches(n, training, steps):
        for y in itertools.product((-sigma_y, sigma_y), repeat=n):
            for start in itertools.product((-sigma_0, sigma_0), repeat=d):
                w, v = np.array(start), np.zeros(d)
                for batch in order:
                    x = rows[list(batch)]
                    gradient = x.T @ (x @ w - np.array(y)[list(batch)]) / len(batch) + training.weight_decay * w
                    v = training.momentum * v + gradient
                    w = w - training.learning_rate * v
                cross, square, count = cross + w * start, square + w**2, count + 1
    amplitude = cross / count / sigma_0**2
    return amplitude, square / count - amplitude**2 * sigma_0**2


def batches(n: int, training: Training, steps: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """All sequences of batches, equally likely: all rows, or each time anew some of them."""
    size = n if training.batch_size == "full" else training.batch_size
    return itertools.product(itertools.combinations(range(n), size), repeat=steps)


def literal_jackknife(
    initial: np.ndarray, cross: np.ndarray, trained: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A² τ(0) and F from products of different groups, by loops, and their jackknife errors: (k,) each."""

    def carried(kept: list[int]) -> np.ndarray:
        pairs = [(r, s) for r in kept for s in kept if r != s]
        above = sum(cross[r] * cross[s] for r, s in pairs)
        return initial[kept].mean(axis=0) * above / sum(initial[r] * initial[s] for r, s in pairs)

    everyone = list(range(len(initial)))
    without = [[r for r in everyone if r != left] for left in everyone]
    values = np.array([carried(kept) for kept in without])
    rests = np.array([trained[kept].mean(axis=0) - carried(kept) for kept in without])
    factor = (len(initial) - 1) ** 2 / len(initial)
    found = carried(everyone)
    errors = [np.sqrt(factor * each.var(axis=0, ddof=1)) for each in (values, rests)]
    return found, trained.mean(axis=0) - found, errors[0], errors[1]
