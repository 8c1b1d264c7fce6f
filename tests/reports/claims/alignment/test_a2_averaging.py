"""Averages over the group hold, and each of the three judgements can say no."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from reports.claims.alignment import a2_averaging
from tests.reports.claims.alignment.ensembles import case_of, outcome_of


@pytest.fixture(scope="module")
def outcome():
    return outcome_of(a2_averaging.CLAIM, case_of(a2_averaging.CLAIM, "distinct eigenvalues"))


@pytest.fixture(scope="module")
def held(outcome):
    return a2_averaging.hold(outcome.measurement)


def verdicts(held, **changes):
    return [judgement.verdict for judgement in a2_averaging.judge_average("contained", replace(held, **changes), 20000)]


def test_the_average_is_aligned(outcome, held):
    assert [judgement.verdict for judgement in outcome.judgements] == verdicts(held) == ["holds"] * 3
    assert held.before.verdict == "not contained"
    assert held.flips < 1e-14
    repeated = outcome_of(a2_averaging.CLAIM, case_of(a2_averaging.CLAIM, "repeated eigenvalues"))
    assert [judgement.verdict for judgement in repeated.judgements] == ["holds"] * 2  # the group is not finite


def test_a_matrix_that_is_no_average_would_be_refuted(outcome, held):
    before = held.before
    assert verdicts(held, after=before)[0] == "refuted"
    assert verdicts(held, after=replace(before, verdict="undecided"))[0] == "undecided"
    assert verdicts(held, pvalue=1e-7)[1] == "refuted"
    assert verdicts(held, detectable=0.06)[1] == "undecided"
    assert verdicts(held, flips=1e-11)[2] == "refuted"
    lost = replace(outcome.measurement, diverged=1)  # whatever is left is a matrix like any other
    found = a2_averaging.decide(outcome.case, "contained", lost)
    assert [judgement.verdict for judgement in found] == ["holds"] * 3


def test_draws_are_held_against_the_closed_form_in_standard_errors(outcome, held):
    """The scores are literal: entries of the average's upper triangle less Σ_i tr(P_i B)/m_i P_i, over their errors."""
    measured = outcome.measurement
    basis, matrix = measured.spaces.basis, measured.matrix
    average = sum(v @ matrix @ v * np.outer(v, v) for v in basis.T)  # eigenvalues are distinct
    zs = [
        abs(measured.mean[i, j] - average[i, j]) / measured.error[i, j]
        for i in range(len(matrix))
        for j in range(i, len(matrix))
    ]
    size = np.linalg.eigvalsh(matrix)[-1]
    assert held.max_z == pytest.approx(max(zs), rel=1e-6)
    assert held.pvalue == pytest.approx(min(1.0, 2 * len(zs) * norm.sf(max(zs))), rel=1e-5)
    assert held.relative_error == pytest.approx(np.abs(measured.mean - average).max() / size)
    quantiles = norm.isf(1e-6 / 2 / len(zs)) + norm.ppf(0.9)
    assert held.detectable == pytest.approx(quantiles * measured.error.max() / size)


def test_the_error_is_that_of_the_mean_of_the_draws(outcome):
    """Four times the draws halve it; it is the standard error of every entry, by the law of sign flips."""
    measured = outcome.measurement
    basis, matrix = measured.spaces.basis, measured.matrix
    inside = basis.T @ matrix @ basis
    # with independent signs s the entry (i, j) of the eigenbasis is s_i s_j B_ij, of variance B_ij² off the diagonal
    pairs = [(k, m) for k in range(len(inside)) for m in range(k + 1, len(inside))]
    for i, j in ((0, 0), (0, 1), (2, 4)):
        parts = [inside[k, m] * (basis[i, k] * basis[j, m] + basis[i, m] * basis[j, k]) for k, m in pairs]
        assert measured.error[i, j] == pytest.approx(np.sqrt(np.sum(np.square(parts)) / measured.draws), rel=0.05)


def test_every_eigenspace_has_its_row(outcome):
    (table,) = a2_averaging.illustrate((outcome,)).tables
    assert [row[:2] for row in table.rows] == [("distinct eigenvalues", 1), *((" ", i) for i in (2, 3, 4, 5))]


def test_numbers_of_the_averages_are_told(outcome, held):
    contained, drawn, flipped = outcome.judgements
    assert contained.interval == (0.0, held.after.largest)
    assert (contained.prediction, drawn.prediction, flipped.prediction) == ("contained", 0.0, 0.0)
    assert contained.power == f"before averaging: not contained, leakage or anisotropy {held.before.largest:.2g}"
    assert (drawn.measurement, drawn.pvalue) == (held.relative_error, held.pvalue)
    assert drawn.note == f"{outcome.measurement.draws:,} Haar draws; largest z {held.max_z:.2f}"
    assert (flipped.measurement, flipped.interval) == (held.flips, (0.0, held.flips))
    assert flipped.power == f"detects anything above {a2_averaging.ROUNDING:g}"
