"""How well the average over orders is known, and how many pairs of orders are drawn: by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.oracles.linear import fixed_setting
from theory.catalogue import predict
from theory.linear.eigenbasis import in_eigenbasis
from theory.linear.shuffled import OrderAverage, average_over, draw_order_pairs, number_of_pairs
from theory.setting import Network, Training


def test_the_relative_error_is_a_standard_error_of_blocks() -> None:
    tau = np.array([[[1.0, 2.0]], [[3.0, 2.0]], [[2.0, 2.0]], [[6.0, 2.0]]])
    average = OrderAverage(np.zeros((1, 2, 2)), tau)
    variance = ((1 - 3) ** 2 + 0 + (2 - 3) ** 2 + (6 - 3) ** 2) / 3
    np.testing.assert_allclose(average.relative_error, [[np.sqrt(variance / 4) / 3, 0.0]], rtol=1e-14)
    assert OrderAverage(np.zeros((1, 2, 2)), tau[:1]).relative_error.tolist() == [[np.inf, np.inf]]


def test_the_budget_is_a_students_interval_of_all_variances_at_once() -> None:
    """Confidence 1 − 10⁻⁶, split over 2 readings of 3 variances, with as many degrees of freedom as pairs less one."""
    rows = np.random.default_rng(6).standard_normal((7, 3)) * [1.0, 2.0, 3.0]
    training = Training(learning_rate=0.1, batch_size=2, steps=(2, 5), momentum=0.6)
    setting = fixed_setting(rows, training, network=Network(init_variance=2.0))
    basis = in_eigenbasis(setting, rows)
    pairs = number_of_pairs(basis)
    generator = np.random.Generator(np.random.PCG64([setting.ensemble.seed, 0x0DE5]))
    orders = draw_order_pairs(setting, generator, pairs)
    single = average_over(basis, orders).tau
    blocks = (single[0::2] + single[1::2]) / 2
    relative = blocks.std(axis=0, ddof=1) / np.sqrt(pairs) / blocks.mean(axis=0)
    known = stats.t.ppf(1 - 1e-6 / 2 / 6, pairs - 1) * relative.max()
    prediction = predict(setting, rows=rows, formula="linear-shuffled")
    assert known > 0.02
    assert prediction.error_budget == pytest.approx(known, rel=1e-5)
    np.testing.assert_allclose([reading.tau for reading in prediction.readings], blocks.mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize(
    ("n", "d", "size", "steps", "momentum", "expected"),
    [
        (50, 20, 5, (1000,), 0.0, 2e10 / (2 * 6 * 50 * 20**2 * (1000 / 10 + 1))),
        (50, 20, 5, (500, 1000), 0.9, 2e10 / (2 * 6 * 50 * 40**2 * (1000 / 10 + 2))),
        (64, 2, 16, (4000,), 0.0, 1e7 / (4000 * 64 / 4)),
        (10, 2, 5, (3,), 0.0, 1024),
        (400, 200, 5, (8000,), 0.9, 32),
    ],
)
def test_pairs_are_as_many_as_work_and_memory_allow(
    n: int, d: int, size: int, steps: tuple, momentum: float, expected: float
) -> None:
    """2 · 10^10 multiplications at 6 n r² an epoch of an order, 10^7 row numbers; between 32 and 1024."""
    rows = np.random.default_rng(n).standard_normal((n, d))
    training = Training(learning_rate=0.01, batch_size=size, steps=steps, momentum=momentum)
    assert number_of_pairs(in_eigenbasis(fixed_setting(rows, training), rows)) == int(expected)
