"""All rows, and how sharply each is compared."""

from __future__ import annotations

from pathlib import Path

from tests.pinning.table import Call
from tests.theory.pins import (
    bounds,
    constants,
    estimates,
    experiments,
    fits_and_features,
    frozen_networks,
    kernels,
    linear_paths,
    linear_shapes,
    many_directions,
    matrices,
    randomized_tests,
    settings,
    transfers,
    vocabulary,
)

_MODULES = (
    bounds,
    constants,
    estimates,
    experiments,
    fits_and_features,
    frozen_networks,
    kernels,
    linear_paths,
    linear_shapes,
    many_directions,
    matrices,
    randomized_tests,
    settings,
    transfers,
    vocabulary,
)


FILE = Path(__file__).with_name("values.json")


def _named(key: str) -> dict[str, object]:
    return {
        f"{module.__name__.rpartition('.')[2]}: {name}": value
        for module in _MODULES
        for name, value in getattr(module, key, {}).items()
    }


ROWS: dict[str, Call] = _named("ROWS")
LOOSE: dict[str, float] = _named("LOOSE")
