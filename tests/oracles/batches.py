"""Slow, literal versions of mini-batch training: every batch sequence in Fractions, and a plain loop over replicas."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction

import msgspec
import numpy as np

from tests.oracles.linear import OPTIMIZERS, Matrix, fixed_setting, formula_second_moment, rates, rows_with_spectrum
from theory.linear.propagators import stability_limit
from theory.setting import Labels, Network, Setting, Training

# ---- exactly


def sequences(sampling: str, n: int, size: int, steps: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Every sequence of batches, all equally likely."""
    if sampling == "epochs":
        yield from orders_of_epochs(n, size, steps)
    elif sampling == "fresh":
        yield from itertools.product(itertools.combinations(range(n), size), repeat=steps)
    else:
        yield from itertools.product(itertools.product(range(n), repeat=size), repeat=steps)


def orders_of_epochs(n: int, size: int, steps: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Every permutation of every epoch, cut into batches."""
    k = n // size
    for permutations in itertools.product(itertools.permutations(range(n)), repeat=-(-steps // k)):
        batches = [p[j * size : (j + 1) * size] for p in permutations for j in range(k)]
        yield tuple(batches[:steps])


def all_orders(n: int, size: int, steps: int) -> np.ndarray:
    """`orders_of_epochs` as one array, (orders, steps, size)."""
    return np.array(list(orders_of_epochs(n, size, steps)))


def step_exactly(
    rows: Matrix,
    labels: list[Fraction],
    state: tuple[list[Fraction], list[Fraction]],
    batch: Iterable[int],
    training: Training,
    eta: Fraction,
) -> tuple[list[Fraction], list[Fraction]]:
    """One update of torch.optim.SGD on loss ½ · mean over the batch of (xw − y)², number by number."""
    w, buffer = state
    mu, chosen = Fraction(training.momentum), list(batch)
    gradient = [Fraction(training.weight_decay) * c for c in w]
    for m in chosen:
        residual = sum(x * c for x, c in zip(rows[m], w, strict=True)) - labels[m]
        gradient = [g + residual * x / len(chosen) for g, x in zip(gradient, rows[m], strict=True)]
    buffer = [mu * v + g for v, g in zip(buffer, gradient, strict=True)]
    move = [g + mu * v for g, v in zip(gradient, buffer, strict=True)] if training.nesterov else buffer
    return [c - eta * m for c, m in zip(w, move, strict=True)], buffer


def enumerated_second_moment(
    rows: Matrix, sigma_y: Fraction, variances: list[Fraction], training: Training, size: int, steps: int
) -> Matrix:
    """E[w wᵀ] over every batch sequence and all 2^n label vectors y ∈ {−σ_y, σ_y}^n, exactly.

    w_0 of covariance diag(variances) enters through its basis vectors: w is linear in (w_0, y).
    """
    n, d = len(rows), len(rows[0])
    starts = [([Fraction(0)] * n, [Fraction(int(i == j)) for i in range(d)], variances[j]) for j in range(d)]
    starts += [
        ([sign * sigma_y for sign in signs], [Fraction(0)] * d, Fraction(1, 2**n))
        for signs in itertools.product((-1, 1), repeat=n)
    ]
    eta = rates(training, steps)
    every = sorted(sequences(training.sampling, n, size, steps))
    total = [[Fraction(0)] * d for _ in range(d)]
    for labels, w, weight in starts:
        # sequences in order share their beginnings: keep the path of the last one
        path = [(w, [Fraction(0)] * d)]
        previous: tuple[tuple[int, ...], ...] = ()
        for batches in every:
            common = sum(
                1 for _ in itertools.takewhile(lambda ab: ab[0] == ab[1], zip(previous, batches, strict=False))
            )
            del path[common + 1 :]
            for k in range(common, steps):
                path.append(step_exactly(rows, labels, path[k], batches[k], training, eta[k]))
            final, previous = path[steps][0], batches
            for i in range(d):
                for j in range(d):
                    total[i][j] += weight * final[i] * final[j]
    return [[entry / len(every) for entry in row] for row in total]


def recursion_second_moment(
    rows: Matrix, sigma_y: Fraction, variances: list[Fraction], training: Training, size: int, steps: int
) -> Matrix:
    """The literal recursion of P = E[w wᵀ] and Q = E[w yᵀ] for plain descent, in the coordinates of the data.

    P' = APA + η(AQX + X'Q'A)/n + η²σ_y² S/n + η²κ/n² [X' diag(R) X − X'RX/n],  Q' = AQ + ησ_y² X'/n,
    R = XPX' − XQ − Q'X' + σ_y² 1. Nothing of the package, and no eigenbasis.
    """
    x = np.array(rows, dtype=object)
    n, d = x.shape
    kappa = Fraction(n, size) * (1 if training.sampling == "replacement" else Fraction(n - size, n - 1))
    one_d, one_n, s = _identity(d), _identity(n), x.T @ x / Fraction(n)
    p, q = one_d * np.array(variances, dtype=object), np.full((d, n), Fraction(0), dtype=object)
    for eta in rates(training, steps):
        a = one_d - eta * (s + Fraction(training.weight_decay) * one_d)
        r = x @ p @ x.T - x @ q - q.T @ x.T + sigma_y**2 * one_n
        noise = x.T @ (one_n * np.diagonal(r)) @ x - x.T @ r @ x / Fraction(n)
        cross = a @ q @ x
        p = a @ p @ a + eta / n * (cross + cross.T) + eta**2 * sigma_y**2 / n * s + eta**2 * kappa / n**2 * noise
        q = a @ q + eta * sigma_y**2 / n * x.T
    return p.tolist()


def covariance_second_moment(
    rows: Matrix, sigma_y: Fraction, variances: list[Fraction], training: Training, size: int, steps: int
) -> Matrix:
    """Full batch plus the recursion of Z, the covariance of (weights, buffer): Z' = M Z M' + Γ C Γ', in Fractions."""
    x = np.array(rows, dtype=object)
    n, d = x.shape
    mu, decay = Fraction(training.momentum), Fraction(training.weight_decay)
    kappa = Fraction(n, size) * (1 if training.sampling == "replacement" else Fraction(n - size, n - 1))
    one, s = _identity(d), x.T @ x / Fraction(n)
    h = s + decay * one
    z = np.full((2 * d, 2 * d), Fraction(0), dtype=object)
    for k, eta in enumerate(rates(training, steps)):
        mean = np.array(formula_second_moment(rows, sigma_y, variances, training, k), dtype=object)
        # q_t(S) X'/n is E[w yᵀ]/σ_y²: by linearity, w from w_0 = 0 and y the unit vectors
        q = np.array([_full_batch(rows, m, training, k) for m in range(n)], dtype=object).T  # (d, n)
        r = x @ (mean + z[:d, :d]) @ x.T - sigma_y**2 * (x @ q + q.T @ x.T) + sigma_y**2 * _identity(n)
        c = kappa / n**2 * (x.T @ (_identity(n) * np.diagonal(r)) @ x - x.T @ r @ x / Fraction(n))
        if training.nesterov:
            m = np.block([[one - eta * (1 + mu) * h, -eta * mu**2 * one], [h, mu * one]])
            gamma = np.concatenate([-eta * (1 + mu) * one, one])
        else:
            m, gamma = np.block([[one - eta * h, -eta * mu * one], [h, mu * one]]), np.concatenate([-eta * one, one])
        z = m @ z @ m.T + gamma @ c @ gamma.T
    return (np.array(formula_second_moment(rows, sigma_y, variances, training, steps)) + z[:d, :d]).tolist()


def _full_batch(rows: Matrix, row: int, training: Training, steps: int) -> list[Fraction]:
    n, d = len(rows), len(rows[0])
    labels, state = [Fraction(int(m == row)) for m in range(n)], ([Fraction(0)] * d, [Fraction(0)] * d)
    for eta in rates(training, steps):
        state = step_exactly(rows, labels, state, range(n), training, eta)
    return state[0]


def _identity(size: int) -> np.ndarray:
    return np.array([[Fraction(int(i == j)) for j in range(size)] for i in range(size)], dtype=object)


# ---- by Monte Carlo


def draw_batches(setting: Setting, generator: np.random.Generator, count: int) -> Iterator[np.ndarray]:
    """Batch after batch (N, B), one of each replica's own; an epoch's order by sorting random keys."""
    n, size, sampling = setting.data.samples, setting.training.batch_size, setting.training.sampling
    while True:
        if sampling == "replacement":
            yield generator.integers(0, n, (count, size))
            continue
        order = generator.random((count, n)).argsort(axis=1)
        for j in range(n // size if sampling == "epochs" else 1):
            yield order[:, j * size : (j + 1) * size]


def train_in_batches(
    rows: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    training: Training,
    batches: Iterable[np.ndarray],
    steps: int,
) -> np.ndarray:
    """All replicas at once: labels (N, n), initial weights (N, d), batches (N, B) → weights after `steps` (N, d)."""
    w, buffer, eta, factors = weights.copy(), np.zeros_like(weights), training.learning_rate, dict(training.drops)
    for k, batch in zip(range(steps), batches, strict=False):
        eta *= factors.get(k, 1.0)
        x, y = rows[batch], np.take_along_axis(labels, batch, axis=1)
        residual = np.einsum("rbi,ri->rb", x, w) - y
        gradient = np.einsum("rb,rbi->ri", residual, x) / batch.shape[1] + training.weight_decay * w
        buffer = training.momentum * buffer + gradient
        w -= eta * (gradient + training.momentum * buffer if training.nesterov else buffer)
    return w


def block_moments(weights: np.ndarray, blocks: int = 200) -> np.ndarray:
    """Second moments (K, d, d) of consecutive blocks of replicas."""
    grouped = weights.reshape(blocks, -1, weights.shape[1])
    return grouped.mT @ grouped / grouped.shape[1]


def random_batch_setting(seed: int, sampling: str) -> tuple[Setting, np.ndarray]:
    """Any optimizer, n above and below d, repeated and zero eigenvalues; steps at a fifth of the stability limit.

    Larger steps make products of random matrices whose fourth moments no sample of 50,000 knows.
    """
    generator = np.random.default_rng([seed, 7])
    n, d = int(generator.integers(4, 15)), int(generator.integers(2, 13))
    eigenvalues = np.sort(generator.choice([0.0, 0.3, 1.0, *generator.uniform(0.1, 3, 3)], d))
    eigenvalues[: max(0, d - n)] = 0.0
    rows = rows_with_spectrum(generator, n, eigenvalues)
    optimizer = OPTIMIZERS[sorted(OPTIMIZERS)[seed % len(OPTIMIZERS)]]
    size = int(generator.integers(1, max(2, n // 2 + 1)))
    training = Training(
        batch_size=size, sampling=sampling, steps=int(generator.integers(3, 25)), learning_rate=1.0, **optimizer
    )
    # one row alone may be a batch: its curvature is |x|², not s
    curvature = max(eigenvalues[-1], float(np.max(np.sum(rows**2, axis=1))) / size) + training.weight_decay
    limit = stability_limit(training) * (1 - training.momentum) / max(curvature, 0.1)
    training = msgspec.structs.replace(training, learning_rate=float(generator.uniform(0.1, 0.3) * limit))
    parametrization = str(generator.choice(["standard", "ntk"]))
    network = Network(
        init_variance=float(generator.choice([0.1, 0.5, 1.0])),
        parametrization=parametrization,
        init_spectrum=tuple(generator.uniform(0.2, 1, d).tolist()) if generator.integers(4) == 0 else (),
    )
    labels = Labels(variance=float(generator.uniform(0.5, 3)))
    return fixed_setting(rows, training, network=network, labels=labels), rows


def replicas(setting: Setting, rows: np.ndarray, seed: int, count: int, orders: np.ndarray | None = None) -> np.ndarray:
    """Final weights (N, d) of `count` trainings, Gaussian labels and initial weights.

    `orders` (m, T, B), m dividing N: replica r gets order r mod m instead of its own.
    """
    n, d = rows.shape
    generator = np.random.default_rng([seed, 11])
    network, ntk = setting.network, setting.network.parametrization == "ntk"
    variances = network.init_spectrum or network.layer_variances[0] / (1 if ntk else d)
    weights = generator.standard_normal((count, d)) * np.sqrt(variances)
    labels = generator.standard_normal((count, n)) * np.sqrt(setting.labels.variance)
    batches: Iterable[np.ndarray] = draw_batches(setting, generator, count)
    if orders is not None:
        batches = (np.tile(orders[:, t], (count // len(orders), 1)) for t in range(orders.shape[1]))
    scaled = rows / np.sqrt(d) if ntk else rows
    return train_in_batches(scaled, labels, weights, setting.training, batches, setting.training.readings[-1])


def with_sampling(setting: Setting, sampling: str) -> Setting:
    return msgspec.structs.replace(setting, training=msgspec.structs.replace(setting.training, sampling=sampling))


def ends_setting(
    n: int, d: int, size: int, length: float, epochs: tuple[int, ...], seed: int, init: float, decay: float = 0.0
) -> tuple[Setting, np.ndarray]:
    """Σ = diag(.1 … 3), η such that ηK s_max = length, readings at the ends of epochs."""
    rows = np.random.default_rng([n, d, seed]).standard_normal((n, d)) * np.sqrt(np.linspace(0.1, 3, d))
    k, s_max = n // size, np.linalg.eigvalsh(rows.T @ rows / n)[-1]
    training = Training(
        learning_rate=float(length / k / s_max),
        batch_size=size,
        weight_decay=decay,
        steps=tuple(epoch * k for epoch in epochs),
    )
    return fixed_setting(rows, training, network=Network(init_variance=init * d)), rows
