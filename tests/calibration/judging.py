"""Intervals that reports print hold what they say as often as they say, pointwise or together."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np

from reports.judging.intervals import (
    bootstrap_interval,
    half_width,
    largest_pvalue,
    mean_and_half,
    mean_with_error,
    pvalue_beyond,
    root_bars,
    sample_mean,
    share_interval,
    signs_seen,
    variance_interval,
)
from reports.judging.rules import SEEN
from tests.calibration.study import Study
from theory.testing import mean_ratio, paired_mean

Values = Callable[[np.random.Generator, int], np.ndarray]

# laws of mean 0
LAWS: dict[str, Values] = {
    "normal": lambda generator, count: generator.standard_normal(count),
    "Student's t of 3 degrees": lambda generator, count: generator.standard_t(3, count),
    "uniform": lambda generator, count: generator.uniform(-1, 1, count),
    "exponential": lambda generator, count: generator.exponential(size=count) - 1,
    "lognormal": lambda generator, count: generator.lognormal(size=count) - np.exp(0.5),
}
VARIANCES = {"normal": 1.0, "Student's t of 3 degrees": 3.0, "uniform": 1 / 3}
SKEWED = ("exponential", "lognormal")
FEW_AND_SKEWED = "skewed and few: see `theory.testing.paired`"
MEANS = (
    ("normal", 2), ("normal", 3), ("normal", 10), ("Student's t of 3 degrees", 10), ("uniform", 5),
    ("exponential", 10), ("lognormal", 10), ("lognormal", 30), ("exponential", 200),
)  # fmt: skip


def mean_held(generator: np.random.Generator, law: str, count: int) -> bool:
    mean, half = mean_and_half(LAWS[law](generator, count))
    return abs(mean) <= half


def difference_held(generator: np.random.Generator, law: str, count: int) -> bool:
    found = paired_mean(LAWS[law](generator, count))
    return found.low <= 0 <= found.high


def difference_rejected(generator: np.random.Generator, law: str, count: int) -> bool:
    return paired_mean(LAWS[law](generator, count)).pvalue < 0.05


def steps_held(generator: np.random.Generator, count: int, grid: float, scatter: float) -> bool:
    """Whether the interval of a difference of times, each read on a grid, holds the mean of the times themselves."""
    early, late = 40 + scatter * generator.standard_normal(count), 65 + scatter * generator.standard_normal(count)
    first, second = (grid * np.ceil(times / grid) for times in (early, late))
    found = paired_mean(first - second, bounds=(first - grid - second, first - (second - grid)))
    return not found.estimable or found.low <= -25 <= found.high


def ratio_held(generator: np.random.Generator, law: str, count: int, reference: float) -> bool:
    """Whether Fieller's interval holds the ratio .6, or is unbounded, which excludes nothing."""
    a, b = LAWS[law](generator, count), LAWS[law](generator, count)
    found = mean_ratio(0.6 * reference + 0.7 * a + 0.5 * b, reference + b)
    return found is None or found.low <= 0.6 <= found.high


def together_held(generator: np.random.Generator, law: str, count: int, tests: int) -> bool:
    """Whether all of several independent intervals hold their means."""
    values = np.array([sample_mean(LAWS[law](generator, count)) for _ in range(tests)])
    return bool(np.all(np.abs(values[:, 0]) <= half_width(values[:, 1], tests=tests, degrees=count - 1)))


def blocks_held(generator: np.random.Generator, blocks: int, largest: int) -> bool:
    """Whether the interval of a weighted mean of blocks of unequal sizes holds it."""
    counts = generator.integers(1, largest + 1, blocks)
    values = generator.standard_normal((blocks, 1)) / np.sqrt(counts)[:, None]
    mean, error = mean_with_error(values, counts)
    return bool(abs(mean[0]) <= half_width(error[0], degrees=blocks - 1))


def root_held(generator: np.random.Generator, blocks: int, error: float) -> bool:
    """Whether √τ is held, τ a mean of `blocks` values with this relative standard error."""
    tau, spread = sample_mean(1 + error * np.sqrt(blocks) * generator.standard_normal(blocks))
    if tau <= 0:
        return False
    return bool(abs(np.sqrt(tau) - 1) <= root_bars(np.array([tau]), np.array([spread]), blocks - 1)[0])


def variance_held(generator: np.random.Generator, law: str, count: int) -> bool:
    """Whether the interval of a variance holds that of the law."""
    low, high = variance_interval(float(LAWS[law](generator, count).var(ddof=1)), count - 1)
    return low <= VARIANCES[law] <= high


_share_interval = cache(share_interval)


def share_held(generator: np.random.Generator, count: int, share: float) -> bool:
    interval = _share_interval(int(generator.binomial(count, share)), count)
    return interval is not None and interval[0] <= share <= interval[1]


def slope_held(generator: np.random.Generator, networks: int, heavy: bool) -> bool:
    """Whether the bootstrap's interval of the slope of log scatter on log width holds it, as in claim B1."""
    widths = np.array([8, 32, 128])
    x = np.log(widths) - np.log(widths).mean()

    def slopes(f: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(f.std(axis=-1, ddof=1)) @ x / (x @ x))

    noise = generator.standard_t(5, (3, networks)) if heavy else generator.standard_normal((3, networks))
    f = 1 + 0.3 * noise / np.sqrt(widths)[:, None]
    picks = generator.integers(networks, size=(400, 3, networks))
    low, high = bootstrap_interval(slopes(np.take_along_axis(f[None], picks, axis=2)))
    return bool(low <= -0.5 <= high)


def no_sign_seen_wrongly(generator: np.random.Generator, count: int, tests: int) -> bool:
    """Whether one of several signs is seen where there is none."""
    values = np.array([sample_mean(generator.standard_normal(count)) for _ in range(tests)])
    return bool(np.any(signs_seen(values[:, 0], values[:, 1], tests=tests, degrees=count - 1)))


