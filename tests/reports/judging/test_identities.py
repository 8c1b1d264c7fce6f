"""Identities, their controls, and rates of false calls: every ruling that can be reached."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reports.judging.intervals import largest_pvalue, mean_and_half
from reports.judging.rules import broken_identity_verdict, identity_verdict, rate_verdict


@pytest.mark.parametrize(
    ("error", "diverged", "verdict"),
    [(1e-10, 0, "holds"), (1e-10, 1, "undecided"), (1.1e-10, 0, "refuted"), (math.nan, 0, "refuted")],
)
def test_identities(error, diverged, verdict):
    assert identity_verdict(error, 1e-10, diverged) == verdict


@pytest.mark.parametrize(
    ("smallest", "diverged", "verdict"),
    [(1.1e-7, 0, "holds"), (1e-7, 0, "undecided"), (1.0, 1, "undecided"), (math.nan, 0, "undecided")],
)
def test_controls_of_identities(smallest, diverged, verdict):
    assert broken_identity_verdict(smallest, 1e-10, diverged) == verdict


@pytest.mark.parametrize(
    ("pvalue", "detectable", "diverged", "verdict"),
    [
        (1e-7, 0.05, 0, "refuted"),
        (0.2, 0.1, 0, "holds"),
        (0.2, 0.1, 1, "undecided"),
        (0.2, 0.11, 0, "undecided"),
        (0.2, None, 0, "undecided"),
    ],
)
def test_rates(pvalue, detectable, diverged, verdict):
    assert rate_verdict(pvalue, detectable, diverged) == verdict


def test_an_interval_by_students_t():
    mean, half = mean_and_half(np.array([1.0, 2.0, 3.0, 4.0]))
    assert (mean, half) == (2.5, pytest.approx(3.182446305 * (5 / 3) ** 0.5 / 2))
    assert largest_pvalue(np.array([0.5, -3.0, 1.0])) == pytest.approx(3 * 0.0026997960632601866)
