"""How many filters are enough for a bounded interval of M that is short enough to lie below the limit."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from reports.check.estimates import MANY, Weights
from reports.check.verdict import NINE_IN_TEN, NORMAL_END
from theory.eigenspaces import Eigenspaces
from theory.symmetry import haar

_FRAMES = 64


def bounded_from(dimension: int) -> int:
    """The least N for which few bootstrap samples of N vectors contain fewer than d different ones.

    N (1 − 1/e) of them are different on average, with a standard deviation of .31 √N: N (1 − 1/e) − √N ≥ d.

    >>> bounded_from(27)
    55
    """
    share = 1 - 1 / math.e
    return math.ceil(((1 + math.sqrt(1 + 4 * share * dimension)) / (2 * share)) ** 2)


def filters_needed(spaces: Eigenspaces, weights: Weights, isotropic: bool) -> int | None:
    """About how many independent filters with these variances, if they *are* aligned, get the verdict "aligned".

    The upper end of M² for N aligned filters lies at about s/(N − 2 d): with p = d (d + 1)/2 − k numbers outside
    alignment, N M² ~ χ²_p, and s solves p + s − 1.96 √(2 (p + 2 s)) = p + 1.28 √(2 p), so that it is this low in nine
    of ten samples. s grows with the kurtosis of the filters. The upper end is compared with a quarter of a cautious
    estimate of the M² that the variances τ have in a random basis, or with M² = 1 if that is 0, as for isotropic ones.
    At least `bounded_from` (d) are needed. If there are too few filters to distinguish their variances from equal ones,
    the result may be too small.
    """
    d, k = spaces.dimension, len(spaces.multiplicity)
    least = bounded_from(d) if len(weights.moments) == 1 else MANY * d
    if k == 1 or d == 1:
        return None
    p = d * (d + 1) / 2 - k
    a, b = NINE_IN_TEN * math.sqrt(2 * p), 2 * NORMAL_END**2
    excess = a + b + math.sqrt((a + b) ** 2 - a**2 + b * p)  # (s − a)² = 1.96² · 2 (p + 2 s)
    tolerated = (0 if isotropic else random_basis_squared(spaces, weights, cautious=True) / 4) or 1.0
    return max(least, 2 * d + math.ceil(excess * kurtosis(spaces, weights) / tolerated))


def kurtosis(spaces: Eigenspaces, weights: Weights) -> float:
    """E |z|⁴ / (d (d + 2)) of filters z of unit variance in every eigenspace: 1 for Gaussian ones, at least 1."""
    squares = weights.scaled(spaces).reshape(-1, spaces.dimension) ** 2
    squares = squares[squares.any(axis=1)]
    d = np.count_nonzero(squares.any(axis=0))
    lengths = squares.sum(axis=1)
    return max(1.0, float(np.mean(lengths**2) / np.mean(lengths) ** 2) * d / (d + 2))


def random_basis_squared(spaces: Eigenspaces, weights: Weights, *, cautious: bool = False) -> float:
    """M² of diag(τ) in a random basis, on average, with the sampling errors of τ removed from the variance of log τ.

    The cautious version uses a lower limit of that variance, which holds in nine of ten layers, but at least a tenth of
    the upper limit: variances that cannot be distinguished from equal ones need many filters.
    """
    values = weights.variances(spaces)
    if len(weights.moments) == 1:
        values = values[values.any(axis=1)]
    tau, m = values.mean(axis=0), np.array(spaces.multiplicity)
    known = tau > 1e-12 * tau.max()
    if known.sum() < 2:
        return 0.0
    errors = values.var(axis=0, ddof=1)[known] / len(values) / tau[known] ** 2 if len(values) > 1 else 2 / m[known]
    logs, share = np.log(tau[known]), m[known] / m[known].sum()
    centre = float(share @ logs)
    seen = float(share @ (logs - centre) ** 2)
    true = max(0.0, seen - float(share @ errors))
    if cautious:
        squares = np.maximum((logs - centre) ** 2 - errors, 0.0)
        spread = math.sqrt(float(share**2 @ (2 * errors**2 + 4 * squares * errors)))
        true = max(true - 1.28 * spread, (true + spread) / 10)
    full = np.full(len(tau), logs.min())
    full[known] = logs
    spectrum = np.repeat((full - centre) * math.sqrt(true / seen if seen > 0 else 0), m)
    direct, inverse = np.exp(spectrum), np.exp(-spectrum)
    generator, total = np.random.default_rng(0), 0.0
    for size, count in Counter(spaces.multiplicity).items():
        squares = haar(generator, len(spectrum), max(4, _FRAMES // size), size) ** 2
        traces = np.einsum("nda,d->n", squares, direct) * np.einsum("nda,d->n", squares, inverse)
        total += count * float(np.sqrt(traces).mean() - size)
    return total
