"""Two numbers that describe a layer's transfer function, by the law that fits it better."""

from __future__ import annotations

import numpy as np

from reports.check.estimates import Weights
from theory.decomposition import ShapeFit, fit_shape
from theory.eigenspaces import Eigenspaces

FEWEST_GROUPS = 4
FEWEST_EIGENSPACES = 4


def shape_law(spaces: Eigenspaces, weights: Weights, initial: float | None) -> ShapeFit | None:
    """Both laws fitted to τ, with errors between networks, or between vectors if there is only one network.

    `initial` is the variance of a weight before training; it is also fitted if it is unknown. None for fewer than four
    eigenspaces, networks or vectors.
    """
    values = weights.scale**2 * weights.variances(spaces)
    sigma, tau = np.sqrt(np.maximum(spaces.eigenvalues, 0)), values.mean(axis=0)
    count = len(values)
    if count < FEWEST_GROUPS or len(sigma) < FEWEST_EIGENSPACES or not np.all(tau > 0):
        return None
    covariance = np.cov(values.T) / count
    return fit_shape(sigma, tau, covariance, groups=count, initial=initial, multiplicity=spaces.multiplicity)
