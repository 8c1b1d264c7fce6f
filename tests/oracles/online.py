"""Online training written out literally: all sequences of batches of a discrete law in Fractions, and a plain loop.

The recursion uses the moments of x up to the fourth. A coordinate that is 0 with probability 2/3 and ±√3 with 1/6 each
has the moments 1 and 3 of N(0, 1), and no odd ones. Fractions stand for z/√3; the square of the root enters by itself.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from theory.setting import Setting, Sphere, Student, Training, TwoPoint

OPTIMIZERS: dict[str, dict] = {
    "descent": {},
    "decay": {"weight_decay": 0.25},
    "drops": {"drops": ((1, 0.5), (2, 0.25))},
    "heavy ball": {"momentum": 0.5, "weight_decay": 0.125},
    "nesterov": {"momentum": 0.75, "nesterov": True, "drops": ((1, 0.5),)},
}
MOMENTA = [{}, {"momentum": 0.5}, {"momentum": 0.9}, {"momentum": 0.5, "nesterov": True}, OPTIMIZERS["nesterov"]]


@dataclass(frozen=True)
class Atom:
    """One value of x/√3, rational coordinates along the axes, with its probability."""

    x: tuple[Fraction, ...]
    chance: Fraction


def gaussian_atoms(d: int) -> list[Atom]:
    """Independent coordinates with the moments of N(0, 1) up to the fifth, divided by √3."""
    one = [(Fraction(0), Fraction(2, 3)), (Fraction(1), Fraction(1, 6)), (Fraction(-1), Fraction(1, 6))]
    atoms = []
    for picks in itertools.product(one, repeat=d):
        chance = Fraction(1)
        for _, probability in picks:
            chance *= probability
        atoms.append(Atom(tuple(value for value, _ in picks), chance))
    return atoms


def two_point_atoms(d: int) -> list[Atom]:
    """The same times √χ, χ = 0 or 2 with probability ½ each, so that k4 = E χ² = 2; divided by √6."""
    zero = (Fraction(0),) * d
    moving = [Atom(atom.x, atom.chance / 2) for atom in gaussian_atoms(d) if atom.x != zero]
    return [Atom(zero, 1 - sum(atom.chance for atom in moving)), *moving]


def enumerated(
    atoms: list[Atom],
    square: Fraction,
    roots: list[Fraction],
    initial: list[Fraction],
    sigma_y: Fraction,
    training: Training,
    batch_size: int,
    steps: int,
) -> list[list[Fraction]]:
    """E[w wᵀ] over every sequence of batches and of Rademacher labels, exactly; w is linear in w_0 and the labels.

    The rows are x = √square · (roots_i · atom_i)_i, so Σ = diag(roots²) for the laws above. x xᵀ carries `square`; x y
    carries its root, which leaves the part of w that the labels drive as a common factor.
    """
    d = len(roots)
    total = [[Fraction(0)] * d for _ in range(d)]
    batches = list(itertools.product(atoms, repeat=batch_size))
    signs = list(itertools.product((-1, 1), repeat=batch_size))
    eta, mu, decay = Fraction(training.learning_rate), Fraction(training.momentum), Fraction(training.weight_decay)

    def walk(state: list[tuple[list[Fraction], list[Fraction]]], step: int, chance: Fraction) -> None:
        if step == steps:
            for (w, _), weight in zip(state, [*initial, square * sigma_y**2], strict=True):
                for i in range(d):
                    for j in range(d):
                        total[i][j] += chance * weight * w[i] * w[j]
            return
        rate = eta
        for start, factor in training.drops:
            rate *= Fraction(factor) if step >= start else 1
        for batch in batches:
            here = chance
            for atom in batch:
                here *= atom.chance
            rows = [[r * x for r, x in zip(roots, atom.x, strict=True)] for atom in batch]
            for labels in signs:
                # the last of the d + 1 vectors starts at 0 and is driven by the labels, in units of √square · σ_y
                moved = [
                    _update(w, v, rows, square, labels if k == d else (0,) * batch_size, rate, mu, decay, training)
                    for k, (w, v) in enumerate(state)
                ]
                walk(moved, step + 1, here / 2**batch_size)

    zero = [Fraction(0)] * d
    start = [([Fraction(int(i == k)) for i in range(d)], zero) for k in range(d)]
    walk([*start, (zero, zero)], 0, Fraction(1))
    return total


def _update(
    w: list[Fraction],
    v: list[Fraction],
    rows: list[list[Fraction]],
    square: Fraction,
    labels: tuple[int, ...],
    rate: Fraction,
    mu: Fraction,
    decay: Fraction,
    training: Training,
) -> tuple[list[Fraction], list[Fraction]]:
    g = [decay * c for c in w]
    for row, y in zip(rows, labels, strict=True):
        residual = square * sum(a * c for a, c in zip(row, w, strict=True)) - y
        g = [c + residual * a / len(rows) for c, a in zip(g, row, strict=True)]
    v = [mu * b + c for b, c in zip(v, g, strict=True)]
    move = [c + mu * b for c, b in zip(g, v, strict=True)] if training.nesterov else v
    return [c - rate * m for c, m in zip(w, move, strict=True)], v


def train_online(setting: Setting, replicas: int, seed: int) -> list[np.ndarray]:
    """Weights (N, d) at every step that the setting names, trained by the update rule on rows drawn as they are needed.

    Coordinates are the eigendirections; Gaussian labels and initial weights.
    """
    generator = np.random.default_rng(seed)
    data, training, network = setting.data, setting.training, setting.network
    eigenvalues = np.array(data.eigenvalues)
    d, size = len(eigenvalues), training.batch_size
    if size == "full":
        size = data.samples
    ntk = network.parametrization == "ntk"
    start = np.array(network.init_spectrum or [network.layer_variances[0] / (1 if ntk else d)] * d)
    w = generator.standard_normal((replicas, d)) * np.sqrt(start)
    buffer, rate, found = np.zeros_like(w), training.learning_rate, []
    factors = dict(training.drops)
    for step in range(training.readings[-1] + 1):
        if step in training.readings:
            found.append(w.copy())
        rate *= factors.get(step, 1.0)
        z = generator.standard_normal((replicas, size, d))
        radial = data.radial
        if isinstance(radial, Student):
            z *= np.sqrt((radial.dof - 2) / generator.chisquare(radial.dof, (replicas, size, 1)))
        elif isinstance(radial, Sphere):
            z *= np.sqrt(d) / np.linalg.norm(z, axis=2, keepdims=True)
        elif isinstance(radial, TwoPoint):
            z *= np.sqrt(1 + np.sqrt(radial.k4 - 1) * generator.choice([-1.0, 1.0], (replicas, size, 1)))
        x = z * np.sqrt(eigenvalues / (d if ntk else 1))
        y = generator.standard_normal((replicas, size)) * np.sqrt(setting.labels.variance)
        residual = np.einsum("rbd,rd->rb", x, w) - y
        gradient = np.einsum("rb,rbd->rd", residual, x) / size + training.weight_decay * w
        buffer = training.momentum * buffer + gradient
        w = w - rate * (gradient + training.momentum * buffer if training.nesterov else buffer)
    return found
