"""The panels of the paper, against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from theory.linear.paper_panels import READINGS, agreeing_times, panel_criteria
from theory.shape import FALLS, RISES_THEN_FALLS, shape_of


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("time", [0.05, 0.5, 1.3, 2.0, 3.0, 50.0])
@pytest.mark.parametrize("init_factor", [0.0, 1e-5, 1e-4, 1.0])
def test_panels_by_brute_force(reading: str, time: float, init_factor: float) -> None:
    """τ of flow, written out for each panel's n, d, classes and time."""
    for found in panel_criteria(time, init_factor):
        if found.reading != reading:
            continue
        panel, own = found.panel, time * found.panel.samples / 10_000
        s = np.array(panel.diagonal) ** (2 if reading == "deviation" else 1)
        dense = np.linspace(s[0], s[-1], 5001)
        tau = (
            init_factor / len(s) * np.exp(-2 * own * dense) + 0.09 / panel.samples * np.expm1(-own * dense) ** 2 / dense
        )
        assert found.shape == shape_of(tau)
        if found.sigma_star is not None:
            assert found.sigma_star == pytest.approx(np.sqrt(dense[tau.argmax()]), rel=2e-2)
        assert (found.sigma_star is not None) == (found.shape == RISES_THEN_FALLS)


def test_what_explains_the_panels() -> None:
    """One time explains all three panels as variances, none as deviations; with the paper's own init f only falls."""
    earliest, latest = agreeing_times("variance")
    assert (earliest, latest) == pytest.approx((1.2564312, 2.0940520), abs=1e-6)
    for time, agree in (
        (earliest * 0.99, False),
        (earliest * 1.01, True),
        (latest * 0.99, True),
        (latest * 1.01, False),
    ):
        assert all(found.agrees for found in panel_criteria(time)[:3]) is agree
    assert agreeing_times("deviation") is None
    for time in np.geomspace(1e-3, 1e3, 200):
        assert not all(found.agrees for found in panel_criteria(time)[3:])
        assert {found.shape for found in panel_criteria(time, 1.0)} == {FALLS}
