"""Shapes that the closed form predicts, against brute force: of flow, of descent, of a setting."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles.linear import fixed_setting
from theory.catalogue import predict
from theory.errors import InvalidInput, NoClosedForm
from theory.linear.shape import (
    descent_peak,
    descent_shape,
    descent_turns,
    flow_peak,
    flow_shape,
    predicted_shape,
    slope,
)
from theory.setting import Data, Labels, Network, Setting, Training
from theory.shape import shape_of

# ---- gradient flow


def flow(u: np.ndarray, c: float) -> np.ndarray:
    """F_c(u), literally."""
    return np.expm1(-u) ** 2 / u + c * np.exp(-2 * u)


def test_sign_of_the_flow_slope_symbolically() -> None:
    """F_c' = e^{−2u} (1 − (ℰ − 1)² − 2c), with a positive factor: the criterion of the three panels."""
    u, c = sympy.symbols("u c", positive=True)
    curve = (1 - sympy.exp(-u)) ** 2 / u + c * sympy.exp(-2 * u)
    growth = (sympy.exp(u) - 1) / u
    assert sympy.simplify(sympy.diff(curve, u) - sympy.exp(-2 * u) * (1 - (growth - 1) ** 2 - 2 * c)) == 0


@pytest.mark.parametrize("t", [1, 2, 3, 5])
def test_sign_of_the_descent_slope_symbolically(t: int) -> None:
    """dτ/dx = (t A/(1−x))² D(x) · σ_y² η/n, A = (1 − x)^t, with D(x) = 1 − (E − 1)² − 2c(1 − x)."""
    x, c = sympy.symbols("x c", positive=True)
    a = 1 - x
    tau = (1 - a**t) ** 2 / x + c * t * a ** (2 * t)
    average = sum(a**-j for j in range(t)) / t
    criterion = 1 - (average - 1) ** 2 - 2 * c * a
    assert sympy.simplify(sympy.diff(tau, x) - (t * a**t / a) ** 2 * criterion) == 0


def test_the_peak_constant() -> None:
    u = sympy.symbols("u")
    root = sympy.nsolve(sympy.diff((1 - sympy.exp(-u)) ** 2 / u, u), u, 1.25, prec=30)
    peak = flow_peak(0.0)
    assert peak is not None
    assert abs(peak - float(root)) < 1e-15
    assert abs(peak - 1.2564312086261697) < 1e-15
    assert abs(np.exp(peak) - 1 - 2 * peak) < 1e-14


@pytest.mark.parametrize("c", [0.0, 0.01, 0.1, 0.2, 0.3, 0.4, 0.45, 0.49, 0.499])
def test_flow_peak_by_brute_force(c: float) -> None:
    grid = np.linspace(1e-6, 2, 2_000_001)
    peak = flow_peak(c)
    assert peak is not None
    assert abs(peak - grid[flow(grid, c).argmax()]) <= 1.1e-6 + 1e-8 / (1 - 2 * c)


@given(st.floats(1e-14, 0.5))
def test_flow_peak_solves_its_equation(distance: float) -> None:
    """(e^u − 1)/u = 1 + κ, κ = sqrt(1 − 2c), also at the branch point of W, c = ½."""
    c = 0.5 - distance
    excess = np.sqrt(1 - 2 * c)
    peak = flow_peak(c)
    assert peak is not None
    series = sum(peak**j / math.factorial(j + 1) for j in range(1, 25))  # (e^u − 1)/u − 1 without cancellation
    assert abs(series - excess) <= 6e-15


def seen_on_a_grid(answer: str, sample: Callable[[float, float, float], np.ndarray], low: float, high: float) -> bool:
    """Whether brute force shows the shape `answer`: on [low, high], or on one moved by two grid steps.

    `sample` (low, high, shift of c) gives τ on a grid. A turn within a step of an end cannot be seen on the grid, nor
    a piece that vanishes with a tiny change of c; moving the ends and c by as much as that must then show it.
    """
    step = 2 * (high - low) / len(sample(low, high, 0.0))
    moves = itertools.product((0.0, -step, step), repeat=3)
    return any(_sampled(sample(max(low + a, 0.0), high + b, shift)) == answer for a, b, shift in moves)


def _sampled(values: np.ndarray) -> str:
    """The shape on a grid, leaving out changes at rounding level."""
    differences = np.diff(values)
    return shape_of(np.cumsum([0.0, *np.where(np.abs(differences) < 1e-13 * values.max(), 0, differences)]))


