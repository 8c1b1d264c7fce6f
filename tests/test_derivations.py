"""The derivations of theory/derivations.md carried out in SymPy, and held against the numerical code."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from sympy import Expr, Symbol

from tests.oracles.two_layer import flow_series
from theory.linear.online import feedback, mean_square_limit, stationary
from theory.linear.phase_diagram import decay_peak, phase_boundary
from theory.linear.shape import flow_peak, slope
from theory.linear.two_layer import TwoLayer, two_layer_first_step_moment
from theory.linear.two_layer_converged import converged_average
from theory.linear.wishart import wishart_powers
from theory.setting import Training
from theory.transfer import initial_weight_training_loss

u, c, t = sp.symbols("u c t", positive=True)


def expectation(expression: Expr, moments: dict[Symbol, list[Expr]]) -> Expr:
    """E of a polynomial of independent variables, each given by its moments E x, E x², …"""
    for variable, values in moments.items():
        polynomial = sp.Poly(sp.expand(expression), variable)
        expression = sum(
            (coefficient * (values[power - 1] if power else 1) for (power,), coefficient in polynomial.terms()),
            sp.Integer(0),
        )
    return sp.expand(expression)


def normal(variance: Expr) -> list[Expr]:
    """The moments of N(0, v) up to the eighth: (k − 1)!! v^{k/2}."""
    return [sp.Integer(0) if k % 2 else sp.factorial2(k - 1) * variance ** (k // 2) for k in range(1, 9)]


# ---- the shape of f


def test_peak_of_the_label_part() -> None:
    """d/du (1 − e^{−u})²/u = 0 iff e^u = 1 + 2u, whose root is u* = 1.2564312…, in 30 digits."""
    derivative = sp.diff((1 - sp.exp(-u)) ** 2 / u, u)
    factored = sp.simplify(derivative * u**2 * sp.exp(2 * u) / (sp.exp(u) - 1))
    assert sp.simplify(factored - (1 + 2 * u - sp.exp(u))) == 0
    root = sp.nsolve(sp.exp(u) - 1 - 2 * u, u, 1.25, prec=30)
    assert abs(root - sp.Float("1.25643120862616967698", 20)) < sp.Float("1e-18")
    assert flow_peak(0.0) == pytest.approx(float(root), abs=1e-15)
    lambert = -sp.Rational(1, 2) - sp.LambertW(-sp.exp(-sp.Rational(1, 2)) / 2, -1)
    assert abs(sp.N(lambert, 25) - root) < sp.Float("1e-20")


def test_criterion_of_the_shape() -> None:
    """F_c' = e^{−2u}(1 − (ℰ − 1)² − 2c), so that the boundary is c*(u) = ½ − ½(ℰ − 1)²; ℰ increases from 1."""
    curve = (1 - sp.exp(-u)) ** 2 / u + c * sp.exp(-2 * u)
    growth = (sp.exp(u) - 1) / u
    assert sp.simplify(sp.diff(curve, u) * sp.exp(2 * u) - (1 - (growth - 1) ** 2 - 2 * c)) == 0
    (solution,) = sp.solve(1 - (growth - 1) ** 2 - 2 * c, c)
    for value in (0.01, 0.5, 1.2, 3.0):
        assert float(phase_boundary(value)) == pytest.approx(float(solution.subs(u, value)), rel=1e-13)
    assert sp.limit(growth, u, 0) == 1
    # u² ℰ' = (u − 1)e^u + 1, which is 0 at 0 and increases, its derivative being u e^u
    assert sp.simplify(sp.diff(growth, u) * u**2 - ((u - 1) * sp.exp(u) + 1)) == 0
    assert sp.simplify(sp.diff((u - 1) * sp.exp(u) + 1, u) - u * sp.exp(u)) == 0


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_criterion_of_descent(steps: int) -> None:
    """dτ/dx = t²(1 − x)^{2t−2} D(x) in units of σ_y² η/n."""
    x = sp.symbols("x", positive=True)
    tau = (1 - (1 - x) ** steps) ** 2 / x + c * steps * (1 - x) ** (2 * steps)
    average = sum((1 - x) ** -j for j in range(steps)) / steps
    criterion = 1 - (average - 1) ** 2 - 2 * c * (1 - x)
    assert sp.simplify(sp.diff(tau, x) - (steps * (1 - x) ** (steps - 1)) ** 2 * criterion) == 0
    numbers = {x: sp.Rational(3, 10), c: sp.Rational(1, 5)}
    assert float(slope(0.3, 0.2, steps)) == pytest.approx(float(criterion.subs(numbers)), rel=1e-13)


