"""Gradient flow as the limit of small rates, at complex h too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.errors import InvalidInput
from theory.linear.flow import flow_propagators, flow_time, flow_variances
from theory.linear.propagators import propagators
from theory.setting import Training


def test_flow_is_the_limit_of_small_rates() -> None:
    h = np.array([0.0, 1e-9, 0.3, 2.0])
    p, q = flow_propagators(1.5, h)
    errors = []
    for steps in (100, 200, 400):
        found = propagators(Training(learning_rate=1.5 / steps), h, (steps,))
        errors.append(max(np.abs(found[0] - p).max(), np.abs(found[1] - q).max()))
    np.testing.assert_allclose([errors[0] / errors[1], errors[1] / errors[2]], 2.0, rtol=0.02)
    heavy = Training(learning_rate=1e-5, momentum=0.9)
    slow = propagators(heavy, h, (15_000,))
    np.testing.assert_allclose(slow[0][0], flow_propagators(flow_time(heavy, 15_000), h)[0], atol=1e-3)


@given(real=st.floats(-3, 3), imaginary=st.floats(-3, 3), exponent=st.integers(-12, 0))
def test_flow_at_complex_h(real: float, imaginary: float, exponent: int) -> None:
    h = np.array([(real + 1j * imaginary) * 10.0**exponent])
    p, q = flow_propagators(2.0, h)
    series = sum((-2 * h) ** k / np.prod(np.arange(2.0, k + 2)) for k in range(60))
    np.testing.assert_allclose(q, 2 * series, rtol=1e-9)
    np.testing.assert_allclose(p, 1 - h * q, rtol=1e-9, atol=1e-9)


def test_flow_time_is_the_sum_of_rates() -> None:
    training = Training(learning_rate=0.1, momentum=0.5, drops=((0, 0.5), (3, 0.1), (7, 2.0)))
    for step in range(12):
        expected = sum(training.learning_rate_at(k) for k in range(step)) / 0.5
        assert abs(flow_time(training, step) - expected) < 1e-15
    with pytest.raises(InvalidInput, match="step = -1"):
        flow_time(training, -1)


def test_flow_variances_peak_where_the_shape_says() -> None:
    """σ_0 = 0, λ = 0: the peak of τ at sT = 1.2564312."""
    s = np.linspace(1.2, 1.3, 100_001)
    tau = flow_variances(1.0, s, samples=10, sigma_y2=2.0, initial=0.0)
    assert abs(s[np.argmax(tau)] - 1.2564312) < 2e-6
    with_decay = flow_variances(1.0, np.array([0.5]), samples=10, sigma_y2=2.0, initial=3.0, decay=0.25)
    expected = 3 * np.exp(-1.5) + 0.2 * 0.5 * ((1 - np.exp(-0.75)) / 0.75) ** 2
    np.testing.assert_allclose(with_decay, [expected], rtol=1e-14)