@given(c=st.floats(0, 0.6), lowest=st.floats(0, 2), width=st.floats(0.3, 4))
def test_flow_shape_by_brute_force(c: float, lowest: float, width: float) -> None:
    def sample(low: float, high: float, shift: float) -> np.ndarray:
        return flow(np.maximum(np.linspace(low, high, 4001), 1e-9), max(c + shift, 0.0))

    assert seen_on_a_grid(flow_shape(c, lowest, lowest + width), sample, lowest, lowest + width)


@pytest.mark.parametrize("arguments", [(-0.1, 0, 1), (0.1, 1, 1), (0.1, -1, 1), (np.nan, 0, 1)])
def test_flow_shape_refuses(arguments: tuple[float, float, float]) -> None:
    with pytest.raises(InvalidInput):
        flow_shape(*arguments)


# ---- gradient descent


def descent(x: np.ndarray, c: float, steps: int) -> np.ndarray:
    """τ of gradient descent up to σ_y² η/n: x > 0."""
    return (1 - (1 - x) ** steps) ** 2 / x + c * steps * (1 - x) ** (2 * steps)


@pytest.mark.parametrize(("steps", "peak"), [(2, 1.3333), (10, 1.2809), (100, 1.2590), (10**6, 1.256431)])
def test_descent_peak(steps: int, peak: float) -> None:
    found = descent_peak(steps)
    assert found is not None
    assert abs(found - peak) < 6e-5
    grid = np.linspace(found * 0.99, found * 1.01, 20_001) / steps
    assert abs(grid[descent(grid, 0.0, steps).argmax()] * steps - found) < 2e-4


def test_one_step_has_no_peak() -> None:
    assert descent_peak(1) is None
    assert descent_shape(0.0, 1, 0.0, 0.9) == "rises"
    assert descent_shape(1.0, 1, 0.0, 0.9) == "falls, then rises"


def test_a_slope_that_vanishes_at_the_end_is_no_rise() -> None:
    """One step, c = 1: τ = x + (1 − x)², whose least value is at ½, where D is exactly 0."""
    assert float(slope(0.5, 1.0, 1)) == 0
    assert np.all(np.diff(descent(np.linspace(1e-3, 0.5, 101), 1.0, 1)) < 0)
    assert descent_shape(1.0, 1, 0.0, 0.5) == "falls"
    assert descent_turns(1.0, 1, 0.0, 0.5) == ()
    assert descent_shape(1.0, 1, 0.0, 0.75) == "falls, then rises"
    assert descent_turns(1.0, 1, 0.0, 0.75) == pytest.approx((0.5,))
    assert descent_shape(1.0, 1, 0.5, 0.75) == "rises"


@given(st.integers(1, 60), st.floats(1e-6, 0.99), st.floats(0, 1))
def test_slope_by_the_sum(steps: int, x: float, c: float) -> None:
    average = np.mean((1 - x) ** -np.arange(steps, dtype=float))
    expected = 1 - (average - 1) ** 2 - 2 * c * (1 - x)
    np.testing.assert_allclose(slope(x, c, steps), expected, rtol=1e-10, atol=1e-9)


@given(
    steps=st.sampled_from([1, 2, 3, 5, 10, 40, 1000]),
    c=st.one_of(st.floats(0, 0.5), st.floats(0.5, 0.9), st.floats(0.9, 5)),
    lowest=st.floats(0, 0.6),
    highest=st.floats(0.05, 0.98),
)
def test_descent_shape_by_brute_force(steps: int, c: float, lowest: float, highest: float) -> None:
    if highest < lowest + 0.02:
        lowest = 0.0
    if steps > 100:  # everything happens at x of order 1/steps
        lowest, highest = 10 * lowest / steps, 10 * highest / steps

    def sample(low: float, high: float, shift: float) -> np.ndarray:
        return descent(np.maximum(np.linspace(low, high, 20_001), 1e-9), max(c + shift, 0.0), steps)

    assert seen_on_a_grid(descent_shape(c, steps, lowest, highest), sample, lowest, highest)


@pytest.mark.parametrize(("steps", "width"), [(2, 0.25808), (3, 0.080046), (10, 0.0054019), (50, 0.00020277)])
def test_the_window_of_fall_rise_fall(steps: int, width: float) -> None:
    """Descent has a shape just above c = ½ that flow does not have."""
    three = "falls, then rises, then falls"
    assert descent_shape(0.5 + 0.98 * width, steps, 0.0, 0.99) == three
    assert descent_shape(0.5 + 1.02 * width, steps, 0.0, 0.99) == "falls"
    assert descent_shape(0.5 - 0.1 * width, steps, 0.0, 0.99) == "rises, then falls"


