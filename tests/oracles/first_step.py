"""Literal first steps of one hidden layer: every outcome, with quadrature over the weights, and plain networks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
import torch

from simulate.networks import ACTIVATIONS, forward
from theory.network.model import Model
from theory.setting import Data, Labels, Network, Setting, Training

# Gauss–Hermite on three points: moments of N(0, 1) up to the fifth, and output weights enter up to the fourth
THREE = (np.array([-np.sqrt(3.0), 0.0, np.sqrt(3.0)]), np.array([1, 4, 1]) / 6)
STEP = 0.15  # of the trapezoidal rule over N(0, 1): it leaves e^-65 of tanh's poles where s_0|x| <= 1


def first_step_setting(
    rows: np.ndarray, width: int, training: Training, labels: Labels | None = None, **network: object
) -> Setting:
    """One hidden layer on fixed data of the shape of `rows`."""
    data = Data(kind="gaussian", spectrum=(1.0,) * rows.shape[1], samples=len(rows), fixed=True)
    keys: dict = {"kind": "mlp", "hidden": (width,), **network}
    return Setting(data=data, labels=labels or Labels(), network=Network(**keys), training=training)


def plane(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (k, 2) and weights (k,) for N(0, I_2) and ReLU: between its kinks, a step is a trigonometric polynomial.

    In the radius it is a polynomial of the fourth degree.
    """
    kinks = np.arctan2(rows[:, 1], rows[:, 0])
    edges = np.unique(np.concatenate([kinks + np.pi / 2, kinks - np.pi / 2]) % (2 * np.pi))
    nodes, weights = np.polynomial.legendre.leggauss(12)
    angles, chances = [], []
    for low, high in zip(edges, [*edges[1:], edges[0] + 2 * np.pi], strict=True):
        angles.append(low + (high - low) * (nodes + 1) / 2)
        chances.append((high - low) * weights / (4 * np.pi))
    angle, (radius, mass) = np.concatenate(angles)[:, None], radii()
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return points.reshape(-1, 2), np.outer(np.concatenate(chances), mass).ravel()


def radii() -> tuple[np.ndarray, np.ndarray]:
    """Gauss' three nodes and weights for the density r exp(−r²/2), exact up to r⁵, from the moments of |z|, z in R²."""
    moments = np.array([2 ** (k / 2) * math.gamma(1 + k / 2) for k in range(6)])
    hankel = moments[np.add.outer(np.arange(3), np.arange(3))]
    nodes = np.roots([1.0, *-np.linalg.solve(hankel, moments[3:])[::-1]])
    return nodes, np.linalg.solve(nodes ** np.arange(3)[:, None], moments[:3])


