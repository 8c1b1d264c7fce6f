"""What would have been found is found as often as is said, where another ensemble of the same size says it.

Every draw has two ensembles: one names the size, the other carries a violation of that size, and is tested.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Literal

import numpy as np

from reports.judging.counts import decisive_count, detectable_rate
from reports.judging.intervals import (
    detectable,
    detectable_excess,
    detected,
    exceeds_pvalue,
    half_width,
    sample_mean,
)
from reports.judging.rules import LEVEL
from tests.calibration.alignment import group, moments, weights
from tests.calibration.study import Study
from theory.testing import (
    detectable_energy,
    detectable_mean,
    detectable_rotation,
    mean_randomization_test,
    neighbour_rotation,
    randomization_test,
)

FOUND = 0.9
AT = 0.01  # the level of randomization tests here

# name: sizes, fixed directions, replicas, width, heavy tails
ENSEMBLES = {
    "30 replicas, d=2": ((1, 1), 0, 30, 10, False),
    "64 replicas, d=4": ((1,) * 4, 0, 64, 10, False),
    "40 replicas, repeated 2, 1": ((2, 1), 0, 40, 10, False),
    "100 replicas of 3 vectors in d=6": ((1,) * 6, 0, 100, 3, False),
    "100 replicas, d=12": ((1,) * 12, 0, 100, 10, False),
}
HEAVY = "100 replicas, d=4, heavy tails"
FEW = "20 replicas, d=6"


def rotation_found(
    generator: np.random.Generator, sizes: tuple[int, ...], fixed: int, replicas: int, width: int, heavy: bool
) -> bool:
    """Whether no angle is named, or a fresh ensemble that is turned by it is found."""
    drawn, seed = (sizes, fixed, replicas, width, heavy), int(generator.integers(2**31))
    turned = group(sizes, fixed)
    named = detectable_rotation(moments(weights(generator, *drawn)), turned, level=AT, draws=399, seed=seed)
    if named.value is None:
        return True
    fresh = weights(generator, *drawn) @ neighbour_rotation(turned, named.value).T
    return randomization_test(moments(fresh), turned, draws=399, blocks=64, seed=seed).pvalue <= AT


def energy_found(
    generator: np.random.Generator, sizes: tuple[int, ...], fixed: int, replicas: int, width: int, heavy: bool
) -> bool:
    """Whether a violation between the two noisiest directions is found."""
    drawn, seed = (sizes, fixed, replicas, width, heavy), int(generator.integers(2**31))
    symmetry = group(sizes, fixed)
    named = detectable_energy(moments(weights(generator, *drawn)), symmetry, level=AT, draws=399, seed=seed).value
    if named is None:
        return True
    d = symmetry.dimension
    norm = np.linalg.norm(np.repeat(np.arange(1.0, 1 + len(sizes)), sizes))
    added = np.zeros((d, d))
    added[d - 2, d - 1] = added[d - 1, d - 2] = norm * named / np.sqrt(2 * (1 - named**2))
    fresh = moments(weights(generator, *drawn)) + added
    return randomization_test(fresh, symmetry, draws=399, blocks=64, seed=seed).pvalue <= AT


def mean_found(
    generator: np.random.Generator, sizes: tuple[int, ...], fixed: int, replicas: int, width: int, heavy: bool
) -> bool:
    """Whether a mean along the noisiest direction is found."""
    drawn, seed = (sizes, fixed, replicas, width, heavy), int(generator.integers(2**31))
    symmetry = group(sizes, fixed)
    named = detectable_mean(weights(generator, *drawn).mean(axis=1), symmetry, level=AT, draws=399, seed=seed)
    fresh = weights(generator, *drawn).mean(axis=1)
    fresh[:, -1] += named
    return mean_randomization_test(fresh, symmetry, draws=399, seed=seed).pvalue <= AT


def interval_separates(
    generator: np.random.Generator, count: int, tests: int, sign: int, law: Literal["normal", "t5"]
) -> bool:
    """Whether one of `tests` intervals by Student's law leaves 0 out on the right side."""
    draw = generator.standard_normal if law == "normal" else partial(generator.standard_t, 5)
    named = detected(sample_mean(draw(count))[1], tests=tests, degrees=count - 1)
    mean, error = sample_mean(draw(count) + sign * named)
    return bool(sign * mean > half_width(error, tests=tests, degrees=count - 1))


