"""The fast kernels against the naive loop, and against the matrix products that no implementation can do without.

Run with ``pytest -o addopts= tests/benchmarks`` (the usual options skip benchmarks). Every cell runs the kernel, the
loop over nn.Module and torch.optim.SGD, and the bare products in turn, one thread each; `extra_info` has the median
ratio of CPU times with its 95 % interval. The products are counted in two layouts: that of the kernel, the fastest
that was found, and that of the parameters as nn.Module stores them. JAX, where it is installed, is measured beside.
"""

import importlib.util
import json

import numpy as np
import pytest
import torch

import simulate
from simulate.devices import one_thread
from simulate.inputs import Draws
from simulate.kernels import KERNELS, choose_kernel
from simulate.tiles import tile_size
from tests.benchmarks.paired import interleaved, ratio
from tests.oracles.training import naive_train
from tests.processes import python
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

N, D, M = 256, 30, 256
SINGLE = Ensemble(dtype="float32")
CPU = torch.device("cpu")
JAX = importlib.util.find_spec("jax") is not None


def one_hidden(outputs, batch, loss="mse"):
    labels = Labels(outputs=outputs) if loss == "mse" else Labels(kind="classes", classes=outputs)
    return Setting(
        data=Data(kind="gaussian", spectrum=(1.0,) * D, samples=N),
        labels=labels,
        network=Network(kind="mlp", hidden=(M,)),
        training=Training(steps=32 if batch == "full" else 128, batch_size=batch, learning_rate=0.01, loss=loss),
        ensemble=SINGLE,
    )


# The setting, the least ratio to the loop, the least share of the bound: a tenth or more below what was measured on a
# busy machine, to notice a kernel that lost its speed.
CELLS = {
    "1 output, full batch": (one_hidden(1, "full"), 3.4, 0.7),
    "1 output, batch 32": (one_hidden(1, 32), 11.0, 0.6),
    "10 outputs, full batch": (one_hidden(10, "full"), 3.7, 0.75),
    "10 outputs, batch 32": (one_hidden(10, 32), 10.9, 0.65),
    "10 classes, cross-entropy, batch 32": (one_hidden(10, 32, "cross-entropy"), 10.0, 0.6),
}


def products(outputs, rows, replicas):
    """The products of one step in the kernel's layout, and in that of nn.Module, on as little memory as they need."""
    z, x = torch.randn(replicas, rows, M), torch.randn(replicas, rows, D)
    f, a = torch.randn(replicas, outputs, rows), torch.randn(replicas, outputs, M)
    w, d = torch.randn(replicas, D, M), torch.randn(replicas, rows, M) if outputs > 1 else z

    def best():
        torch.bmm(x, w, out=z)
        torch.bmm(a, z.transpose(1, 2), out=f)
        if outputs > 1:
            torch.bmm(f.transpose(1, 2), a, out=d)
        a.baddbmm_(f, z, alpha=1e-9)
        w.baddbmm_(x.transpose(1, 2), d, alpha=1e-9)

    stored, g = torch.randn(replicas, M, D), torch.randn(replicas, rows, outputs)

    def as_stored():
        torch.bmm(x, stored.transpose(1, 2), out=z)
        torch.bmm(z, a.transpose(1, 2), out=g)
        if outputs > 1:
            torch.bmm(g, a, out=d)
        a.baddbmm_(g.transpose(1, 2), z, alpha=1e-9)
        stored.baddbmm_(d.transpose(1, 2), x, alpha=1e-9)

    return best, as_stored


def measured(benchmark, setting, inputs, others, rounds):
    """CPU seconds per replica and step of the kernel, the naive loop and `others`, in turn; ratios are reported."""
    steps, replicas, kernel = setting.training.readings[-1], len(inputs.y), choose_kernel(setting)
    alone = simulate.replica_inputs(setting, [0]).to(CPU, torch.float32)
    actions = {
        "kernel": lambda: kernel.train(setting, inputs),
        "loop": lambda: naive_train(setting, alone),
        **others,
    }
    if JAX and setting.network.widths:
        from tests.benchmarks.with_jax import compiled

        actions["jax"] = compiled(setting, inputs)
        for mine, theirs in zip(kernel.train(setting, inputs)[steps], actions["jax"](), strict=True):
            np.testing.assert_allclose(mine.numpy(), theirs, rtol=1e-2, atol=1e-4)
    with one_thread():
        times = interleaved(actions, rounds)
        benchmark.pedantic(kernel.train, (setting, inputs), rounds=5)
    times = {key: value / steps / (1 if key == "loop" else replicas) for key, value in times.items()}
    info = benchmark.extra_info
    info["replicas_at_once"] = replicas
    info["microseconds"] = {key: round(1e6 * float(np.median(value)), 3) for key, value in times.items()}
    info["times_faster_than_the_loop"] = str(ratio(times["loop"], times["kernel"]))
    if "jax" in times:
        info["times_faster_than_jax"] = str(ratio(times["jax"], times["kernel"]))
    return times


def tile_of(setting):
    replicas = tile_size(setting, Draws(setting), CPU)
    return simulate.replica_inputs(setting, range(replicas)).to(CPU, torch.float32)


