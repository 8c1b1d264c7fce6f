"""Power laws, shares and regimes, on imagined changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.claims.forms.lazy_changes import Changes
from reports.claims.forms.lazy_evidence import (
    WidthChanges,
    WidthEvidence,
    first_inside,
    fitted_power,
    term_share,
    width_changes,
)
from reports.claims.forms.lazy_predictions import LazyPrediction
from theory.network.lazy import LARGEST_DISPLACEMENT, LazyTerms


def imagined(
    gap: float, error: float, width: int = 64, displacement: float = 0.1, replicas: int = 400, diverged: int = 0
) -> WidthEvidence:
    """A change of trace 5 in five directions, measured with this gap and this standard error of the trace.

    The error declared is that of erf, 3 ε² of the terms' sizes.
    """
    part = np.diag(np.full(5, 1.0))
    terms = LazyTerms(part, part, -part, np.zeros((5, 5)))
    prediction = LazyPrediction(width, displacement, width * 0.09, 3 * displacement**2, terms)
    measured = WidthChanges(
        width=width,
        replicas=replicas,
        diverged=diverged,
        degrees=replicas - 1,
        sigma=np.arange(1.0, 6.0),
        change=np.full(5, (5.0 - gap) / 5),
        covariance=np.eye(5) * error**2 / 5,
    )
    return WidthEvidence(prediction, measured)


def test_both_parts_of_a_measurement_have_an_error() -> None:
    """A change is the mean of replicas less their variates plus that of the variates; their variances add up."""
    rng = np.random.default_rng(3)
    values, means = rng.standard_normal((30, 2, 3)), 5 + 2 * rng.standard_normal((7, 2, 3))
    changes = Changes((4, 9), np.arange(3.0), values, means, 2)
    found = width_changes(12, changes)
    assert (found.width, found.replicas, found.diverged, found.degrees) == (12, 32, 2, 6)
    np.testing.assert_allclose(found.change, values[:, 1].mean(axis=0) + means[:, 1].mean(axis=0))
    off = [part[:, 1] - part[:, 1].mean(axis=0) for part in (values, means)]
    expected = off[0].T @ off[0] / 29 / 30 + off[1].T @ off[1] / 6 / 7
    np.testing.assert_allclose(found.covariance, expected)


@pytest.mark.parametrize("exponent", [-0.5, -1.0])
def test_a_power_law_is_found(exponent: float) -> None:
    law = fitted_power([imagined(2.0 * (m / 16) ** exponent, 0.02, m) for m in (16, 64, 256)], 0.2)
    assert law is not None
    assert abs(law.exponent - exponent) < 4 * law.error < 0.2
    assert law.quality > 1e-4
    assert law.degrees == 399


def test_the_next_order_flattens_one_power_and_not_a_corrected_one() -> None:
    """gap = (1 − 12/m)/m, from 32 neurons on: one power falls more slowly."""
    widths = [imagined(32 / m * (1 - 12 / m), 2e-4, m) for m in (32, 64, 128, 512)]
    one, corrected = (fitted_power(widths, 0.2, corrected=each) for each in (False, True))
    assert one is not None
    assert corrected is not None
    assert one.exponent > -0.9
    assert one.quality < 1e-6
    assert abs(corrected.exponent + 1) < 4 * corrected.error < 0.02
    assert corrected.quality > 1e-4
    assert fitted_power(widths[:2], 0.2, corrected=True) is None


def test_gaps_of_two_signs_have_no_power() -> None:
    assert fitted_power((imagined(2.0, 0.02, 16), imagined(-2.0, 0.02, 4096)), 0.2) is None


def test_widths_outside_the_regime_are_left_out() -> None:
    widths = (imagined(9.0, 0.01, 16, displacement=0.6), imagined(1.0, 0.01, 64), imagined(0.5, 0.01, 256))
    assert first_inside(widths) == 1
    assert first_inside(widths, 0.05) == 2
    law = fitted_power(widths, LARGEST_DISPLACEMENT)
    assert law is not None
    assert abs(law.exponent + 0.5) < 4 * law.error


def test_no_exponent_without_a_gap_or_with_one_width() -> None:
    assert fitted_power((imagined(0.02, 0.02, 16), imagined(0.0, 0.02, 64)), 0.2) is None
    assert fitted_power((imagined(2.0, 0.02, 16, displacement=0.3), imagined(1.0, 0.02, 64)), 0.2) is None


def test_a_term_that_is_not_there_is_not_found() -> None:
    """A measured change from which T_3 is missing: its share is 0, and leaving it out is no control that holds."""
    evidence = imagined(0.0, 0.01)
    changed = replace(evidence.measured, change=evidence.measured.change + 1.0)
    missing = term_share(replace(evidence, measured=changed), "gates")
    assert missing is not None
    assert abs(missing.value) < 1e-12
    assert missing.pvalue > 0.5
    present = term_share(evidence, "gates")
    assert present is not None
    assert present.value == pytest.approx(1)
    assert present.error == pytest.approx(0.01 / 5)  # of the mean of five directions
    assert present.pvalue < 1e-6
    assert term_share(evidence, "output_weights") is None


def test_distances_are_shares_of_the_theory() -> None:
    """A fifth of the change is missing along every direction."""
    evidence = imagined(1.0, 1e-4)
    assert evidence.gap == pytest.approx(1.0)
    assert evidence.distance(evidence.prediction.change) == pytest.approx(0.2, rel=1e-3)
    near = imagined(0.05, 0.5)
    assert near.distance(near.prediction.change) == 0.0  # nothing but noise, which is subtracted