def grid(dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (k, d) and weights (k,) for N(0, I_d) and smooth activations, by the trapezoidal rule."""
    line = np.arange(-60, 61) * STEP
    chance = STEP * np.exp(-(line**2) / 2) / np.sqrt(2 * np.pi)
    nodes = np.array(list(itertools.product(line, repeat=dimension)))
    return nodes, np.array([np.prod(c) for c in itertools.product(chance, repeat=dimension)])


def signs(count: int) -> tuple[np.ndarray, np.ndarray]:
    """All Rademacher vectors (2^count, count)."""
    return np.array(list(itertools.product([-1.0, 1.0], repeat=count))), np.full(2**count, 0.5**count)


def one_hot_labels(samples: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """All vectors of uniform classes, centred one-hot: (C^n, n C)."""
    drawn = np.array(list(itertools.product(range(classes), repeat=samples)))
    return (np.eye(classes)[drawn] - 1 / classes).reshape(len(drawn), -1), np.full(len(drawn), classes**-samples)


def outcomes(*laws: tuple[np.ndarray, np.ndarray]) -> Iterator[tuple[np.ndarray, ...]]:
    """Chances, then the values of every law, over the product of laws (values (k, …), chances (k,)), slice by slice."""
    first, *others = laws
    shape = [len(chances) for _, chances in others]
    index = np.stack([i.ravel() for i in np.indices(shape)]) if others else np.zeros((0, 1), int)
    rest = np.prod([chances[i] for (_, chances), i in zip(others, index, strict=True)], axis=0)
    for value, chance in zip(*first, strict=True):
        same = np.broadcast_to(value, (index.shape[1], *np.shape(value)))
        yield chance * rest, same, *(values[i] for (values, _), i in zip(others, index, strict=True))


def enumerated_step(
    setting: Setting, rows: np.ndarray, labels: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """E[w wᵀ] (d, d) and E[w] (d,) of the raw weights after one step of torch.optim.SGD, over all outcomes."""
    network, (n, d), width = setting.network, rows.shape, setting.network.widths[0]
    outputs = setting.outputs
    assert outputs is not None
    ntk = network.parametrization == "ntk"
    v1, v2 = network.layer_variances
    first, second = np.sqrt(v1 if ntk else v1 / d), np.sqrt(v2 if ntk else v2 / width)
    neuron = plane(rows) if network.activation == "relu" else grid(d)
    upper = (np.array(list(itertools.product(THREE[0], repeat=width * outputs))), weights_of(width * outputs))
    total, mean = np.zeros((d, d)), np.zeros(d)
    for chance, y, a, *neurons in outcomes(labels, upper, *[neuron] * width):
        w = first * np.stack(neurons, axis=1)
        a = second * a.reshape(-1, outputs, width)
        y = y.reshape(-1, n, outputs)
        moved = torch_step(setting, rows, w, a, y)
        total += np.einsum("k,kmi,kmj->ij", chance, moved, moved) / width
        mean += np.einsum("k,kmi->i", chance, moved) / width
    return total, mean


def weights_of(count: int) -> np.ndarray:
    """The chances of all products of `count` three-point laws."""
    return np.array([np.prod(c) for c in itertools.product(THREE[1], repeat=count)])


def torch_step(setting: Setting, rows: np.ndarray, w: np.ndarray, a: np.ndarray, y: np.ndarray) -> np.ndarray:
    """First-layer weights (N, m, d) after one step of torch.optim.SGD on N networks; w (N, m, d), a (N, C, m)."""
    training = setting.training
    parameters = [torch.tensor(w, requires_grad=True), torch.tensor(a, requires_grad=True)]
    optimizer = torch.optim.SGD(
        parameters if setting.network.train == "all" else parameters[:1],
        lr=training.learning_rate,
        momentum=training.momentum,
        nesterov=training.nesterov,
        weight_decay=training.weight_decay,
    )
    x = torch.from_numpy(rows).expand(len(w), *rows.shape)
    out = forward(setting.network, tuple(parameters), x)
    if y.ndim == 3:
        loss = 0.5 * (out - torch.tensor(y)).square().sum() / len(rows)  # replicas do not share weights
    else:
        loss = torch.nn.functional.cross_entropy(out.transpose(1, 2), torch.tensor(y), reduction="sum") / len(rows)
    loss.backward()
    optimizer.step()
    return parameters[0].detach().numpy()


Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]


def networks(
    generator: np.random.Generator, count: int, rows: np.ndarray, width: int, outputs: int, s0: float, sa: float
) -> Drawn:
    """Gaussian w (N, m, d) of variance s_0², a (N, m, C) of variance s_a², unit labels y (N, n, C)."""
    n, d = rows.shape
    w = np.sqrt(s0) * generator.standard_normal((count, width, d))
    a = np.sqrt(sa) * generator.standard_normal((count, width, outputs))
    return w, a, generator.standard_normal((count, n, outputs))


def slope(activation: str, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """φ(z) and φ'(z)."""
    value = ACTIVATIONS[activation](torch.from_numpy(z)).numpy()
    derivative = {
        "relu": lambda: (z > 0).astype(float),
        "erf": lambda: 2 / np.sqrt(np.pi) * np.exp(-(z**2)),
        "tanh": lambda: 1 - value**2,
    }
    return value, derivative[activation]()


def steps(
    rows: np.ndarray,
    activation: str,
    drawn: Drawn,
    rate: float,
    residual: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """The step of every neuron (N, m, d), and its part whose product with w has mean zero, as the gradient is written.

    `residual` maps outputs and labels (N, n, C) to the derivative of n times the loss. The second step is that of a
    network whose output lacks the neuron's own part, at the same weights.
    """
    w, a, y = drawn
    n, width = len(rows), w.shape[1]
    h, slopes = slope(activation, w @ rows.T)
    output = np.einsum("Nmc,Nmi->Nic", a, h) / np.sqrt(width)
    through = np.einsum("Nmc,Nic->Nmi", a, residual(output, y)) * slopes
    moved = -rate / (np.sqrt(width) * n) * through @ rows
    others = np.empty_like(moved)
    for j in range(width):
        without = output - a[:, j, None, :] * h[:, j, :, None] / np.sqrt(width)
        back = np.einsum("Nc,Nic->Ni", a[:, j], residual(without, y)) * slopes[:, j]
        others[:, j] = -rate / (np.sqrt(width) * n) * back @ rows
    return moved, others


def controlled_moments(w: np.ndarray, moved: np.ndarray, others: np.ndarray, s0: float) -> np.ndarray:
    """E[w wᵀ] of each network after the step, (N, d, d), unbiased: w wᵀ − s_0² I and w othersᵀ have mean zero.

    Of (w + dw)(w + dw)ᵀ this leaves s_0² I + w (dw − others)ᵀ + its transpose + dw dwᵀ.
    """
    width = w.shape[1]
    cross = w.transpose(0, 2, 1) @ (moved - others) / width
    square = moved.transpose(0, 2, 1) @ moved / width
    return s0 * np.eye(w.shape[2]) + cross + cross.transpose(0, 2, 1) + square


def first_step_blocks(
    generator: np.random.Generator, rows: np.ndarray, model: Model, rate: float, blocks: int, count: int
) -> np.ndarray:
    """Block means (K, d, d) of `controlled_moments` over `count` networks each, squared error."""
    found = []
    for _ in range(blocks):
        w, a, y = networks(generator, count, rows, model.width, model.outputs, model.s0, model.sa)
        drawn = w, a, np.sqrt(model.sy) * y
        moved, others = steps(rows, model.activation, drawn, rate, np.subtract)
        found.append(controlled_moments(w, moved, others, model.s0).mean(axis=0))
    return np.array(found)
