"""Two-layer linear networks: the first step against enumeration, early times and the limit against training."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from scipy.special import gammaln

from tests.oracles.linear import exact
from tests.oracles.statistics import largest_z
from tests.oracles.two_layer import draw, enumerated, enumerated_first_step, train, two_layer_setting
from theory.catalogue import predict
from theory.errors import InvalidInput, NoClosedForm
from theory.linear import two_layer, two_layer_converged, two_layer_early
from theory.linear.two_layer import TwoLayer, flow_series, two_layer_first_step_moment
from theory.linear.two_layer_converged import converged_average, converged_many_outputs, converged_moment
from theory.linear.two_layer_early import averaged_early, early_moment, mixing_series
from theory.linear.wishart import vector_powers, wishart_powers
from theory.setting import Data, Labels, Network, Setting, Training

# ---- the first step


@pytest.mark.parametrize(("n", "d", "m", "outputs"), [(2, 1, 1, 1), (1, 2, 2, 1), (2, 2, 1, 2), (2, 1, 2, 2)])
def test_first_step_by_enumeration_in_fractions(n: int, d: int, m: int, outputs: int) -> None:
    """Equal as rational numbers: W_2 needs its fourth moments, W_1 and Y their second ones."""
    rows = np.random.default_rng([n, d, m]).integers(-3, 4, (n, d)) / 2
    scales, rate, decay = (Fraction(1, 2), Fraction(3, 2), Fraction(2)), Fraction(1, 4), Fraction(1, 8)
    found = enumerated_first_step(exact(rows), m, outputs, scales, rate, decay)
    x = exact(rows)
    s = [[sum(row[i] * row[j] for row in x) / n for j in range(d)] for i in range(d)]
    first, second, labels = scales[0] ** 2, scales[1] ** 2 / 3, scales[2] ** 2
    for i in range(d):
        for j in range(d):
            square = sum(s[i][k] * s[k][j] for k in range(d))
            expected = (1 - rate * decay) ** 2 * first * (i == j)
            expected -= 2 * (1 - rate * decay) * rate * outputs * first * second * s[i][j]
            expected += rate**2 * outputs * second * labels / n * s[i][j]
            expected += rate**2 * outputs * (outputs + m + 1) * first * second**2 * square
            assert found[i][j] == expected
    net = TwoLayer(m, outputs, np.full(d, float(first)), float(second), 1.0)
    computed = two_layer_first_step_moment(np.array(s, dtype=float), n, float(labels), net, float(rate), float(decay))
    np.testing.assert_allclose(computed, np.array(found, dtype=float), rtol=0, atol=1e-13 * np.abs(computed).max())


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
@pytest.mark.parametrize("spectrum", [(), (0.5, 2.0)])
@pytest.mark.parametrize("keys", [{}, {"momentum": 0.5}, {"momentum": 0.5, "nesterov": True}, {"weight_decay": 0.3}])
def test_first_step_of_a_setting_by_torch(parametrization: str, spectrum: tuple[float, ...], keys: dict) -> None:
    """E over all outcomes of one step of torch.optim.SGD on the network as the setting describes it."""
    n, d, m, outputs = 2, 2, 2, 1
    rows = np.array([[1.0, -0.5], [2.0, 0.25]])
    v1, v2, variance = 0.7, 1.3, 1.5
    ntk = parametrization == "ntk"
    first = np.array(spectrum) if spectrum else np.full(d, v1 if ntk else v1 / d)
    second = v2 if ntk else v2 / m

    def step(unit: np.ndarray, w2: np.ndarray, y: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(rows / (np.sqrt(d * m) if ntk else 1.0))
        weights = torch.tensor(unit * np.sqrt(first), requires_grad=True)
        upper = torch.tensor(w2, requires_grad=True)
        optimizer = torch.optim.SGD(
            [weights, upper],
            lr=0.4,
            momentum=keys.get("momentum", 0.0),
            nesterov=keys.get("nesterov", False),
            weight_decay=keys.get("weight_decay", 0.0),
        )
        out = torch.einsum("kcm,kmd,nd->kcn", upper, weights, x)
        (0.5 * (out - torch.from_numpy(y)).square().sum() / n).backward()  # replicas do not share weights
        optimizer.step()
        moved = weights.detach().numpy()
        return moved.transpose(0, 2, 1) @ moved / m

    expected = enumerated(
        [((m, d), 1.0, 2), ((outputs, m), np.sqrt(3 * second), 3), ((outputs, n), np.sqrt(variance), 2)], step
    )
    training = Training(learning_rate=0.8, drops=((0, 0.5), (1, 0.1)), steps=(0, 1), **keys)
    setting = two_layer_setting(
        rows,
        m,
        training,
        Labels(kind="rademacher", variance=variance, outputs=outputs),
        parametrization=parametrization,
        init_variance=(v1, v2),
        init_spectrum=spectrum,
    )
    prediction = predict(setting, rows=rows)
    assert (prediction.formula, prediction.status) == ("two-layer-first-step", "exact")
    start, moved = prediction.readings
    np.testing.assert_allclose(start.second_moment, np.diag(first), atol=1e-15)
    np.testing.assert_allclose(moved.second_moment, expected, rtol=0, atol=1e-13)
    s, v = np.linalg.eigh(rows.T @ rows / n)
    np.testing.assert_allclose(moved.sigma, np.sqrt(s), rtol=1e-12)
    np.testing.assert_allclose(moved.tau, np.diag(v.T @ expected @ v), rtol=0, atol=1e-13)


def test_first_step_with_classes_over_all_label_vectors() -> None:
    """One-hot classes are dependent between outputs; only E[YᵀY] enters."""
    rows = np.array([[1.0, -0.5], [2.0, 0.25], [0.0, 1.0]])
    n, d, m, classes = 3, 2, 1, 3
    s = rows.T @ rows / n
    expected = np.zeros((d, d))
    for number in range(classes**n):
        y = np.eye(classes)[[number // classes**k % classes for k in range(n)]].T - 1 / classes

        def step(w1: np.ndarray, w2: np.ndarray, y: np.ndarray = y) -> np.ndarray:
            moved = w1 + 0.3 * w2.transpose(0, 2, 1) @ (y @ rows / n - w2 @ w1 @ s)
            return moved.transpose(0, 2, 1) @ moved / m

        expected += enumerated([((m, d), 0.5, 2), ((classes, m), 1.5, 3)], step) / classes**n
    setting = two_layer_setting(
        rows, m, Training(learning_rate=0.3, steps=1), Labels(kind="classes", classes=3), init_variance=(0.5, 0.75)
    )
    np.testing.assert_allclose(predict(setting, rows=rows).readings[0].second_moment, expected, atol=1e-14)


def test_flow_series_by_enumeration() -> None:
    """Both derivatives at t = 0: products of up to five factors of each law, exact on three points."""
    n, d, m, outputs = 2, 2, 2, 1
    rows = np.array([[1.0, -0.5], [2.0, 0.25]])
    s, first, second, variance = rows.T @ rows / n, 0.3, 0.45, 1.5

    def second_derivative(w1: np.ndarray, w2: np.ndarray, y: np.ndarray) -> np.ndarray:
        e = y @ rows / n - w2 @ w1 @ s
        v1, v2 = w2.transpose(0, 2, 1) @ e, e @ w1.transpose(0, 2, 1)
        e_dot = -(v2 @ w1 + w2 @ v1) @ s
        acceleration = v2.transpose(0, 2, 1) @ e + w2.transpose(0, 2, 1) @ e_dot
        cross = w1.transpose(0, 2, 1) @ acceleration
        return (2 * v1.transpose(0, 2, 1) @ v1 + cross + cross.transpose(0, 2, 1)) / m

    laws = [((m, d), np.sqrt(3 * first), 3), ((outputs, m), np.sqrt(3 * second), 3), ((1, n), np.sqrt(variance), 2)]
    curvature = enumerated(laws, second_derivative) / 2
    values, basis = np.linalg.eigh(s)
    net = TwoLayer(m, outputs, np.full(d, first), second, 1.0)
    series = [flow_series(values, n, variance, net, t) for t in (0.0, 1.0, -1.0)]
    np.testing.assert_allclose(series[0], first)
    found = basis @ np.diag((series[1] + series[2]) / 2 - first) @ basis.T
    np.testing.assert_allclose(found, curvature, atol=1e-13)
    np.testing.assert_allclose((series[1] - series[2]) / 2, -2 * outputs * first * second * values, rtol=1e-12)


@pytest.mark.slow
def test_flow_series_by_monte_carlo_for_several_outputs() -> None:
    """700,000 samples of both derivatives, C = 3, m = 4, d = 5."""
    generator = np.random.default_rng(71)
    rows = generator.standard_normal((12, 5)) * np.sqrt([0.2, 0.5, 1.0, 1.5, 2.0])
    s, basis = np.linalg.eigh(rows.T @ rows / 12)
    net, total = TwoLayer(4, 3, np.full(5, 0.2), 0.16, 1.0), []
    for _ in range(70):
        g, w1, w2 = draw(generator, 10_000, rows @ basis, 4, 3, 0.2, 0.16)
        e = g - w2 @ w1 * s
        v1, v2 = w2.transpose(0, 2, 1) @ e, e @ w1.transpose(0, 2, 1)
        acceleration = v2.transpose(0, 2, 1) @ e - w2.transpose(0, 2, 1) @ ((v2 @ w1 + w2 @ v1) * s)
        total.append(((v1**2 + w1 * acceleration).mean(axis=1)).mean(axis=0))
    curvature = (flow_series(s, 12, 1.0, net, 1.0) + flow_series(s, 12, 1.0, net, -1.0)) / 2 - 0.2
    z, bound = largest_z(np.array(total), curvature)
    assert z < bound


# ---- Wishart moments


@given(st.lists(st.floats(0, 2), min_size=1, max_size=5))
def test_two_routes_to_the_powers_of_one_vector(variances: list[float]) -> None:
    np.testing.assert_allclose(
        wishart_powers(np.array(variances), 1, 12), vector_powers(np.array(variances), 12), rtol=1e-11, atol=1e-300
    )


def test_wishart_powers_by_enumeration_and_quadrature() -> None:
    """E[W²] on three points; E[W^k] on a product of Gauss–Hermite points, exact to the 39th degree."""
    nu = np.array([0.5, 1.5])
    laws = [((3, 2), np.sqrt(3.0), 3)]
    square = enumerated(laws, lambda z: (z * np.sqrt(nu)).transpose(0, 2, 1) @ (z * np.sqrt(nu)))
    np.testing.assert_allclose(np.diag(square), wishart_powers(nu, 3, 2)[1], rtol=1e-13)
    nodes, weights = np.polynomial.hermite_e.hermegauss(14)
    weights = weights / weights.sum()
    z = np.stack(np.meshgrid(*[nodes] * 4, indexing="ij"), -1).reshape(-1, 2, 2) * np.sqrt(nu)
    chance = np.einsum("i,j,k,l->ijkl", *[weights] * 4).ravel()
    w = z.transpose(0, 2, 1) @ z
    power = np.broadcast_to(np.eye(2), w.shape)
    found = wishart_powers(nu, 2, 6)
    for k in range(7):
        mean = np.tensordot(chance, power, axes=1)
        np.testing.assert_allclose(mean, np.diag(found[k]), rtol=1e-10, atol=1e-10 * found[k].max())
        power = power @ w
    with pytest.raises(InvalidInput, match="order"):
        wishart_powers(nu, 2, 25)
    with pytest.raises(InvalidInput, match="order"):
        vector_powers(nu, 61)


# ---- early times


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
    """At g = 1, t = 1: the error halves with the rate."""
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
    """Over b ~ N(0, diag ν), d = 2, on a product of Gauss–Hermite points."""
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


# ---- converged


@pytest.mark.parametrize("nu", [[1.0], [0.0, 3.0], [1.0, 0.01, 100.0], [1e-8, 1.0], [2.0] * 30])
def test_converged_average_by_adaptive_quadrature(nu: list[float]) -> None:
    variances = np.array(nu)
    found = converged_average(variances)
    for i, v in enumerate(nu):

        def integrand(y: float, v: float = v) -> float:
            return 2 * v / (1 + 2 * y * y * v) / np.prod(np.sqrt(1 + 2 * y * y * variances)) / np.sqrt(np.pi)

        pieces = [0.0, *10.0 ** np.arange(-4, 9)]
        expected = sum(integrate.quad(integrand, a, b, limit=200)[0] for a, b in pairwise(pieces))
        assert found[i] == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_converged_average_in_closed_cases() -> None:
    """E|β| of a χ law of d degrees of freedom, shared by d directions; and Monte Carlo."""
    for d in (1, 2, 7):
        mean = np.sqrt(2) * np.exp(gammaln((d + 1) / 2) - gammaln(d / 2))
        np.testing.assert_allclose(converged_average(np.full(d, 4.0)), 2 * mean / d, rtol=1e-13)
    nu = np.array([1.0, 0.3, 0.05])
    beta = np.random.default_rng(6).standard_normal((200_000, 3)) * np.sqrt(nu)
    z, bound = largest_z(beta**2 / np.linalg.norm(beta, axis=1, keepdims=True), converged_average(nu))
    assert z < bound
    for bad in ([], [-1.0], [0.0], [np.inf], [[1.0]]):
        with pytest.raises(InvalidInput, match="variances"):
            converged_average(np.array(bad))


def test_many_outputs_is_a_limit() -> None:
    """E (βᵀβ)^½ → sqrt(Cν) as C grows; half and double off for C < d."""
    nu, generator = np.array([1.0, 0.25]), np.random.default_rng(7)
    errors = []
    for outputs in (1, 10, 100):
        beta = generator.standard_normal((2000, outputs, 2)) * np.sqrt(nu)
        mean = np.mean([np.diag(converged_moment(b)) for b in beta], axis=0)
        errors.append(np.abs(mean / converged_many_outputs(nu, outputs) - 1).max())
    assert errors[0] > 0.25 > 5 * errors[1] - 0.3
    assert errors[2] < 0.02


@pytest.mark.parametrize(("outputs", "n", "d"), [(1, 12, 3), (2, 12, 3), (1, 2, 4), (3, 2, 3)])
def test_converged_moment_by_training(outputs: int, n: int, d: int) -> None:
    """Replica by replica: W_1ᵀW_1 after long training from tiny weights is (βᵀβ)^½, n above and below d."""
    generator = np.random.default_rng([outputs, n])
    rows = generator.standard_normal((n, d))
    s = rows.T @ rows / n
    g, w1, w2 = draw(generator, 6, rows, 3, outputs, 1e-12, 1e-12)
    trained = train(s, g, w1, w2, Training(learning_rate=0.05), 12_000, linear=False)[0]
    found = trained.transpose(0, 2, 1) @ trained
    for weights, label in zip(found, g, strict=True):
        limit = converged_moment(label @ np.linalg.pinv(s))
        np.testing.assert_allclose(weights, limit, atol=0.003 * np.abs(limit).max())


SMALL = np.random.default_rng(10).standard_normal((20, 3)) * np.sqrt([0.6, 1.0, 1.5])


def converged_setting(rows: np.ndarray, steps: int, **keys: object) -> Setting:
    network: dict = {"init_variance": 1e-6, **keys}
    return two_layer_setting(rows, 2, Training(learning_rate=0.05, steps=steps), **network)


@pytest.mark.parametrize("kind", ["standard", "ntk", "null space"])
def test_converged_form_of_a_setting(kind: str) -> None:
    """Within the budget of the training of the setting as described, its weights read per neuron."""
    ntk = kind == "ntk"
    rows = SMALL[:2] if kind == "null space" else SMALL
    n, d, m, steps = *rows.shape, 2, 16_000
    setting = converged_setting(rows, steps)
    if kind == "null space":  # the smallest s of 2 rows is smaller, and |β| larger
        training = msgspec.structs.replace(setting.training, learning_rate=0.03)
        setting = msgspec.structs.replace(setting, training=training)
    if ntk:  # S/(m d) and β·sqrt(m d): the same s|β| with a rate sqrt(m d) as large
        network = msgspec.structs.replace(setting.network, parametrization="ntk")
        training = msgspec.structs.replace(setting.training, learning_rate=0.05 * np.sqrt(m * d))
        setting = msgspec.structs.replace(setting, network=network, training=training)
    prediction = predict(setting, rows=rows)
    assert prediction.formula == "two-layer-converged"
    (reading,) = prediction.readings
    s, basis = np.linalg.eigh(rows.T @ rows / n)
    scaled = rows @ basis / (np.sqrt(m * d) if ntk else 1)
    first, second = (1e-6, 1e-6) if ntk else (1e-6 / d, 1e-6 / m)
    g, w1, w2 = draw(np.random.default_rng(9), 200, scaled, m, 1, first, second)
    trained = train(scaled.T @ scaled / n, g, w1, w2, setting.training, steps, linear=False)[0]
    values = (trained**2).mean(axis=1)
    # against the limit with the same labels: the mean over labels is known from the tests above
    factor = 1 / (m * d) if ntk else 1.0
    inverse = np.where(s > 1e-12, 1 / np.where(s > 1e-12, s * factor, 1), 0)
    beta = g[:, 0] * inverse
    paired = beta**2 / np.linalg.norm(beta, axis=1, keepdims=True) / m
    tau = np.repeat(reading.tau, reading.multiplicity)
    seen = s > 1e-12
    error = np.abs((values - paired).mean(axis=0)[seen] / tau[seen])
    assert error.max() <= prediction.error_budget
    z, bound = largest_z(paired[:, seen], tau[seen])
    assert z < bound
    np.testing.assert_allclose(tau[~seen], first)


def test_converged_form_holds_from_the_first_step_it_accepts() -> None:
    """Bisection finds the first step that is not refused; there the budget is kept, a sixth of the way it is not."""

    def refused(steps: int) -> bool:
        try:
            two_layer_converged.predict(converged_setting(SMALL, steps), SMALL)
        except NoClosedForm:
            return True
        return False

    low, high = 1, 16_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if refused(middle) else (low, middle)
    s, basis = np.linalg.eigh(SMALL.T @ SMALL / 20)
    g, w1, w2 = draw(np.random.default_rng(14), 400, SMALL @ basis, 2, 1, 1e-6 / 3, 1e-6 / 2)
    beta = g[:, 0] / s
    limit = (beta**2 / np.linalg.norm(beta, axis=1, keepdims=True)).mean(axis=0) / 2
    errors = []
    for steps in (high // 6, high):
        trained = train(np.diag(s), g, w1, w2, Training(learning_rate=0.05), steps, linear=False)[0]
        errors.append(np.abs((trained**2).mean(axis=(0, 1)) / limit - 1).max())
    assert errors[0] > two_layer_converged.ERROR_BUDGET > errors[1]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"steps": 50}, "leaves e"),
        ({"init_variance": 0.1}, "initial variances"),
        ({"init_variance": 0.0}, "leaves e"),
        ({"learning_rate": 0.5}, "learning rate times the curvature"),
        ({"variance": 0.0}, "nothing is learnt"),
    ],
)
def test_converged_form_refuses(changes: dict, match: str) -> None:
    setting = converged_setting(SMALL, changes.get("steps", 16_000), init_variance=changes.get("init_variance", 1e-6))
    rate = changes.get("learning_rate", 0.05)
    setting = msgspec.structs.replace(
        setting,
        training=msgspec.structs.replace(setting.training, learning_rate=rate),
        labels=Labels(variance=changes.get("variance", 1.0)),
    )
    with pytest.raises(NoClosedForm, match=match):
        two_layer_converged.predict(setting, SMALL)


# ---- hypotheses


BASE = two_layer_setting(np.ones((8, 2)), 3, Training(steps=1))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"network": Network()}, "network.kind = 'linear'"),
        ({"network": Network(kind="mlp", hidden=(3,))}, "network.activation = 'relu'"),
        ({"network": Network(kind="mlp", hidden=(3, 4), activation="identity")}, "network.hidden"),
        ({"network": Network(kind="mlp", hidden=(3,), activation="identity", bias=True)}, "network.bias"),
        ({"training": Training(steps=1, optimizer="adam")}, "training.optimizer"),
        ({"training": Training(steps=1, l1=0.1)}, "training.l1"),
        ({"training": Training(steps=1, batch_size=4)}, "training.batch_size = 4"),
        ({"labels": Labels(kind="teacher")}, "labels.kind = 'teacher'"),
        ({"training": Training(steps=1, loss="cross-entropy"), "labels": Labels(kind="classes")}, "training.loss"),
        ({"data": Data(kind="gaussian", spectrum=(1.0, 1.0), samples=8)}, "data.fixed = false"),
    ],
)
def test_each_missing_hypothesis_is_named(changes: dict, reason: str) -> None:
    for form in (two_layer, two_layer_early, two_layer_converged):
        answer = form.refusal(msgspec.structs.replace(BASE, **changes))
        assert answer is not None
        assert answer.startswith(reason)


@pytest.mark.parametrize(
    ("form", "changes", "reason"),
    [
        (two_layer, {"training": Training(steps=(1, 2))}, "training.steps"),
        (two_layer_early, {"labels": Labels(kind="rademacher")}, "labels.kind = 'rademacher'"),
        (two_layer_early, {"train": "first"}, "network.train = 'first'"),
        (two_layer_early, {"init_spectrum": (1.0, 2.0)}, "network.init_spectrum"),
        (two_layer_converged, {"labels": Labels(outputs=2)}, "labels: gaussian, 2 outputs"),
        (two_layer_converged, {"train": "first"}, "network.train = 'first'"),
        (two_layer_converged, {"init_spectrum": (1.0, 2.0)}, "network.init_spectrum"),
        (two_layer_converged, {"training": Training(momentum=0.5)}, "training.momentum"),
    ],
)
def test_each_own_hypothesis_is_named(form: object, changes: dict, reason: str) -> None:
    network = {key: changes[key] for key in ("train", "init_spectrum") if key in changes}
    tables = {key: value for key, value in changes.items() if key not in network}
    if network:
        tables["network"] = msgspec.structs.replace(BASE.network, **network)
    answer = form.refusal(msgspec.structs.replace(BASE, **tables))  # type: ignore[attr-defined]
    assert answer is not None
    assert answer.startswith(reason)


def test_exact_is_preferred_and_the_first_step_knows_both_trainings() -> None:
    rows = np.random.default_rng(12).standard_normal((8, 2))
    for train_what in ("all", "first"):
        setting = two_layer_setting(rows, 3, Training(steps=(0, 1)), train=train_what, init_variance=1e-4)
        assert predict(setting, rows=rows).formula == "two-layer-first-step"
    with pytest.raises(NoClosedForm, match="exact at steps 0 and 1 only"):
        predict(two_layer_setting(rows, 3, Training(steps=5), train="first"), rows=rows)