def test_peak_with_weight_decay() -> None:
    """The peak of s(1 − e^{−v})²/v² with v = s + ℓ solves (v − ℓ)(2/v − 2/(e^v − 1)) = 1.

    v(2/v − 2/(e^v − 1)) increases.
    """
    v, ell = sp.symbols("v ell", positive=True)
    logarithm = sp.log(v - ell) + 2 * sp.log(1 - sp.exp(-v)) - 2 * sp.log(v)
    condition = (v - ell) * (2 / v - 2 / (sp.exp(v) - 1)) - 1
    assert sp.simplify(sp.diff(logarithm, v) * (v - ell) + condition) == 0
    for decay in (sp.Rational(1, 3), sp.Integer(2)):
        root = sp.nsolve(condition.subs(ell, decay), v, float(decay) + decay_peak(float(decay)))
        assert decay_peak(float(decay)) == pytest.approx(float(root - decay), rel=1e-12)
    # d/dv of v/(e^v − 1) has the sign of e^v − 1 − v e^v < 0
    assert sp.simplify(sp.diff(v / (sp.exp(v) - 1), v) * (sp.exp(v) - 1) ** 2 - (sp.exp(v) - 1 - v * sp.exp(v))) == 0


# ---- online: the recursion of E[w wᵀ], and its fixed point


ETA, LAMBDA, B, K4, SY = sp.symbols("eta lambda B k4 sigma_y2", positive=True)


def online_step(dimension: int) -> tuple[list[Symbol], list[Symbol], dict[tuple[int, int], Expr]]:
    """(s, entries of P, E[w'w'ᵀ]): one update from one batch of B elliptical rows, by Isserlis' formula.

    x = √χ Σ^½ z with E χ = 1, E χ² = k_4; only χ and χ² occur. E[w wᵀ] = P is a full symmetric matrix.
    """
    s = sp.symbols(f"s1:{dimension + 1}", positive=True)
    z, w = sp.symbols(f"z1:{dimension + 1}"), sp.symbols(f"w1:{dimension + 1}")
    radius, y = sp.symbols("r y")
    x = [radius * sp.sqrt(value) * normal_ for value, normal_ in zip(s, z, strict=True)]
    residual = sum(a * b for a, b in zip(x, w, strict=True)) - y
    gradient = [a * residual + LAMBDA * b for a, b in zip(x, w, strict=True)]
    radial = [sp.Integer(0), sp.Integer(1), sp.Integer(0), K4]
    moments = {**{symbol: normal(sp.Integer(1)) for symbol in z}, radius: radial, y: normal(SY)}
    mean = [expectation(entry, moments) for entry in gradient]
    entries = {}
    for i in range(dimension):
        for j in range(i, dimension):
            square = expectation(gradient[i] * gradient[j], moments)
            moved = (w[i] - ETA * mean[i]) * (w[j] - ETA * mean[j]) + ETA**2 / B * (square - mean[i] * mean[j])
            entries[i, j] = sp.expand(moved)
    p = {(i, j): sp.symbols(f"p{i + 1}{j + 1}") for i in range(dimension) for j in range(i, dimension)}
    # E over w: quadratic monomials become entries of P
    for key, entry in entries.items():
        polynomial = sp.Poly(entry, *w)
        total: Expr = sp.Integer(0)
        for powers, coefficient in polynomial.terms():
            where = [i for i, power in enumerate(powers) for _ in range(power)]
            assert len(where) in (0, 2)
            total += coefficient * (p[where[0], where[1]] if where else 1)
        entries[key] = sp.expand(total)
    return list(s), [p[i, i] for i in range(dimension)], entries


