"""A, B and C: against sums over steps, in Fractions, by quadrature, at modes that are never taught."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles.lazy import exact_double_sum, flow_double_sum, matrices_by_steps
from theory.errors import InvalidInput, NoClosedForm
from theory.network.propagators import Stretch, descent_step, flow, kernel_propagators, standstill

# exactly representable, from never taught to nearly unstable (rate 1/4)
KAPPA = (0.0, 2.0**-60, 2.0**-30, 2.0**-10, 0.125, 1.0, 4.0, 7.75)


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 7, 40])
def test_descent_keeps_every_digit(steps: int) -> None:
    """ϱ^t, A and H against Fractions; beyond ηκ = n alternating signs cancel, by a factor 1/(2 − ηκ/n) at most."""
    stretch = descent_step(np.array(KAPPA), 0.25).repeated(steps)
    modes = [Fraction(value) for value in KAPPA]
    for a, first in enumerate(modes):
        decay = (1 - first / 4) ** steps
        total = sum(((1 - first / 4) ** s / 4 for s in range(steps)), Fraction(0))
        assert abs(stretch.decay[a] - float(decay)) <= 1e-13
        assert abs(stretch.sum[a] - float(total)) <= 1e-13 * float(total)
        for b, second in enumerate(modes):
            exact = float(exact_double_sum((first, second), Fraction(1, 4), steps))
            assert abs(stretch.double_sum[a, b] - exact) <= 2e-12 * abs(exact)


@pytest.mark.parametrize("time", [0.0, 1e-9, 0.3, 5.0, 200.0])
def test_flow_keeps_every_digit(time: float) -> None:
    kappa = np.array([0.0, 1e-14, 1e-6, 0.01, 0.5, 3.0])
    stretch = flow(kappa, time)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = np.where(kappa > 0, -np.expm1(-kappa * time) / kappa, time)
    np.testing.assert_allclose(stretch.decay, np.exp(-kappa * time), rtol=1e-14)
    np.testing.assert_allclose(stretch.sum, total, rtol=1e-14)
    exact = np.array([[flow_double_sum((a, b), time) for b in kappa] for a in kappa])
    np.testing.assert_allclose(stretch.double_sum, exact, rtol=2e-12)


@given(steps=st.integers(0, 30), seed=st.integers(0, 2**32 - 1), top=st.floats(0.05, 1.9))
def test_matrices_are_sums_over_steps(steps: int, seed: int, top: float) -> None:
    """A, B and C on the rows, for a singular K and any S, by the recursion of the residual itself."""
    generator = np.random.default_rng(seed)
    half = generator.standard_normal((5, 3))
    kernel = half @ half.T
    start = generator.standard_normal((5, 5))
    start = start @ start.T
    kappa, basis = np.linalg.eigh(kernel)
    rate = top / kappa[-1]
    stretch = descent_step(np.maximum(kappa, 0), rate).repeated(steps)
    found = kernel_propagators(stretch, basis, basis.T @ start @ basis)
    expected = matrices_by_steps(kernel, start, rate, steps)
    for matrix, exact in zip((found.a, found.b, found.c), expected, strict=True):
        np.testing.assert_allclose(matrix, exact, rtol=0, atol=1e-10 * max(1e-300, np.abs(exact).max()))


@given(first=st.integers(0, 20), second=st.integers(0, 20))
def test_stretches_follow_one_another(first: int, second: int) -> None:
    """p steps and then q are p + q steps; flow likewise; an error in the order of the two is seen."""
    kappa = np.array([0.0, 0.3, 2.0])
    step = descent_step(kappa, 0.4)
    _same(step.repeated(first).then(step.repeated(second)), step.repeated(first + second))
    _same(flow(kappa, first / 7).then(flow(kappa, second / 7)), flow(kappa, (first + second) / 7))


def test_the_residual_comes_first() -> None:
    """B is not symmetric: H_ab is not H_ba."""
    stretch = descent_step(np.array([0.1, 2.0]), 0.3).repeated(9)
    assert abs(stretch.double_sum[0, 1] - stretch.double_sum[1, 0]) > 0.1 * stretch.double_sum[0, 1]
    assert not standstill(2).double_sum.any()


def _same(one: Stretch, other: Stretch) -> None:
    for name in ("decay", "sum", "double_sum"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12, atol=1e-15)


def test_small_steps_are_a_flow() -> None:
    """Descent tends to flow at first order of the rate: halving it halves every difference."""
    kappa, time = np.array([0.0, 0.4, 1.1]), 3.0
    limit = flow(kappa, time)
    coarse, fine = (descent_step(kappa, time / steps).repeated(steps) for steps in (1000, 2000))
    for name in ("decay", "double_sum"):
        errors = [getattr(found, name) - getattr(limit, name) for found in (coarse, fine)]
        moved = np.abs(errors[0]) > 1e-6
        assert moved.any()
        np.testing.assert_allclose(errors[0][moved] / errors[1][moved], 2, rtol=5e-3)


def test_refusals() -> None:
    with pytest.raises(NoClosedForm, match="not stable"):
        descent_step(np.array([1.0, 2.0]), 1.0)
    for wrong in (np.array([-1.0]), np.array([np.nan]), np.ones((2, 2))):
        with pytest.raises(InvalidInput, match="kappa"):
            descent_step(wrong, 0.1)
    for time in (-1.0, np.inf, np.nan):
        with pytest.raises(InvalidInput, match="time"):
            flow(np.array([1.0]), time)
