"""Estimates at their bounds: no weights, two units, negative eigenvalues by rounding, and what nothing is left of."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reports.check.estimates import beyond, jackknife_interval, shape_seen, transfer_function
from reports.check.shape_law import shape_law
from tests.reports.check.layers import axes, weights_of
from theory.eigenspaces import Eigenspaces


def test_networks_that_agree_have_an_m_without_errors_and_never_a_negative_one():
    """M² is 0, and less than 0 without the noise that is expected."""
    moments = np.stack([np.diag([1.0, 2.0, 4.0])] * 4)
    assert jackknife_interval(axes(3), moments) == pytest.approx((0, 0), abs=1e-6)
    assert jackknife_interval(axes(3), moments, 0.5) == (0, 0)


def test_beyond_begins_at_kantorovichs_bound_to_the_last_digits():
    """κ^(−1/2), the smaller of the two terms, is 2e-12 of the larger one in 2,000 dimensions."""
    for d in (2, 40, 2000):
        root = (4 * d * np.finfo(float).eps) ** -0.5
        bound = math.sqrt(d * (root + 1 / root) / 2 - d)
        assert not beyond(bound * (1 - 1e-13), d)
        assert beyond(bound * (1 + 1e-13), d)
    hits = []
    for d in range(2, 400):
        root = 1 / math.sqrt(4 * d * np.finfo(float).eps)
        limit = d * (root + 1 / root) / 2
        hits += [(math.sqrt(limit - d), d)] * (math.sqrt(limit - d) ** 2 + d == limit)
    assert len(hits) > 20
    assert not any(beyond(high, d) for high, d in hits)  # the bound itself is reached by regular matrices


def test_intervals_of_f_need_two_units():
    two = transfer_function(axes(3), weights_of(np.array([[1.0, 2.0, 0.0], [2.0, 2.5, 0.0]])))
    assert np.isfinite(two.low[:2]).all()
    assert np.all(two.low[:2] < two.high[:2])
    assert np.isnan([two.low[2], two.high[2]]).all()
    one = transfer_function(axes(3), weights_of(np.array([[1.0, 2.0, 0.0]])))
    assert np.isnan(one.low).all()
    assert np.isnan(one.high).all()


def test_an_eigenvalue_that_is_negative_by_rounding_is_zero():
    spaces = [Eigenspaces(np.array([least, 0.25, 1.0, 2.0, 4.0]), (1,) * 5, np.eye(5), 0.0) for least in (-1e-18, 0.0)]
    w = weights_of(np.random.default_rng(0).standard_normal((60, 5)) * [0.3, 0.5, 1.0, 1.5, 2.0])
    assert transfer_function(spaces[0], w).sigma.tolist() == [0, 0.5, 1, math.sqrt(2), 2]
    one, other = (shape_law(each, w, 0.1) for each in spaces)
    assert one.ridge.rate == pytest.approx(other.ridge.rate)
    assert one.flow.rate == pytest.approx(other.flow.rate)


@pytest.mark.parametrize(("units", "spaces", "shape"), [(2, 2, "rises"), (1, 2, None), (2, 1, None), (3, 3, "rises")])
def test_a_shape_is_that_of_two_units_and_two_eigenspaces_at_least(units, spaces, shape):
    values = np.array([1.0, 4.0, 9.0])[:spaces] * (1 + 0.01 * np.arange(units))[:, None]
    assert shape_seen(values) == shape
