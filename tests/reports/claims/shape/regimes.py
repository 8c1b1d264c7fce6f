"""Points of F6's map, made up."""

from __future__ import annotations

import numpy as np

from reports.claims.shape.regime_points import MapNetworks, MapTheory, RegimePoint

RISES, PEAK = [1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 1.0]


def point(
    predicted: list[float], simulated: list[float], epsilon: float = 0.1, noise: float = 0.01, declared: float = 0.5
) -> RegimePoint:
    """A point with these curves, of the same noise over 40 draws."""
    scatter = np.random.default_rng(1).standard_normal((40, 4)) * noise
    return RegimePoint(1.0, epsilon, declared, np.array(predicted) + scatter, np.array(simulated) + scatter)


AGREES, APART, WITHIN = point(RISES, RISES), point(RISES, PEAK), point(RISES, PEAK, declared=3.5)
NOISY, OUTSIDE = point(RISES, RISES, noise=30.0), point(RISES, PEAK, epsilon=0.6)


def theory_of(*points: RegimePoint) -> MapTheory:
    """The theory at these points, one at each time."""
    return MapTheory(
        times=tuple(point.time for point in points),
        changes=np.array([point.predicted for point in points]),
        displacement=np.array([np.full(40, point.displacement) for point in points]),
        declared=np.array([np.full(40, point.declared) for point in points]),
    )


def networks_of(*points: RegimePoint, diverged: int = 0) -> MapNetworks:
    """The networks at these points, one at each time."""
    return MapNetworks(np.array([point.simulated for point in points]), np.arange(40), 40, diverged)
