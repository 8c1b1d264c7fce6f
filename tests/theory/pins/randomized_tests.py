"""Randomization tests and their power, with few draws: the bits of their generators are the same everywhere."""

from __future__ import annotations

from functools import partial

import numpy as np

from tests.pinning.table import Call, outcome, outcomes
from tests.theory.pins.arguments import array, group, moment, moments, positive, rotation
from theory import testing
from theory.symmetry import SymmetryGroup
from theory.testing import blocks, null_energy, orbits
from theory.testing.randomization import randomized_coordinates, randomized_means
from theory.testing.search import Search

LINES, BLOCKS, FIXED, BLOCKS_AND_LINE = group(1, 1, 1), group(2, 1), group(1, 2, fixed=1), group(2, fixed=2)
GROUPS: dict[str, SymmetryGroup] = {
    "lines": LINES,
    "blocks": BLOCKS,
    "a line and blocks": FIXED,
    "two fixed": BLOCKS_AND_LINE,
}
COUNTS = [1.0, 2.0, 4.0, 1.0, 3.0, 2.0, 1.0, 1.0]
FEW_DRAWS = {"draws": 19}


def many(d: int) -> np.ndarray:
    """Eight block means that are nearly aligned."""
    return np.stack([np.diag(np.arange(1.0, d + 1)) + 0.3 * (m + m.T) for m in array(8, d, d)])


def turned(of: SymmetryGroup) -> np.ndarray:
    basis = np.asarray(of.basis)
    return basis @ many(of.dimension) @ basis.T


def randomized(of: SymmetryGroup) -> list[object]:
    m, v = turned(of), array(8, of.dimension, salt=4)
    test, mean = testing.randomization_test, testing.mean_randomization_test
    return [
        test(m, of, draws=9),
        test(m, of, counts=COUNTS, draws=9, seed=3),
        test(m, of, draws=9, blocks=3),
        test(m, of, draws=9, statistic="misalignment"),
        test(m, of, counts=COUNTS, draws=300, statistic="misalignment", blocks=4),
        test(m, of, draws=1000),
        mean(v, of, draws=9),
        mean(v, of, counts=COUNTS, draws=9, seed=3),
        mean(v, of, draws=9, blocks=3),
        mean(v, of, draws=1000),
    ]


def escalated(of: SymmetryGroup) -> list[object]:
    m, v = turned(of), array(8, of.dimension, salt=4) + 3
    return [
        testing.escalating_randomization_test(m, of, level=0.01, screen=0.9),
        testing.escalating_randomization_test(m, of, level=0.01, screen=0.0101),
        testing.escalating_randomization_test(
            m, of, level=0.01, screen=0.9, statistic="misalignment", blocks=5, seed=2, counts=COUNTS
        ),
        testing.escalating_mean_randomization_test(v, of, level=0.01, screen=0.9),
        testing.escalating_mean_randomization_test(v, of, level=0.01, screen=0.02, blocks=4, counts=COUNTS),
    ]


def detected(of: SymmetryGroup) -> list[object]:
    m, v = turned(of), array(8, of.dimension, salt=4)
    return [
        *(
            find(m, of, level=0.1, power=0.8, **FEW_DRAWS)
            for find in (testing.detectable_rotation, testing.detectable_energy)
        ),
        *(
            find(m, of, level=0.03, power=0.5, counts=COUNTS, seed=4, blocks=5, **FEW_DRAWS)
            for find in (testing.detectable_rotation, testing.detectable_energy)
        ),
        testing.detectable_mean(v, of, level=0.1, power=0.8, **FEW_DRAWS),
        testing.detectable_mean(v, of, level=0.03, power=0.5, counts=COUNTS, seed=4, **FEW_DRAWS),
        testing.detectable_rotation(m, of, **FEW_DRAWS),
        testing.detectable_energy(m, of, **FEW_DRAWS),
        testing.detectable_mean(v, of, **FEW_DRAWS),
        testing.neighbour_rotation(of, 0.3),
    ]


