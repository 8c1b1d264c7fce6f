"""Bounds on derived numbers, where a setting can be found for which doubles hold the derived number exactly.

Rows whose second moments are diagonal, powers of two everywhere: what lies on the bound, and the next number beyond.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from tests.pinning.table import Call, numbers, outcome
from tests.theory.pins.settings import AVERAGED, LINEAR, Changes, changed
from theory.linear import averaged_batches, diffusion, mini_batch_scalar, shuffled_ends
from theory.linear.shape import predicted_shape
from theory.network import propagators
from theory.prediction import Form, Prediction
from theory.setting import Setting, Training
from theory.transfer import LinearisedNetwork, linearised_loss

ROUND = np.array([[2.0, 0.0], [0.0, 2.0], [0.0, 0.0], [0.0, 0.0]])  # S = 1
OVAL = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]])  # S = diag(1, 1/4)
GIVEN = changed(LINEAR, data={"spectrum": (1.0, 1.0), "samples": 4}, network={"init_variance": 1.0})
DRAWN = changed(GIVEN, training={"batch_size": 1, "sampling": "replacement", "steps": 3})
EPOCHS = changed(GIVEN, training={"batch_size": 2, "steps": 20}, labels={"variance": 1.0})
FRESH = changed(
    AVERAGED,
    data={"spectrum": (1.0, 2.0), "samples": "online"},
    training={"batch_size": 64, "sampling": "fresh", "steps": 3},
)
REPLACED = changed(
    AVERAGED, data={"spectrum": (1.0, 1.0)}, training={"batch_size": 1, "sampling": "replacement", "steps": 3}
)


def said(form: Form, setting: Setting, rows: np.ndarray | None) -> object:
    """Whether a form predicts; otherwise the numbers of why it does not."""
    reason = form.refusal(setting)
    found = reason if reason is not None else outcome(form.predict, setting, rows)
    return True if isinstance(found, Prediction) else numbers(found)


def at(
    form: Form,
    setting: Setting,
    rows: np.ndarray | None,
    on: float,
    table: str = "training",
    key: str = "learning_rate",
) -> list[object]:
    """What the form says on the bound `on`, and just beyond it."""
    values: list[Changes] = [{key: on}, {key: math.nextafter(on, math.inf)}]
    return [said(form, changed(setting, **{table: value}), rows) for value in values]


def below(call: Callable[[float], object], bound: float) -> list[object]:
    """Just below a bound that is not allowed itself, and on it."""
    return [outcome(call, math.nextafter(bound, 0.0)), outcome(call, bound)]


ROWS: dict[str, Call] = {
    "noise of batches": partial(at, mini_batch_scalar.FORM, DRAWN, ROUND, 0.25),
    "noise of batches, averaged": partial(at, averaged_batches.FORM, REPLACED, None, 0.25),
    "rates that diffuse": partial(at, diffusion.FORM, FRESH, None, 0.25),
    "length of an epoch": partial(at, shuffled_ends.FORM, EPOCHS, ROUND, 0.5),
    "size of the start": partial(
        at, shuffled_ends.FORM, changed(EPOCHS, labels={"variance": 0.25}), ROUND, 1.25, "network", "init_variance"
    ),
    "ends of few rows": lambda: [
        said(shuffled_ends.FORM, changed(EPOCHS, training={"steps": steps, "learning_rate": 0.25}), ROUND)
        for steps in (0, 6, 18, 20)
    ],
    "rates of a criterion": lambda: below(
        lambda rate: predicted_shape(changed(GIVEN, training={"learning_rate": rate, "steps": 2}), OVAL), 1.0
    ),
    "stable kernels": lambda: [
        *below(lambda rate: propagators.descent_step(np.array([1.0, 0.5]), rate).decay, 2.0),
        *below(
            lambda rate: linearised_loss(
                LinearisedNetwork(4 * np.eye(4)), np.ones(4), Training(learning_rate=rate, steps=1)
            ),
            2.0,
        ),
    ],
}
