"""Power laws, shares and regimes, on imagined changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.claims.forms.lazy_changes import Changes
from reports.claims.forms.lazy_evidence import WidthEvidence, first_inside, fitted_power, term_share, width_evidence
from theory.network.lazy import LARGEST_DISPLACEMENT, LazyTerms
from theory.network.model import Model


def imagined_changes(gap: float, error: float, displacement: float = 0.1, replicas: int = 400) -> Changes:
    """A change of trace 5 in five directions, measured with this gap and this standard error of the trace."""
    part = np.diag(np.full(5, 1.0))
    predicted = LazyTerms(part, part, -part, np.zeros((5, 5)))
    noise = np.random.default_rng(2).standard_normal((replicas, 1, 5))
    noise = (noise - noise.mean(axis=0)) * error * np.sqrt(replicas / 5)
    values = (5.0 - gap) / 5 + noise
    return Changes((7,), np.arange(1.0, 6.0), values, (predicted,), (displacement,), 0)


def imagined(gap: float, error: float, width: int = 64, displacement: float = 0.1) -> WidthEvidence:
    """The same as evidence, of a network of that width."""
    model = Model("erf", width=width, outputs=1, s0=0.09, sa=1.0, a4=3.0, sy=1.0)
    return width_evidence(model, imagined_changes(gap, error, displacement))


@pytest.mark.parametrize("exponent", [-0.5, -1.0])
def test_a_power_law_is_found(exponent: float) -> None:
    law = fitted_power([imagined(2.0 * (m / 16) ** exponent, 0.02, m) for m in (16, 64, 256)], 0.2)
    assert law is not None
    assert abs(law.exponent - exponent) < 4 * law.error < 0.2
    assert law.quality > 1e-4
    assert law.degrees == 399


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
    change = imagined_changes(0.0, 0.01)
    missing = term_share(replace(change, values=change.values + 1.0), "gates")
    assert missing is not None
    assert abs(missing.value) < 5 * missing.error
    assert missing.pvalue > 0.5
    present = term_share(change, "gates")
    assert present is not None
    assert abs(present.value - 1) < 5 * present.error
    assert present.pvalue < 1e-6
    assert term_share(change, "output_weights") is None


def test_distances_are_shares_of_the_theory() -> None:
    """A fifth of the change is missing along every direction."""
    evidence = imagined(1.0, 1e-4)
    assert evidence.gap == pytest.approx(1.0)
    assert evidence.distance(evidence.predicted_change) == pytest.approx(0.2, rel=1e-3)
    assert imagined(0.0, 0.5).distance(evidence.predicted_change) == 0.0  # nothing but noise, which is subtracted
