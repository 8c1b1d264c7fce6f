"""Slow, literal two-layer linear networks: exact averages by enumeration, and trainings replica by replica.

The law {−a, 0, a} with probabilities 1/6, 2/3, 1/6 has the moments of N(0, a²/3) up to the fifth, {−a, a} those of
variance a² up to the third: averages of polynomials of such degrees over them are Gaussian averages, exactly.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from theory.linear.two_layer import TwoLayer
from theory.setting import Data, Labels, Network, Setting, Training


def enumerated(shapes: list[tuple[tuple[int, int], float, int]], of: Callable[..., np.ndarray]) -> np.ndarray:
    """E of(A, B, …) over independent matrices, each (shape, a, number of points: 2 or 3), all outcomes at once.

    `of` takes arrays (N, *shape) and returns (N, …).
    """
    points = {2: ([-1.0, 1.0], [0.5, 0.5]), 3: ([-1.0, 0.0, 1.0], [1 / 6, 2 / 3, 1 / 6])}
    outcomes, weights = [], np.ones(1)
    for shape, a, count in shapes:
        size = shape[0] * shape[1]
        values, chances = (np.array(list(itertools.product(x, repeat=size))) for x in points[count])
        chance = chances.prod(axis=1)
        outcomes = [np.repeat(old, len(values), axis=0) for old in outcomes]
        outcomes.append(np.tile(a * values, (len(weights), 1)).reshape(-1, *shape))
        weights = np.outer(weights, chance).ravel()
    return np.tensordot(weights, of(*outcomes), axes=1)


def enumerated_first_step(
    rows: list[list[Fraction]],
    width: int,
    outputs: int,
    scales: tuple[Fraction, Fraction, Fraction],
    rate: Fraction,
    decay: Fraction,
) -> list[list[Fraction]]:
    """E[W_1ᵀW_1]/m after one step of the written-out gradient, in Fractions: W_1 and Y two-point, W_2 three-point."""
    n, d = len(rows), len(rows[0])
    total = [[Fraction(0)] * d for _ in range(d)]
    pair = [(Fraction(-1), Fraction(1, 2)), (Fraction(1), Fraction(1, 2))]
    triple = [(Fraction(-1), Fraction(1, 6)), (Fraction(0), Fraction(2, 3)), (Fraction(1), Fraction(1, 6))]
    laws = [pair] * (width * d) + [triple] * (outputs * width) + [pair] * (outputs * n)
    for outcome in itertools.product(*laws):
        chance = Fraction(1)
        for _, weight in outcome:
            chance *= weight
        numbers = iter(value for value, _ in outcome)
        w1 = [[scales[0] * next(numbers) for _ in range(d)] for _ in range(width)]
        w2 = [[scales[1] * next(numbers) for _ in range(width)] for _ in range(outputs)]
        y = [[scales[2] * next(numbers) for _ in range(n)] for _ in range(outputs)]
        moved = [row[:] for row in w1]
        for k in range(n):
            hidden = [sum(w1[i][j] * rows[k][j] for j in range(d)) for i in range(width)]
            errors = [sum(w2[c][i] * hidden[i] for i in range(width)) - y[c][k] for c in range(outputs)]
            for i in range(width):
                back = sum(w2[c][i] * errors[c] for c in range(outputs))
                for j in range(d):
                    moved[i][j] -= rate * back * rows[k][j] / n
        for i in range(width):
            for j in range(d):
                moved[i][j] -= rate * decay * w1[i][j]
        for a in range(d):
            for b in range(d):
                total[a][b] += chance * sum(row[a] * row[b] for row in moved) / width
    return total


def train(
    s: np.ndarray, g: np.ndarray, first: np.ndarray, second: np.ndarray, training: Training, steps: int, *, linear: bool
) -> tuple[np.ndarray, np.ndarray]:
    """All replicas at once: G (N, C, d), W_1 (N, m, d), W_2 (N, C, m) after `steps`; `linear` drops W_2W_1S."""
    buffers = [np.zeros_like(first), np.zeros_like(second)]
    for step in range(steps):
        residual = g if linear else g - second @ first @ s
        moves = []
        for index, (weights, gradient) in enumerate(
            ((first, -second.transpose(0, 2, 1) @ residual), (second, -residual @ first.transpose(0, 2, 1)))
        ):
            gradient = gradient + training.weight_decay * weights
            buffers[index] = training.momentum * buffers[index] + gradient
            moves.append(gradient + training.momentum * buffers[index] if training.nesterov else buffers[index])
        eta = training.learning_rate_at(step)
        first, second = first - eta * moves[0], second - eta * moves[1]
    return first, second


def draw(
    generator: np.random.Generator, count: int, rows: np.ndarray, width: int, outputs: int, first: float, second: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """G (N, C, d) of unit labels, and Gaussian W_1 (N, m, d), W_2 (N, C, m) of variances `first`, `second`."""
    n, d = rows.shape
    g = generator.standard_normal((count, outputs, n)) @ rows / n
    w1 = np.sqrt(first) * generator.standard_normal((count, width, d))
    w2 = np.sqrt(second) * generator.standard_normal((count, outputs, width))
    return g, w1, w2


def two_layer_setting(
    rows: np.ndarray, width: int, training: Training, labels: Labels | None = None, **network: object
) -> Setting:
    """A two-layer linear setting with fixed Gaussian data of the shape of `rows`."""
    data = Data(kind="gaussian", spectrum=(1.0,) * rows.shape[1], samples=len(rows), fixed=True)
    keys: dict = {"kind": "mlp", "hidden": (width,), "activation": "identity", **network}
    return Setting(data=data, labels=labels or Labels(), network=Network(**keys), training=training)


def flow_series(s: np.ndarray, samples: int, label_variance: float, net: TwoLayer, time: float) -> np.ndarray:
    """τ along eigenvalues s (k,) of S (factor included, with multiplicity) after flow time t, up to O(t³).

        τ = σ_1² − 2tCσ_1²σ_2² s + t² [ (Cσ_y²(σ_1² + σ_2²)/n) s + 2C(C + m + 1)σ_1²σ_2⁴ s²
                                        + 2Cσ_1⁴σ_2² ((m + 1)s² + tr(S) s) ],

    isotropic σ_1². Asymptotic, error O(t³): useful only while t s m σ² ≪ 1. The first step of descent lacks the
    motion of W_2, hence the terms with σ_1⁴ and the label part of σ_1².
    """
    c, m, second = net.outputs, net.width, net.output_variance
    first = float(net.initial[0])
    curvature = (
        c * label_variance * (first + second) / samples * s
        + 2 * c * (c + m + 1) * first * second**2 * s**2
        + 2 * c * first**2 * second * ((m + 1) * s**2 + s.sum() * s)
    )
    return np.asarray(first - 2 * time * c * first * second * s + time**2 * curvature)


def converged_many_outputs(variances: np.ndarray, outputs: int) -> np.ndarray:
    """sqrt(C ν_i), the limit of E[(βᵀβ)^½]_ii as C/d → ∞, (d,). Asymptotic; wrong by large factors for C < d."""
    return np.sqrt(outputs * np.asarray(variances, dtype=float))
