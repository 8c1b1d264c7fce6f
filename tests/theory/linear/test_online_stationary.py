"""Online training at rest: the stationary state, and thresholds against spectral radii."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from tests.oracles.online import MOMENTA
from theory.errors import InvalidInput
from theory.linear.online import feedback, mean_square_limit, response, stationary, variances
from theory.setting import Training

# ---- exactly


def test_the_stationary_state_in_sympy() -> None:
    """d = 1 and 2 without decay: the fixed point of the recursion, solved symbolically, is the boxed formula."""
    eta, size, k4, noise = sympy.symbols("eta B k4 sigma", positive=True)
    for d in (1, 2):
        s, p = sympy.symbols(f"s:{d}", positive=True), sympy.symbols(f"p:{d}")
        trace = sum(a * b for a, b in zip(s, p, strict=True))
        equations = [
            (1 - eta * a) ** 2 * b + eta**2 / size * ((2 * k4 - 1) * a**2 * b + a * (k4 * trace + noise)) - b
            for a, b in zip(s, p, strict=True)
        ]
        solution = sympy.solve(equations, p, dict=True)[0]
        denominators = [2 * eta * a - eta**2 * a**2 - eta**2 / size * (2 * k4 - 1) * a**2 for a in s]
        phi = k4 * eta**2 / size * sum(a**2 / b for a, b in zip(s, denominators, strict=True))
        for a, b, below in zip(s, p, denominators, strict=True):
            boxed = eta**2 * noise / size * a / (below * (1 - phi))
            assert sympy.simplify(solution[b] - boxed) == 0
            values = {eta: sympy.Rational(1, 8), size: 2, k4: sympy.Rational(3, 2), noise: 3, s[0]: 1, s[-1]: d}
            number = stationary(
                Training(learning_rate=0.125), np.arange(1.0, d + 1), batch_size=2, sigma_y2=3.0, k4=1.5
            )[s.index(a)]
            assert abs(number - float(boxed.subs(values))) < 1e-14


# ---- at rest


@pytest.mark.parametrize("optimizer", range(len(MOMENTA)))
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("k4", [0.6, 1.0, 1.5])
def test_the_recursion_settles_at_the_stationary_state(optimizer: int, decay: float, k4: float) -> None:
    s = np.array([0.0, 0.4, 1.0, 1.0, 2.0])
    training = Training(learning_rate=1.0, weight_decay=decay, steps=20_000, **(MOMENTA[optimizer] | {"drops": ()}))
    rate = 0.5 * mean_square_limit(training, s, batch_size=2, k4=k4)
    training = msgspec.structs.replace(training, learning_rate=rate)
    p = variances(training, s, np.zeros(5), batch_size=2, sigma_y2=1.3, k4=k4)[0]
    np.testing.assert_allclose(stationary(training, s, batch_size=2, sigma_y2=1.3, k4=k4), p, rtol=1e-10)


def radius(training: Training, s: np.ndarray, size: int, k4: float) -> float:
    """The spectral radius of the recursion as one 4d × 4d matrix on the moments of (w, v) ⊗ (w, v)."""
    d, eta, mu = len(s), training.learning_rate, training.momentum
    gain, carry = (eta * (1 + mu), mu) if training.nesterov else (eta, 1.0)
    whole = np.zeros((4 * d, 4 * d))
    kick = np.kron([-gain, 1.0], [-gain, 1.0])
    for i, a in enumerate(s):
        h = a + training.weight_decay
        m = np.array([[1 - gain * h, -eta * mu * carry], [h, mu]])
        whole[4 * i : 4 * i + 4, 4 * i : 4 * i + 4] = np.kron(m, m)
        for j, b in enumerate(s):
            whole[4 * i : 4 * i + 4, 4 * j] += kick * (k4 * a * b + (2 * k4 - 1) * a * a * (i == j)) / size
    return float(np.abs(np.linalg.eigvals(whole)).max())


@pytest.mark.parametrize("optimizer", range(len(MOMENTA)))
@pytest.mark.parametrize(
    ("s", "size", "k4", "decay"),
    [
        ([1.0], 1, 1.0, 0.0),
        ([0.1, 1.0, 3.0], 1, 1.0, 0.0),
        ([0.1, 1.0, 3.0], 8, 1.0, 0.2),
        ([1.0] * 5 + [2.0], 3, 1.5, 0.0),
        ([0.0, 0.5, 2.0], 2, 0.6, 0.1),
        (np.linspace(0.1, 3, 30).tolist(), 4, 1.25, 0.0),
    ],
)
def test_threshold_is_where_the_spectral_radius_is_one(
    optimizer: int, s: list[float], size: int, k4: float, decay: float
) -> None:
    training = Training(learning_rate=1.0, weight_decay=decay, **(MOMENTA[optimizer] | {"drops": ()}))
    spectrum = np.array(s)
    limit = mean_square_limit(training, spectrum, batch_size=size, k4=k4)

    def excess(rate: float) -> float:
        return radius(msgspec.structs.replace(training, learning_rate=rate), spectrum, size, k4) - 1

    root = brentq(excess, 0.9 * limit, 1.1 * limit, xtol=1e-15, rtol=1e-14)
    np.testing.assert_allclose(limit, root, rtol=5e-9)
    for rate in (0.1, 0.5, 0.999):
        assert excess(rate * limit) < 0
    with pytest.raises(InvalidInput, match=r"has no stationary state: it must lie below"):
        stationary(
            msgspec.structs.replace(training, learning_rate=1.0001 * limit),
            spectrum,
            batch_size=size,
            sigma_y2=1.0,
            k4=k4,
        )


@given(
    momentum=st.sampled_from([0.0, 0.3, 0.9, 0.99]),
    nesterov=st.booleans(),
    rates=st.lists(st.floats(1e-3, 2.5), min_size=2, max_size=2, unique=True),
)
def test_more_rate_more_noise(momentum: float, nesterov: bool, rates: list[float]) -> None:
    """c, and φ with it, increases with η: the reason why bisection finds the one threshold."""
    low, high = sorted(rates)
    first, second = (
        feedback(
            Training(learning_rate=rate, momentum=momentum, nesterov=nesterov and momentum > 0),
            np.array([0.5, 1.0]),
            batch_size=3,
        )
        for rate in (low, high)
    )
    assert first <= second


def test_without_feedback_one_direction_is_an_autoregression() -> None:
    """c against the sum of squared impulse responses."""
    for optimizer in MOMENTA:
        training = Training(learning_rate=0.4, **(optimizer | {"drops": ()}))
        eta, mu, h = 0.4, training.momentum, 0.8
        gain, carry = (eta * (1 + mu), mu) if training.nesterov else (eta, 1.0)
        m, kick = np.array([[1 - gain * h, -eta * mu * carry], [h, mu]]), np.array([-gain, 1.0])
        total = 0.0
        for _ in range(3000):
            total, kick = total + kick[0] ** 2, m @ kick
        np.testing.assert_allclose(response(training, np.array([h]))[0], total, rtol=1e-12)
