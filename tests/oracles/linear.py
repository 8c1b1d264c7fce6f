"""Slow, literal versions of full-batch linear training: in Fractions over all label vectors, and as a plain loop."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np

from theory.setting import Data, Setting, Training
from theory.symmetry import haar

Matrix = list[list[Fraction]]

OPTIMIZERS: dict[str, dict] = {
    "gradient descent": {},
    "decay": {"weight_decay": 0.25},
    "drops": {"drops": ((1, 0.5), (3, 0.25))},
    "heavy ball": {"momentum": 0.5},
    "heavy ball, decay, drops": {"momentum": 0.75, "weight_decay": 0.125, "drops": ((2, 0.5),)},
    "nesterov": {"momentum": 0.5, "nesterov": True},
    "nesterov, decay, drops": {"momentum": 0.75, "nesterov": True, "weight_decay": 0.5, "drops": ((0, 0.5), (2, 0.5))},
}


def exact(rows: np.ndarray) -> Matrix:
    """A float matrix as Fractions, without rounding."""
    return [[Fraction(float(entry)) for entry in row] for row in rows]


def rates(training: Training, steps: int) -> list[Fraction]:
    """The learning rates of updates 0, 1, …, in Fractions: the rate times every factor that has started."""
    eta = Fraction(training.learning_rate)
    return [eta * math.prod(Fraction(c) for s, c in training.drops if k >= s) for k in range(steps)]


def train_exactly(
    rows: Matrix, labels: list[Fraction], weights: list[Fraction], training: Training, steps: int
) -> list[Fraction]:
    """The update rule of torch.optim.SGD, number by number, on loss 1/(2n) |X w − y|²."""
    n, mu, decay = len(rows), Fraction(training.momentum), Fraction(training.weight_decay)
    w, buffer = list(weights), [Fraction(0)] * len(weights)
    for eta in rates(training, steps):
        residuals = [sum(x * c for x, c in zip(row, w, strict=True)) - y for row, y in zip(rows, labels, strict=True)]
        gradient = [
            sum(r * row[j] for r, row in zip(residuals, rows, strict=True)) / n + decay * w[j] for j in range(len(w))
        ]
        buffer = [mu * v + g for v, g in zip(buffer, gradient, strict=True)]
        move = [g + mu * v for g, v in zip(gradient, buffer, strict=True)] if training.nesterov else buffer
        w = [c - eta * m for c, m in zip(w, move, strict=True)]
    return w


def enumerated_second_moment(
    rows: Matrix, sigma_y: Fraction, variances: list[Fraction], training: Training, steps: int
) -> Matrix:
    """E[w wᵀ] over all 2^n label vectors y ∈ {−σ_y, σ_y}^n and w_0 of covariance diag(variances), exactly.

    w is linear in (w_0, y), so w_0 needs its basis vectors only; the labels are enumerated one by one.
    """
    n, d = len(rows), len(rows[0])
    total = [[Fraction(0)] * d for _ in range(d)]
    for j, variance in enumerate(variances):
        start = [Fraction(int(i == j)) for i in range(d)]
        _add(total, train_exactly(rows, [Fraction(0)] * n, start, training, steps), variance)
    for signs in itertools.product((-1, 1), repeat=n):
        w = train_exactly(rows, [sign * sigma_y for sign in signs], [Fraction(0)] * d, training, steps)
        _add(total, w, Fraction(1, 2**n))
    return total


def formula_second_moment(
    rows: Matrix, sigma_y: Fraction, variances: list[Fraction], training: Training, steps: int
) -> Matrix:
    """p(S) Σ_0 p(S) + (σ_y²/n) q(S) S q(S), with the polynomials p and q of S evaluated as matrices of Fractions."""
    n, d = len(rows), len(rows[0])
    s = [[sum(row[i] * row[j] for row in rows) / n for j in range(d)] for i in range(d)]
    # q(S) is w_t from w_0 = 0 when b runs through the basis; p(S) = 1 − (S + λ) q(S)
    q = _label_polynomial(s, training, steps)
    decay = Fraction(training.weight_decay)
    shifted = [[s[i][j] + (decay if i == j else 0) for j in range(d)] for i in range(d)]
    p = [[int(i == j) - entry for j, entry in enumerate(row)] for i, row in enumerate(_times(shifted, q))]
    weighted = [[entry * variances[j] for j, entry in enumerate(row)] for row in p]
    init, labels = _times(weighted, p), _times(_times(q, s), q)
    return [[init[i][j] + sigma_y**2 / n * labels[i][j] for j in range(d)] for i in range(d)]


def _label_polynomial(s: Matrix, training: Training, steps: int) -> Matrix:
    d, mu, decay = len(s), Fraction(training.momentum), Fraction(training.weight_decay)
    q, buffer = ([[Fraction(0)] * d for _ in range(d)] for _ in range(2))
    for eta in rates(training, steps):
        sq = _times(s, q)
        g = [[sq[i][j] + decay * q[i][j] - int(i == j) for j in range(d)] for i in range(d)]
        buffer = [[mu * buffer[i][j] + g[i][j] for j in range(d)] for i in range(d)]
        ahead = [[g[i][j] + mu * buffer[i][j] for j in range(d)] for i in range(d)] if training.nesterov else buffer
        q = [[q[i][j] - eta * ahead[i][j] for j in range(d)] for i in range(d)]
    return q


def _times(a: Matrix, b: Matrix) -> Matrix:
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in zip(*b, strict=True)] for row in a]


def _add(total: Matrix, w: list[Fraction], weight: Fraction) -> None:
    for i, a in enumerate(w):
        for j, b in enumerate(w):
            total[i][j] += weight * a * b


def train_all(rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, training: Training, steps: int) -> np.ndarray:
    """All replicas at once: labels (N, n), initial weights (N, d) → weights after `steps` updates (N, d)."""
    n = len(rows)
    w, buffer = weights.copy(), np.zeros_like(weights)
    s, b = rows.T @ rows / n, labels @ rows / n
    eta = training.learning_rate
    factors = dict(training.drops)
    for k in range(steps):
        eta *= factors.get(k, 1.0)
        gradient = w @ s - b + training.weight_decay * w
        buffer = training.momentum * buffer + gradient
        w -= eta * (gradient + training.momentum * buffer if training.nesterov else buffer)
    return w


def fixed_setting(rows: np.ndarray, training: Training, **tables: object) -> Setting:
    """A linear setting with fixed Gaussian data of the shape of `rows`."""
    data = Data(kind="gaussian", spectrum=(1.0,) * rows.shape[1], samples=len(rows), fixed=True)
    return Setting(data=data, training=training, **tables)  # type: ignore[arg-type]


def rows_with_spectrum(generator: np.random.Generator, n: int, eigenvalues: np.ndarray) -> np.ndarray:
    """X (n, d) with X'X/n of these eigenvalues, at most n of them positive, in a random basis."""
    d = len(eigenvalues)
    positive = np.flatnonzero(eigenvalues)
    left = haar(generator, n, 1)[0][:, : len(positive)]
    right = haar(generator, d, 1)[0][:, positive]
    return np.sqrt(n) * (left * np.sqrt(eigenvalues[positive])) @ right.T
