"""Weighted sums of independent means, as claim C8 compares the ends of an axis, are covered as often as is promised."""

from __future__ import annotations

from functools import partial

import numpy as np

from reports.claims.transfer.plasticity_judging import mean_of_means
from tests.calibration.judging import FEW_AND_SKEWED, LAWS, SKEWED
from tests.calibration.study import Study
from theory.testing import paired_mean


def sum_held(generator: np.random.Generator, law: str, points: int, replicas: int, spread: float, tests: int) -> bool:
    """Whether intervals of `tests` differences of ends hold 0; scales of points lie between 1 and `spread`."""
    scales = spread ** np.linspace(0, 1, 2 * points)
    weights = [1 / points] * points + [-1 / points] * points

    def held() -> bool:
        means = [paired_mean(scale * LAWS[law](generator, replicas)) for scale in scales]
        found = mean_of_means(means, weights, tests)
        return found.low <= 0 <= found.high

    return all(held() for _ in range(tests))


def _of(tests: int, points: int) -> str:
    ends = "two means" if points == 1 else f"{points} means against {points}"
    return ends if tests == 1 else f"{tests} together, {ends}"


STUDIES: tuple[Study, ...] = tuple(
    Study(
        "mean_of_means",
        f"{_of(tests, points)}, {replicas} replicas, {law}, scales 1 to {spread:g}",
        "coverage",
        0.95,
        partial(sum_held, law=law, points=points, replicas=replicas, spread=spread, tests=tests),
        draws=2000 if points == 1 else 1000 if tests == 1 else 300,  # a mean is .6 ms
        outside=FEW_AND_SKEWED if law in SKEWED and points * replicas < 20 else "",
    )
    for tests, points, replicas, law, spread in (
        (1, 1, 8, "normal", 1),
        (1, 1, 8, "normal", 10),
        (1, 4, 3, "normal", 5),
        (3, 8, 8, "normal", 10),
        (3, 8, 8, "Student's t of 3 degrees", 3),
        (1, 6, 8, "exponential", 2),
        (1, 1, 10, "lognormal", 1),
    )
)