@pytest.mark.parametrize("name", CELLS)
def test_one_hidden_layer(benchmark, name):
    setting, times_faster, share = CELLS[name]
    steps, inputs = setting.training.readings[-1], tile_of(setting)
    rows = N if setting.training.batch_size == "full" else setting.training.batch_size
    # Fewer at a time than the kernel trains: without its other calls, products are fastest closer to the core.
    replicas = max(2, len(inputs.y) // 3)
    best, as_stored = products(setting.outputs, rows, replicas)
    repeats = round(steps * len(inputs.y) / replicas)
    others = {
        "products": lambda: [best() for _ in range(repeats)],
        "products as stored": lambda: [as_stored() for _ in range(repeats)],
    }
    times = measured(benchmark, setting, inputs, others, rounds=21)
    bound = ratio(times["products"], times["kernel"])
    benchmark.extra_info["share_of_the_bound"] = str(bound)
    benchmark.extra_info["share_of_the_bound_as_stored"] = str(ratio(times["products as stored"], times["kernel"]))
    print("\n", name, benchmark.extra_info)
    assert ratio(times["loop"], times["kernel"]).high > times_faster
    assert bound.high > share


def test_linear(benchmark):
    """d = 64, n = 256, batches of 8."""
    setting = Setting(
        data=Data(kind="gaussian", spectrum=(1.0,) * 64, samples=N),
        training=Training(steps=256, batch_size=8, learning_rate=0.001),
        ensemble=SINGLE,
    )
    times = measured(benchmark, setting, tile_of(setting), {}, rounds=15)
    print("\n", "linear", benchmark.extra_info)
    assert ratio(times["loop"], times["kernel"]).high > 400


def single(network, batch, dtype="float32"):
    """10 classes, cross-entropy, momentum; filters look at crops of 16 × 16."""
    kind = Data(kind="gaussian", spectrum=(1.0,) * D, samples=N)
    return Setting(
        data=Data(kind="photographs", samples=N) if network.convolves else kind,
        labels=Labels(kind="classes"),
        network=network,
        training=Training(loss="cross-entropy", learning_rate=0.01, momentum=0.9, batch_size=batch, steps=4),
        ensemble=Ensemble(dtype=dtype),
    )


def mlp(*hidden):
    return Network(kind="mlp", hidden=hidden)


def filters(count, *hidden):
    return Network(kind="conv", filters=count, hidden=hidden)


def vgg(*blocks):
    return Network(kind="vgg", blocks=blocks)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [32, 256])
@pytest.mark.parametrize(
    "network",
    [
        *(mlp(256, 64), mlp(512, 128), mlp(1024, 256), mlp(2048, 256)),
        *(filters(64, 32), filters(256, 64), vgg((8, 8), (16, 16)), vgg((32, 32), (64, 64))),
    ],
)
def test_large_nets(benchmark, network, batch, dtype):
    """The way that the setting decides on against the other one: batched over replicas, or each by itself."""
    setting = single(network, batch, dtype)
    batched = KERNELS["general" if network.convolves else "dense"]
    chosen = choose_kernel(setting)
    other = KERNELS["module"] if chosen is batched else batched
    draws, actions, replicas = Draws(setting), {}, {}
    for key, kernel in (("chosen", chosen), ("other", other)):
        replicas[key] = 1 if kernel is KERNELS["module"] else tile_size(setting, draws, CPU, kernel)
        inputs = draws.take(range(replicas[key])).to(CPU, getattr(torch, dtype))
        actions[key] = lambda kernel=kernel, inputs=inputs: kernel.train(setting, inputs)
    with one_thread():
        times = {key: value / 4 / replicas[key] for key, value in interleaved(actions, rounds=7).items()}
        benchmark.pedantic(actions["chosen"], rounds=3)
    info = benchmark.extra_info
    info["kernel"] = chosen.__name__
    info["milliseconds"] = {key: round(1e3 * float(np.median(value)), 3) for key, value in times.items()}
    info["other_over_chosen"] = str(ratio(times["other"], times["chosen"]))
    print("\n", network.kind, network.blocks or network.filters, network.hidden, batch, dtype, info)
    assert ratio(times["other"], times["chosen"]).high > 0.7


MEMORY = """
    import json, resource, sys
    import simulate
    from tests.benchmarks.test_kernels import one_hidden
    import msgspec
    setting = one_hidden(1, "full")
    setting = msgspec.structs.replace(
        setting, training=msgspec.structs.replace(setting.training, steps=1)
    )
    used = []
    for replicas in (1000, int(sys.argv[1])):
        simulate.run(setting, replicas=replicas)
        used.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(used))
"""


def test_memory(benchmark):
    """The largest resident memory of a process that trains 1,000 replicas, then 100,000, by one update each.

    Of 30-256-1 on 256 rows; some minutes.
    """

    def run():
        return json.loads(python(MEMORY, 100_000, check=True, timeout=None).stdout)

    some, many = benchmark.pedantic(run, rounds=1)
    benchmark.extra_info.update({"MB at 1,000 replicas": round(some), "MB at 100,000 replicas": round(many)})
    print("\n", "memory", benchmark.extra_info)
    assert many - some < 100


def test_cost_grows_with_replicas(benchmark):
    """The exponent of CPU time in the number of replicas, from 1,000 to 16,000 of 6-32-1."""
    setting = Setting(
        data=Data(kind="gaussian", spectrum=(1.0,) * 6, samples=32),
        network=Network(kind="mlp", hidden=(32,)),
        training=Training(steps=20),
        ensemble=SINGLE,
    )
    counts = [1000, 4000, 16000]
    times = interleaved({n: lambda n=n: simulate.run(setting, replicas=n) for n in counts}, rounds=7)
    benchmark.pedantic(simulate.run, (setting,), {"replicas": 1000}, rounds=3)
    logs = np.log([times[n] for n in counts])
    slopes = np.polyfit(np.log(counts), logs, 1)[0]
    low, exponent, high = np.sort(slopes)[[0, 3, 6]]
    benchmark.extra_info["exponent"] = f"{exponent:.3f} [{low:.3f}, {high:.3f}]"
    print("\n", "cost", benchmark.extra_info)
    assert abs(exponent - 1) <= 0.05