@pytest.mark.parametrize("dimension", [1, 2])
def test_stationary_online_covariance(dimension: int) -> None:
    """Solve P' = P: p_i = (η²σ_y²/B) s_i/(D_i (1 − φ)), off-diagonals obey a homogeneous equation."""
    s, p, moved = online_step(dimension)
    for i, value in enumerate(s):
        a = 1 - ETA * (value + LAMBDA)
        noise = K4 * sum(x * y for x, y in zip(s, p, strict=True)) + SY
        expected = (a**2 + ETA**2 / B * (2 * K4 - 1) * value**2) * p[i] + ETA**2 / B * value * noise
        assert sp.expand(moved[i, i] - expected) == 0
    if dimension == 2:
        p12 = sp.symbols("p12")
        a1, a2 = (1 - ETA * (value + LAMBDA) for value in s)
        assert sp.expand(moved[0, 1] - (a1 * a2 + ETA**2 / B * (2 * K4 - 1) * s[0] * s[1]) * p12) == 0
    solution = sp.solve([moved[i, i] - p[i] for i in range(dimension)], p, dict=True)[0]
    d = [
        2 * ETA * (value + LAMBDA) - ETA**2 * (value + LAMBDA) ** 2 - ETA**2 / B * (2 * K4 - 1) * value**2
        for value in s
    ]
    phi = K4 * ETA**2 / B * sum(value**2 / below for value, below in zip(s, d, strict=True))
    numbers = {ETA: 0.3, LAMBDA: 0.1, B: 2, K4: 1.25, SY: 0.7, **dict(zip(s, (0.8, 1.4), strict=False))}
    training = Training(learning_rate=0.3, weight_decay=0.1)
    eigenvalues = np.array([0.8, 1.4][:dimension])
    computed = stationary(training, eigenvalues, batch_size=2, sigma_y2=0.7, k4=1.25)
    for i, value in enumerate(s):
        closed = ETA**2 * SY / B * value / d[i] / (1 - phi)
        assert sp.simplify(solution[p[i]] - closed) == 0
        assert computed[i] == pytest.approx(float(closed.subs(numbers)), rel=1e-12)
    assert feedback(training, eigenvalues, batch_size=2, k4=1.25) == pytest.approx(float(phi.subs(numbers)), rel=1e-12)


def test_mean_square_limit_of_one_direction() -> None:
    """Gaussian, λ = 0: |(1 − ηs)² + 2η²s²/B| < 1 iff ηs < 2/(1 + 2/B); for B = 1 that is 2/3."""
    s, _, moved = online_step(1)
    factor = sp.diff(moved[0, 0].subs({LAMBDA: 0, K4: 1}), sp.symbols("p11"))
    roots = sp.solve(factor - 1, ETA)
    limit = 2 / (s[0] * (1 + 2 / B))
    assert any(sp.simplify(root - limit) == 0 for root in roots)
    for size in (1, 5):
        computed = mean_square_limit(Training(), np.array([0.5]), batch_size=size)
        assert computed == pytest.approx(float(limit.subs({B: size, s[0]: 0.5})), rel=1e-12)


