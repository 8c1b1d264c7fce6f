"""Settings of one hidden layer for the tests of the limit of many rows and directions."""

from __future__ import annotations

import numpy as np
from scipy import special

from tests.oracles.mean_field import Plain
from theory.network.dmft.problem import Problem, problem_of
from theory.setting import Data, Labels, Network, Setting, Training


def spectrum(d: int) -> tuple[float, ...]:
    """.1 … 2, evenly spaced."""
    return tuple(float(s) for s in 0.1 + 1.9 * (np.arange(d) + 0.5) / d)


def setting(
    d: int = 20, n: int = 80, m: int = 4, *, rate: float = 4.0, steps: int | tuple[int, ...] = 10, **keys: object
) -> Setting:
    """A setting in the ntk parametrization whose first layer is trained.

    Each of `keys` goes to the table that has such a field.
    """
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


def with_oracle() -> tuple[Problem, np.ndarray, Plain]:
    """Two neurons, three updates with momentum and decay: a problem, output weights, both for the literal oracle."""
    spectrum_of_two = (0.5,) * 10 + (2.0,) * 6
    found = problem(16, 24, 2, rate=8.0, steps=3, momentum=0.4, weight_decay=0.01, spectrum=spectrum_of_two)
    a = np.array([1.0, -1.6])
    plain = Plain(
        eigenvalues=found.eigenvalues,
        multiplicity=found.multiplicity,
        samples=24,
        a=a,
        scale=found.scale,
        s0=1.0,
        phi=special.erf,
        slope=lambda h: 2 / np.sqrt(np.pi) * np.exp(-(h**2)),
        labels=4.0,
        rate=8.0,
        momentum=0.4,
        decay=0.01,
        draws=25_000,
    )
    return found, a, plain


def spiked(d: int, share: float) -> tuple[float, ...]:
    """.3 … 1.7, evenly spaced, and a last one with this share of the trace."""
    bulk = 0.3 + 1.4 * (np.arange(d - 1) + 0.5) / (d - 1)
    return (*(float(s) for s in bulk), float(share / (1 - share) * bulk.sum()))