def parts_of(of: SymmetryGroup) -> list[object]:
    m, weights = many(of.dimension), np.array(COUNTS) / 15
    outside = blocks.Outside(of)
    energies, degrees = null_energy.irreducible_energies(weights, m, of)
    return [
        outside.pairs,
        outside.diagonal,
        outside.averages,
        outside.size,
        outside.coordinates(m),
        outside.matrices(outside.coordinates(m)),
        blocks.inside(of, m),
        blocks.rotated(of.basis, m),
        blocks.misalignment_in_basis(of, m),
        blocks.misalignment_in_basis(of, -m),
        energies,
        degrees,
        null_energy.energy_critical(energies, degrees, 0.01),
        null_energy.energy_critical(energies, degrees, 1e-6, positive(3, 8)),
        null_energy.energy_critical(0 * energies, degrees, 0.01),
        null_energy.energy_critical(1e200 * energies, degrees, 0.01),
        null_energy.mean_energies(weights, array(8, of.dimension), of),
        null_energy.noisiest(of, weights, m),
        null_energy.noisiest(of, weights, m[::-1] ** 2),
        *(list(randomized_coordinates(m, weights, of, n, np.random.Generator(np.random.Philox(2)))) for n in (3, 900)),
        *(
            list(randomized_means(array(8, of.dimension), weights, of, n, np.random.Generator(np.random.Philox(2))))
            for n in (3, 900)
        ),
    ]


def search() -> list[object]:
    found = Search.over(positive(6, 2), np.array([1.0, 3.0]), 0.05, 0.7, 7, np.random.Generator(np.random.Philox(5)))
    noise = 0.3 * array(7, 2)

    def trial(size: float) -> tuple[np.ndarray, np.ndarray, float]:
        return noise, size * np.array([1.0, -0.4]), 2.0 + size

    return [
        found,
        found.smallest(trial, 1e-3, 1e3),
        found.smallest(trial, 1e-3, 1e3, positive(7)),
        found.smallest(trial, 1e-3, 0.5),
        found.smallest(lambda size: (noise, np.zeros(2), 1.0), 1e-3, 1e3),
        Search.over(np.zeros((3, 1)), np.ones(1), 0.05, 0.7, 4, np.random.Generator(np.random.Philox(5))),
    ]


