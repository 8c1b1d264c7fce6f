"""The two laws: derivatives by differences, gradient flow of a linear model, a memory at rest, and where both begin."""

from __future__ import annotations

import numpy as np
import pytest

import theory
from tests.oracles.linear import fixed_setting, rows_with_spectrum
from theory.decomposition import fit_law, law_tau
from theory.decomposition.shape_laws import LAWS, LawName
from theory.setting import Labels, Network, Training

U = np.geomspace(1e-3, 30, 40)


@pytest.mark.parametrize("law", LAWS)
def test_slopes_are_differences(law: LawName) -> None:
    kept, _, kept_slope, gain_slope = LAWS[law](U)
    step = 1e-5
    above, below = LAWS[law](U * np.exp(step)), LAWS[law](U * np.exp(-step))
    np.testing.assert_allclose(kept_slope, (above[0] - below[0]) / (2 * step), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(gain_slope, (above[1] - below[1]) / (2 * step), rtol=1e-6, atol=1e-10)
    assert np.all(np.diff(kept) < 0)


@pytest.mark.parametrize("law", LAWS)
def test_where_the_laws_begin(law: LawName) -> None:
    """f_0² + (c − 2 f_0²) U σ², and f_0² at σ = 0."""
    sigma = np.array([0.0, 1e-3])
    tau = law_tau(law, sigma, rate=2.0, written=5.0, initial=0.3)
    assert tau[0] == pytest.approx(0.3)
    assert tau[1] - tau[0] == pytest.approx((5.0 - 0.6) * 2e-6, rel=1e-4)


def test_the_flow_law_is_a_linear_model_in_gradient_flow() -> None:
    """U = η t and c = σ_y² η t/n at a small learning rate; the fit finds both."""
    values = np.array([0.2, 0.5, 1.0, 1.5, 2.0, 3.0])
    rows = rows_with_spectrum(np.random.default_rng(0), 9, values)
    training = Training(learning_rate=1e-4, steps=8000)
    setting = fixed_setting(rows, training, labels=Labels(variance=2.0), network=Network(init_variance=0.3))
    reading = theory.predict(setting, rows=rows).readings[0]
    expected = law_tau("flow", np.sqrt(values), rate=0.8, written=2.0 * 0.8 / 9, initial=0.05)
    np.testing.assert_allclose(reading.tau, expected, rtol=1e-3)
    fit = fit_law("flow", reading.sigma, reading.tau, np.diag(reading.tau**2) * 1e-8, groups=50, initial=0.05)
    assert (fit.rate, fit.written) == pytest.approx((0.8, 0.16 / 0.9), rel=2e-3)


def test_the_ridge_law_is_a_memory_at_rest() -> None:
    """w = w_0 − u w + noise of variance c u, solved for w."""
    generator = np.random.default_rng(1)
    w0, noise = 0.5 * generator.standard_normal(200_000), generator.standard_normal(200_000)
    for u in (0.3, 2.0):
        w = (w0 + np.sqrt(1.7 * u) * noise) / (1 + u)
        expected = float(law_tau("ridge", np.array([1.0]), rate=u, written=1.7, initial=0.25)[0])
        assert np.mean(w**2) == pytest.approx(expected, rel=0.02)
