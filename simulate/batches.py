"""Which rows an update sees."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from theory.setting import Setting


def draw_orders(setting: Setting, generator: np.random.Generator) -> np.ndarray:
    """The rows of every batch of one replica, shape (T, B) of int64, T the last reading.

    ``epochs``: each epoch is a permutation of the rows, cut into ⌊n / B⌋ batches; the rows left over are dropped.
    ``fresh``: B distinct rows at every step. ``replacement``: B independent uniform rows at every step.

    Use it only where there is something to draw: see :func:`ordered`.
    """
    training = setting.training
    n, size, steps = setting.data.sample_count, setting.batch_rows, training.readings[-1]
    if training.sampling == "replacement":
        return generator.integers(n, size=(steps, size))
    if training.sampling == "epochs":
        per_epoch = setting.batches_per_epoch
        epochs = -(-steps // per_epoch)
        orders = _permutations(generator, epochs, n)[:, : per_epoch * size]
        return orders.reshape(epochs * per_epoch, size)[:steps]
    if n <= 16 * size:
        return _permutations(generator, steps, n)[:, :size]
    # A small batch of many rows: permuting them all would be most of the cost.
    orders = np.empty((steps, size), dtype=np.int64)
    for t in range(steps):
        orders[t] = generator.choice(n, size, replace=False, shuffle=False)
    return orders


def ordered(setting: Setting) -> bool:
    """Whether batches are drawn: not where every batch is all rows, nor for online data, where each row is seen once.

    Online, batch t is rows tB … (t + 1)B − 1.
    """
    return setting.data.samples != "online" and not setting.full_batch


def rows_needed(setting: Setting) -> int:
    """How many rows a replica draws: n, or for online data those of all T batches."""
    if setting.data.samples == "online":
        return setting.training.readings[-1] * setting.batch_rows
    return setting.data.sample_count


def _permutations(generator: np.random.Generator, count: int, n: int) -> np.ndarray:
    return generator.permuted(_unpermuted(count, n), axis=1)


@lru_cache(maxsize=8)
def _unpermuted(count: int, n: int) -> np.ndarray:
    """0 … n − 1, `count` times over: made once, since making it costs as much as permuting a small batch's rows."""
    return np.broadcast_to(np.arange(n), (count, n))
