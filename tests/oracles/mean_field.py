"""Slow, literal mean-field training of one hidden layer: plain draws, loops over updates, responses by differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Plain:
    """f = c Σ_j a_j φ(h_j), squared error on Gaussian labels, the first layer trained by full batches.

    `phi` and `slope` are φ and φ'; `samples` is n and `draws` the rows that are drawn for means over them. Responses
    are differences by ± `push`. With `bias` neurons have biases, from 0.
    """

    eigenvalues: np.ndarray
    multiplicity: np.ndarray
    samples: int
    a: np.ndarray
    scale: float
    s0: float
    phi: Function
    slope: Function
    labels: float
    rate: float
    momentum: float
    decay: float
    draws: int
    push: float = 1e-4
    bias: bool = False


def mean_field(plain: Plain, steps: int, seed: int) -> np.ndarray:
    """τ after 0 … `steps` updates along each eigenvalue, (steps + 1, k)."""
    return mean_field_law(plain, steps, seed)[0]


def mean_field_law(plain: Plain, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """τ as in `mean_field`, and what a neuron's own initial weight is multiplied by, the mean over neurons."""
    generator = np.random.default_rng(seed)
    m, k = len(plain.a), len(plain.eigenvalues)
    # a bias moves as weights do along a direction of eigenvalue 1, which adds nothing to the variance of rows
    levels = np.append(plain.eigenvalues, 1.0) if plain.bias else plain.eigenvalues
    counts = np.append(plain.multiplicity, 1) if plain.bias else plain.multiplicity
    both = range(len(levels))
    normals = generator.standard_normal((plain.draws, steps * m))
    y = np.sqrt(plain.labels) * generator.standard_normal(plain.draws)
    # W = P W_0 + Σ_s G[s] (force at s), for every eigenvalue; velocities likewise
    propagators, answers = [[np.eye(m)] for _ in both], [[{}] for _ in both]
    velocity, answer_velocity = [np.zeros((m, m)) for _ in both], [{} for _ in both]
    multipliers = generator.standard_normal(plain.draws)
    shifts, shift_velocity = [np.zeros(m)], np.zeros(m)
    responses: dict[tuple[int, int], np.ndarray] = {}
    forces: dict[tuple[int, int], np.ndarray] = {}
    found = []
    for t in range(steps + 1):
        weights = [
            {
                (p, q): _covariance(plain, i, propagators[i], answers[i], forces, p, q)
                for p in range(t + 1)
                for q in range(t + 1)
            }
            for i in range(k)
        ]
        found.append([np.trace(weights[i][t, t]) / m for i in range(k)])
        if t == steps:
            break
        rows = sum(plain.multiplicity[i] * plain.eigenvalues[i] * _blocks(weights[i], t + 1, m) for i in range(k))
        xi = normals[:, : (t + 1) * m] @ np.linalg.cholesky(rows).T
        memory = {
            (p, q): sum(counts[i] * levels[i] * answers[i][p][q] for i in both) / plain.samples
            for p in range(t + 1)
            for q in range(p)
        }
        pushes = _forces(plain, xi.reshape(-1, t + 1, m), memory, y, shifts)
        for s in range(t + 1):
            forces[t, s] = pushes[:, t].T @ pushes[:, s] / plain.draws
            forces[s, t] = forces[t, s].T
            response = np.zeros((m, m))
            for j in range(m):
                ends = []
                for sign in (1, -1):
                    pushed = xi.reshape(-1, t + 1, m).copy()
                    pushed[:, s, j] += sign * plain.push
                    ends.append(_forces(plain, pushed, memory, y, shifts)[:, t].mean(axis=0))
                response[:, j] = (ends[0] - ends[1]) / (2 * plain.push)
            responses[t, s] = response
        noise = (multipliers - multipliers.mean()) @ pushes[:, t] / np.sqrt(plain.draws * plain.samples)
        mean = pushes[:, t].mean(axis=0) + plain.decay * shifts[t]
        shift_velocity = plain.momentum * shift_velocity + mean + noise
        shifts.append(shifts[t] - plain.rate * shift_velocity * plain.bias)
        for i in both:
            pull = sum(responses[t, s] @ propagators[i][s] for s in range(t + 1)) * levels[i]
            velocity[i] = plain.momentum * velocity[i] + pull + plain.decay * propagators[i][t]
            propagators[i].append(propagators[i][t] - plain.rate * velocity[i])
            new = {}
            for r in range(t + 1):
                now = answers[i][t].get(r, np.zeros((m, m)))
                pull = sum((responses[t, s] @ answers[i][s][r] for s in range(r + 1, t + 1)), np.zeros((m, m)))
                pull = levels[i] * pull + plain.decay * now + (np.eye(m) if r == t else 0)
                answer_velocity[i][r] = plain.momentum * answer_velocity[i].get(r, np.zeros((m, m))) + pull
                new[r] = now - plain.rate * answer_velocity[i][r]
            answers[i].append(new)
    return np.array(found), np.array([[np.trace(p) / m for p in row] for row in zip(*propagators[:k], strict=True)])


def _forces(plain: Plain, xi: np.ndarray, memory: dict, y: np.ndarray, shifts: list) -> np.ndarray:
    """g (draws, T, m) of rows with the pre-activations ξ (draws, T, m)."""
    g = np.zeros_like(xi)
    for t in range(xi.shape[1]):
        h = xi[:, t] + shifts[t] + sum((g[:, s] @ memory[t, s].T for s in range(t)), np.zeros_like(xi[:, t]))
        residual = plain.scale * plain.phi(h) @ plain.a - y
        g[:, t] = plain.scale * plain.slope(h) * plain.a * residual[:, None]
    return g


def _covariance(plain: Plain, i: int, propagators: list, answers: list, forces: dict, p: int, q: int) -> np.ndarray:
    """E W^p (W^q)ᵀ along eigenvalue number i."""
    total = plain.s0 * propagators[p] @ propagators[q].T
    for r, first in answers[p].items():
        for s, second in answers[q].items():
            total = total + plain.eigenvalues[i] / plain.samples * first @ forces[r, s] @ second.T
    return total


def _blocks(covariance: dict, count: int, m: int) -> np.ndarray:
    """The (count m, count m) matrix of the blocks."""
    return np.block([[covariance[p, q] for q in range(count)] for p in range(count)]).reshape(count * m, count * m)
