"""What the mean fixes, at the bounds themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reports.check.exact import exact_tests
from reports.check.mean import fixing, fixing_turns
from reports.check.moments import DataMoment
from tests.reports.check.layers import weights_of


def exact(moment: np.ndarray, mean: list[float], error: float = 0.0) -> DataMoment:
    """Two groups whose moments are equal, and whose means differ along the second coordinate alone."""
    shift = np.zeros(len(mean))
    shift[1] = error
    means = np.stack([np.array(mean) + shift, np.array(mean) - shift])
    return DataMoment(np.stack([moment, moment]), means, np.array([5, 5]), 10, np.full(len(mean), True))


def test_a_hundredth_of_the_moment_is_no_mean():
    """A mean with at most a hundredth of the moment fixes nothing: of the whole moment, or of one direction's."""
    data = exact(np.diag([20.0, 80.0]), [1.0, 0.0])
    assert data.mean_share == 0.01
    assert fixing_turns(data.exact_eigenspaces, data)[2] == 1  # 1/20 of its own direction
    assert fixing(data.exact_eigenspaces, data) is None
    for size, fixed in ((0.999, 0), (1.0, 0), (1.001, 1)):
        data = exact(np.diag([1.0, 100.0]), [0.0, size])
        assert fixing_turns(data.exact_eigenspaces, data)[2] == fixed


@pytest.mark.parametrize(("errors", "fixed"), [(2.99, 0), (3.01, 1)])
def test_three_errors_of_a_single_direction(errors, fixed):
    """The standard error of the mean is .4: half of the difference of the groups."""
    data = exact(np.diag([1.0, 5.0]), [0.0, 0.4 * errors], 0.4)
    np.testing.assert_allclose(data.mean_errors(np.eye(2)), [0, 0.4])
    assert fixing_turns(data.exact_eigenspaces, data)[2] == fixed


@pytest.mark.parametrize(("excess", "fixed"), [(0.999, 0), (1.001, 1)])
def test_as_rare_a_component_of_an_eigenspace_of_three(excess, fixed):
    """χ² of three at the tail of three errors on both sides, times the mean of the squared errors, .4²/3."""
    limit = stats.chi2.isf(stats.chi2.sf(9, 1), 3) * 0.4**2 / 3
    data = exact(np.diag([2.0, 2.0, 2.0, 30.0]), [np.sqrt(excess * limit), 0.0, 0.0, 0.0], 0.4)
    spaces = data.exact_eigenspaces
    assert spaces.multiplicity == (3, 1)
    assert limit > 0.01 * 3 * 2
    assert fixing_turns(spaces, data)[2] == fixed


@pytest.mark.parametrize(("excess", "fixed"), [(0.99, 0), (1.01, 1)])
def test_a_hundredth_of_an_eigenspace_is_that_of_its_trace(excess, fixed):
    data = exact(np.diag([2.0, 2.0, 2.0, 30.0]), [np.sqrt(excess * 0.06), 0.0, 0.0, 0.0])
    assert fixing_turns(data.exact_eigenspaces, data)[2] == fixed


def test_where_nothing_lies_nothing_is_fixed():
    """Along an eigenvalue of zero the mean is zero, and so are its error and its share."""
    data = exact(np.diag([0.0, 1.0, 4.0]), [0.0, 0.5, 0.0])
    basis, turns, fixed = fixing_turns(data.exact_eigenspaces, data)
    assert (fixed, turns.known) == (1, (False, True, True))
    np.testing.assert_allclose(np.abs(basis[:, 0]), [0, 1, 0], atol=1e-12)


def test_the_verdict_of_all_symmetries_does_not_depend_on_those_that_fix_the_mean():
    w = np.random.default_rng(1).standard_normal((30, 2)) @ np.array([[2.0, 0.3], [0.0, 1.0]])
    plain = exact_tests(exact(np.diag([1.0, 5.0]), [0.0, 0.0]), weights_of(w), draws=99, seed=3)
    assert plain[1] is None
    for mean, fixed in (([0.9, 0.0], 1), ([0.9, 2.0], 2)):
        aligned, found = exact_tests(exact(np.diag([1.0, 5.0]), mean), weights_of(w), draws=99, seed=3)
        assert aligned == plain[0]
        assert (found.fixed, found.free) == (fixed, 2 - fixed)
        assert fixed == 1 or found.pvalue == 1