def relative_found(generator: np.random.Generator, error: float, sign: int, *, at_level: bool) -> bool:
    """Whether a relative effect ε is found by a known error that grows as 1 + ε."""
    size = sign * (detectable if at_level else detected)(error, relative=True)
    measured = (1 + size) * (1 + error * generator.standard_normal()) - 1
    tail = LEVEL if at_level else 0.05
    return bool(sign * measured > half_width(error * (1 + size), confidence=1 - tail))


def excess_found(generator: np.random.Generator, count: int) -> bool:
    """Whether an excess is found by its one-sided test at 1e-6."""
    named = detectable_excess(sample_mean(generator.standard_normal(count))[1], count - 1)
    return exceeds_pvalue(*sample_mean(generator.standard_normal(count) + named), count - 1) < LEVEL


def one_of_many_found(generator: np.random.Generator, tests: int, sign: int) -> bool:
    """Whether one entry among `tests` is found by the z test at 1e-6 together."""
    return bool(
        sign * (generator.standard_normal() + sign * detectable(1.0, tests=tests))
        > half_width(1.0, tests=tests, confidence=1 - LEVEL)
    )


@cache
def _decisive(networks: int, rate: float) -> tuple[int | None, float | None]:
    return decisive_count(networks, rate), detectable_rate(networks, rate)


def rate_found(generator: np.random.Generator, networks: int, rate: float) -> bool:
    """Whether a rate is found by the count that is decisive."""
    least, true = _decisive(networks, rate)
    return least is not None and true is not None and int(generator.binomial(networks, true)) >= least


def _dear(
    procedure: str, draw: object, names: tuple[str, ...], promise: Literal["power", "power at least"]
) -> list[Study]:
    every = {**ENSEMBLES, HEAVY: ((1,) * 4, 0, 100, 10, True), FEW: ((1,) * 6, 0, 20, 10, False)}
    return [
        Study(
            procedure, name, promise, FOUND, lambda generator, drawn=every[name]: draw(generator, *drawn), draws=200,  # type: ignore[operator]
            outside="the variance of the weights is infinite" if name == HEAVY else "",
        )
        for name in names
    ]  # fmt: skip


STUDIES: tuple[Study, ...] = (
    *_dear("detectable_rotation", rotation_found, (FEW, HEAVY, *ENSEMBLES), "power at least"),
    *_dear("detectable_energy", energy_found, (FEW, HEAVY, *ENSEMBLES), "power at least"),
    *_dear("detectable_mean", mean_found, (FEW, HEAVY, *ENSEMBLES), "power at least"),
    *(
        Study(
            "detected", f"{count} values, {law}, {tests} together, {'up' if sign > 0 else 'down'}", "power", FOUND,
            partial(interval_separates, count=count, tests=tests, sign=sign, law=law),
            outside="errors of heavy tails scatter more than Student's law lets them" if law == "t5" else "",
        )
        for count, tests, sign, law in (
            (3, 1, 1, "normal"), (5, 6, -1, "normal"), (10, 1, -1, "normal"), (10, 24, 1, "normal"),
            (30, 6, -1, "t5"), (64, 1, 1, "normal"),
        )
    ),
    *(
        Study(
            f"{'detectable' if at_level else 'detected'} (relative)", f"error {error:.1%}, up", "power", FOUND,
            partial(relative_found, error=error, sign=1, at_level=at_level),
        )
        for error, at_level in ((0.005, True), (0.05, True), (0.01, False), (0.05, False), (0.2, False))
    ),
    Study(
        "detected (relative)", "error 5%, down, the easier sign", "power at least", FOUND,
        partial(relative_found, error=0.05, sign=-1, at_level=False),
    ),
    *(
        Study("detectable", f"one of {tests}, {'up' if sign > 0 else 'down'}", "power", FOUND,
              partial(one_of_many_found, tests=tests, sign=sign))
        for tests, sign in ((1, 1), (1, -1), (6, 1), (55, -1), (1000, 1))
    ),
    *(
        Study("detectable_excess", f"{count} values", "power", FOUND, partial(excess_found, count=count))
        for count in (3, 5, 10, 40, 400)
    ),
    *(
        Study("detectable_rate", f"{networks} networks, rate {rate:g} by chance", "power", FOUND,
              partial(rate_found, networks=networks, rate=rate))
        for networks, rate in ((6, 0.01), (12, 0.01), (50, 0.01), (200, 0.01), (1000, 0.05))
    ),
)  # fmt: skip
