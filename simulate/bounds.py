"""The memory of a replica and the time of an ensemble, estimated and limited before anything is drawn."""

from __future__ import annotations

import math
import os

from simulate.batches import ordered, rows_needed
from simulate.networks import Shapes
from theory.setting import InvalidInput, Setting
from theory.setting.limits import require_memory

VARIABLE = "EIGENALIGN_OPERATIONS"
MOST_OPERATIONS = 1e17  # the most operations of an ensemble: some three years of a core, or a day of a GPU
CALLS = 1e5  # the fewest operations that a replica counts for, since it is drawn and added up


def require_inputs(setting: Setting, row: tuple[int, ...]) -> None:
    """Refuse rows (`row` is the shape of one), labels and batches of one replica that are larger than an array may be.

    Raises
    ------
    InvalidInput
        If an array would exceed the limit on memory: see `theory.setting.limits`.
    """
    n, steps = rows_needed(setting), setting.training.readings[-1]
    key, asked = ("training.steps", steps) if setting.data.samples == "online" else ("data.samples", n)
    require_memory(8 * n * math.prod(row), key, asked, "the rows of one replica")
    outputs = setting.outputs or 1
    require_memory(8 * max(n, math.prod(row)) * outputs, "labels", f"{outputs} outputs", "the labels of one replica")
    if ordered(setting):
        drawn = setting.data.sample_count if setting.training.sampling != "replacement" else setting.batch_rows
        held = max(setting.batch_rows, drawn if setting.data.sample_count <= 16 * setting.batch_rows else 0)
        require_memory(8 * steps * held, "training.steps", steps, "the batches of one replica")


def require_weights(setting: Setting, shapes: Shapes) -> None:
    """Refuse weights of one replica, at all readings, that are too large for an array; errors as `require_inputs`."""
    readings = setting.training.readings
    weights = max(math.prod(shape) for shape in shapes)
    require_memory(8 * weights, "network", f"a layer of {weights} weights", "the weights of a layer")
    held = 8 * len(readings) * sum(map(math.prod, shapes))
    require_memory(held, "training.steps", f"{len(readings)} readings", "the weights of one replica at all readings")


def require_work(setting: Setting, shapes: Shapes, replicas: int) -> None:
    """Refuse an ensemble that would take years: six operations are counted per weight, row and update.

    Raises
    ------
    InvalidInput
        If the run exceeds a limit; the message names the limit, and how to raise it.
    """
    text = os.environ.get(VARIABLE, "")
    try:
        limit = float(text) if text else MOST_OPERATIONS
    except ValueError:
        limit = math.nan
    if not limit > 0:
        raise InvalidInput(VARIABLE, text, "must be a positive number, such as 1e18")
    updates = setting.training.readings[-1]
    each = max(6.0 * setting.batch_rows * sum(map(math.prod, shapes)) * updates, CALLS)
    if each * replicas > limit:
        rule = (
            f"with {updates} updates would take {each * replicas:.1e} operations, and the limit is {limit:.1e}: set "
            f"the environment variable {VARIABLE} to raise it"
        )
        raise InvalidInput("replicas", replicas, rule)
