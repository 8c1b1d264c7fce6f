"""What f is made of, and the laws that describe it: intervals of A, F, U and c, and the test of goodness of fit."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from tests.calibration.study import Study
from theory.decomposition import estimated_parts, fit_law, law_tau
from theory.decomposition.shape_laws import LawName


def part_covered(
    generator: np.random.Generator,
    *,
    what: str,
    groups: int,
    units: int,
    directions: int = 1,
    amplitude: float = 1.3,
    noise: float = 0.5,
    tails: float = np.inf,
    shared: float = 0.0,
) -> bool:
    """w = A w_0 + noise; `tails` of Student's law, `shared` the relative scatter of the noise between groups."""
    shape = (groups, units, directions)
    start, added = generator.standard_normal(shape), generator.standard_normal(shape)
    if not np.isinf(tails):
        added = generator.standard_t(tails, shape) * np.sqrt((tails - 2) / tails)
    scatter = np.exp(shared * generator.standard_normal((groups, 1, 1)) - shared**2)
    end = amplitude * start + noise * scatter * added
    parts = estimated_parts(
        *((a * b).mean(axis=(1, 2))[:, None] for a, b in ((start, start), (start, end), (end, end)))
    )
    written = noise**2
    true = {
        "amplitude": amplitude,
        "carried": amplitude**2,
        "written": written,
        "share": written / (amplitude**2 + written),
    }[what]
    value, error = {
        "amplitude": (parts.amplitude[0], parts.errors["amplitude"][0]),
        "carried": (parts.carried[0], parts.errors["carried"][0]),
        "written": (parts.written[0], parts.errors["written"][0]),
        "share": (parts.share, parts.share_error),
    }[what]
    half = parts.half_width(error)
    low, high = parts.interval(value, error) if what in ("written", "share") else (value - half, value + half)
    return bool(low <= true <= high)


PARTS: dict[str, dict[str, Any]] = {
    "4 networks of 32 units": {"groups": 4, "units": 32},
    "12 networks of 32 units, A = 0": {"groups": 12, "units": 32, "amplitude": 0.0},
    "30 networks of 4 units, t10 noise": {"groups": 30, "units": 4, "tails": 10.0},
    "30 networks of 4 units, t6 noise": {"groups": 30, "units": 4, "tails": 6.0},
    "10 networks of 16 units, an eigenspace of 8": {"groups": 10, "units": 16, "directions": 8},
    "10 networks of 16 units, F scatters": {"groups": 10, "units": 16, "directions": 4, "shared": 0.2},
    "the 128 units of one network": {"groups": 128, "units": 1},
}


def fitted(
    generator: np.random.Generator,
    *,
    what: str,
    law: LawName,
    count: int,
    networks: int,
    units: int,
    multiplicity: int = 1,
    shared: float = 0.0,
    tails: float = np.inf,
    known: bool = True,
) -> bool:
    """τ of networks whose curve is the law: means of squares over units, times a factor for each network."""
    sigma = np.linspace(3.0 / count, 3.0, count)
    true = law_tau(law, sigma, rate=0.47, written=0.25, initial=1 / 30)
    degrees = units * multiplicity
    tau = true * generator.chisquare(degrees, (networks, count)) / degrees
    tau *= np.exp(shared * generator.standard_normal((networks, 1)) - shared**2 / 2)
    if not np.isinf(tails):
        tau *= (tails - 2) / generator.chisquare(tails, tau.shape)
    fit = fit_law(
        law,
        sigma,
        tau.mean(axis=0),
        np.cov(tau.T) / networks,
        groups=networks,
        initial=1 / 30 if known else None,
        multiplicity=(multiplicity,) * count,
    )
    if what == "fit":
        return fit.pvalue <= 0.05
    interval = fit.rate_interval if what == "U" else fit.written_interval
    value = 0.47 if what == "U" else 0.25
    return interval is not None and interval[0] <= value <= interval[1]


FITS: dict[str, dict[str, Any]] = {
    "ridge, 4 networks of 64 units, d = 30": {"law": "ridge", "count": 30, "networks": 4, "units": 64},
    "flow, 20 networks of 64 units, d = 30": {"law": "flow", "count": 30, "networks": 20, "units": 64},
    "ridge, 6 networks, 5 eigenspaces of 6": {
        "law": "ridge",
        "count": 5,
        "networks": 6,
        "units": 32,
        "multiplicity": 6,
    },
    "flow, 8 networks that scatter by 10 %": {"law": "flow", "count": 30, "networks": 8, "units": 64, "shared": 0.1},
    "ridge, 12 networks, heavy tails": {"law": "ridge", "count": 30, "networks": 12, "units": 64, "tails": 8.0},
    "flow, 6 networks, d = 150": {"law": "flow", "count": 150, "networks": 6, "units": 32},
    "ridge, 10 networks, initial variance unknown": {
        "law": "ridge",
        "count": 30,
        "networks": 10,
        "units": 64,
        "known": False,
    },
    "flow, the 256 units of one network": {"law": "flow", "count": 30, "networks": 256, "units": 1},
}

# rare large values carry F, and are missing from most samples: no interval of a mean from few of them covers
HEAVY = {"written: 30 networks of 4 units, t6 noise": "the squares have an infinite fourth moment"}

STUDIES: tuple[Study, ...] = (
    *(
        Study(
            "estimated_parts",
            f"{what}: {name}",
            "coverage",
            0.95,
            partial(part_covered, what=what, **keys),
            outside=HEAVY.get(f"{what}: {name}", ""),
        )
        for name, keys in PARTS.items()
        for what in ("amplitude", "carried", "written", "share")
    ),
    *(
        Study("fit_law", f"{what}: {name}", "coverage", 0.95, partial(fitted, what=what, **keys), draws=1000)
        for name, keys in FITS.items()
        for what in ("U", "c")
    ),
    *(
        Study("fit_law", f"the fit: {name}", "size", 0.05, partial(fitted, what="fit", **keys), draws=500)
        for name, keys in FITS.items()
    ),
)
