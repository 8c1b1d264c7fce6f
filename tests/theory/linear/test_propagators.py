"""Propagators: against the update rule in Fractions, by roots, at complex arguments, at the edge of stability."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.oracles.linear import OPTIMIZERS, rates
from theory.errors import InvalidInput
from theory.linear.propagators import constant_rate_propagator, propagators, stability_limit
from theory.setting import Training


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("h", [0.0, 2.0**-60, 2.0**-30, 2.0**-10, 0.125, 1.0, 3.0])
def test_propagators_keep_every_digit(optimizer: str, h: float) -> None:
    """p and q against the recursion in Fractions, down to h = 0, where (1 − p)/h would lose them all."""
    training = Training(learning_rate=0.25, **{**OPTIMIZERS[optimizer], "weight_decay": 0.0})
    readings = (0, 1, 2, 3, 7, 40)
    p, q = propagators(training, np.array([h]), readings)
    for row, steps in enumerate(readings):
        exact_p, exact_q = _scalar(training, Fraction(h), steps)
        assert abs(p[row, 0] - float(exact_p)) <= 4e-14
        assert abs(q[row, 0] - float(exact_q)) <= 1e-13 * abs(float(exact_q))


def _scalar(training: Training, h: Fraction, steps: int) -> tuple[Fraction, Fraction]:
    """p and q by the update rule on numbers."""
    mu = Fraction(training.momentum)
    w, v, q, u = Fraction(1), Fraction(0), Fraction(0), Fraction(0)
    for eta in rates(training, steps):
        g, e = h * w, h * q - 1
        v, u = mu * v + g, mu * u + e
        w -= eta * (g + mu * v if training.nesterov else v)
        q -= eta * (e + mu * u if training.nesterov else u)
    return w, q


@given(
    momentum=st.sampled_from([0.0, 0.25, 0.5, 0.9, 0.99]),
    nesterov=st.booleans(),
    fraction=st.floats(0.0, 0.99),
    steps=st.integers(0, 400),
    near=st.sampled_from([None, 0.0, 1e-14, -1e-9, 1e-5]),
)
@example(momentum=0.25, nesterov=False, fraction=0.0, steps=50, near=0.0)
def test_roots_agree_with_powers(
    momentum: float, nesterov: bool, fraction: float, steps: int, near: float | None
) -> None:
    """The closed form by roots, also where they are equal (`near` it), against repeated squaring.

    The tolerance is the condition of a double root: moving tr by eps moves p by up to steps² eps.
    """
    training = Training(learning_rate=1.0, momentum=momentum, nesterov=nesterov and momentum > 0)
    h = fraction * stability_limit(training)
    if near is not None:
        equal = 1 - 4 * momentum / (1 + momentum) ** 2 if training.nesterov else (1 - momentum**0.5) ** 2
        h = equal * (1 + near)
    p, q = propagators(training, np.array([h]), (steps,))
    closed = constant_rate_propagator(training, np.array([h]), steps)
    tolerance = 1e-14 * (1 + steps) ** 2
    assert abs(p[0, 0] - closed[0]) <= tolerance
    assert abs(1 - h * q[0, 0] - p[0, 0]) <= tolerance


@pytest.mark.parametrize("steps", range(7))
@pytest.mark.parametrize("momentum", [0.0, 0.125, 0.25, 0.75])
@pytest.mark.parametrize("h", [2.0**-8, 0.25, 1.5])
def test_roots_that_lie_far_apart_agree_with_the_update_rule(h: float, momentum: float, steps: int) -> None:
    """The propagators of up to six updates agree with Fractions, also where the roots are complex."""
    for nesterov in {False, momentum > 0}:
        training = Training(learning_rate=0.5, momentum=momentum, nesterov=nesterov)
        exact, _ = _scalar(training, Fraction(h), steps)
        assert constant_rate_propagator(training, np.array([h]), steps)[0] == pytest.approx(float(exact), abs=1e-13)


def test_complex_curvatures() -> None:
    """p is a polynomial: along a complex circle its mean is its value at the centre."""
    training = Training(learning_rate=0.1, momentum=0.5, nesterov=True, drops=((3, 0.5),))
    circle = 1.0 + 0.5 * np.exp(2j * np.pi * np.arange(64) / 64)
    for around, centre in zip(
        propagators(training, circle, (9,)), propagators(training, np.ones(1), (9,)), strict=True
    ):
        np.testing.assert_allclose(around.mean(), centre[0, 0], atol=1e-13)


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.5, False), (0.9, False), (0.5, True), (0.9, True)])
def test_the_stability_limit_is_sharp(momentum: float, nesterov: bool) -> None:
    training = Training(learning_rate=1.0, momentum=momentum, nesterov=nesterov)
    limit = stability_limit(training)
    p, _ = propagators(training, limit * np.array([0.999, 1.001, 1e-3]), (100_000,))
    assert abs(p[0, 0]) < 1e-6
    assert not abs(p[0, 1]) <= 1e6  # or not a number any more
    assert abs(p[0, 2]) < 1e-6


@pytest.mark.parametrize("steps", [(2, 1), (1, 1), (-1,)])
def test_steps_must_ascend(steps: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="must ascend and not be negative"):
        propagators(Training(), np.ones(2), steps)


def test_roots_belong_to_one_rate() -> None:
    with pytest.raises(InvalidInput, match=r"training\.drops"):
        constant_rate_propagator(Training(drops=((1, 0.5),)), np.ones(1), 2)
    with pytest.raises(InvalidInput, match="step"):
        constant_rate_propagator(Training(), np.ones(1), -1)