def largest_rejects(generator: np.random.Generator, tests: int, degrees: int | None = None) -> bool:
    drawn = generator.standard_normal(tests) if degrees is None else generator.standard_t(degrees, tests)
    return largest_pvalue(drawn, degrees) < 0.05


def budget_rejects(generator: np.random.Generator, tests: int, count: int) -> bool:
    """Whether discrepancies that are just their budget are said to be beyond it."""
    values = np.array([sample_mean(0.2 + generator.standard_normal(count)) for _ in range(tests)])
    return pvalue_beyond(values[:, 0], values[:, 1], 0.2, count - 1) < 0.05


def _outside(law: str, count: int) -> str:
    if law == "uniform" and count < 10:
        return "few values with short tails"
    return FEW_AND_SKEWED if law in SKEWED and count < 100 else ""


STUDIES: tuple[Study, ...] = (
    *(
        Study("mean_and_half", f"{count} values, {law}", "coverage", 0.95,
              partial(mean_held, law=law, count=count), outside=_outside(law, count))
        for law, count in MEANS
    ),
    *(
        Study("paired_mean", f"{count} differences, {law}", "coverage", 0.95,
              partial(difference_held, law=law, count=count), outside=_outside(law, count))
        for law, count in MEANS
    ),
    *(
        Study("paired_mean", f"{count} differences, {law}", "size", 0.05,
              partial(difference_rejected, law=law, count=count), outside=_outside(law, count))
        for law, count in MEANS
    ),
    *(
        Study("paired_mean (bounds)", f"{count} times with scatter {scatter:g} on a grid of {grid:g}", "coverage", 0.95,
              partial(steps_held, count=count, grid=grid, scatter=scatter))
        for count, grid, scatter in ((2, 10, 3), (4, 10, 1), (4, 10, 8), (10, 10, 5), (30, 5, 20), (30, 10, 0.5))
    ),
    *(
        Study("mean_ratio", f"{count} pairs, {law}, reference at {reference:g}", "coverage", 0.95,
              partial(ratio_held, law=law, count=count, reference=reference), outside=_outside(law, count))
        for law, count, reference in (
            ("normal", 3, 3), ("normal", 4, 0.3), ("normal", 10, 3), ("Student's t of 3 degrees", 10, 3),
            ("uniform", 10, 1), ("lognormal", 10, 3),
        )
    ),
    *(
        Study("half_width", f"{tests} together, {count} values each, {law}", "coverage", 0.95,
              partial(together_held, law=law, count=count, tests=tests), draws=1000, outside=_outside(law, count))
        for tests, count, law in (
            (6, 2, "normal"), (6, 5, "normal"), (24, 10, "normal"), (24, 30, "Student's t of 3 degrees"),
            (6, 30, "lognormal"),
        )
    ),
    *(
        Study("mean_with_error", f"{blocks} blocks of 1 to {largest}", "coverage", 0.95,
              partial(blocks_held, blocks=blocks, largest=largest))
        for blocks, largest in ((2, 1), (3, 9), (5, 100), (16, 3), (64, 50))
    ),
    *(
        Study("root_bars", f"{blocks} blocks, error {error:.0%} of τ", "coverage", 0.95,
              partial(root_held, blocks=blocks, error=error),
              outside="to first order in the error" if error > 0.2 else "")
        for blocks, error in ((3, 0.01), (10, 0.05), (16, 0.2), (64, 0.1), (64, 0.4))
    ),
    *(
        Study("share_interval", f"{count} networks, share {share:g}", "coverage", 0.95,
              partial(share_held, count=count, share=share))
        for count, share in ((3, 0.5), (7, 0.9), (16, 0.02), (40, 0.8), (1000, 0.99))
    ),
    *(
        Study("variance_interval", f"{count} values, {law}", "coverage", 0.95,
              partial(variance_held, law=law, count=count), outside="" if law == "normal" else "not Gaussian")
        for law, count in (
            ("normal", 2), ("normal", 5), ("normal", 30), ("normal", 1000), ("uniform", 30),
            ("Student's t of 3 degrees", 30),
        )
    ),
    *(
        Study("bootstrap_interval", f"slope of scatter, {networks} networks a width{', heavy tails' * heavy}",
              "coverage", 0.95, partial(slope_held, networks=networks, heavy=heavy), draws=1000,
              outside="few networks: percentiles of resamples are too close" if networks < 64 or heavy else "")
        for networks, heavy in ((12, False), (24, False), (64, False), (64, True), (128, False), (512, False))
    ),
    *(
        Study("signs_seen", f"{tests} signs, {count} values each", "size", SEEN,
              partial(no_sign_seen_wrongly, count=count, tests=tests))
        for count, tests in ((2, 2), (3, 1), (10, 2), (10, 12), (100, 6))
    ),
    *(
        Study("largest_pvalue", f"{tests} deviations", "size", 0.05, partial(largest_rejects, tests=tests))
        for tests in (1, 2, 6, 55, 1000)
    ),
    *(
        Study("largest_pvalue (Student)", f"{tests} deviations, {degrees} degrees", "size", 0.05,
              partial(largest_rejects, tests=tests, degrees=degrees))
        for tests, degrees in ((1, 1), (2, 2), (6, 5), (16, 31), (16, 511))
    ),
    *(
        Study("pvalue_beyond", f"{tests} discrepancies, {count} values each", "size", 0.05,
              partial(budget_rejects, tests=tests, count=count))
        for tests, count in ((1, 3), (2, 10), (6, 5), (6, 64), (24, 30))
    ),
)  # fmt: skip
