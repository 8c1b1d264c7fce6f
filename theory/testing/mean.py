"""Does the mean weight lie in the directions that the group fixes? The escalating test, and what it would find."""

from __future__ import annotations

import numpy as np
from scipy import stats

from theory.arrays import Array, to_numpy
from theory.errors import InvalidInput
from theory.symmetry import SymmetryGroup
from theory.testing.blocks import block_weights
from theory.testing.randomization import RandomizationTest, escalated, mean_randomization_test
from theory.testing.tails import weighted_chi2_isf


def escalating_mean_randomization_test(
    means: Array,
    /,
    group: SymmetryGroup,
    *,
    counts: Array | None = None,
    level: float = 1e-6,
    screen: float = 1e-3,
    blocks: int = 64,
    seed: int = 0,
) -> RandomizationTest:
    """`mean_randomization_test` with 1,999 draws, and ⌈2/level⌉ fresh ones only where p ≤ `screen`.

    Valid at every level by the argument of `escalating_randomization_test`; parameters and errors as there, with block
    means of the weights, shape (K, d).
    """
    return escalated(mean_randomization_test, means, group, counts, level, screen, blocks, seed)


def detectable_mean(
    means: Array,
    /,
    group: SymmetryGroup,
    *,
    counts: Array | None = None,
    level: float = 1e-6,
    power: float = 0.9,
) -> float:
    """The norm of a mean weight outside the fixed directions that the test at `level` finds with probability `power`.

    With C the covariance (estimated between blocks) of the mean w̄ outside those directions, T = ‖w̄‖² is under H0 nearly
    a Σ_i c_i χ²_1 over its eigenvalues c_i; the critical value is that of the shifted χ² with the same three cumulants
    (Pearson type III). A mean of norm a along the noisiest direction gives ‖w̄‖ ≥ a + √c_max z, so a = √critical +
    √c_max z_power is found at least so often in every direction. Approximate: Gaussian w̄, estimated C.

    `means` (K, d) → float. Raises InvalidInput for bad shapes, fewer than two blocks, level or power outside (0, 1).
    """
    if not 0 < level < 1 or not 0 < power < 1:
        raise InvalidInput("level, power", (level, power), "must lie between 0 and 1")
    if means.ndim != 2 or means.shape[1] != group.dimension:
        raise InvalidInput("means.shape", tuple(means.shape), f"must be (K, {group.dimension})")
    sizes = block_weights("means", len(means), counts)
    free = (to_numpy(means) @ to_numpy(group.basis))[:, group.fixed :]
    if not free.shape[1]:
        return 0.0
    centred = free - sizes / sizes.sum() @ free
    covariance = np.einsum("k,ki,kj->ij", sizes, centred, centred) / ((len(sizes) - 1) * sizes.sum())
    spread = np.maximum(np.linalg.eigvalsh(covariance), 0)
    critical = weighted_chi2_isf(((c, 1) for c in spread), level)
    return float(np.sqrt(critical) + np.sqrt(spread[-1]) * stats.norm.ppf(power))
