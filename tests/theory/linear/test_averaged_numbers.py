"""Averages over Gaussian rows, number by number: the parameter of the expansion, budgets, signs, the limit of rates."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy.optimize import brentq

from tests.theory.linear.gaussian_rows import BASE
from theory.catalogue import predict
from theory.errors import NoClosedForm
from theory.linear import averaged
from theory.linear.averaged import contour_margin, given_rows, parameter, unstable
from theory.setting import Data, Labels, Network, Setting, Training

SPECTRUM = (0.5, 1.0, 1.0, 2.0)


def setting_of(samples: int, init: float = 0.8, sigma_y2: float = 1.5, parametrization: str = "standard", **training):
    return Setting(
        data=Data(kind="gaussian", spectrum=SPECTRUM, samples=samples),
        labels=Labels(variance=sigma_y2),
        network=Network(init_variance=init, parametrization=parametrization),
        training=Training(**training),
    )


def one_step(s: np.ndarray, n: int, eta: float, initial: float, sigma_y2: float) -> tuple[np.ndarray, np.ndarray]:
    """E τ after one step from E[S²] = s² + (s tr Σ + s²)/n, and the part that the leading order has."""
    square = s**2 + s * s.sum() / n
    leading = initial * (1 - 2 * eta * s + eta**2 * square) + sigma_y2 * eta**2 * s / n
    return leading + initial * eta**2 * s**2 / n, leading


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_forms_after_one_step(parametrization: str) -> None:
    """The correction is added, in units of the raw weights; the plug-in has neither it nor the trace."""
    n, eta = 40, 0.125
    setting = setting_of(n, learning_rate=eta, steps=1, parametrization=parametrization)
    s, initial = np.array(SPECTRUM), 0.8 / 4
    if parametrization == "ntk":
        s, initial = s / 4, 0.8
    exact, leading = one_step(s, n, eta, initial, 1.5)
    foil = initial * (1 - eta * s) ** 2 + 1.5 / n * s * eta**2
    for name, expected in (
        ("linear-averaged-second-order", exact),
        ("linear-averaged", leading),
        ("linear-plug-in", foil),
    ):
        reading = predict(setting, formula=name).readings[0]
        np.testing.assert_allclose(reading.tau, expected[[0, 1, 3]], rtol=1e-9)


def kappa(setting: Setting, leading: np.ndarray, correction: np.ndarray) -> float:
    """κ by its definition: k by bisection, df_2 as a sum, T by a loop over steps."""
    training, n = setting.training, setting.data.sample_count
    s = np.array(setting.data.eigenvalues)
    time = sum(training.learning_rate_at(step) for step in range(training.readings[-1])) / (1 - training.momentum)
    least = training.weight_decay + 1 / (2 * time)
    k = brentq(lambda k: least + k / n * np.sum(s / (s + k)) - k, least, 1e6, xtol=1e-14, rtol=1e-14)
    resolved = sum(v**2 / (v + k) ** 2 for v in s)
    return max(np.abs(correction / leading).max(), 1 / (n - resolved))


@pytest.mark.parametrize("samples", [12, 100])
@pytest.mark.parametrize(
    "training",
    [
        Training(learning_rate=0.1, steps=(2, 30)),
        Training(learning_rate=0.05, steps=200, momentum=0.5),
        Training(learning_rate=0.1, steps=400, weight_decay=0.3, drops=((10, 0.5),)),
    ],
)
def test_the_parameter_and_the_budgets_made_of_it(samples: int, training: Training) -> None:
    """2 κ for the leading order, 1.5 κ² for both, and for the plug-in what parts it from both besides."""
    setting = msgspec.structs.replace(setting_of(samples), training=training)
    s, initial = np.array(SPECTRUM), 0.2
    leading, correction = averaged.averaged_variances(training, s, samples=samples, sigma_y2=1.5, initial=initial)
    size = kappa(setting, leading, correction)
    assert parameter(setting, leading, correction) == pytest.approx(size, rel=1e-9)
    budgets = {
        name: predict(setting, formula=name).error_budget
        for name in ("linear-averaged", "linear-averaged-second-order", "linear-plug-in")
    }
    assert budgets["linear-averaged"] == pytest.approx(max(0.02, 2 * size), rel=1e-9)
    assert budgets["linear-averaged-second-order"] == pytest.approx(max(0.02, 1.5 * size**2), rel=1e-9)
    foil = given_rows(training, samples, 1.5, initial, s)
    away = np.abs((leading + correction - foil) / foil).max()
    assert budgets["linear-plug-in"] == pytest.approx(away + max(0.02, 1.5 * size**2), rel=1e-9)


def test_the_parameter_is_one_over_n_before_anything_is_learnt() -> None:
    """No time, no direction resolved, and no term of order 1/n: κ = 1/n; where both orders are zero nothing is off."""
    setting = setting_of(10, learning_rate=0.1, steps=0)
    assert parameter(setting, np.ones((1, 4)), np.zeros((1, 4))) == pytest.approx(1 / 10, rel=1e-15)
    assert parameter(setting, np.zeros((1, 4)), np.zeros((1, 4))) == pytest.approx(1 / 10, rel=1e-15)
    assert predict(setting, formula="linear-averaged").error_budget == pytest.approx(0.2, rel=1e-12)
    short = setting_of(10, learning_rate=0.125, steps=1)  # flow time 1/8: hardly anything is resolved
    expected = kappa(short, np.ones(4), np.zeros(4))
    assert 1 / 10 < expected < 1 / 9
    assert parameter(short, np.ones((1, 4)), np.zeros((1, 4))) == pytest.approx(expected, rel=1e-9)


def test_the_expansion_ends_at_one_half() -> None:
    setting = setting_of(10, learning_rate=0.1, steps=0)
    for size, refused in ((0.4999, False), (0.5, False), (0.5001, True)):
        correction = np.array([[0.0, -size, 0.1, 0.0]])
        if refused:
            with pytest.raises(NoClosedForm, match=r"its parameter is 0\.5, more than 0\.5"):
                parameter(setting, np.ones((1, 4)), correction)
        else:
            assert parameter(setting, np.ones((1, 4)), correction) == size


def test_the_margin_is_one_over_twice_the_flow_time_of_the_last_reading() -> None:
    training = Training(learning_rate=0.1, steps=(3, 20), drops=((10, 0.5),), momentum=0.5)
    time = (10 * 0.1 + 10 * 0.05) / 0.5
    assert contour_margin(training, 2.5) == pytest.approx(1 / (2 * time + 1 / 2.5), rel=1e-14)
    assert contour_margin(Training(steps=0), 2.5) == pytest.approx(2.5, rel=1e-14)


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({}, 2.0),
        ({"weight_decay": 0.7}, 2.0),
        ({"momentum": 0.5}, 3.0),
        ({"drops": ((4, 0.1), (9, 40.0))}, 2.0 / 4),  # the largest rate of the schedule, which comes last
        ({"drops": ((0, 0.5),)}, 2.0 / 0.5),
        ({"drops": ((1, 0.5),)}, 2.0),
    ],
)
def test_rates_are_stable_up_to_five_widths_beyond_the_edge(options: dict, limit: float) -> None:
    """White rows: η (x_+ + 5 widths + λ) < 2, or 2 (1 + μ) with momentum, x_+ and width from Johnstone (2001)."""
    n, d = 100, 36
    position = (1 + np.sqrt(d / n)) ** 2
    width = (np.sqrt(n) + np.sqrt(d)) * (1 / np.sqrt(n) + 1 / np.sqrt(d)) ** (1 / 3) / n
    highest = limit / (position + 5 * width + options.get("weight_decay", 0.0))
    data = Data(kind="gaussian", spectrum=(1.0,) * d, samples=n)
    for factor, stable in ((1 - 1e-8, True), (1 + 1e-8, False)):
        training = Training(learning_rate=factor * highest, **options)
        reason = unstable(msgspec.structs.replace(BASE, data=data, training=training))
        assert (reason is None) == stable
        if reason is not None:
            assert f"may reach {position + 5 * width:.4g}" in reason


def test_rows_are_given_with_decay_in_the_propagators_only() -> None:
    """g(z) = σ_0² p² + (σ_y²/n) z q², p and q at z + λ: by a plain loop of the mean update."""
    training = Training(learning_rate=0.25, weight_decay=0.5, drops=((3, 0.5),), steps=(0, 2, 5))
    z = np.array([0.0, 0.4, 1.5])
    p, q, found = np.ones(3), np.zeros(3), []
    for step in range(6):
        if step in training.readings:
            found.append(0.3 * p * p + 1.7 / 8 * z * q * q)
        eta = 0.25 if step < 3 else 0.125
        p, q = p - eta * (z + 0.5) * p, q + eta * (1 - (z + 0.5) * q)
    np.testing.assert_allclose(given_rows(training, 8, 1.7, 0.3, z), found, rtol=1e-13)
