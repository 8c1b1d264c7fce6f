"""What is taken where nothing is said: the same for an argument of one name wherever it occurs, but for exceptions."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import numpy as np

import theory
from theory.linear.online_fourth import Ratios

DEFAULTS: dict[str, object] = {
    # of what is trained: weights of variance 1, Gaussian rows without noise or decay, every layer
    "activation": "relu",
    "covariance": 1.0,
    "decay": 0.0,
    "init_factor": 0.0,
    "init_variance": 1.0,
    "k4": 1.0,
    "loss": "mse",
    "lowest": 0.0,
    "noise": True,
    "output_variance": 1.0,
    "outputs": 1,
    "ratios": Ratios(1.0, 1.0, 1.0),
    "sigma_y2": 0.0,
    "spread": 0.0,
    "state_dependent": True,
    "subtract_initial": False,
    "subtracted": False,
    "trained": "all",
    "variances": (1.0,),
    # of what is computed
    "adjusted": True,
    "at_least": 2,
    "block": 1,
    "by": 1,
    "centred": False,
    "dtype": np.float64,
    "error_a": 0.0,
    "error_b": 0.0,
    "full": False,
    "nodes": 400,
    "orders": (0, 0),
    "ridge": 0.01,
    "skewness": 0.0,
    "stride": 1,
    "tests": 1,
    "traceless": False,
    # of tests and intervals
    "blocks": 64,
    "confidence": 0.95,
    "draws": 999,
    "level": 1e-6,
    "power": 0.9,
    "resamples": 999,
    "screen": 1e-3,
    "seed": 0,
    "statistic": "energy",
}
EXCEPTIONS: dict[tuple[str, str], object] = {
    ("classify_interval", "confidence"): 0.99,
    ("null_floor", "draws"): 100_000,
    ("rotation_power_table", "draws"): 199,
    ("rotation_power_table", "ensembles"): 200,
    ("rotation_power_table", "level"): 0.01,
    ("rotation_power_table", "tau"): (1.0, 1.5, 2.0, 3.0),
    ("rotation_power_table", "width"): 50,
}


def functions() -> Iterator[tuple[str, object]]:
    """The public functions of `theory`, and the public methods of its classes, with their names."""
    for info in pkgutil.walk_packages(theory.__path__, "theory."):
        for name, value in vars(importlib.import_module(info.name)).items():
            if not name.startswith("_") and getattr(value, "__module__", None) == info.name:
                members = vars(value).items() if inspect.isclass(value) else [(name, value)]
                yield from ((key, of) for key, of in members if not key.startswith("_") and inspect.isfunction(of))


def test_an_argument_has_one_default() -> None:
    """None aside, which says that something is derived, or absent; `require` is no theory."""
    expected = {**{key: value for (_, key), value in EXCEPTIONS.items()}, **DEFAULTS}
    found: dict[tuple[str, str], object] = {
        (name, key): argument.default
        for name, function in functions()
        if name != "require"
        for key, argument in inspect.signature(function).parameters.items()  # type: ignore[arg-type]
        if argument.default not in (inspect.Parameter.empty, None)
    }
    assert found == {place: EXCEPTIONS.get(place, expected.get(place[1])) for place in found}
    assert {key for _, key in found} == set(expected)
