"""A point of F6's map: its rule, its bends, the draws that it is of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.claims.shape.regime_points import RegimePoint, bend, point_verdict, regime_points
from tests.reports.claims.shape.regimes import (
    AGREES,
    APART,
    NOISY,
    PEAK,
    WITHIN,
    networks_of,
    point,
    theory_of,
)


@pytest.mark.parametrize(
    ("found", "diverged", "verdict"),
    [
        (AGREES, 0, "holds"),
        (APART, 0, "refuted"),
        (WITHIN, 0, "undecided"),
        (NOISY, 0, "undecided"),
        (AGREES, 1, "undecided"),
    ],
)
def test_rule_of_one_point(found: RegimePoint, diverged: int, verdict: str) -> None:
    assert point_verdict(found, diverged) == verdict


def test_curves_that_differ_by_what_is_declared_do_not_refute() -> None:
    assert point_verdict(replace(APART, declared=APART.distance), 0) == "undecided"
    assert point_verdict(replace(APART, declared=np.nextafter(APART.distance, 0)), 0) == "refuted"


def test_bend_is_negative_where_the_curve_comes_down() -> None:
    assert bend(APART.predicted)[0] == pytest.approx(1.5 / 2.5, abs=0.01)
    assert bend(APART.simulated)[0] == pytest.approx(-1.5 / 1.75, abs=0.01)
    assert bend(APART.simulated)[1] < 0.01
    assert APART.parted
    assert not AGREES.parted
    assert not point(PEAK, PEAK).parted
    assert not NOISY.rises


def test_a_point_is_of_the_draws_that_networks_are_left_on() -> None:
    """If all networks of a draw diverge, the theory of that draw is left out as well."""
    left = np.array([0, 3, 7])
    networks = replace(networks_of(AGREES), changes=AGREES.simulated[None, left], draws=left)
    theory = replace(theory_of(AGREES), displacement=np.arange(40.0)[None], declared=10.0 + np.arange(40.0)[None])
    (found,) = regime_points(theory, networks)
    np.testing.assert_array_equal(found.predicted, AGREES.predicted[left])
    np.testing.assert_array_equal(found.simulated, AGREES.simulated[left])
    assert found.displacement == pytest.approx(np.sqrt((0 + 9 + 49) / 3))
    assert found.declared == pytest.approx(10 + 10 / 3)
