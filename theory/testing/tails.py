"""Critical values of weighted sums of χ² variables, where levels of 1e-6 would need millions of draws."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import stats


def weighted_chi2_isf(parts: Iterable[tuple[float, float]], level: float) -> float:
    """The value that Σ v χ²_n exceeds with probability `level`, for pairs (v, n) of weight and degrees of freedom.

    Approximate: the shifted χ² with the same first three cumulants Σ n v, 2 Σ n v², 8 Σ n v³ (Pearson type III);
    exact for a single pair. 0 where all weights are.

    >>> round(weighted_chi2_isf([(2.0, 1)], 0.05), 3)
    7.683
    """
    weights, degrees = np.array(list(parts), dtype=float).reshape(-1, 2).T
    largest = float(np.max(weights, initial=0.0))
    if largest == 0 or not np.isfinite(largest):
        return largest
    weights = weights / largest  # cubes of weights of an ensemble that blew up would overflow
    first, second, third = (float(degrees @ weights**p) for p in (1, 2, 3))
    matched = second**3 / third**2
    return largest * float(first + np.sqrt(second / matched) * (stats.chi2.isf(level, matched) - matched))
