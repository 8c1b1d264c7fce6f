"""Predicted τ compared with simulated ones, for forms that give no matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.arrays import Array, to_numpy
from theory.errors import InvalidInput
from theory.testing.blocks import block_weights
from theory.testing.estimated import EstimatedMeans, estimated_means

ZERO = 1e-12  # the largest value, relative to the largest τ, that counts as 0 where τ is predicted to vanish


@dataclass(frozen=True, eq=False)
class VariancesTest:
    """The outcome of a test of all predicted τ together.

    Attributes
    ----------
    pvalue : float
        The p-value by Bonferroni over the eigenspaces; 0 where a τ that is predicted to vanish does not.
    detectable : float
        The relative error of one τ that a test at `level` detects with probability `power`, on the harder side.
        inf if only a gross error is detected.
    level, power : float
    means : EstimatedMeans or None
        The test of the τ that are not predicted to vanish; None if all are, or if one that is does not vanish.
    """

    pvalue: float
    detectable: float
    level: float
    power: float
    means: EstimatedMeans | None


def variances_test(
    predicted: Array,
    blocks: Array,
    /,
    *,
    counts: Array | None = None,
    variance: Array | None = None,
    level: float = 1e-6,
    power: float = 0.9,
) -> VariancesTest:
    """Test H0: the τ of the eigenspaces are as predicted; see `estimated_means`.

    Parameters
    ----------
    predicted : Array, shape (k,)
        τ_i, one per eigenspace.
    blocks : Array, shape (K, k)
        τ of K ≥ 2 independent blocks of replicas, as `weight_variances` gives them, weighted by `counts`.
    counts : (K,), optional
    variance : Array, shape (k,), optional
        The predicted relative variance of τ_i of one replica, or an upper bound for it.
    level, power : float
        The level and the power for `detectable`.

    Raises
    ------
    InvalidInput
        If shapes are bad, there are fewer than two blocks, or predictions are negative.

    Examples
    --------
    >>> w = np.random.default_rng(0).standard_normal((40_000, 2)) * np.sqrt([1.0, 2.0])
    >>> found = variances_test(np.array([1.0, 2.0]), (w**2).reshape(400, 100, 2).mean(1), counts=np.full(400, 100))
    >>> found.pvalue > 1e-6, round(found.detectable, 3)
    (True, 0.046)
    """
    values, tau = to_numpy(blocks), checked_variances(predicted, blocks.shape[-1])
    if values.ndim != 2:
        raise InvalidInput("blocks.shape", values.shape, "must be (K, k): τ of each block in each eigenspace")
    if not 0 < level < 1 or not 0 < power < 1:
        raise InvalidInput("level, power", (level, power), "must lie between 0 and 1")
    sizes = block_weights("blocks", len(values), counts)
    zero = tau == 0
    largest = np.max(np.abs(values), initial=0.0)
    if np.any(np.abs(values[:, zero]) > ZERO * largest):
        return VariancesTest(0.0, np.inf, level, power, None)
    if np.all(zero):
        return VariancesTest(1.0, 0.0, level, power, None)
    spread = None if variance is None else to_numpy(variance)[~zero]
    means = estimated_means(values[:, ~zero] / tau[~zero], sizes, spread)
    return VariancesTest(means.pvalue, means.detectable(level, power, len(means.errors)), level, power, means)


def checked_variances(predicted: Array, spaces: int) -> np.ndarray:
    """Predicted τ (k,), float64 NumPy: k finite numbers, none negative."""
    tau = to_numpy(predicted)
    if tau.shape != (spaces,) or not np.all(np.isfinite(tau)) or np.any(tau < 0):
        rule = f"must be {spaces} finite numbers, none negative, one an eigenspace"
        raise InvalidInput("predicted", tau.tolist(), rule)
    return tau
