"""The fast kernels against the naive loop, and against the matrix products that no implementation can do without.

Run with ``pytest -o addopts= tests/benchmarks`` (the usual options skip benchmarks). Every cell runs the kernel, the
loop over nn.Module and torch.optim.SGD, and the bare products in turn, one thread each; `extra_info` has the median
ratio of CPU times with its 95 % interval. The products are counted in two layouts: that of the kernel, the fastest
that was found, and that of the parameters as nn.Module stores them.
"""

import numpy as np
import pytest
import torch

import simulate
from simulate.devices import one_thread
from simulate.kernels import choose
from tests.benchmarks.paired import interleaved, ratio
from tests.oracles_training import naive_train
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

N, D, M = 256, 30, 256
SINGLE = Ensemble(dtype="float32")
CPU = torch.device("cpu")


def one_hidden(outputs, batch, loss="mse"):
    labels = Labels(outputs=outputs) if loss == "mse" else Labels(kind="classes", classes=outputs)
    return Setting(
        data=Data(kind="gaussian", spectrum=(1.0,) * D, samples=N),
        labels=labels,
        network=Network(kind="mlp", hidden=(M,)),
        training=Training(steps=16 if batch == "full" else 64, batch_size=batch, learning_rate=0.01, loss=loss),
        ensemble=SINGLE,
    )


# The setting, how many replicas are trained at once, the least ratio to the loop, the least share of the bound.
CELLS = {
    "1 output, full batch": (one_hidden(1, "full"), 6, 3.4, 0.75),
    "1 output, batch 32": (one_hidden(1, 32), 24, 11.0, 0.7),
    "10 outputs, full batch": (one_hidden(10, "full"), 6, 3.7, 0.75),
    "10 outputs, batch 32": (one_hidden(10, 32), 20, 10.9, 0.7),
    "10 classes, cross-entropy, batch 32": (one_hidden(10, 32, "cross-entropy"), 20, 10.0, 0.6),
}


def products(outputs, rows, replicas):
    """The products of one step in the kernel's layout, and in that of nn.Module, into arrays that exist already."""
    z, x = torch.randn(replicas, rows, M), torch.randn(replicas, rows, D)
    f, a = torch.randn(replicas, outputs, rows), torch.randn(replicas, outputs, M)
    w, d = torch.randn(replicas, D, M), torch.randn(replicas, rows, M)
    into_a, into_w = torch.empty_like(a), torch.empty_like(w)

    def best():
        torch.bmm(x, w, out=z)
        torch.bmm(a, z.transpose(1, 2), out=f)
        if outputs > 1:
            torch.bmm(f.transpose(1, 2), a, out=d)
        torch.bmm(f, z, out=into_a)
        torch.bmm(x.transpose(1, 2), d, out=into_w)

    stored, g, into_stored = torch.randn(replicas, M, D), torch.randn(replicas, rows, outputs), torch.empty(0)
    into_stored = torch.empty_like(stored)

    def as_stored():
        torch.bmm(x, stored.transpose(1, 2), out=z)
        torch.bmm(z, a.transpose(1, 2), out=g)
        if outputs > 1:
            torch.bmm(g, a, out=d)
        torch.bmm(g.transpose(1, 2), z, out=into_a)
        torch.bmm(d.transpose(1, 2), x, out=into_stored)

    return best, as_stored


@pytest.mark.parametrize("name", CELLS)
def test_one_hidden_layer(benchmark, name):
    setting, replicas, times_faster, share = CELLS[name]
    steps, outputs = setting.training.readings[-1], setting.outputs
    rows = N if setting.training.batch_size == "full" else setting.training.batch_size
    kernel = choose(setting)
    inputs = simulate.replica_inputs(setting, range(replicas)).to(CPU, torch.float32)
    alone = simulate.replica_inputs(setting, [0]).to(CPU, torch.float32)
    best, as_stored = products(outputs, rows, replicas)
    with one_thread():
        times = interleaved(
            {
                "kernel": lambda: kernel.train(setting, inputs),
                "best": lambda: [best() for _ in range(steps)],
                "as stored": lambda: [as_stored() for _ in range(steps)],
                "loop": lambda: naive_train(setting, alone),
            },
            rounds=31,
        )
        per_step = {key: value / steps / (1 if key == "loop" else replicas) for key, value in times.items()}
        benchmark.pedantic(kernel.train, (setting, inputs), rounds=5)
    faster = ratio(per_step["loop"], per_step["kernel"])
    bound, stored = ratio(per_step["best"], per_step["kernel"]), ratio(per_step["as stored"], per_step["kernel"])
    benchmark.extra_info["microseconds_per_replica_step"] = {
        key: round(1e6 * float(np.median(value)), 2) for key, value in per_step.items()
    }
    benchmark.extra_info["times_faster_than_the_loop"] = str(faster)
    benchmark.extra_info["share_of_the_bound"] = str(bound)
    benchmark.extra_info["share_of_the_bound_as_stored"] = str(stored)
    print("\n", name, benchmark.extra_info)
    assert faster.high > times_faster
    assert bound.high > share


def test_linear(benchmark):
    """d = 64, n = 256, batches of 8."""
    setting = Setting(
        data=Data(kind="gaussian", spectrum=(1.0,) * 64, samples=N),
        training=Training(steps=256, batch_size=8, learning_rate=0.001),
        ensemble=SINGLE,
    )
    replicas, kernel = 64, choose(setting)
    inputs = simulate.replica_inputs(setting, range(replicas)).to(CPU, torch.float32)
    alone = simulate.replica_inputs(setting, [0]).to(CPU, torch.float32)
    with one_thread():
        times = interleaved(
            {"kernel": lambda: kernel.train(setting, inputs), "loop": lambda: naive_train(setting, alone)}, rounds=15
        )
        benchmark.pedantic(kernel.train, (setting, inputs), rounds=5)
    faster = ratio(times["loop"], times["kernel"] / replicas)
    benchmark.extra_info["microseconds_per_replica_step"] = 1e6 * float(np.median(times["kernel"])) / replicas / 256
    benchmark.extra_info["times_faster_than_the_loop"] = str(faster)
    print("\n", benchmark.extra_info)
    assert faster.high > 400
