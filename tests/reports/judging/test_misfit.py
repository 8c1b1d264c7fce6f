"""The misfit of a mean curve: its definition, its two limits, and what has no interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, ncx2
from scipy.stats import f as fisher
from scipy.stats import t as student

from reports.judging.misfit import ALLOWED, misfit
from theory.errors import Diverged

RNG = np.random.default_rng(17)


def test_the_noise_of_the_mean_is_taken_off() -> None:
    off = 0.3 + 0.1 * RNG.normal(size=(5, 8))
    found = misfit(off)
    mean = [sum(column) / 5 for column in off.T]
    noise = sum(sum((x - m) ** 2 for x in column) / 4 for column, m in zip(off.T, mean, strict=True)) / 8 / 5
    assert found.rms**2 == pytest.approx(sum(m**2 for m in mean) / 8 - noise)
    assert found.noise**2 == pytest.approx(noise)
    assert found.low < found.rms < found.high


def test_the_sign_and_the_order_of_places_do_not_matter() -> None:
    off = 0.2 + 0.1 * RNG.normal(size=(4, 6))
    first, second = misfit(off), misfit(-off[:, ::-1])
    assert (second.rms, second.low, second.high) == pytest.approx((first.rms, first.low, first.high))


def test_far_above_the_noise_it_is_students_interval() -> None:
    """The interval is Student's along the misfit alone.

    Its degrees of freedom are those of the variance averaged over places.
    """
    count, places = 3, 10
    off = 50.0 + RNG.normal(size=(count, places))
    found = misfit(off)
    half = student.ppf(0.975, ALLOWED * (count - 1) * places) * found.noise / places**0.5
    assert found.low == pytest.approx(found.rms - half, abs=0.01 * half + 2e-3)
    assert found.high == pytest.approx(found.rms + half, abs=0.01 * half + 2e-3)


def test_at_no_misfit_its_lower_end_is_fishers_test() -> None:
    """Above 0 exactly where the F test at half of 5 % rejects, up to the quantiles over which it is averaged."""
    count, places = 4, 9
    noise = RNG.normal(size=(count, places))
    noise -= noise.mean(axis=0)
    variance = noise.var(axis=0, ddof=1).mean()
    at = fisher.isf(0.025, places, ALLOWED * (count - 1) * places)
    for factor, above in ((0.97, False), (1.03, True)):
        mean = np.sqrt(factor * at * variance / count)
        assert (misfit(noise + mean).low > 0) is above


def test_an_interval_widens_with_its_confidence_and_narrows_with_more_curves() -> None:
    off = 0.2 + 0.3 * RNG.normal(size=(40, 12))
    few, many, sure = misfit(off[:4]), misfit(off), misfit(off, confidence=0.999)
    assert many.high - many.low < few.high - few.low
    assert sure.low < many.low < many.high < sure.high


def test_noise_alone_has_no_misfit() -> None:
    noise = RNG.normal(size=(6, 5))
    noise -= noise.mean(axis=0)
    error = np.sqrt(noise.var(axis=0, ddof=1).mean() / 6)
    found = misfit(noise + 0.9 * error)
    assert (found.rms, found.low) == (0.0, 0.0)
    assert 0 < found.high < 2 * error


@pytest.mark.parametrize("off", [np.ones((0, 3)), np.ones((1, 3)), np.ones((3, 3))])
def test_too_few_curves_or_curves_that_are_one_have_no_interval(off: np.ndarray) -> None:
    with pytest.raises(Diverged, match="an interval needs"):
        misfit(off)


@pytest.mark.parametrize(("count", "places", "size"), [(4, 6, 0.2), (2, 9, 0.4), (7, 3, 0.05)])
def test_the_ends_solve_their_equation(count: int, places: int, size: float) -> None:
    """P, averaged over 100 quantiles of the variance's law, is .975 at the lower end and .025 at the upper one."""
    off = size + 0.1 * np.random.default_rng(places).normal(size=(count, places))
    found = misfit(off)
    square, freedom = float((off.mean(axis=0) ** 2).mean()), 0.75 * (count - 1) * places
    levels = (np.arange(100) + 0.5) / 100
    variances = off.var(axis=0, ddof=1).mean() * freedom / chi2.ppf(levels, freedom)
    for end, level in ((found.low, 0.975), (found.high, 0.025)):
        weights = count * places / variances
        probability = ncx2.cdf(weights * square, places, weights * end**2).mean()
        assert probability == pytest.approx(level, abs=1e-5) or (end == 0 and probability < level)
