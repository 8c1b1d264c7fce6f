"""The phase diagram of the shape: regions, their boundaries, peaks with decay, turns of descent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.errors import InvalidInput
from theory.linear.paper_panels import PAPER_PANELS, panel_criteria
from theory.linear.phase_diagram import decay_peak, peaks, phase, phase_boundary, phase_diagram
from theory.linear.shape import descent_shape, descent_turns, flow_peak, flow_shape, slope
from theory.shape import FALLS, PANELS, RISES, RISES_THEN_FALLS, shape_of


def curve(u: np.ndarray, c: float) -> np.ndarray:
    """F_c(u), literally."""
    return np.expm1(-u) ** 2 / u + c * np.exp(-2 * u)


# ---- the map


@given(c=st.floats(0, 0.7), lowest=st.floats(0, 3), width=st.floats(0.01, 5))
def test_phase_is_the_scalar_criterion(c: float, lowest: float, width: float) -> None:
    """One boundary curve in u against the other in c; they differ by rounding on the curve itself."""
    highest = lowest + width
    if min(abs(c - float(phase_boundary(end))) for end in (lowest, highest)) > 1e-9:
        assert PANELS[int(phase(c, highest, lowest))] == flow_shape(c, lowest, highest)


@pytest.mark.parametrize("c", [0.0, 0.05, 0.2, 0.4, 0.55])
@pytest.mark.parametrize(("lowest", "highest"), [(0.0, 0.4), (0.0, 2.0), (0.5, 5.0), (1.5, 3.0)])
def test_phase_by_brute_force(c: float, lowest: float, highest: float) -> None:
    tau = curve(np.linspace(lowest + 1e-9, highest, 4001), c)
    assert PANELS[int(phase(c, highest, lowest))] == shape_of(tau)


@given(st.floats(0, 0.4999))
def test_the_two_coordinates_of_the_boundary_are_inverse(c: float) -> None:
    peak = flow_peak(c)
    assert peak is not None
    assert abs(float(phase_boundary(peak)) - c) < 1e-13
    assert float(peaks(np.array([c]))[0]) == peak


def test_boundary_is_where_the_slope_vanishes() -> None:
    """The derivative of F_c at u, by central differences, changes sign at c*(u)."""
    for u in np.linspace(0.05, 1.2, 7):
        c = float(phase_boundary(u))
        for shift, sign in ((-1e-3, 1), (1e-3, -1)):
            assert np.sign(curve(u + 1e-5, c + shift) - curve(u - 1e-5, c + shift)) == sign
    assert float(phase_boundary(2000.0)) == -np.inf
    np.testing.assert_array_equal(peaks(np.array([[0.5, 3.0]])), [[0.0, 0.0]])


@pytest.mark.parametrize("spread", [0.0, 1 / 30, 0.5])
def test_a_diagram_holds_its_regions_and_their_boundaries(spread: float) -> None:
    c, highest = np.linspace(0, 0.7, 36), np.geomspace(0.01, 100, 41)
    diagram = phase_diagram(c, highest, spread)
    assert diagram.shape.shape == (36, 41)
    for i, value in enumerate(c):
        for j, end in enumerate(highest):
            shape = diagram.shapes[diagram.shape[i, j]]
            assert shape == flow_shape(value, spread * end, end)
            assert (shape == RISES) == (value < 0.5 and value <= diagram.rises_below[j])
            assert (shape == FALLS) == (value >= diagram.falls_above[j])
    assert set(np.unique(diagram.shape)) == {0, 1, 2}


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: phase(-0.1, 1.0), "c = -0.1"),
        (lambda: phase(np.nan, 1.0), "c = nan"),
        (lambda: phase(0.1, 1.0, 1.0), "lowest, highest"),
        (lambda: phase_diagram(np.ones(2), np.ones(2), 1.0), "spread"),
        (lambda: phase_diagram(np.ones((2, 1)), np.ones(2)), "c, highest"),
        (lambda: decay_peak(-1.0), "decay"),
        (lambda: decay_peak(np.inf), "decay"),
        (lambda: panel_criteria(0.0), "time"),
        (lambda: panel_criteria(1.0, -1.0), "init_factor"),
        (lambda: PAPER_PANELS[0].eigenvalues("sigma"), "reading"),  # type: ignore[arg-type]
    ],
)
def test_bad_calls(call: object, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        call()  # type: ignore[operator]


# ---- peaks


@pytest.mark.parametrize("decay", [0.0, 1e-3, 0.3, 1.0, 4.0, 30.0])
def test_decay_peak_by_brute_force(decay: float) -> None:
    """The peak is that of s (1 − e^{−(s+λ)T})²/(s + λ)² on a fine grid, with T = 1."""
    peak = decay_peak(decay)
    s = peak * np.linspace(0.9, 1.1, 200_001)
    tau = s * np.expm1(-(s + decay)) ** 2 / (s + decay) ** 2
    assert abs(s[tau.argmax()] / peak - 1) < 2e-5
    wide = np.linspace(1e-6, 10 * peak, 20_001)
    assert shape_of(wide * np.expm1(-(wide + decay)) ** 2 / (wide + decay) ** 2) == RISES_THEN_FALLS


def test_decay_peak_moves_from_the_undecayed_one_to_the_decay() -> None:
    peak = flow_peak(0.0)
    assert peak is not None
    assert decay_peak(0.0) == pytest.approx(peak, abs=1e-12)
    for decay in (1e3, 1e7, 1e100, 1e300):
        assert decay_peak(decay) == pytest.approx(decay, rel=1e-12)
    found = [decay_peak(decay) for decay in np.linspace(0, 10, 50)]
    assert np.all(np.diff(found) > 0)


@given(
    steps=st.sampled_from([1, 2, 3, 10, 200]),
    c=st.one_of(st.floats(0, 0.5), st.floats(0.5, 0.76)),
    lowest=st.floats(0, 0.3),
    highest=st.floats(0.31, 0.98),
)
def test_turns_of_descent(steps: int, c: float, lowest: float, highest: float) -> None:
    """The turns lie inside the range, one fewer than the runs of the shape, and D changes sign there, the right way."""
    shape, turns = descent_shape(c, steps, lowest, highest), descent_turns(c, steps, lowest, highest)
    runs = shape.split(", then ")
    assert len(turns) == len(runs) - 1
    assert all(lowest <= x <= highest for x in turns)
    assert list(turns) == sorted(turns)
    for x, run in zip(turns, runs, strict=False):
        delta = 1e-6 * max(x, 1 / steps)
        before, after = float(slope(max(x - delta, 0.0), c, steps)), float(slope(x + delta, c, steps))
        sign = 1 if run == RISES else -1
        assert before * sign >= -1e-9
        assert after * sign <= 1e-9
