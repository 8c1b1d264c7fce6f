"""The values of f in the paper's Figure 20, read off its three panels by eye; Figure 4 (left) shows the same curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from theory.errors import InvalidInput
from theory.linear.paper_panels import PanelName

READING_ERROR = 0.0015  # the error of every published value, as read off the figure


@dataclass(frozen=True)
class PublishedCurve:
    """One panel: f (p values) at some σ, ascending."""

    sigma: tuple[float, ...]
    f: tuple[float, ...]

    def off(self, sigma: np.ndarray, f: np.ndarray) -> np.ndarray:
        """How far f (…, k) at `sigma` (k,) exceeds the published values, at the published σ, (…, p).

        Raises
        ------
        InvalidInput
            If a published σ is not one of `sigma`, to a thousandth.
        """
        apart = np.abs(np.subtract.outer(np.array(self.sigma), sigma))
        if apart.min(axis=1).max() > 1e-3:
            raise InvalidInput("sigma", sigma.tolist(), "must hold every published value")
        return np.asarray(f[..., apart.argmin(axis=1)] - np.array(self.f))


PUBLISHED: Mapping[PanelName, PublishedCurve] = {
    "left": PublishedCurve((1.0, 1.2, 1.4, 1.6, 1.8, 1.9), (0.381, 0.366, 0.349, 0.334, 0.321, 0.316)),
    "middle": PublishedCurve(
        (0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.2, 1.5, 1.8, 2.0, 2.2, 2.5, 2.8, 3.0),
        (0.184, 0.191, 0.198, 0.2035, 0.2065, 0.207, 0.2065, 0.2035, 0.198, 0.1925, 0.185, 0.177, 0.1685, 0.163),
    ),
    "right": PublishedCurve(
        (0.1, 0.5, 0.8, 1.0, 1.2, 1.5, 1.8, 2.0, 2.5, 3.0),
        (0.1835, 0.2015, 0.2165, 0.2255, 0.233, 0.241, 0.2455, 0.2485, 0.252, 0.2535),
    ),
}
