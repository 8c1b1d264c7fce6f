"""Student's one-sided test of an excess: its size, and what it is said to detect."""

import numpy as np
import pytest
from scipy.stats import kstest, norm

from reports.judging.intervals import detectable_excess, exceeds_pvalue
from reports.judging.rules import LEVEL


def pvalues(effect: float, count: int, trials: int = 4000) -> np.ndarray:
    """The p-values of means of `count` normal values with mean `effect` and variance 1."""
    values = effect + np.random.default_rng(3).standard_normal((trials, count))
    errors = values.std(axis=1, ddof=1) / np.sqrt(count)
    tested = zip(values.mean(axis=1), errors, strict=True)
    return np.array([exceeds_pvalue(mean, error, count - 1) for mean, error in tested])


def test_pvalues_of_no_excess_are_uniform():
    assert kstest(pvalues(0.0, 12), "uniform").pvalue > 1e-4


def test_an_excess_whose_error_is_known_is_tested_by_the_normal_law():
    assert exceeds_pvalue(0.6, 0.2) == pytest.approx(norm.sf(3))


@pytest.mark.parametrize("count", [5, 40, 400])
def test_an_excess_is_detected_as_often_as_is_said(count):
    """Nine times in ten, where its size is named by the error of another sample of as many values."""
    named = np.random.default_rng(4).standard_normal((4000, count)).std(axis=1, ddof=1) / np.sqrt(count)
    size = named * detectable_excess(1.0, count - 1)
    values = size[:, None] + np.random.default_rng(5).standard_normal((4000, count))
    errors = values.std(axis=1, ddof=1) / np.sqrt(count)
    found = [
        exceeds_pvalue(mean, error, count - 1) < LEVEL for mean, error in zip(values.mean(axis=1), errors, strict=True)
    ]
    assert np.mean(found) == pytest.approx(0.9, abs=0.025)