@pytest.mark.parametrize(
    "arguments", [(0.1, 0, 0.1, 0.5), (0.1, 3, 0.1, 1.0), (0.1, 3, 0.5, 0.5), (-1.0, 3, 0.1, 0.5), (0.1, 3, -0.1, 0.5)]
)
def test_descent_shape_refuses(arguments: tuple[float, int, float, float]) -> None:
    with pytest.raises(InvalidInput):
        descent_shape(*arguments)


# ---- from a setting


@given(
    low=st.floats(0, 0.6),
    width=st.floats(0.05, 0.3),
    variance=st.sampled_from([0.0, 0.01, 0.3, 1.0]),
    init=st.sampled_from([0.0, 0.001, 0.01, 0.1]),
    steps=st.integers(0, 30),
    parametrization=st.sampled_from(["standard", "ntk"]),
)
def test_predicted_shape_by_brute_force(
    low: float, width: float, variance: float, init: float, steps: int, parametrization: str
) -> None:
    """Diagonal rows, hence any s as an eigenvalue: τ of `predict` on a grid of them has the predicted shape."""
    size, high = 100, low + width
    ntk = parametrization == "ntk"  # then S is divided by d = size, and σ_0² is not
    training = Training(learning_rate=float(size) if ntk else 1.0, steps=steps)

    def setting_on(low: float, high: float, shift: float) -> tuple[Setting, np.ndarray]:
        rows = np.sqrt(size) * np.diag(np.sqrt(np.linspace(low, high, size)))
        taught = variance * training.learning_rate * steps / size
        network = Network(
            init_variance=max(init + shift * taught, 0.0) * (1 if ntk else size), parametrization=parametrization
        )
        return fixed_setting(rows, training, labels=Labels(variance=variance), network=network), rows

    def sample(low: float, high: float, shift: float) -> np.ndarray:
        setting, rows = setting_on(low, high, shift)
        return predict(setting, rows=rows).readings[0].tau

    assert seen_on_a_grid(*predicted_shape(*setting_on(low, high, 0.0)), sample, low, high)


def test_the_three_panels_from_one_setting() -> None:
    """Fewer updates rise, more rise and then fall, a large init only falls."""
    rows = np.sqrt(30) * np.diag(np.sqrt(np.linspace(0.1, 3.0, 30)))
    small, large = Network(init_variance=0.03), Network(init_variance=30.0)
    training = Training(learning_rate=0.1, steps=(1, 3, 40))
    rising = predicted_shape(fixed_setting(rows, training, network=small), rows)
    assert rising == ("rises", "rises", "rises, then falls")
    assert predicted_shape(fixed_setting(rows, training, network=large), rows) == ("falls",) * 3


def test_flat_where_nothing_distinguishes() -> None:
    rows = np.eye(3)
    assert predicted_shape(fixed_setting(rows, Training(steps=(0, 5))), rows) == ("flat", "flat")
    nothing = fixed_setting(
        np.diag([1.0, 0.5]), Training(), labels=Labels(variance=0.0), network=Network(init_variance=0.0)
    )
    assert predicted_shape(nothing, np.diag([1.0, 0.5])) == ("flat",)


@pytest.mark.parametrize(
    ("keys", "network", "reason"),
    [
        ({"momentum": 0.5}, {}, "momentum"),
        ({"weight_decay": 0.1}, {}, "weight_decay"),
        ({"drops": ((1, 0.5),)}, {}, "drops"),
        ({"batch_size": 1}, {}, "batch_size"),
        ({}, {"init_spectrum": (1.0, 2.0)}, "init_spectrum"),
        ({"learning_rate": 2.0}, {}, "η s_max = 1 >= 1"),
    ],
)
def test_outside_the_regime(keys: dict, network: dict, reason: str) -> None:
    rows = np.diag([1.0, 0.5])
    with pytest.raises(NoClosedForm, match=reason):
        predicted_shape(fixed_setting(rows, Training(**keys), network=Network(**network)), rows)


def test_rows_must_fit() -> None:
    setting = Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=4, fixed=True))
    with pytest.raises(InvalidInput, match=r"rows\.shape"):
        predicted_shape(setting, np.ones((3, 2)))
