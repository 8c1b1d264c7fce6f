"""The phase diagram of the shape, the description of a setting, and the panels of the paper, against brute force."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles.linear import fixed_setting
from theory.catalogue import predict
from theory.errors import InvalidInput, NoClosedForm
from theory.linear.description import describe
from theory.linear.paper_panels import PAPER_PANELS, READINGS, agreeing_times, panel_criteria
from theory.linear.phase_diagram import decay_peak, peaks, phase, phase_boundary, phase_diagram
from theory.linear.shape import descent_shape, descent_turns, flow_peak, flow_shape, predicted_shape, slope
from theory.setting import Data, Labels, Network, Setting, Training
from theory.shape import FALLS, FLAT, PANELS, RISES, RISES_THEN_FALLS, shape_of


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
    """Of s (1 − e^{−(s+λ)T})²/(s + λ)², with T = 1."""
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
    assert decay_peak(1e3) == pytest.approx(1e3, rel=1e-12)
    found = [decay_peak(decay) for decay in np.linspace(0, 10, 50)]
    assert np.all(np.diff(found) > 0)


@given(
    steps=st.sampled_from([1, 2, 3, 10, 200]),
    c=st.one_of(st.floats(0, 0.5), st.floats(0.5, 0.76)),
    lowest=st.floats(0, 0.3),
    highest=st.floats(0.31, 0.98),
)
def test_turns_of_descent(steps: int, c: float, lowest: float, highest: float) -> None:
    """One less than the runs of the shape, inside the range, and D changes sign there, the right way."""
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


# ---- from a setting


ROWS = np.sqrt(30) * np.diag(np.sqrt(np.linspace(0.05, 3.0, 30)))


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
@pytest.mark.parametrize("init", [0.0, 0.003, 3.0])
def test_describe_says_what_the_criterion_says_and_where(parametrization: str, init: float) -> None:
    training = Training(learning_rate=9.0 if parametrization == "ntk" else 0.3, steps=(0, 1, 4, 40))
    setting = fixed_setting(
        ROWS, training, network=Network(init_variance=init, parametrization=parametrization), labels=Labels()
    )
    found = describe(setting, ROWS)
    assert tuple(entry.shape for entry in found) == predicted_shape(setting, ROWS)
    assert {entry.method for entry in found} == {"criterion"}
    for entry, reading in zip(found, predict(setting, rows=ROWS).readings, strict=True):
        assert entry.step == reading.step
        if entry.shape == RISES_THEN_FALLS:
            top = int(reading.tau.argmax())
            assert reading.sigma[max(top - 1, 0)] <= entry.turns[0] <= reading.sigma[min(top + 1, 29)]
            assert entry.words == f"rises up to σ = {entry.turns[0]:.4g}, then falls"
    assert found[0].shape == FLAT
    assert found[-1].highest == pytest.approx(0.3 * 40 * 3.0)
    assert found[-1].c == pytest.approx(init * (30 if parametrization == "ntk" else 1) / (training.learning_rate * 40))


@pytest.mark.parametrize(
    "keys",
    [
        {"momentum": 0.6},
        {"momentum": 0.6, "nesterov": True},
        {"weight_decay": 0.3},
        {"drops": ((3, 0.5),)},
        {"learning_rate": 0.6},
    ],
)
@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_describe_of_other_variants_by_dense_spectra(keys: dict, parametrization: str) -> None:
    """The full-batch form itself, on rows whose 150 eigenvalues lie densely between the same ends."""
    size, ntk = 150, parametrization == "ntk"
    rows = np.sqrt(size) * np.diag(np.linspace(0.2, 1.7, size))
    rate = keys.get("learning_rate", 0.2) * (size if ntk else 1)
    decay = keys.get("weight_decay", 0.0) / (size if ntk else 1)
    training = Training(**{**keys, "learning_rate": rate, "weight_decay": decay, "steps": 12})
    init = 1e-3 * (1 if ntk else size)
    setting = fixed_setting(
        rows, training, network=Network(init_variance=init, parametrization=parametrization), labels=Labels()
    )
    (found,), (reading,) = describe(setting, rows), predict(setting, rows=rows).readings
    assert found.method == "grid"
    assert found.shape == shape_of(reading.tau)
    changes = np.flatnonzero(np.diff(np.sign(np.diff(reading.tau)))) + 1
    np.testing.assert_allclose(found.turns, reading.sigma[changes], atol=2 * 1.5 / size)
    assert len(found.turns) >= 1


def test_weight_decay_in_flow_is_the_limit_of_descent() -> None:
    """σ_0 = 0: the σ* of the setting tends to that of `decay_peak`, at half the distance with half the rate."""
    distances = []
    for rate in (0.02, 0.01):
        training = Training(learning_rate=rate, weight_decay=0.5, steps=round(2 / rate))
        setting = fixed_setting(ROWS, training, network=Network(init_variance=0.0), labels=Labels())
        (turn,) = describe(setting, ROWS)[0].turns
        distances.append(turn**2 * 2 - decay_peak(1.0))
    assert abs(distances[0]) < 0.05
    assert distances[0] / distances[1] == pytest.approx(2, abs=0.1)


def test_describe_refuses() -> None:
    base = fixed_setting(ROWS, Training())
    for setting in (
        msgspec.structs.replace(base, training=Training(optimizer="adam")),
        msgspec.structs.replace(base, network=Network(init_spectrum=tuple(range(30)))),
        Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0))),
    ):
        with pytest.raises(NoClosedForm, match="no closed form of the shape"):
            describe(setting, ROWS)
    with pytest.raises(InvalidInput, match="overflow"):
        describe(fixed_setting(ROWS, Training(learning_rate=5.0, steps=2000)), ROWS)
    with pytest.raises(InvalidInput, match="rows"):
        describe(base, None)


def test_describe_without_labels_and_without_spread() -> None:
    silent = fixed_setting(ROWS, Training(steps=3), labels=Labels(variance=0.0))
    assert describe(silent, ROWS)[0].shape == FALLS
    assert np.isinf(describe(silent, ROWS)[0].c)
    assert describe(fixed_setting(np.eye(3), Training()), np.eye(3))[0].words == FLAT


# ---- the panels of the paper


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
    """As variances one time explains all three, as deviations none; the paper's own init only falls."""
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
