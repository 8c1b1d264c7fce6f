"""The shape of f in a simulation, if its intervals allow only one."""

from __future__ import annotations

import numpy as np

from reports.judging.estimate import data_eigenspaces
from simulate.results import Simulation
from theory.eigenspaces import weight_variances
from theory.shape import PANELS, classify_interval

CONFIDENCE = 0.99
ONE_LEFT = "simultaneous 99 % intervals allow only one of three shapes"


def simulated_shape(simulation: Simulation) -> str | None:
    """The only shape that simultaneous 99 % intervals of adjacent differences allow; None if they allow several."""
    reading = simulation.readings[-1]
    tau = weight_variances(data_eigenspaces(simulation), reading.second_moments)
    return classify_interval(
        reading.counts / reading.replicas @ tau, blocks=tau, confidence=CONFIDENCE, alternatives=PANELS
    )


def mean_shape(blocks: np.ndarray) -> str | None:
    """The same for independent curves (R, k): the shape of their mean; "other" if none of the three is allowed."""
    return classify_interval(blocks.mean(axis=0), blocks=blocks, confidence=CONFIDENCE, alternatives=PANELS)
