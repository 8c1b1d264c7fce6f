"""`check --against agop`: layers before training, and layers of which the output sees few units.

An untrained layer W (m, d) has Gaussian entries, or heavy tails. K is that of a ReLU network behind it, on Gaussian
rows: the mean over rows of g gᵀ, summed over outputs, g = a ∘ 1[Wx > 0] with weights a of each. The gates depend on W,
which the test does not know. For power the outputs look at some of the units alone, whose rows are twice
as long. Intervals are to cover the mean effect of networks of the same law, which is measured on others.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from reports.models.agop import AgopAgreement, agreement
from tests.calibration.study import Study

ROWS = 64


def sensitivity(generator: np.random.Generator, w: np.ndarray, output: np.ndarray, spread: float) -> np.ndarray:
    """K of one network: `output` (C, m) are the weights behind the gates."""
    x = generator.standard_normal((ROWS, w.shape[1])) * spread ** np.arange(w.shape[1])
    gates = (x @ w.T > 0).astype(float)
    return np.asarray((output.T @ output) * (gates.T @ gates) / ROWS)


def entries(generator: np.random.Generator, shape: tuple[int, int], tails: float) -> np.ndarray:
    """Gaussian, or Student's with `tails` degrees of freedom."""
    return generator.standard_t(tails, shape) if np.isfinite(tails) else generator.standard_normal(shape)


def rejects(
    generator: np.random.Generator,
    *,
    level: float,
    units: int,
    d: int,
    outputs: int = 3,
    networks: int = 1,
    spread: float = 1.5,
    tails: float = np.inf,
    own_tails: float = np.inf,
    seen: int = 0,
) -> bool:
    """Whether a layer is called aligned with its AGOP; `seen` units alone reach the output, all of them if 0."""
    layers, behind = [], []
    for _ in range(networks):
        w, output = entries(generator, (units, d), own_tails), entries(generator, (outputs, units), tails)
        if seen:
            w[:seen] *= 2
            output[:, seen:] = 0
        layers.append(w)
        behind.append(sensitivity(generator, w, output, spread))
    found = agreement(layers, behind, seed=int(generator.integers(2**31)))
    return found is not None and found.pvalue <= level


UNTRAINED: list[tuple[str, dict[str, Any], int, str]] = [
    ("12 units, d = 6", {"units": 12, "d": 6}, 2000, ""),
    ("12 units, d = 6, one output, rows over 3 decades", {"units": 12, "d": 6, "outputs": 1, "spread": 4.0}, 2000, ""),
    ("4 units, d = 20", {"units": 4, "d": 20}, 2000, ""),
    ("16 units, d = 8, output weights t4", {"units": 16, "d": 8, "tails": 4}, 2000, ""),
    ("16 units, d = 8, all weights t4", {"units": 16, "d": 8, "tails": 4, "own_tails": 4}, 2000, "no law is invariant"),
    ("5 networks of 16 units, d = 8", {"units": 16, "d": 8, "networks": 5}, 1000, ""),
    ("128 units, d = 27, 10 outputs", {"units": 128, "d": 27, "outputs": 10}, 200, ""),
]
SEEN: list[tuple[str, dict[str, Any], str]] = [
    ("8 of 64 units are seen, d = 8", {"units": 64, "d": 8, "seen": 8}, "no size is named"),
    ("4 of 32 units are seen, 10 outputs, d = 27", {"units": 32, "d": 27, "seen": 4, "outputs": 10}, ""),
    (
        "5 networks, 4 of 16 units are seen, d = 8",
        {"units": 16, "d": 8, "networks": 5, "seen": 4},
        "",
    ),
]

LAWS = ("neither", "data", "AGOP", "both")
SIZES: list[tuple[str, dict[str, Any], int]] = [
    ("16 units, d = 8", {"units": 16, "d": 8}, 600),
    ("32 units, d = 8, 10 outputs", {"units": 32, "d": 8, "outputs": 10}, 200),
    ("2 networks of 16 units, d = 8", {"units": 16, "d": 8, "networks": 2}, 200),
    ("3 networks of 16 units, d = 8", {"units": 16, "d": 8, "networks": 3}, 300),
]
TRUTH = 400  # networks, or groups of them, whose mean effect is the truth


def learned(
    generator: np.random.Generator, law: str, *, units: int, d: int, outputs: int = 3, networks: int = 1
) -> AgopAgreement:
    """Layers long in directions of the data, in one to which the outputs respond, in one that is both, or in none."""
    layers, behind = [], []
    for _ in range(networks):
        w, output = generator.standard_normal((units, d)), generator.standard_normal((outputs, units))
        if law in ("data", "both"):
            w *= 1.5 ** np.arange(d) / 4
        if law in ("AGOP", "both"):
            direction = np.eye(d)[-1] * 10 if law == "both" else np.eye(d)[:2].sum(axis=0) * 2**0.5
            pull = generator.standard_normal(units)
            w += pull[:, None] * direction
            output *= np.abs(pull)
        layers.append(w)
        behind.append(sensitivity(generator, w, output, 1.5))
    found = agreement(layers, behind, seed=int(generator.integers(2**31)))
    assert found is not None
    return found


@cache
def truth(law: str, **drawn: int) -> float:
    """The mean effect of the law."""
    generator = np.random.default_rng(LAWS.index(law))
    return float(np.mean([learned(generator, law, **drawn).effect for _ in range(TRUTH)]))


def covers(generator: np.random.Generator, *, law: str, **drawn: int) -> bool:
    """Whether the interval covers it."""
    low, high = learned(generator, law, **drawn).interval or (1.0, -1.0)
    return low <= truth(law, **drawn) <= high


STUDIES: tuple[Study, ...] = (
    *(
        Study(
            "check --against agop", f"untrained, at {level:g}: {name}", "size", level,
            partial(rejects, level=level, **drawn), draws, outside=outside,
        )
        for level in (0.01, 0.05)
        for name, drawn, draws, outside in UNTRAINED
    ),
    *(
        Study(
            "check --against agop", f"at .01: {name}", "power at least", 0.9,
            partial(rejects, level=0.01, **drawn), 1000, outside=outside,
        )
        for name, drawn, outside in SEEN
    ),
    *(
        Study(
            "check --against agop", f"interval, aligned with {law}: {name}", "coverage", 0.95,
            partial(covers, law=law, **drawn), draws,
        )
        for law in LAWS
        for name, drawn, draws in SIZES
    ),
)  # fmt: skip
