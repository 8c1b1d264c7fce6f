"""Two-layer linear networks at early times: the mixing series, averages, what saturation takes."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.oracles.statistics import largest_z
from tests.oracles.two_layer import draw, train, two_layer_setting
from theory.catalogue import predict
from theory.errors import NoClosedForm
from theory.linear import two_layer_early
from theory.linear.two_layer_early import averaged_early, early_moment, mixing_series
from theory.linear.wishart import LARGEST_ORDER, LARGEST_ORDER_OF_A_VECTOR, vector_powers, wishart_powers
from theory.setting import Labels, Setting, Training

EARLY = {
    "descent": {},
    "decay, drops": {"weight_decay": 0.2, "drops": ((1, 0.5), (3, 0.25))},
    "heavy ball": {"momentum": 0.6},
    "nesterov, decay": {"momentum": 0.6, "nesterov": True, "weight_decay": 0.1},
}


@pytest.mark.parametrize("optimizer", EARLY)
@pytest.mark.parametrize("outputs", [1, 3])
def test_mixing_series_is_the_linearised_optimizer(optimizer: str, outputs: int) -> None:
    """Given G: σ_1² c(√W)² + σ_2² s(√W)², from the series, is the mean over W_1 and W_2 of the linearised training."""
    generator = np.random.default_rng(3)
    d, m, steps = 3, 2, 6
    training = Training(learning_rate=0.2, **EARLY[optimizer])
    g = generator.standard_normal((1, outputs, d))
    first, second = 0.3, 0.7
    # linear in (W_1, W_2): the images of their basis vectors add up
    expected = np.zeros((d, d))
    for variance, shape in ((first, (m, d)), (second, (outputs, m))):
        for k in range(shape[0] * shape[1]):
            unit = np.eye(shape[0] * shape[1])[k].reshape(1, *shape)
            w1 = unit if shape == (m, d) else np.zeros((1, m, d))
            w2 = unit if shape != (m, d) else np.zeros((1, outputs, m))
            moved = train(np.eye(d), g, w1, w2, training, steps, linear=True)[0][0]
            expected += variance * moved.T @ moved / m
    c, s = mixing_series(training, steps, 40, 2.0)
    w = g[0].T @ g[0]
    modes, basis = np.linalg.eigh(w)
    x = np.maximum(modes, 0) / 4.0
    cosh, sinh = np.polynomial.polynomial.polyval(x, c), np.sqrt(x) * np.polynomial.polynomial.polyval(x, s)
    np.testing.assert_allclose((basis * (first * cosh**2 + second * sinh**2)) @ basis.T, expected, atol=1e-12)


def test_mixing_series_tends_to_cosh_and_sinh() -> None:
    """The error at g = 1, t = 1 halves with the rate."""
    errors = []
    for steps in (100, 200):
        c, s = mixing_series(Training(learning_rate=1 / steps), steps, 30, 1.0)
        errors.append([c.sum() - np.cosh(1), s.sum() - np.sinh(1)])
    np.testing.assert_allclose(np.array(errors[0]) / errors[1], 2, atol=0.02)
    assert np.abs(errors).max() < 0.01


def test_early_moment_given_the_labels() -> None:
    """Flow: the discrete series at a tiny rate, for more outputs than dimensions and fewer."""
    for outputs in (1, 4):
        g = np.random.default_rng(outputs).standard_normal((outputs, 3))
        modes, basis = np.linalg.eigh(g.T @ g)
        x = np.sqrt(np.maximum(modes, 0))
        expected = (basis * (0.2 * np.cosh(0.7 * x) ** 2 + 0.5 * np.sinh(0.7 * x) ** 2)) @ basis.T
        np.testing.assert_allclose(early_moment(g, 0.2, 0.5, 0.7), expected, atol=1e-12)


@pytest.mark.parametrize("steps", [0, 1, 6])
def test_average_over_one_output_by_quadrature(steps: int) -> None:
    """The average over b ~ N(0, diag ν), d = 2, is that on a product of Gauss–Hermite points."""
    nu, training = np.array([0.3, 0.9]), Training(learning_rate=0.25, momentum=0.3)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    expected = np.zeros(2)
    c, s = mixing_series(training, steps, 60, 1.0)
    for x, p in zip(nodes, weights, strict=True):
        for y, q in zip(nodes, weights, strict=True):
            b = np.array([x, y]) * np.sqrt(nu)
            length = b @ b
            cosh, sinh = np.polynomial.polynomial.polyval(length, c), np.polynomial.polynomial.polyval(length, s)
            grown = 0.2 * (cosh**2 - np.polynomial.polynomial.polyval(0.0, c) ** 2) + 0.5 * length * sinh**2
            expected += p * q * (0.2 * c[0] ** 2 + grown * b**2 / length)
    found, _ = averaged_early(training, steps, nu, 1, 0.2, 0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_average_over_many_outputs_by_monte_carlo() -> None:
    generator = np.random.default_rng(5)
    nu = np.array([0.1, 0.3, 0.5])
    g = generator.standard_normal((40_000, 4, 3)) * np.sqrt(nu)
    c, s = mixing_series(Training(learning_rate=0.2), 5, 24, 1.0)
    modes, basis = np.linalg.eigh(g.transpose(0, 2, 1) @ g)
    x = np.maximum(modes, 0)
    cosh, sinh = np.polynomial.polynomial.polyval(x, c), np.polynomial.polynomial.polyval(x, s)
    values = np.einsum("kij,kj->ki", basis**2, 0.2 * cosh**2 + 0.5 * x * sinh**2)
    z, bound = largest_z(values, averaged_early(Training(learning_rate=0.2), 5, nu, 4, 0.2, 0.5)[0])
    assert z < bound


def test_leading_terms_of_the_average() -> None:
    """σ_1² + (σ_1² + σ_2²)[t²Cν + (t⁴/3)(C(C + 1)ν² + C tr(V) ν)], in flow."""
    nu, t, outputs = np.array([0.2, 1.0]), 0.05, 3
    training = Training(learning_rate=t / 4000)
    found, _ = averaged_early(training, 4000, nu, outputs, 0.3, 0.4)
    series = t**2 * outputs * nu + t**4 / 3 * (outputs * (outputs + 1) * nu**2 + outputs * nu.sum() * nu)
    np.testing.assert_allclose(found - 0.3, 0.7 * series, rtol=2e-3)


ROWS = np.random.default_rng(0).standard_normal((30, 5)) * np.sqrt([0.2, 0.5, 1, 1.5, 2])


@pytest.mark.parametrize(
    ("width", "outputs", "variance", "steps", "keys"),
    [
        (4, 1, 1e-5, 25, {}),
        (8, 3, 1e-5, 20, {"weight_decay": 0.05}),
        (4, 1, 1e-5, 12, {"momentum": 0.5}),
        (4, 1, 1e-5, 45, {}),
        (8, 3, 1e-4, 25, {}),
    ],
)
def test_what_saturation_takes_stays_below_its_estimate(
    width: int, outputs: int, variance: float, steps: int, keys: dict
) -> None:
    """The same draws trained with and without the output in the residual: the difference is what is neglected."""
    generator = np.random.default_rng([width, outputs, steps])
    first, second = variance, 2 * variance
    training = Training(learning_rate=0.1, **keys)
    s, basis = np.linalg.eigh(ROWS.T @ ROWS / 30)
    tau, growth = averaged_early(training, steps, s / 30, outputs, first, second)
    estimate = growth * s.max() * (width + 2) * (first + second)
    g, w1, w2 = draw(generator, 10_000, ROWS @ basis, width, outputs, first, second)
    full, linear = (
        train(np.diag(s), g, w1, w2, training, steps, linear=drop)[0].__pow__(2).mean(axis=1) for drop in (False, True)
    )
    lost = (linear - full).mean(axis=0) / tau
    error = (linear - full).std(axis=0) / tau / 100
    assert np.all(lost - 6 * error <= estimate)
    assert lost.max() >= estimate.max() / 12
    z, bound = largest_z(linear, tau)
    assert z < bound


def early_setting(steps: int | tuple[int, ...], outputs: int = 1, **network: object) -> Setting:
    keys: dict = {"init_variance": (5e-5, 8e-5), **network}
    return two_layer_setting(ROWS, 4, Training(learning_rate=0.1, steps=steps), Labels(outputs=outputs), **keys)


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_early_form_of_a_setting(parametrization: str, outputs: int) -> None:
    """The mapping of both parametrizations: within the budget of the full training of the setting as described."""
    ntk, d, m, steps = parametrization == "ntk", 5, 4, 20  # G/sqrt(m d) and a rate sqrt(m d) as large: the same t g
    training = Training(learning_rate=0.1 * np.sqrt(d * m) if ntk else 0.1, steps=steps)
    variances = (1e-5, 2e-5) if ntk else (5e-5, 8e-5)
    setting = two_layer_setting(
        ROWS, m, training, Labels(outputs=outputs), parametrization=parametrization, init_variance=variances
    )
    prediction = predict(setting, rows=ROWS)
    assert (prediction.formula, prediction.status) == ("two-layer-early", "asymptotic")
    assert prediction.error_budget == two_layer_early.ERROR_BUDGET
    s, basis = np.linalg.eigh(ROWS.T @ ROWS / 30)
    rows = ROWS @ basis / (np.sqrt(d * m) if ntk else 1)
    g, w1, w2 = draw(np.random.default_rng(8), 30_000, rows, m, outputs, 1e-5, 2e-5)
    full = train(rows.T @ rows / 30, g, w1, w2, training, steps, linear=False)[0].__pow__(2).mean(axis=1)
    (reading,) = prediction.readings
    np.testing.assert_allclose(reading.sigma, np.sqrt(s), rtol=1e-12)
    assert reading.tau.max() > 1.5 * reading.tau.min()
    error = full.std(axis=0) / reading.tau / np.sqrt(30_000)
    assert np.all(np.abs(full.mean(axis=0) / reading.tau - 1) <= 0.05 + 6 * error)
    np.testing.assert_allclose(reading.second_moment, (basis * reading.tau) @ basis.T, atol=1e-18)


def test_early_form_refuses_from_the_budget_on() -> None:
    """s_max (m + 2)(σ_1² + σ_2²) times the growth, at the first step beyond 5 %: 10 % earlier or later is seen."""
    s = np.linalg.eigvalsh(ROWS.T @ ROWS / 30)
    lost = {}
    for steps in range(28, 45):
        _, growth = averaged_early(Training(learning_rate=0.1), steps, s / 30, 1, 1e-5, 2e-5)
        lost[steps] = growth.max() * s.max() * 6 * 3e-5
    last = max(steps for steps, value in lost.items() if value <= 0.05)
    assert lost[last] > 0.04
    two_layer_early.predict(early_setting(last), ROWS)
    with pytest.raises(NoClosedForm, match="saturation"):
        two_layer_early.predict(early_setting(last + 1), ROWS)


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_series_must_have_converged(outputs: int) -> None:
    """The series is refused from the step at which its last terms exceed 10⁻⁹ of all terms without their signs.

    The last terms are of order γ^(2 · LARGEST_ORDER).
    """
    order = LARGEST_ORDER_OF_A_VECTOR if outputs == 1 else LARGEST_ORDER
    unit = np.array([0.4, 1.0])
    moments = vector_powers(unit, order) if outputs == 1 else wishart_powers(unit, outputs, order)
    training = Training(learning_rate=0.5)
    verdicts = {}
    for steps in range(1, 60):
        c, s = mixing_series(training, steps, order, 1.0)
        even = np.convolve(c, c)[: order + 1] + np.concatenate([[0.0], np.convolve(s, s)[:order]])
        both = np.convolve(even, np.convolve(c, s)[: order + 1])[: order + 1]
        shares = [np.abs(a[-1]) * moments[-1] / (np.abs(a) @ moments) for a in (even, both)]
        verdicts[steps] = all(np.all(share <= 1e-9) for share in shares)
    last = max(steps for steps, converged in verdicts.items() if converged)
    for steps in {*range(1, 60, 10), *range(last - 3, last + 5)}:  # averages are dear
        if verdicts[steps]:
            averaged_early(training, steps, unit, outputs, 0.2, 0.5)
        else:
            with pytest.raises(NoClosedForm, match=f"by step {steps} the modes have grown beyond the series"):
                averaged_early(training, steps, unit, outputs, 0.2, 0.5)
    assert list(verdicts.values()) == [steps <= last for steps in verdicts]
    assert 3 < last < 55


def test_early_form_refuses_late_times() -> None:
    with pytest.raises(NoClosedForm, match="saturation takes about"):
        predict(early_setting(60), rows=ROWS)
    with pytest.raises(NoClosedForm, match="grown beyond the series"):
        predict(early_setting(60, outputs=3), rows=ROWS)
    assert len(predict(early_setting((0, 5, 10)), rows=ROWS).readings) == 3


def test_early_form_at_step_zero_and_without_labels() -> None:
    np.testing.assert_allclose(two_layer_early.predict(early_setting(0), ROWS).readings[0].tau, 1e-5, rtol=1e-12)
    silent = msgspec.structs.replace(early_setting(7), labels=Labels(variance=0.0))
    np.testing.assert_allclose(two_layer_early.predict(silent, ROWS).readings[0].tau, 1e-5, rtol=1e-12)
