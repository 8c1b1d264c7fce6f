"""The ends of long training on Gaussian rows: least squares, least norm, ridge."""

from __future__ import annotations

import numpy as np
import pytest

from tests.theory.linear.gaussian_rows import LINEAR, POWER
from theory.errors import InvalidInput
from theory.linear.averaged import averaged_variances
from theory.linear.averaged_limits import effective_decay, least_norm, least_squares, ridge
from theory.linear.equivalent import deterministic_equivalent
from theory.setting import Training


def test_least_squares_is_the_end_above() -> None:
    """n > d: the leading order has n − d, with the next n − d − 1 up to a relative 1/(n − d)²."""
    s, n = np.array([0.5, 1.0, 2.0, 2.0]), 60
    leading, correction = averaged_variances(
        Training(learning_rate=0.3, steps=3000), s, samples=n, sigma_y2=1.5, initial=1.0
    )
    np.testing.assert_allclose(leading[0], 1.5 / (s * (n - 4)), rtol=1e-8)
    np.testing.assert_allclose(correction[0], 1.5 / (s * (n - 4) ** 2), rtol=1e-6)
    np.testing.assert_allclose(least_squares(s, n, 1.5), leading[0] * (n - 4) / (n - 5), rtol=1e-8)
    np.testing.assert_array_equal(least_squares(np.array([1.0, 0.0]), 2, 1.0), [np.inf, 0.0])


@pytest.mark.parametrize("spectrum", [LINEAR, POWER], ids=["linear", "power"])
def test_least_norm_is_the_end_below(spectrum: np.ndarray) -> None:
    n = 15
    training = Training(learning_rate=0.1, steps=10_000)
    leading, _ = averaged_variances(training, spectrum, samples=n, sigma_y2=1.5, initial=0.3)
    np.testing.assert_allclose(leading[0], least_norm(spectrum, n, 1.5, 0.3), rtol=1e-6)
    k = effective_decay(spectrum, n)
    assert abs(np.sum(spectrum / (spectrum + k)) - n) < 1e-10


def test_published_scales() -> None:
    """k_0 = 1.26 and .238 for the two spectra at n = 15."""
    assert abs(effective_decay(LINEAR, 15) - 1.26) < 0.005
    assert abs(effective_decay(POWER, 15) - 0.238) < 0.0005


@pytest.mark.parametrize("samples", [15, 60])
def test_ridge_is_the_end_with_decay(samples: int) -> None:
    """The closed form is the contour with p replaced by its limit (−λ outside), and the end of long training."""
    decay = 0.3
    limit = ridge(LINEAR, samples, 1.5, decay)
    leading, _ = deterministic_equivalent(
        lambda z: 1.5 / samples * z[None] / (z[None] + decay) ** 2, LINEAR, samples, margin=decay / 2
    )
    np.testing.assert_allclose(leading[0], limit, rtol=1e-9)
    training = Training(learning_rate=0.1, weight_decay=decay, steps=800)
    np.testing.assert_allclose(
        averaged_variances(training, LINEAR, samples=samples, sigma_y2=1.5, initial=9.0)[0][0], limit, rtol=1e-7
    )
    k = effective_decay(LINEAR, samples, decay)
    assert k > decay
    assert LINEAR[np.argmax(limit)] == LINEAR[np.argmin(np.abs(LINEAR - k))]


def test_limits_refuse_each_others_regime() -> None:
    with pytest.raises(InvalidInput, match="samples = 3: must exceed the 3 directions"):
        least_squares(np.ones(3), 3, 1.0)
    with pytest.raises(InvalidInput, match="samples = 3: must be below the 3 directions"):
        least_norm(np.ones(3), 3, 1.0, 1.0)
    with pytest.raises(InvalidInput, match="decay = 0"):
        ridge(np.ones(3), 3, 1.0, 0.0)
    with pytest.raises(InvalidInput, match="decay = -1"):
        effective_decay(np.ones(3), 3, -1)
