"""Linearised training by frozen gates against the same by torch.func, and its seconds for a pair of networks.

Run with ``pytest -o addopts= tests/benchmarks`` (the usual options skip benchmarks).
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import vjp

from simulate.devices import one_thread
from simulate.networks import forward
from simulate.optimizers import make_optimizer
from tests.benchmarks.paired import interleaved, ratio
from tests.oracles.linearised import forward_product
from theory.setting import Network, Training
from theory.transfer import linearised_training

# The maps of claim C3 downstream: 300 digits in batches of 32, 6 epochs with momentum, read after each.
NETWORK = Network(kind="mlp", hidden=(256, 64))
SHAPES, ROWS, BATCH, EPOCHS = ((256, 64), (64, 256), (10, 64)), 300, 32, 6
STEPS = tuple(range(0, EPOCHS * (ROWS // BATCH) + 1, ROWS // BATCH))
TRAINING = Training(loss="cross-entropy", learning_rate=0.01, momentum=0.9, batch_size=BATCH, steps=STEPS)


def problem(replicas: int, dtype: torch.dtype) -> tuple[list[Tensor], Tensor, Tensor, Tensor]:
    """Parameters, rows, classes and batches."""
    generator = np.random.default_rng(0)
    weights = [
        torch.from_numpy(generator.standard_normal((replicas, *shape)) * (2 / shape[1]) ** 0.5) for shape in SHAPES
    ]
    rows = torch.from_numpy(generator.standard_normal((replicas, ROWS, 64)))
    labels = torch.from_numpy(generator.integers(0, 10, (replicas, ROWS)))
    orders = generator.permuted(np.tile(np.arange(ROWS), (replicas, EPOCHS, 1)), axis=2)
    whole = orders[:, :, : ROWS // BATCH * BATCH].reshape(replicas, -1, BATCH)
    return [w.to(dtype) for w in weights], rows.to(dtype), labels, torch.from_numpy(whole)


def by_torch(weights: list[Tensor], rows: Tensor, labels: Tensor, batches: Tensor) -> Tensor:
    """The losses (R, K), all replicas at once, by forward- and reverse-mode automatic differentiation at θ_0."""
    start = tuple(weights)
    parameters = [w.clone() for w in start]
    optimizer = make_optimizer(TRAINING, parameters)
    everyone = torch.arange(len(rows))[:, None]

    def outputs(x: Tensor) -> Tensor:
        def function(*some: Tensor) -> Tensor:
            return forward(NETWORK, some, x)

        moved = tuple(w - w0 for w, w0 in zip(parameters, start, strict=True))
        return function(*start) + forward_product(function, start, moved)

    read = []
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            read.append(
                torch.nn.functional.cross_entropy(outputs(rows).transpose(1, 2), labels, reduction="none").mean(1)
            )
        if step < STEPS[-1]:
            here = batches[:, step]
            x, y = rows[everyone, here], labels[everyone, here]
            residual = torch.softmax(outputs(x), 2)
            residual.scatter_add_(2, y[..., None], -torch.ones_like(residual[..., :1]))
            _, back = vjp(lambda *some, x=x: forward(NETWORK, some, x), *start)
            optimizer.step([g.clone() for g in back(residual / BATCH)])
    return torch.stack(read, 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_pair_of_networks(benchmark, dtype):
    """Twenty networks train at once, in under a tenth of a second of one core per pair and faster than torch.func."""
    replicas = 20
    weights, rows, labels, batches = problem(replicas, dtype)
    arguments = NETWORK, TRAINING, weights, rows, labels
    found = linearised_training(*arguments, batches=batches).train_loss
    peer = by_torch(weights, rows, labels, batches).double()
    tight = dtype == torch.float64
    torch.testing.assert_close(found, peer, rtol=1e-10 if tight else 1e-4, atol=1e-10 if tight else 1e-4)
    arrays = [w.numpy() for w in weights], rows.numpy(), labels.numpy()
    actions = {
        "frozen gates": lambda: linearised_training(*arguments, batches=batches),
        "from NumPy": lambda: linearised_training(NETWORK, TRAINING, *arrays, batches=batches.numpy()),
        "torch.func": lambda: by_torch(weights, rows, labels, batches),
    }
    with one_thread():
        times = interleaved(actions, rounds=5)
        benchmark.pedantic(actions["frozen gates"], rounds=3, warmup_rounds=1)
    per_pair = 2 * float(np.median(times["frozen gates"])) / replicas
    faster = ratio(times["torch.func"], times["frozen gates"])
    info = benchmark.extra_info
    info["seconds_per_pair"] = round(per_pair, 4)
    info["times_faster_than_torch_func"] = str(faster)
    info["times_faster_from_numpy"] = str(ratio(times["torch.func"], times["from NumPy"]))
    print("\n", dtype, info)
    assert per_pair < 0.1
    assert faster.high > 1