ROWS: dict[str, Call] = {
    **{f"randomization, {name}": partial(randomized, of) for name, of in GROUPS.items()},
    **{f"escalation, {name}": partial(escalated, GROUPS[name]) for name in ("lines", "a line and blocks")},
    **{f"detectable, {name}": partial(detected, of) for name, of in GROUPS.items()},
    **{f"parts of a test, {name}": partial(parts_of, of) for name, of in GROUPS.items()},
    "sums of signs": lambda: [
        *(
            list(
                orbits.signed_sums(
                    array(k, 3),
                    np.array([1, 2, 2]),
                    np.array([0, 1, 0]),
                    f,
                    n,
                    np.random.Generator(np.random.Philox(1)),
                )
            )
            for k, f, n in ((5, 1, 4), (8, 1, 3), (9, 0, 300), (17, 2, 5))
        ),
    ],
    "pools": lambda: [
        list(
            randomized_coordinates(
                many(3)[:2], np.array([0.4, 0.6]), BLOCKS, n, np.random.Generator(np.random.Philox(2))
            )
        )
        for n in (150, 900)
    ],
    "blocks": lambda: [
        blocks.block_weights("key", 3, None),
        blocks.block_weights("key", 3, [1, 2, 3]),
        *outcomes(lambda n: blocks.block_weights("key", n, None), 1, 2),
        *outcomes(lambda n: blocks.block_weights("key", n, None, 3), 2, 3),
        *outcomes(lambda x: blocks.block_weights("key", 2, [1, x]), 1.0, 0.999, np.inf, 2.5),
        outcome(blocks.block_weights, "key", 2, [1, 2, 3]),
        blocks.merge_blocks(array(7, 2), np.arange(1.0, 8.0), 3),
        blocks.merge_blocks(array(4, 2), np.ones(4), 4),
        *outcomes(lambda n: blocks.merge_blocks(array(4, 2), np.ones(4), n), 2, 1, None, 9),
        blocks.block_moments(moments(5, 3), 3, [1, 2, 3, 4, 5], 2),
        *outcomes(lambda n: blocks.block_moments(moments(n, 3), 3, None), 1, 2),
        outcome(blocks.block_moments, moments(3, 3), 2, None),
        outcome(blocks.block_moments, moment(3), 3, None),
        blocks.misalignment_in_basis(group(2), np.stack([np.diag([1.0, x]) for x in (1e-3, 2.3e-16, 2.2e-16, 0.0)])),
    ],
    "tables of power": lambda: [
        testing.rotation_power_table(
            [0.0, 0.4], [3, 6], tau=(1.0, 3.0, 0.5), width=3, level=0.2, draws=9, ensembles=3, seed=1
        ),
        testing.rotation_power_table(
            [0.3], [3], tau=(1.0, 2.0), multiplicity=(2, 1), width=2, level=0.5, draws=9, ensembles=3
        ),
        outcome(lambda: testing.rotation_power_table([0.3], [3], tau=(1.0, -1e-9))),
        outcome(lambda: testing.rotation_power_table([0.3], [3], tau=(1.0,), multiplicity=(0,))),
        outcome(lambda: testing.rotation_power_table([], [3])),
        outcome(lambda: testing.rotation_power_table([0.3], [])),
        outcome(lambda: testing.rotation_power_table([0.3], [3], tau=())),
        outcome(lambda: testing.rotation_power_table([0.3], [3], multiplicity=(1, 1))),
    ],
    "a search": search,
    "refusals of tests": lambda: [
        *outcomes(lambda x: testing.randomization_test(moments(3, 3), LINES, draws=x).pvalue, 1, 0, True, 1.0),
        *outcomes(
            lambda x: testing.randomization_test(moments(3, 3), LINES, draws=1, seed=x).pvalue, 0, -1, False, 0.5
        ),
        outcome(lambda: testing.randomization_test(moments(3, 3), LINES, statistic="other")),
        *outcomes(
            lambda x: (
                testing.randomization_test(
                    np.stack([np.diag([1.0, 1.0, x])] * 3), LINES, draws=1, statistic="misalignment"
                ).name
            ),
            1e-9,
            0.0,
        ),
        outcome(testing.mean_randomization_test, array(4, 2), LINES),
        outcome(testing.mean_randomization_test, np.full((4, 3), np.nan), LINES),
        outcome(testing.mean_randomization_test, array(3), LINES),
        *outcomes(
            lambda x: testing.escalating_randomization_test(moments(3, 3), LINES, level=x, screen=0.2).pvalue,
            0.0,
            0.2,
            0.19,
        ),
        outcome(lambda: testing.escalating_randomization_test(moments(3, 3), LINES, level=0.1, screen=1.0)),
        *outcomes(lambda x: testing.detectable_energy(moments(3, 3), LINES, level=x, draws=3), 0.0, 1.0),
        *outcomes(lambda x: testing.detectable_energy(moments(3, 3), LINES, power=x, draws=3), 0.0, 1.0),
        outcome(testing.detectable_mean, array(4, 2), LINES),
        testing.detectable_mean(np.zeros((4, 3)), LINES, level=0.3, draws=3),
        testing.detectable_mean(np.ones((4, 3)), group(fixed=3), draws=3),
        *(testing.detectable_mean(array(3, 2), group(1, 1), level=x, draws=3) for x in (1 / 16, 0.0624)),
        *(testing.detectable_energy(moments(3, 2), group(1, 1), level=x, draws=3).value for x in (1 / 4, 0.249)),
        *(
            testing.detectable_energy(moments(3, 3), group(1, 1, fixed=1), level=x, draws=3).value
            for x in (1 / 16, 0.0624)
        ),
        testing.detectable_energy(moments(3, 1), group(1), draws=3),
        *(testing.detectable_energy(moments(3, 2), group(2), level=x, draws=3).value for x in (1e-6, 0.3)),
        rotation(3),
    ],
}
