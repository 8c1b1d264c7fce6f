"""All rows, and how sharply each is compared."""

from __future__ import annotations

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
from tests.theory.pins.table import Call

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


def _named(key: str) -> dict[str, object]:
    return {
        f"{module.__name__.rpartition('.')[2]}: {name}": value
        for module in _MODULES
        for name, value in getattr(module, key, {}).items()
    }


ROWS: dict[str, Call] = _named("ROWS")
LOOSE: dict[str, float] = _named("LOOSE")
