"""Diffusions beside online training: solved by other routes, their order by halving η, and honest budgets."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import solve_continuous_lyapunov

from theory.catalogue import choose_form, predict
from theory.errors import NoClosedForm
from theory.linear import diffusion, online
from theory.linear.diffusion import diffusion_variances, stationary_additive, stationary_state_dependent
from theory.linear.online import mean_square_limit, stationary, variances
from theory.setting import Data, Labels, Network, Setting, Training, TwoPoint

SPECTRUM = np.linspace(0.1, 3, 30)


@pytest.mark.parametrize("state_dependent", [True, False])
def test_the_equation_is_solved(state_dependent: bool) -> None:
    """The answer is that of a numerical integration of dp/dT, through a drop of the learning rate."""
    s, initial = np.array([0.0, 0.5, 2.0]), np.array([1.0, 0.3, 0.7])
    training = Training(learning_rate=0.2, weight_decay=0.1, drops=((6, 0.25),), steps=(0, 4, 10))
    p, found = initial, [initial]
    for rate, steps in ((0.2, 4), (0.2, 2), (0.05, 4)):

        def slope(_: float, p: np.ndarray, rate: float = rate) -> np.ndarray:
            noise = s * 1.5 + (2.0 * s**2 * p + s * 1.5 * (s @ p) if state_dependent else 0.0)
            return -2 * (s + 0.1) * p + rate / 3 * noise

        p = solve_ivp(slope, (0, rate * steps), p, rtol=1e-11, atol=1e-13).y[:, -1]
        found.append(p)
    answer = diffusion_variances(
        training, s, initial, batch_size=3, sigma_y2=1.5, k4=1.5, state_dependent=state_dependent
    )
    np.testing.assert_allclose(answer, [found[0], found[1], found[3]], rtol=1e-8)


def test_additive_noise_settles_at_the_lyapunov_solution() -> None:
    generator = np.random.default_rng(0)
    basis = np.linalg.qr(generator.standard_normal((4, 4)))[0]
    s = np.array([0.2, 1.0, 1.0, 2.5])
    sigma = basis * s @ basis.T
    h = sigma + 0.3 * np.eye(4)
    solution = solve_continuous_lyapunov(h, 0.1 / 5 * 2.0 * sigma)
    p = stationary_additive(0.1, s, batch_size=5, sigma_y2=2.0, decay=0.3)
    np.testing.assert_allclose(basis * p @ basis.T, solution, atol=1e-15)


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_stationary_states_are_limits(decay: float) -> None:
    s = np.array([0.0, 0.5, 1.0, 2.0])
    training = Training(learning_rate=0.1, weight_decay=decay, steps=10_000)
    for state_dependent in (True, False):
        p = diffusion_variances(
            training, s, np.zeros(4), batch_size=2, sigma_y2=1.3, k4=1.2, state_dependent=state_dependent
        )[0]
        if state_dependent:
            limit = stationary_state_dependent(0.1, s, batch_size=2, sigma_y2=1.3, k4=1.2, decay=decay)
        else:
            limit = stationary_additive(0.1, s, batch_size=2, sigma_y2=1.3, decay=decay)
        np.testing.assert_allclose(p, limit, rtol=1e-12)


# ---- order


def relative_errors(rate: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """1 − p^SDE/p at rest, (30,) for additive and for state-dependent noise."""
    exact = stationary(Training(learning_rate=rate), SPECTRUM, batch_size=size, sigma_y2=1.0)
    additive = stationary_additive(rate, SPECTRUM, batch_size=size, sigma_y2=1.0)
    state = stationary_state_dependent(rate, SPECTRUM, batch_size=size, sigma_y2=1.0)
    return 1 - additive / exact, 1 - state / exact


@pytest.mark.parametrize("size", [1, 8])
def test_halving_the_rate_twice_halves_the_error_twice(size: int) -> None:
    """Order η, with the coefficients of the docstrings."""
    rates = (0.001, 0.0005, 0.00025)
    errors = [relative_errors(rate, size) for rate in rates]
    for kind in (0, 1):
        for coarse, fine in pairwise(errors):
            np.testing.assert_allclose(np.abs(coarse[kind]).max() / np.abs(fine[kind]).max(), 2.0, rtol=0.03)
    expected = SPECTRUM / 2 * (1 + 1 / size) + SPECTRUM.sum() / (2 * size)
    # Richardson: the error's slope at η = 0
    slope = [2 * fine / rates[2] - coarse / rates[1] for coarse, fine in zip(errors[1], errors[2], strict=True)]
    np.testing.assert_allclose(slope[0], expected, rtol=5e-3)
    np.testing.assert_allclose(slope[1], SPECTRUM / 2, atol=5e-3)


def test_the_published_numbers() -> None:
    """d = 30, B = 8, s = 3: .0458 and .0229 at η = .01 and .005, where the first order says .0459 and .0230."""
    for rate, measured in ((0.01, 0.0458), (0.005, 0.0229)):
        assert abs(relative_errors(rate, 8)[0][-1] - measured) < 1e-4
        assert abs(rate * (1.5 * (1 + 1 / 8) + SPECTRUM.sum() / 16) - measured) < 2e-4


def test_order_on_the_way() -> None:
    """At fixed T, before rest, the error is of order η, from large initial weights and from none."""
    s = np.array([0.3, 1.0, 2.0])
    for initial in (1.0, 0.0):
        errors = []
        for rate in (0.0025, 0.00125, 0.000625):
            training = Training(learning_rate=rate, steps=round(1.0 / rate))
            start = np.full(3, initial)
            exact = variances(training, s, start, batch_size=2, sigma_y2=1.0)
            errors.append(1 - diffusion_variances(training, s, start, batch_size=2, sigma_y2=1.0) / exact)
        for coarse, fine in pairwise(errors):
            np.testing.assert_allclose(np.abs(coarse).max() / np.abs(fine).max(), 2.0, rtol=0.05)


# ---- budgets and hypotheses


@settings(max_examples=25)
@given(
    spectrum=st.lists(st.sampled_from([0.0, 0.3, 1.0, 2.0]), min_size=1, max_size=6).filter(any),
    share=st.floats(0.01, 0.49),
    size=st.integers(1, 16),
    initial=st.sampled_from([0.0, 0.01, 1.0, 10.0]),
    decay=st.sampled_from([0.0, 0.2]),
    drops=st.sampled_from([(), ((5, 0.5),), ((0, 0.5), (20, 0.1))]),
    steps=st.integers(1, 100),
    k4=st.sampled_from([1.0, 1.5]),
)
def test_budgets_cover_the_distance_to_the_exact_recursion(
    spectrum: list[float],
    share: float,
    size: int,
    initial: float,
    decay: float,
    drops: tuple,
    steps: int,
    k4: float,
) -> None:
    s = np.array(spectrum)
    training = Training(weight_decay=decay, batch_size=size, sampling="fresh", steps=(steps, steps + 50), drops=drops)
    rate = min(share / (s.max() + decay), 0.33 * mean_square_limit(training, s, batch_size=size, k4=k4))
    setting = Setting(
        data=Data(kind="elliptical", spectrum=tuple(spectrum), samples="online", radial=TwoPoint(k4=k4)),
        network=Network(init_variance=initial),
        training=msgspec.structs.replace(training, learning_rate=rate),
    )
    exact = predict(setting)
    assert exact.formula == "linear-online"
    for name in ("linear-diffusion", "linear-diffusion-additive"):
        forced = predict(setting, formula=name)
        assert (forced.status, forced.order) == ("asymptotic", "eta")
        for truth, reading in zip(exact.readings, forced.readings, strict=True):
            moving = reading.tau > 0
            errors = np.abs(truth.tau[moving] / reading.tau[moving] - 1)
            assert np.max(errors, initial=0.0) <= forced.error_budget
            np.testing.assert_array_equal(truth.tau[~moving], 0.0)


def budgets(setting: Setting) -> tuple[float, float]:
    """The budgets of both forms as the module's docstring defines them, with φ as a sum of its own.

    Directions and readings are visited by a loop.
    """
    training, s = setting.training, np.array(setting.data.eigenvalues)
    size, sigma_y2, initial = training.batch_size, setting.labels.variance, setting.network.layer_variances[0] / len(s)
    k4 = setting.data.radial.k4 if isinstance(setting.data.radial, TwoPoint) else 1.0
    decay, last = training.weight_decay, training.readings[-1]
    rates = [training.learning_rate_at(step) for step in range(last)]
    top = max(rates)
    x = [top / (h * (2 - top * h)) * v**2 / size if v else 0.0 for v, h in ((v, v + decay) for v in s)]
    phi = k4 * sum(v / (1 - (2 * k4 - 1) * v) for v in x)
    options = {"batch_size": size, "sigma_y2": sigma_y2, "k4": k4}
    state = diffusion_variances(training, s, np.full(len(s), initial), **options)
    additive = diffusion_variances(training, s, np.full(len(s), initial), **options, state_dependent=False)
    worst = 0.0
    for step, row in zip(training.readings, state, strict=True):
        time = sum(rates[:step])
        for v, p in zip(s, row, strict=True):
            share = initial * np.exp(-2 * (v + decay) * time) / p if p > 0 else 0.0
            worst = max(worst, top * (v + decay) * (1 + (v + decay) * time * share))
    steps = 1.5 * worst / (1 - phi)
    forgotten = max(abs(a / b - 1) for a, b in zip(state.flat, additive.flat, strict=True) if b > 0)
    return max(0.02, steps), max(0.02, (1 + forgotten) * (1 + steps) - 1)


@pytest.mark.parametrize(
    ("spectrum", "options"),
    [
        ((1.0, 2.0), {"learning_rate": 0.05}),
        ((0.0, 0.5, 2.0), {"learning_rate": 0.05, "weight_decay": 0.6}),
        ((1.0, 2.0), {"learning_rate": 0.05, "drops": ((1, 0.5),)}),
        ((1.0, 2.0), {"learning_rate": 0.1, "drops": ((0, 0.5),)}),
        ((0.0, 0.5, 2.0), {"learning_rate": 0.01, "weight_decay": 1.5, "drops": ((2, 0.5), (9, 4.0))}),
        ((0.3, 0.3), {"learning_rate": 0.2}),
        ((0.3,), {"learning_rate": 0.001}),
    ],
)
@pytest.mark.parametrize("k4", [1.0, 1.4])
@pytest.mark.parametrize("initial", [0.0, 2.0])
def test_budgets_number_by_number(spectrum: tuple, options: dict, k4: float, initial: float) -> None:
    setting = Setting(
        data=Data(kind="elliptical", spectrum=spectrum, samples="online", radial=TwoPoint(k4=k4)),
        network=Network(init_variance=initial),
        labels=Labels(variance=1.3),
        training=Training(batch_size=4, sampling="fresh", steps=(1, 12), **options),
    )
    state, additive = budgets(setting)
    assert predict(setting, formula="linear-diffusion").error_budget == pytest.approx(state, rel=1e-10)
    assert predict(setting, formula="linear-diffusion-additive").error_budget == pytest.approx(additive, rel=1e-10)


def test_directions_without_variance_only_decay() -> None:
    """p = p_0 e^{−2λT} there, T through a drop; without decay they keep what they have."""
    training = Training(learning_rate=0.1, weight_decay=0.7, drops=((3, 0.5),), steps=(0, 2, 8))
    s, initial = np.array([0.0, 1.0]), np.array([0.9, 0.2])
    for decay in (0.7, 0.0):
        chosen = msgspec.structs.replace(training, weight_decay=decay)
        for state_dependent in (True, False):
            p = diffusion_variances(chosen, s, initial, batch_size=3, sigma_y2=1.0, state_dependent=state_dependent)
            times = np.array([0.0, 0.2, 0.3 + 5 * 0.05])
            np.testing.assert_allclose(p[:, 0], 0.9 * np.exp(-2 * decay * times), rtol=1e-14)


@pytest.mark.parametrize(("share", "refused"), [(0.4999, False), (0.5001, True)])
def test_the_regime_ends_at_one_half(share: float, refused: bool) -> None:
    """ηh, with the decay and the largest rate of the schedule; and φ, which for Σ = 1, d = 2, B = 1 is η/(1 − η)."""
    by_rate = Setting(
        data=Data(kind="gaussian", spectrum=(1.0, 0.1), samples="online"),
        training=Training(
            learning_rate=share / 2 / 1.5, drops=((5, 2.0),), weight_decay=0.5, batch_size=64, sampling="fresh", steps=9
        ),
    )
    by_noise = Setting(
        data=Data(kind="gaussian", spectrum=(1.0, 1.0), samples="online"),
        training=Training(learning_rate=share / (1 + share), batch_size=1, sampling="fresh", steps=9),
    )
    for setting, sign in ((by_rate, "ηh"), (by_noise, "φ")):
        reason = diffusion.refusal(setting)
        assert (reason is not None) == refused
        assert reason is None or f"{sign} = 0.5 exceeds 0.5" in reason


BASE = Setting(
    data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples="online"),
    training=Training(batch_size=4, sampling="fresh", steps=20),
)


def test_forced_by_name_only() -> None:
    assert choose_form(BASE) is online.FORM
    assert choose_form(BASE, "linear-diffusion") is diffusion.FORM
    assert choose_form(BASE, "linear-diffusion-additive") is diffusion.ADDITIVE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"momentum": 0.5}, "training.momentum = 0.5"),
        ({"learning_rate": 0.26}, "training.learning_rate = 0.26: ηh = 0.52 exceeds 0.5"),
        ({"drops": ((3, 8.0),)}, "training.learning_rate = 0.05: ηh = 0.8 exceeds 0.5"),
        ({"learning_rate": 0.25, "batch_size": 1}, "training.learning_rate = 0.25: φ = 0.667 exceeds 0.5"),
    ],
)
def test_outside_the_regime_it_refuses(changes: dict, reason: str) -> None:
    setting = msgspec.structs.replace(BASE, training=msgspec.structs.replace(BASE.training, **changes))
    with pytest.raises(NoClosedForm, match=f"linear-diffusion does not apply: {reason}"):
        predict(setting, formula="linear-diffusion")


def test_the_additive_form_knows_what_it_forgets() -> None:
    """With large weights and a large trace most of the noise is the weights' own, and the budget says so."""
    setting = msgspec.structs.replace(
        BASE,
        data=Data(kind="gaussian", spectrum=(1.0,) * 20, samples="online"),
        labels=Labels(variance=0.1),
        training=Training(batch_size=1, sampling="fresh", steps=100, learning_rate=0.02),
    )
    assert predict(setting, formula="linear-diffusion-additive").error_budget > 0.8
    assert predict(setting, formula="linear-diffusion").error_budget < 0.1
