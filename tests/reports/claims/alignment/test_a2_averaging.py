"""Averages over the group hold, and each of the three judgements can say no."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reports.claims.alignment import a2_averaging
from tests.reports.claims.alignment.ensembles import case_of, outcome_of


@pytest.fixture(scope="module")
def outcome():
    return outcome_of(a2_averaging.CLAIM, case_of(a2_averaging.CLAIM, "distinct eigenvalues"))


def verdicts(outcome, **changes):
    measured = replace(outcome.measurement, **changes)
    return [judgement.verdict for judgement in a2_averaging.decide(outcome.case, "contained", measured)]


def test_the_average_is_aligned(outcome):
    assert verdicts(outcome) == ["holds"] * 3
    assert outcome.measurement.before.verdict == "not contained"
    assert outcome.measurement.flips < 1e-14
    repeated = outcome_of(a2_averaging.CLAIM, case_of(a2_averaging.CLAIM, "repeated eigenvalues"))
    assert [judgement.verdict for judgement in repeated.judgements] == ["holds"] * 2  # the group is not finite


def test_a_matrix_that_is_no_average_would_be_refuted(outcome):
    before = outcome.measurement.before
    assert verdicts(outcome, after=before)[0] == "refuted"
    assert verdicts(outcome, after=replace(before, verdict="undecided"))[0] == "undecided"
    assert verdicts(outcome, pvalue=1e-7)[1] == "refuted"
    assert verdicts(outcome, detectable=0.06)[1] == "undecided"
    assert verdicts(outcome, flips=1e-11)[2] == "refuted"
    assert verdicts(outcome, diverged=1) == ["holds"] * 3  # whatever is left is a matrix like any other


def test_every_eigenspace_has_its_row(outcome):
    (table,) = a2_averaging.illustrate((outcome,)).tables
    assert [row[:2] for row in table.rows] == [("distinct eigenvalues", 1), *((" ", i) for i in (2, 3, 4, 5))]
