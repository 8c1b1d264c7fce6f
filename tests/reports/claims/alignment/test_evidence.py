"""What is kept of alignment: the numbers of the exact tests, on weights whose law is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.claims.alignment.evidence import (
    invariance_pvalue,
    measure_alignment,
    measure_mean_weight,
    measure_power,
)
from reports.judging.rules import LEVEL
from tests.reports.claims.alignment.ensembles import reading_of, turned, untrained_ensemble
from theory.symmetry import symmetry_group, twirl
from theory.testing import randomization_test

DATA = np.diag([1.0, 2.0, 3.0, 4.0])
ALIGNED = reading_of(np.array([1.0, 2.0, 4.0, 8.0]), 64)
TURNED = replace(ALIGNED, second_moments=turned(ALIGNED.second_moments))


def test_aligned_weights_pass_and_turned_ones_do_not():
    aligned, broken = (measure_alignment(untrained_ensemble(DATA, reading)) for reading in (ALIGNED, TURNED))
    assert aligned.pvalue > 1e-3
    assert broken.pvalue < LEVEL
    assert (aligned.replicas, aligned.diverged) == (64, 0)
    for found, reading in ((aligned, ALIGNED), (broken, TURNED)):
        trained, mean = untrained_ensemble(DATA, reading), reading.second_moment
        off = mean - twirl(trained.group, mean)
        assert found.outside == pytest.approx(np.linalg.norm(off) / np.linalg.norm(mean), rel=1e-12)
    assert aligned.learned == pytest.approx(
        np.linalg.norm([-2.75, -1.75, 0.25, 4.25]) / np.linalg.norm([1, 2, 4, 8]), rel=0.05
    )
    first = randomization_test(ALIGNED.second_moments, trained.group, counts=ALIGNED.counts)
    assert 0.5 < aligned.pvalue / first.pvalue < 2  # with more draws, the same tail


def test_a_larger_group_asks_for_more():
    """Distinct variances are aligned with distinct eigenvalues, and not with one that is fourfold."""
    trained = untrained_ensemble(DATA, ALIGNED)
    larger = symmetry_group(untrained_ensemble(np.eye(4), ALIGNED).spaces)
    assert invariance_pvalue(trained, trained.group) > 1e-3
    assert invariance_pvalue(trained, larger) < LEVEL


def test_mean_weights_are_given_in_units_of_the_spread():
    shifted = replace(ALIGNED, means=ALIGNED.means + 1.5 * np.eye(4)[3])
    none, some = (measure_mean_weight(untrained_ensemble(DATA, reading)) for reading in (ALIGNED, shifted))
    assert none.pvalue > 1e-3
    assert some.pvalue < LEVEL
    assert some.size == pytest.approx(1.5 / 15**0.5, rel=0.05)
    assert none.size < none.detectable < some.size
    fixing = untrained_ensemble(DATA, shifted)
    fixing = replace(fixing, group=symmetry_group(fixing.spaces, mean=np.array([0.0, 0.0, 0.0, 1.0])))
    assert measure_mean_weight(fixing).size < none.detectable  # what lies along a fixed direction is allowed


def test_power_is_the_share_of_parts_that_reject():
    reading = reading_of(np.ones(4), 64)
    power = measure_power(untrained_ensemble(DATA, reading))
    assert (power.parts, power.replicas) == (16, 4)
    assert power.rejected < 4
    assert power.low <= power.share < power.high < 0.6
    strong = replace(reading_of(np.array([1.0, 1.0, 1.0, 50.0]), 160), counts=np.full(160, 10))
    strong = replace(strong, second_moments=turned(strong.second_moments))
    seen = measure_power(untrained_ensemble(DATA, strong))
    assert str(seen) == "16 of 16 parts of 100 replicas reject at 0.01 (power 0.79 to 1.00)"
    few = measure_power(untrained_ensemble(DATA, reading_of(np.ones(4), 5)))
    assert (few.parts, few.replicas) == (2, 2)
