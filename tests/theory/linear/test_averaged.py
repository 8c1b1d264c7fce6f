"""Averages over Gaussian rows: Monte Carlo over X, the order of the error, budgets, hypotheses."""

from __future__ import annotations

from functools import partial

import msgspec
import numpy as np
import pytest
from scipy.stats import norm

from tests.oracles.averaged import averaged_diagonal
from tests.theory.linear.gaussian_rows import BASE, LINEAR, OPTIMIZERS, POWER
from theory.catalogue import choose_form, predict
from theory.errors import NoClosedForm
from theory.linear import averaged
from theory.linear.averaged import averaged_variances, given_rows, parameter, unstable
from theory.linear.equivalent import deterministic_equivalent, upper_edge
from theory.linear.flow import flow_propagators
from theory.linear.online import variances
from theory.linear.propagators import stability_limit
from theory.setting import Data, Labels, Network, Setting, Student, Training

# ---- exact moments


def test_one_step() -> None:
    """Exact with the next order; the leading one misses σ_0² η² s²/n."""
    n, eta = 20, 0.25
    training = Training(learning_rate=eta, steps=1)
    leading, correction = averaged_variances(training, LINEAR, samples=n, sigma_y2=1.5, initial=0.7)
    np.testing.assert_allclose(correction[0], 0.7 * eta**2 * LINEAR**2 / n, atol=1e-11)
    exact = variances(training, LINEAR, np.full(30, 0.7), batch_size=n, sigma_y2=1.5)
    np.testing.assert_allclose(leading + correction, exact, atol=1e-11)


# ---- contours


def test_repeated_and_zero_eigenvalues() -> None:
    """Directions of one eigenvalue agree; one without variance keeps its initial weights."""
    training = Training(learning_rate=0.2, steps=(0, 30))
    s = np.array([1.0, 0.0, 2.0, 1.0])
    leading, correction = averaged_variances(training, s, samples=12, sigma_y2=1.0, initial=0.5)
    np.testing.assert_array_equal(leading[:, 1], 0.5)
    np.testing.assert_array_equal(correction[:, 1], 0.0)
    np.testing.assert_array_equal(leading[:, 0], leading[:, 3])
    np.testing.assert_allclose(leading[0], 0.5, rtol=1e-9)


# ---- Monte Carlo over X


