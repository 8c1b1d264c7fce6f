"""The inputs of the formulas for transfer: one number per eigendirection, a task, a full-batch training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theory.errors import InvalidInput
from theory.linear.propagators import propagators
from theory.setting import Training

Numbers = Sequence[float] | np.ndarray


def nonnegative(name: str, values: Numbers, dimension: int | None = None) -> np.ndarray:
    """`values` as a float array (d,), checked to be finite and not negative, and of the given dimension."""
    vector = np.asarray(values, dtype=float)
    if vector.ndim != 1 or not len(vector) or dimension not in (None, len(vector)):
        raise InvalidInput(f"{name}.shape", vector.shape, f"must be ({dimension or 'd'},), one an eigendirection")
    if not np.isfinite(vector).all() or np.any(vector < 0):
        raise InvalidInput(name, vector.tolist(), "must be finite and not negative")
    return vector


def task(noise: float, samples: int) -> tuple[float, int]:
    """The noise variance σ² >= 0 and the number of rows n >= 1 of the task y = Xw_* + ε."""
    if not 0 <= noise < np.inf:
        raise InvalidInput("noise", noise, "must be finite and not negative")
    if samples < 1:
        raise InvalidInput("samples", samples, "must be at least 1")
    return noise, samples


def signs(gains: np.ndarray) -> tuple[str, ...]:
    """The signs of gains in words."""
    return tuple("positive" if gain > 0 else "negative" if gain < 0 else "none" for gain in gains)


def full_batch_propagators(training: Training, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """p_t and q_t at curvatures s (d,), shape (r, d), of a training that must be full-batch gradient descent."""
    plain = training.optimizer == "sgd" and training.l1 == 0 and training.loss == "mse"
    if not plain or training.batch_size != "full":
        value = (training.optimizer, training.loss, training.batch_size)
        raise InvalidInput("training", value, "must be full-batch gradient descent on the squared error, without l1")
    return propagators(training, s + training.weight_decay, training.readings)
