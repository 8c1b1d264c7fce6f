"""M with its floor, its interval and random bases, against the tests that it is kept from; and how it is shown."""

from __future__ import annotations

import numpy as np
import pytest

from reports.claims.alignment.distance import distance_table, measure_distance, misalignment_panel, transfer_panel
from reports.judging.intervals import root_bars
from tests.reports.claims.alignment.ensembles import reading_of, untrained_ensemble
from theory.testing import misalignment_interval, random_basis_test

TRAINED = untrained_ensemble(
    np.diag([1.0, 4.0, 9.0]), reading_of(np.ones(3), step=0), reading_of(np.array([1.0, 2.0, 4.0]), step=7)
)


def test_a_distance_is_what_the_tests_say():
    found = measure_distance(TRAINED)
    last = TRAINED.reading
    interval = misalignment_interval(TRAINED.spaces, last.second_moments, counts=last.counts, seed=TRAINED.seed)
    test = random_basis_test(TRAINED.spaces, last.second_moment, draws=199, seed=TRAINED.seed)
    assert (found.misalignment, found.low, found.high) == (interval.misalignment, interval.low, interval.high)
    assert found.floor**2 == pytest.approx(interval.null_floor)
    assert found.corrected == pytest.approx(max(interval.squared - interval.null_floor, 0) ** 0.5)
    assert [each.step for each in found.along] == [0, 7]
    assert (found.along[-1].misalignment, found.along[-1].pvalue) == (test.misalignment, test.pvalue)
    assert found.along[-1].effect == test.effect
    assert found.along[-1].random[0] < found.along[-1].median < found.along[-1].random[2]
    np.testing.assert_allclose(found.after.tau, [1.0, 2.0, 4.0], rtol=0.2)


def test_distances_are_shown():
    found = measure_distance(TRAINED)
    (row,) = distance_table("name", "caption", [("a case", found)]).rows
    assert row[:3] == ("a case", 3, found.misalignment)
    assert row[-2:] == (found.along[-1].median, found.along[-1].effect)
    before, after = transfer_panel("title", found, decades=False).series
    assert (before.label, before.style, after.label, after.style) == ("step 0", "dashed", "step 7", "both")
    np.testing.assert_allclose(after.x, [1, 2, 3])
    np.testing.assert_allclose(
        after.error, root_bars(found.after.tau, found.after.tau_se, len(TRAINED.reading.counts) - 1)
    )
    own, random = misalignment_panel("title", found).series
    np.testing.assert_array_equal(own.x, [0, 7])
    np.testing.assert_allclose(own.y[1], found.misalignment, rtol=1e-12)  # by two routes
    assert random.y[1] == found.along[1].median
