"""Counts of predicted and realised signs: by enumeration, and by every permutation."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from reports.claims.transfer.sign_counts import RealisedSigns, SignCount, count_signs, shuffled_shares

PREDICTED = np.array([0.5, -0.2, 0.04, -0.02, 0.002, -0.2, 0.4, 0.001])
SIGNS = np.array([1.0, -1.0, 0.0, 1.0, -1.0, -1.0, -1.0, 1.0])


def realised(signs: np.ndarray, diverged: int = 0) -> RealisedSigns:
    return RealisedSigns(signs * 0.1, np.full(len(signs), 0.01), signs, len(signs), diverged)


def test_counts_and_their_interval() -> None:
    every = count_signs(PREDICTED, realised(SIGNS))
    assert every == SignCount(8, 7, 4)
    assert every.share == 4 / 7
    assert every.interval is not None
    low, high = every.interval
    assert stats.binom.sf(3, 7, low) == pytest.approx(0.025)
    assert stats.binom.cdf(4, 7, high) == pytest.approx(0.025)
    assert count_signs(PREDICTED, realised(SIGNS), np.abs(PREDICTED) > 0.1) == SignCount(4, 4, 3)


def test_nothing_is_said_of_no_decided_sign() -> None:
    none = count_signs(PREDICTED, realised(0 * SIGNS))
    assert (none.decided, none.share, none.interval) == (0, None, None)


def test_wrong_signs_by_chance() -> None:
    """Every setting is decided against its true sign with probability .005."""
    expected = sum(stats.binom.pmf(wrong, 8, 0.005) for wrong in range(3, 9))
    assert SignCount(8, 7, 4).wrong_by_chance == pytest.approx(expected)
    assert SignCount(8, 7, 7).wrong_by_chance == 1


def test_chances_by_every_permutation() -> None:
    decided = SIGNS != 0
    shares = [np.mean(np.sign(each) == SIGNS[decided]) for each in permutations(PREDICTED[decided])]
    mean, pvalue = shuffled_shares(PREDICTED, realised(SIGNS))
    assert mean == pytest.approx(np.mean(shares))
    assert pvalue == pytest.approx(np.mean(np.array(shares) >= 4 / 7 - 1e-12))
