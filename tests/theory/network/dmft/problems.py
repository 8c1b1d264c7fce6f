"""Settings of one hidden layer for the tests of the limit of many rows and directions."""

from __future__ import annotations

import numpy as np

from theory.network.dmft.problem import Problem, problem_of
from theory.setting import Data, Labels, Network, Setting, Training


def spectrum(d: int) -> tuple[float, ...]:
    """.1 … 2, evenly spaced."""
    return tuple(float(s) for s in 0.1 + 1.9 * (np.arange(d) + 0.5) / d)


def setting(
    d: int = 20, n: int = 80, m: int = 4, *, rate: float = 4.0, steps: int | tuple[int, ...] = 10, **keys: object
) -> Setting:
    """In the ntk parametrization, the first layer trained; `keys` go to the table that knows them."""
    tables: dict[str, dict] = {
        "data": {"kind": "gaussian", "spectrum": spectrum(d), "samples": n, "rotate": False},
        "labels": {"variance": 4.0},
        "network": {"kind": "mlp", "hidden": (m,), "activation": "erf", "parametrization": "ntk", "train": "first"},
        "training": {"learning_rate": rate, "steps": steps},
    }
    if keys.get("loss") == "cross-entropy":
        tables["labels"] = {"kind": "classes", "classes": 3}
    for key, value in keys.items():
        table = next(
            name
            for name, kind in (("training", Training), ("network", Network), ("data", Data), ("labels", Labels))
            if key in kind.__struct_fields__
        )
        tables[table][key] = value
    return Setting(
        data=Data(**tables["data"]),
        labels=Labels(**tables["labels"]),
        network=Network(**tables["network"]),
        training=Training(**tables["training"]),
    )


def problem(*args: int, **keys: object) -> Problem:
    """The constants of `setting`."""
    return problem_of(setting(*args, **keys))
