"""The recursion for mini-batches of fixed rows, its stationary solve, and the average over shuffled orders.

Run with ``pytest -o addopts= tests/benchmarks``.
"""

import numpy as np
import pytest

from tests.oracles.linear import fixed_setting
from theory.catalogue import predict
from theory.linear.stationary import stationary_state
from theory.setting import Training

ROWS = np.random.default_rng(0).standard_normal((2000, 64))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_recursion(benchmark, momentum):
    """200 steps; a step is two products of X with a 64 × 64 matrix."""
    training = Training(batch_size=10, sampling="fresh", learning_rate=0.01, momentum=momentum, steps=200)
    setting = fixed_setting(ROWS, training)
    benchmark.pedantic(predict, (setting,), {"rows": ROWS}, rounds=3, warmup_rounds=1)
    benchmark.extra_info["milliseconds_per_step"] = 1e3 * benchmark.stats.stats.median / 200


def test_stationary_state(benchmark):
    """2,080 unknowns."""
    setting = fixed_setting(ROWS, Training(batch_size=10, sampling="fresh", learning_rate=0.01))
    benchmark.pedantic(stationary_state, (setting, ROWS), rounds=3, warmup_rounds=1)


def test_shuffled_orders(benchmark):
    """Ten epochs of 20 batches, 32 pairs of orders."""
    setting = fixed_setting(ROWS, Training(batch_size=100, learning_rate=0.01, steps=200))
    prediction = benchmark.pedantic(predict, (setting,), {"rows": ROWS}, rounds=3, warmup_rounds=1)
    benchmark.extra_info["error_budget"] = prediction.error_budget
