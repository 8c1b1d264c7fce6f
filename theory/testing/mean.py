"""Does the mean weight lie in the directions that the group fixes? The escalating test and its power."""

from __future__ import annotations

import numpy as np

from theory.arrays import Array, to_numpy
from theory.errors import InvalidInput
from theory.symmetry import SymmetryGroup
from theory.testing.blocks import block_weights
from theory.testing.null_energy import energy_critical, mean_energies
from theory.testing.randomization import (
    RandomizationTest,
    check_draws,
    escalated,
    generator_of,
    mean_randomization_test,
    randomized_means,
)
from theory.testing.search import Search, check_level_and_power


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
    """`mean_randomization_test` with 1,999 draws, and ⌈2/level⌉ new ones only if p ≤ `screen`.

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
    draws: int = 999,
    seed: int = 0,
) -> float:
    """The norm of a mean weight outside the fixed directions that the test at `level` detects with probability `power`.

    The mean is planted where the noise is largest, so it is detected at least as often in every other direction.
    Ensembles without a mean are Σ_k w_k g_k w̄_k; the planted mean is in every block, and therefore also widens the
    null distribution of the test, whose critical value is that of `energy_critical`. The probability accounts for the
    variation of critical value and result between ensembles. Infinite if there are too few blocks to detect any mean.

    `means` (K, d) → float. Raises InvalidInput for bad shapes, fewer than two blocks, level or power outside (0, 1),
    draws < 1, a negative seed.
    """
    check_draws(draws)
    check_level_and_power(level, power)
    generator = generator_of(seed)
    if means.ndim != 2 or means.shape[1] != group.dimension:
        raise InvalidInput("means.shape", tuple(means.shape), f"must be (K, {group.dimension})")
    sizes = block_weights("means", len(means), counts)
    weights, values = sizes / sizes.sum(), to_numpy(means) @ to_numpy(group.basis)
    values = values - weights @ values  # the mean that they have is not to be planted a second time
    values *= np.sqrt(len(values) / (len(values) - 1))
    energies, degrees = mean_energies(weights, values, group)
    if not len(degrees) or 2.0 ** -((len(values) - 1) * int(degrees.sum())) > level:
        return np.inf if len(degrees) else 0.0
    direction = np.zeros(group.dimension)
    direction[group.slices[int(np.argmax(energies.sum(axis=0)))].start] = 1.0
    noise = np.concatenate(list(randomized_means(values, weights, group, draws, generator)))
    unit = float(np.sqrt(energies.sum(axis=0).max()))
    if unit == 0:
        return 0.0

    def trial(size: float) -> tuple[np.ndarray, np.ndarray, float]:
        planted = mean_energies(weights, values + size * direction, group)
        return noise, size * direction[group.fixed :], float(energy_critical(*planted, level)[0])

    search = Search.over(energies, degrees, level, power, draws, generator)
    return search.smallest(trial, 1e-3 * unit, 1e6 * unit) or np.inf