def test_error_of_the_diffusion_in_first_order() -> None:
    """1 − (ησ_y²/2B)/p_i = η[s_i(1 + 1/B)/2 + tr Σ/(2B)] + O(η²), λ = 0, Gaussian."""
    s = sp.symbols("s1:3", positive=True)
    d = [2 * ETA * value - ETA**2 * value**2 * (1 + 1 / B) for value in s]
    phi = ETA**2 / B * sum(value**2 / below for value, below in zip(s, d, strict=True))
    for i, value in enumerate(s):
        p = ETA**2 * SY / B * value / d[i] / (1 - phi)
        slope_ = sp.limit(sp.simplify((1 - ETA * SY / (2 * B) / p) / ETA), ETA, 0)
        assert sp.simplify(slope_ - (value * (1 + 1 / B) / 2 + sum(s) / (2 * B))) == 0


def test_one_step_averaged_over_gaussian_rows() -> None:
    """E[S²]_ii = (1 + 1/n)s_i² + s_i tr(Σ)/n for n = 2 rows in d = 2; off the diagonal nothing."""
    n = 2
    s = sp.symbols("s1:3", positive=True)
    z = [sp.symbols(f"z{k}_1:3") for k in range(n)]
    moments = {symbol: normal(sp.Integer(1)) for row in z for symbol in row}

    def entry(i: int, j: int) -> Expr:
        return sum(sp.sqrt(s[i] * s[j]) * row[i] * row[j] for row in z) / n

    square = expectation(sum(entry(0, k) * entry(k, 0) for k in range(2)), moments)
    assert sp.expand(square - ((1 + sp.Rational(1, n)) * s[0] ** 2 + s[0] * sum(s) / n)) == 0
    mixed = expectation(sum(entry(0, k) * entry(k, 1) for k in range(2)), moments)
    assert mixed == 0


# ---- two-layer linear networks, d = m = 1


def test_first_step_of_two_layers() -> None:
    """w' = (1 − ηλ)w + ηa(b − a w s), b = Σ_k x_k y_k/n over two rows, by Isserlis' formula."""
    w, a, y1, y2, x1, x2 = sp.symbols("w a y1 y2 x1 x2")
    v1, v2 = sp.symbols("sigma_1 sigma_2", positive=True)
    s, b = (x1**2 + x2**2) / 2, (x1 * y1 + x2 * y2) / 2
    moved = (1 - ETA * LAMBDA) * w + ETA * a * (b - a * w * s)
    moments = {w: normal(v1**2), a: normal(v2**2), y1: normal(SY), y2: normal(SY)}
    found = expectation(moved**2, moments)
    shrink = 1 - ETA * LAMBDA
    formula = (
        shrink**2 * v1**2
        - 2 * shrink * ETA * v1**2 * v2**2 * s
        + ETA**2 * (v2**2 * SY / 2 * s + 3 * v1**2 * v2**4 * s**2)
    )
    assert sp.expand(found - formula) == 0
    assert expectation(moved, moments) == 0
    numbers = {ETA: 0.3, LAMBDA: 0.2, v1: 0.5, v2: 1.1, SY: 1.7, x1: 0.4, x2: -1.3}
    computed = two_layer_first_step_moment(
        np.array([[float(s.subs(numbers))]]), 2, 1.7, TwoLayer(1, 1, np.array([0.25]), 1.21, 1.0), 0.3, 0.2
    )
    assert computed[0, 0] == pytest.approx(float(found.subs(numbers)), rel=1e-13)


def test_flow_of_two_layers_to_second_order() -> None:
    """ẇ = a(b − a w s), ȧ = w(b − a w s): d²/dt² E w² at 0, C = m = d = 1."""
    w, a, b = sp.symbols("w a b")
    v1, v2, s, n = sp.symbols("v1 v2 s n", positive=True)
    residual = b - a * w * s
    field = {w: a * residual, a: w * residual}

    def along(expression: Expr) -> Expr:
        return sum(sp.diff(expression, variable) * velocity for variable, velocity in field.items())

    moments = {w: normal(v1), a: normal(v2), b: normal(SY * s / n)}
    first, second = (expectation(value, moments) for value in (along(w**2), along(along(w**2)) / 2))
    assert sp.expand(first + 2 * v1 * v2 * s) == 0
    expected = SY * (v1 + v2) / n * s + 6 * v1 * v2**2 * s**2 + 2 * v1**2 * v2 * (2 * s**2 + s * s)
    assert sp.expand(second - expected) == 0
    numbers = {v1: 0.3, v2: 0.6, s: 1.4, n: 5, SY: 1.1}
    net = TwoLayer(1, 1, np.array([0.3]), 0.6, 1.0)
    series = flow_series(np.array([1.4]), 5, 1.1, net, 0.01)[0]
    value = 0.3 + 0.01 * float(first.subs(numbers)) + 1e-4 * float(second.subs(numbers))
    assert series == pytest.approx(value, rel=1e-13)