def scores(training: Training, s: np.ndarray, samples: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(measured − both orders)/SE, and measured/leading − 1, (r, d) each; σ_y²/n is the same at every n."""
    leading, correction = averaged_variances(training, s, samples=samples, sigma_y2=samples / 60, initial=0.05)
    measured, error = averaged_diagonal(
        partial(given_rows, training, samples, samples / 60, 0.05), np.random.default_rng(seed), s, samples, count
    )
    setting = msgspec.structs.replace(
        BASE, data=Data(kind="gaussian", spectrum=tuple(s), samples=samples), training=training
    )
    slack = averaged.SECOND * parameter(setting, leading, correction) ** 2 * leading  # the size of what is neglected
    distance = np.maximum(np.abs(measured - leading - correction) - slack, 0)
    return distance / error, measured / leading - 1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("samples", [6, 40])
def test_average_over_rows(optimizer: str, samples: int) -> None:
    training = Training(learning_rate=0.05, steps=(1, 10, 60), **OPTIMIZERS[optimizer])
    s = np.array([0.1, 0.5, 0.5, 1.0, 1.5, 2.0, 3.0, 3.0])
    z, _ = scores(training, s, samples, 6000, 11)
    assert z.max() < norm.isf(1e-7 / 2 / z.size)


def test_flow_averaged_over_rows() -> None:
    s, n = np.array([0.2, 1.0, 3.0]), 12

    def function(z: np.ndarray) -> np.ndarray:
        p, q = flow_propagators(4.0, z)
        return (0.3 * p**2 + z * q**2 / n)[None]

    leading, correction = deterministic_equivalent(function, s, n, margin=1 / 8)
    measured, error = averaged_diagonal(function, np.random.default_rng(1), s, n, 40_000)
    slack = averaged.SECOND * leading / n**2
    assert np.all(np.abs(measured - leading - correction) <= 6 * error + slack)
    assert np.abs(measured - leading).max() > 10 * error.max()  # the term of order 1/n is seen


def test_the_plug_in_is_wrong_by_what_was_measured() -> None:
    """Largest |τ/g(s) − 1| for the two spectra, n = 60, 300, 2000 (Σ = .1 … 3 linear; 3/i); η = .1."""
    for s, step, published in (
        (LINEAR, 3, (0.19, 0.12, 0.026)),
        (LINEAR, 20, (0.25, 0.07, 0.034)),
        (LINEAR, 100, (0.78, 0.11, 0.016)),
        (LINEAR, 500, (1.05, 0.12, 0.016)),
        (POWER, 500, (0.83, 0.11, 0.016)),
    ):
        for n, expected in zip((60, 300, 2000), published, strict=True):
            training = Training(learning_rate=0.1, steps=step)
            leading, correction = averaged_variances(training, s, samples=n, sigma_y2=1.0, initial=0.01)
            naive = given_rows(training, n, 1.0, 0.01, s)
            assert abs(np.abs((leading + correction) / naive - 1).max() - expected) < 0.1 * expected + 0.01


@pytest.mark.slow
@pytest.mark.parametrize("spectrum", [LINEAR, POWER], ids=["linear", "power"])
def test_the_error_is_of_order_one_over_n(spectrum: np.ndarray) -> None:
    """n = 60, 300, 2000: the leading order is off by 1/n, and both orders together by nothing that 24,000 X show."""
    training = Training(learning_rate=0.1, steps=(3, 20, 100, 500))
    measured, terms = [], []
    for n in (60, 300, 2000):
        z, relative = scores(training, spectrum, n, 24_000, n)
        assert z.max() < norm.isf(1e-7 / 2 / z.size)
        measured.append(np.abs(relative).mean(axis=1))
        leading, correction = averaged_variances(training, spectrum, samples=n, sigma_y2=n / 60, initial=0.05)
        terms.append(np.abs(correction / leading).mean(axis=1))
    # late, where the error stands well above the noise of the average: 5 at pure 1/n, and 1/(n − d) gives 9
    ratio = measured[0][2:] / measured[1][2:]
    assert np.all((ratio > 2.5) & (ratio < 9.5))
    # and what the error is to first order falls by 6.67 from 300 to 2000, as 1/(n − d) by 7.3
    ratio = terms[1] / terms[2]
    assert np.all((ratio > 5.9) & (ratio < 7.5))


@pytest.mark.slow
def test_the_second_order_is_second_order() -> None:
    """At small n, where 1/n² shows, doubling n divides what both orders leave by about four."""
    s, training = np.array([0.3, 1.0, 2.0]), Training(learning_rate=0.1, steps=(20, 200))
    left = []
    for n in (12, 24, 48):
        leading, correction = averaged_variances(training, s, samples=n, sigma_y2=1.0, initial=0.1)
        measured, error = averaged_diagonal(
            partial(given_rows, training, n, 1.0, 0.1), np.random.default_rng(n), s, n, 1_000_000
        )
        left.append(np.abs(measured / (leading + correction) - 1).max())
        assert left[-1] <= averaged.SECOND / (n - 3) ** 2 + 6 * (error / measured).max()
    assert 3 < left[0] / left[1] < 8
    assert 2 < left[1] / left[2] < 8


# ---- forms


NAMES = ("linear-averaged-second-order", "linear-averaged", "linear-plug-in")


def test_second_order_is_preferred_and_others_are_forced() -> None:
    assert choose_form(BASE).name == "linear-averaged-second-order"
    predictions = [predict(BASE, formula=name) for name in NAMES]
    assert [prediction.order for prediction in predictions] == ["1/n^2", "1/n", "d/n"]
    budgets = [prediction.error_budget for prediction in predictions]
    assert budgets[0] == 0.02
    assert 0.03 < budgets[1] < 0.07
    assert budgets[2] > 0.7
    for prediction in predictions:
        assert all(reading.second_moment is None for reading in prediction.readings)
    axes = msgspec.structs.replace(BASE, data=msgspec.structs.replace(BASE.data, rotate=False))
    np.testing.assert_array_equal(np.diag(predict(axes).readings[2].second_moment), predict(BASE).readings[2].tau)


def random_setting(seed: int) -> Setting:
    """Full batch on Gaussian rows, n above and below d, repeated and zero eigenvalues, every optimizer."""
    generator = np.random.default_rng([seed, 3])
    d, n = int(generator.integers(1, 9)), int(generator.integers(3, 60))
    eigenvalues = generator.choice([0.0, 0.3, 1.0, *generator.uniform(0.1, 3, 3)], d)
    eigenvalues[0] = generator.uniform(0.5, 3)
    momentum = float(generator.choice([0.0, 0.5, 0.9]))
    training = Training(
        learning_rate=1.0,
        momentum=momentum,
        nesterov=bool(momentum and generator.integers(2)),
        weight_decay=float(generator.choice([0.0, 0.2])),
        drops=((3, 0.5), (30, 0.5)) if generator.integers(2) else (),
        steps=int(np.exp(generator.uniform(0.7, 5))),
    )
    edge = upper_edge(eigenvalues, n)
    highest = edge.position + averaged.STRAY * edge.scale + training.weight_decay
    rate = float(generator.uniform(0.05, 0.9) * stability_limit(training) / highest)
    return Setting(
        data=Data(kind="gaussian", spectrum=tuple(eigenvalues.tolist()), samples=n),
        network=Network(init_variance=float(generator.choice([0.01, 0.3, 1.0]))),
        training=msgspec.structs.replace(training, learning_rate=rate),
        labels=Labels(variance=float(generator.uniform(0.5, 3))),
    )


def outside_budget(setting: Setting, name: str, count: int, factor: float = 1.0) -> float | None:
    """The number of standard errors by which the worst τ lies outside the budget; None where the form refuses."""
    try:
        prediction = predict(setting, formula=name)
    except NoClosedForm:
        return None
    d, n = len(setting.data.eigenvalues), setting.data.samples
    function = partial(given_rows, setting.training, n, setting.labels.variance, setting.network.layer_variances[0] / d)
    s = np.sort(setting.data.eigenvalues)
    measured, error = averaged_diagonal(function, np.random.default_rng([n, d, 9]), s, n, count)
    (reading,) = prediction.readings
    tau = np.repeat(reading.tau, reading.multiplicity) * factor
    excess = np.abs(measured[0] - tau) - prediction.error_budget * tau
    return float(np.max(excess / np.maximum(error[0], 1e-9 * measured[0])))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_budgets_are_honest(name: str) -> None:
    """240 settings: the average over X lies inside the budget, and 7 % more than the budget is found out."""
    inside, planted = [], []
    for seed in range(240):
        setting = random_setting(seed)
        if (excess := outside_budget(setting, name, 4000)) is not None:
            inside.append(excess)
            budget = predict(setting, formula=name).error_budget
            planted.append(outside_budget(setting, name, 20_000, 1 / (1.07 + 2 * budget)) > 0)
    assert len(inside) >= 200
    assert max(inside) < norm.isf(1e-6 / 2 / (8 * len(inside)))
    assert np.mean(planted) >= 0.95


@pytest.mark.parametrize("seed", range(3))
def test_budget_of_a_few_settings(seed: int) -> None:
    for name in NAMES:
        excess = outside_budget(random_setting(seed), name, 2000)
        assert excess is None or excess < 6


def test_too_few_rows_for_an_expansion_are_refused() -> None:
    setting = msgspec.structs.replace(
        BASE,
        data=Data(kind="gaussian", spectrum=(1.0,) * 10, samples=10),
        training=Training(learning_rate=0.1, steps=20_000),
    )
    with pytest.raises(NoClosedForm, match="is too small for an expansion in 1/n"):
        predict(setting)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"network": Network(kind="mlp")}, "network.kind = 'mlp'"),
        ({"labels": Labels(kind="teacher")}, "labels.kind = 'teacher'"),
        ({"data": Data(kind="gaussian", spectrum=(1.0, 2.0), fixed=True)}, "data.fixed = true"),
        ({"data": Data(kind="elliptical", spectrum=(1.0,), radial=Student())}, "data.kind = 'elliptical'"),
        ({"data": Data(kind="gaussian", spectrum=(1.0,), mean=(1.0,))}, "data.mean"),
        (
            {
                "network": Network(init_spectrum=tuple(LINEAR)),
                "data": Data(kind="gaussian", spectrum=tuple(LINEAR), rotate=False),
            },
            "network.init_spectrum",
        ),
        ({"training": Training(learning_rate=0.4)}, "training.learning_rate = 0.4: not stable on all X"),
        ({"training": Training(learning_rate=0.1, drops=((5, 4.0),))}, "training.learning_rate = 0.4: not stable"),
    ],
)
def test_each_missing_hypothesis_is_named(changes: dict, reason: str) -> None:
    answer = averaged.refusal(msgspec.structs.replace(BASE, **changes))
    assert answer is not None
    assert answer.startswith(reason)


def test_stable_on_all_rows() -> None:
    assert unstable(BASE) is None
