"""The interval of a mean curve's misfit, as claim B5 judges it: few networks, unequal or dependent noise, none off."""

from __future__ import annotations

from functools import partial

import numpy as np

from reports.judging.misfit import misfit
from tests.calibration.judging import LAWS
from tests.calibration.study import Study

DEVIATION = {"normal": 1.0, "Student's t of 3 degrees": 3**0.5}


def covered(
    generator: np.random.Generator, networks: int, places: int, rms: float, spread: float, shared: float, law: str
) -> bool:
    """Whether the interval holds the misfit `rms`, in units of one network's noise.

    Noise of the places differs by a factor of `spread`, and has a part of variance `shared` in common.
    """
    true = generator.normal(size=places)
    true *= rms / np.sqrt((true**2).mean())
    scales = spread ** np.linspace(-0.5, 0.5, places)
    own = LAWS[law](generator, networks * places).reshape(networks, places) / DEVIATION[law]
    noise = scales * (np.sqrt(1 - shared) * own + np.sqrt(shared) * generator.normal(size=(networks, 1)))
    found = misfit(true + noise)
    return found.low <= rms <= found.high


STUDIES: tuple[Study, ...] = tuple(
    Study(
        "misfit",
        f"{networks} curves at {places} places, off by {rms:g} of their noise, {law}, noise 1 to {spread:g}"
        + (f", {shared:.0%} shared" if shared else ""),
        "coverage",
        0.95,
        partial(covered, networks=networks, places=places, rms=rms, spread=spread, shared=shared, law=law),
        draws=500,  # 6 ms
    )
    for networks, places, rms, law, spread, shared in (
        (2, 6, 3.0, "normal", 1, 0.0),
        (3, 14, 1.0, "normal", 2, 0.0),
        (3, 14, 0.0, "normal", 1, 0.0),
        (12, 10, 0.7, "normal", 2, 0.03),
        (4, 10, 0.3, "Student's t of 3 degrees", 1, 0.0),
        (2, 30, 1.0, "normal", 2, 0.03),
    )
)
