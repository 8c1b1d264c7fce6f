"""The shape of f that a simulation leaves, where its intervals leave only one."""

from __future__ import annotations

import numpy as np

from reports.judging.estimate import data_eigenspaces
from simulate.results import Simulation
from theory.eigenspaces import weight_variances
from theory.shape import PANELS, classify_interval

CONFIDENCE = 0.99
ONE_LEFT = "one of three shapes is left by simultaneous 99 % intervals"


def simulated_shape(simulation: Simulation) -> str | None:
    """The shape that simultaneous 99 % intervals of adjacent differences leave; None if they leave several."""
    reading = simulation.readings[-1]
    tau = weight_variances(data_eigenspaces(simulation), reading.second_moments)
    return classify_interval(
        reading.counts / reading.replicas @ tau, blocks=tau, confidence=CONFIDENCE, alternatives=PANELS
    )


def mean_shape(blocks: np.ndarray) -> str | None:
    """The same of independent curves (R, k): the shape of their mean; "other" where none of the three is left."""
    return classify_interval(blocks.mean(axis=0), blocks=blocks, confidence=CONFIDENCE, alternatives=PANELS)
