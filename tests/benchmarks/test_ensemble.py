"""What batching the replicas gains over one nn.Module and torch.optim per replica, measured in the same run.

Run with ``pytest -o addopts= tests/benchmarks`` (the usual options skip benchmarks); the ratio is in `extra_info`.
"""

import time

import pytest

import simulate
from simulate.devices import one_thread
from tests.oracles.training import naive_train
from theory.setting import Data, Ensemble, Network, Setting, Training

CASES = {
    "linear 6, full batch": (
        Setting(data=Data(kind="gaussian", spectrum=(1.0,) * 6, samples=24), training=Training(steps=100)),
        2000,
    ),
    "relu 6-32-1, full batch": (
        Setting(
            data=Data(kind="gaussian", spectrum=(1.0,) * 6, samples=32),
            network=Network(kind="mlp", hidden=(32,)),
            training=Training(steps=50),
        ),
        500,
    ),
    "relu 30-256-1, batches of 32": (
        Setting(
            data=Data(kind="gaussian", spectrum=(1.0,) * 30, samples=256),
            network=Network(kind="mlp", hidden=(256,)),
            training=Training(steps=64, batch_size=32, learning_rate=0.01),
            ensemble=Ensemble(dtype="float32"),
        ),
        100,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_ensemble_against_the_naive_loop(benchmark, name):
    setting, replicas = CASES[name]
    benchmark.pedantic(simulate.run, (setting,), {"replicas": replicas}, rounds=5, warmup_rounds=1)
    some = 5
    inputs = simulate.replica_inputs(setting, range(some))
    naive = []
    for _ in range(3):
        start = time.perf_counter()
        with one_thread():
            naive_train(setting, inputs)
        naive.append((time.perf_counter() - start) / some)
    batched = benchmark.stats.stats.median / replicas
    benchmark.extra_info["microseconds_per_replica"] = 1e6 * batched
    benchmark.extra_info["times_faster_than_naive"] = min(naive) / batched
    assert min(naive) > 3 * batched
