"""Student's one-sided test of an excess: its size, and what it is said to detect."""

import numpy as np
import pytest
from scipy.stats import kstest

from reports.judging.intervals import detectable_excess, exceeds_pvalue
from reports.judging.rules import LEVEL


def pvalues(effect: float, count: int, trials: int = 4000) -> np.ndarray:
    """Of means of `count` values with this mean and variance 1."""
    values = effect + np.random.default_rng(3).standard_normal((trials, count))
    errors = values.std(axis=1, ddof=1) / np.sqrt(count)
    tested = zip(values.mean(axis=1), errors, strict=True)
    return np.array([exceeds_pvalue(mean, error, count - 1) for mean, error in tested])


def test_pvalues_of_no_excess_are_uniform():
    assert kstest(pvalues(0.0, 12), "uniform").pvalue > 1e-4


@pytest.mark.parametrize(("count", "power"), [(40, 0.86), (400, 0.9)])
def test_an_excess_is_detected_about_as_often_as_is_said(count, power):
    """Nine times in ten; a little less often where the standard error rests on few values."""
    found = np.mean(pvalues(detectable_excess(count**-0.5, count - 1), count) < LEVEL)
    assert found == pytest.approx(power, abs=0.025)