def test_small_initialisation_is_logistic_in_one_mode() -> None:
    """|p|² = |w + a|² with balanced w = a: q' = 2q(g − s q/4), from exponential growth to q = 4g/s."""
    g, s, q0 = sp.symbols("g s q0", positive=True)
    q = q0 * sp.exp(2 * g * t) / (1 + q0 * s * (sp.exp(2 * g * t) - 1) / (4 * g))
    assert sp.simplify(sp.diff(q, t) - 2 * q * (g - s * q / 4)) == 0
    assert sp.limit(q.subs({g: 2, s: 3, q0: 1}), t, sp.oo) == sp.Rational(8, 3)
    # linearised: cosh² and sinh² are the growth of w from w and from a
    w = sp.cosh(g * t)
    assert sp.simplify(sp.diff(w, t, 2) - g**2 * w) == 0


def test_second_wishart_moment_and_the_converged_average() -> None:
    """E(gᵀg)² = 3ν² for one row, and E|β| = sqrt(2ν/π) from the integral of `converged_average`, d = 1."""
    g, nu, x = sp.symbols("g nu x", positive=True)
    assert expectation(g**4, {g: normal(nu)}) == 3 * nu**2
    np.testing.assert_allclose(wishart_powers(np.array([0.7]), 1, 2)[2], 3 * 0.49)
    integral = sp.integrate(nu / (1 + 2 * x**2 * nu) ** sp.Rational(3, 2), (x, 0, sp.oo)) * 2 / sp.sqrt(sp.pi)
    assert sp.simplify(integral - sp.sqrt(2 * nu / sp.pi)) == 0
    assert converged_average(np.array([0.7]))[0] == pytest.approx(float(sp.sqrt(1.4 / sp.pi)), rel=1e-13)


# ---- transfer


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_training_loss_of_one_direction(steps: int) -> None:
    """d = 1, n = 2: descent on ½·mean (x_k w − y_k)², y = x w_* + ε, run in symbols."""
    w0, target, e1, e2, x1, x2 = sp.symbols("w0 target e1 e2 x1 x2")
    v, noise = sp.symbols("v noise", positive=True)
    rows, labels = (x1, x2), (x1 * target + e1, x2 * target + e2)
    w: Expr = w0
    for _ in range(steps):
        w = sp.expand(w - ETA * sum(x * (x * w - y) for x, y in zip(rows, labels, strict=True)) / 2)
    loss = sum((x * w - y) ** 2 for x, y in zip(rows, labels, strict=True)) / 4
    found = expectation(loss, {w0: normal(v), e1: normal(noise), e2: normal(noise)})
    s = (x1**2 + x2**2) / 2
    a = (1 - ETA * s) ** (2 * steps)
    assert sp.simplify(found - (s * a * (v + target**2) / 2 + noise / 4 * (2 - 1 + a))) == 0
    numbers = {ETA: 0.2, v: 0.6, noise: 0.9, target: 1.5, x1: 0.7, x2: -1.1}
    computed = initial_weight_training_loss(
        [float(s.subs(numbers))], [0.6], [2.25], 0.9, 2, Training(learning_rate=0.2, steps=steps)
    )
    assert computed[0] == pytest.approx(float(found.subs(numbers)), rel=1e-12)
