"""The deterministic equivalent: its equation, exact moments, contours that may be moved."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles.averaged import third_power
from tests.theory.linear.gaussian_rows import LINEAR, OPTIMIZERS, spectra
from theory.errors import InvalidInput
from theory.linear import averaged
from theory.linear.averaged import given_rows
from theory.linear.equivalent import companion, contours, deterministic_equivalent, upper_edge
from theory.setting import Training

# ---- the equation


@given(spectrum=spectra, samples=st.integers(1, 500))
def test_the_edge_is_where_the_inverse_is_least(spectrum: list[float], samples: int) -> None:
    s = np.array(spectrum)
    m = -np.sort(np.concatenate([np.geomspace(1e-6, 1 - 1e-9, 20_001), 1 - np.geomspace(1e-9, 0.5, 20_001)])) / s.max()
    x = -1 / m + (s / (1 + m[:, None] * s)).sum(axis=1) / samples
    np.testing.assert_allclose(upper_edge(s, samples).position, x.min(), rtol=1e-6)
    assert upper_edge(s, samples).position <= x.min() * (1 + 1e-12)


@pytest.mark.parametrize("ratio", [0.04, 0.25, 1.0, 4.0])
def test_white_rows_have_the_law_of_marchenko_and_pastur(ratio: float) -> None:
    """The edge (1 + √γ)², and m̃ from its quadratic equation z m² + (z + 1 − γ) m + 1 = 0."""
    n = 100
    s = np.ones(round(ratio * n))
    edge = upper_edge(s, n).position
    np.testing.assert_allclose(edge, (1 + np.sqrt(ratio)) ** 2, rtol=1e-12)
    path = next(contours(s, n, 0.01, 800))
    z, m = path.z, path.m
    np.testing.assert_allclose(companion(z, s, n), m, rtol=1e-9)
    np.testing.assert_allclose(z * m**2 + (z + 1 - ratio) * m + 1, 0, atol=1e-12 * np.abs(m).max())
    assert (m.imag > 0).all()


@given(spectrum=spectra, samples=st.integers(1, 300), height=st.floats(-6, 1), seed=st.integers(0, 1000))
def test_companion_solves_its_equation(spectrum: list[float], samples: int, height: float, seed: int) -> None:
    s = np.array(spectrum)
    z = np.random.default_rng(seed).uniform(-1, 12, 20) + 1j * 10.0**height
    m = companion(z, s, samples)
    residual = -1 / m - z + (s / (1 + m[:, None] * s)).sum(axis=1) / samples
    assert np.all(np.abs(residual) <= 1e-10 * (np.abs(z) + np.abs(1 / m)))
    assert (m.imag > 0).all()


@pytest.mark.parametrize(("d", "n", "variance"), [(1, 1, 1.0), (25, 100, 1.0), (100, 100, 3.0), (40, 10, 0.2)])
def test_the_width_of_the_edge_of_white_rows(d: int, n: int, variance: float) -> None:
    """(√n + √d)(1/√n + 1/√d)^⅓ of n S, to leading order, is what Johnstone (2001) has for Σ = 1."""
    expected = variance / n * (np.sqrt(n) + np.sqrt(d)) * (1 / np.sqrt(n) + 1 / np.sqrt(d)) ** (1 / 3)
    assert upper_edge(np.full(d, variance), n).scale == pytest.approx(expected, rel=1e-9)


def test_the_width_of_the_edge_is_half_a_second_derivative() -> None:
    """The width is (x''/2)^⅓ n^(−⅔) at the minimum of x(m), by finite differences.

    The spectrum is not white.
    """
    s, n = np.array([0.1, 0.5, 0.5, 2.0, 3.0]), 9

    def x(m: np.ndarray) -> np.ndarray:
        return -1 / m + (s / (1 + s * m[:, None])).sum(axis=1) / n

    m = np.linspace(-1 / 3, 0, 400_001)[1:-1]
    least = m[np.argmin(x(m))]
    step = 1e-4
    low, middle, high = x(np.array([least - step, least, least + step]))
    curvature = (low - 2 * middle + high) / step**2
    assert upper_edge(s, n).scale == pytest.approx((curvature / 2) ** (1 / 3) * n ** (-2 / 3), rel=1e-4)
    assert upper_edge(s, n).position == pytest.approx(middle, rel=1e-8)


def test_largest_eigenvalues_stray_from_the_edge_as_said() -> None:
    """The mean of the Tracy–Widom law (β = 1) is −1.2065, its standard deviation 1.268."""
    generator, n = np.random.default_rng(5), 300
    s = np.repeat([1.0, 2.0], 75)
    x = generator.standard_normal((200, n, 150)) * np.sqrt(s)
    largest = np.linalg.norm(x, 2, axis=(1, 2)) ** 2 / n
    edge = upper_edge(s, n)
    units = (largest - edge.position) / edge.scale
    assert abs(units.mean() + 1.2065) < 0.35  # 4 standard errors; finite n shifts it by O(n^(−1/3))
    assert abs(units.std() - 1.268) < 0.3


# ---- exact moments


@given(spectrum=spectra, samples=st.integers(2, 50))
def test_first_and_second_moments_are_exact(spectrum: list[float], samples: int) -> None:
    s = np.array(spectrum)
    leading, correction = deterministic_equivalent(
        lambda z: np.stack([np.ones_like(z), z, z**2]), s, samples, margin=s.max()
    )
    exact = np.stack([np.ones_like(s), s, s**2 + s * s.sum() / samples + s**2 / samples])
    np.testing.assert_allclose(leading + correction, exact, atol=1e-9 * exact[2].max())
    np.testing.assert_allclose(correction[2], s**2 / samples, atol=1e-9 * exact[2].max())


def test_third_moments_miss_the_second_order_only() -> None:
    s = np.array([0.3, 1.0, 1.0, 2.5])
    misses = []
    for n in (50, 100, 200):
        leading, correction = deterministic_equivalent(lambda z: z[None] ** 3, s, n, margin=1.0)
        misses.append((third_power(s, n) - leading[0] - correction[0]) * n**2)
        assert np.all(np.abs(third_power(s, n) - leading[0]) * n > 0.05)  # the leading order alone is 1/n off
    np.testing.assert_allclose(misses[0], misses[1], rtol=1e-5)
    np.testing.assert_allclose(misses[1], misses[2], rtol=1e-4)


def test_third_moments_where_directions_are_as_many_as_rows() -> None:
    """d/n fixed: both orders miss 1/n² only if the fluctuations of the trace are counted."""
    misses = []
    for n in (40, 80, 160):
        s = np.repeat([0.5, 1.0, 2.5], [n // 8, n // 4, n // 8])
        leading, correction = deterministic_equivalent(lambda z: z[None] ** 3, s, n, margin=1.0)
        misses.append((third_power(s, n) - leading[0] - correction[0])[[0, n // 4, -1]] * n**2)
    np.testing.assert_allclose(misses[0], misses[1], rtol=1e-4)
    np.testing.assert_allclose(misses[1], misses[2], rtol=1e-3)


# ---- contours


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("samples", [15, 60, 300])
def test_more_nodes_and_other_contours_change_nothing(optimizer: str, samples: int) -> None:
    training = Training(learning_rate=0.1, steps=(3, 20, 400), **OPTIMIZERS[optimizer])
    function = partial(given_rows, training, samples, 1.0, 0.01)
    margin = averaged.contour_margin(training, upper_edge(LINEAR, samples).position)
    usual = deterministic_equivalent(function, LINEAR, samples, margin=margin)
    for other in (
        deterministic_equivalent(function, LINEAR, samples, margin=margin, nodes=3200),
        deterministic_equivalent(function, LINEAR, samples, margin=2 * margin),
        deterministic_equivalent(function, LINEAR, samples, margin=margin / 2),
    ):
        for one, two in zip(usual, other, strict=True):
            scale = np.abs(one).max(axis=1, keepdims=True)
            assert np.all(np.abs(one - two) <= 1e-9 * scale)


def test_a_contour_that_is_too_wide_is_refused() -> None:
    function = partial(given_rows, Training(learning_rate=0.5, steps=20_000), 100, 1.0, 1.0)
    with pytest.raises(InvalidInput, match=r"margin = 3\.0: is too wide"):
        deterministic_equivalent(function, np.ones(3), 100, margin=3.0)
