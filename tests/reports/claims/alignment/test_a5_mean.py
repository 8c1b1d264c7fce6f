"""Data with a mean: the tests, the control and the sign can each say no."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reports.claims.alignment import a5_mean
from reports.claims.alignment.a5_mean import MeanDirection
from tests.reports.claims.alignment.ensembles import case_of, outcome_of, smaller_case

FIRST_STEP = "first step, mean is an eigenvector"


def test_both_tests_and_the_control_can_say_no():
    outcome = outcome_of(a5_mean.CLAIM, smaller_case(a5_mean.CLAIM, "mean is an eigenvector", 200, steps=10))
    measured = outcome.measurement

    def verdicts(alignment, mean, forgetful, diverged=0):
        changed = replace(
            measured,
            alignment=replace(measured.alignment, pvalue=alignment, detectable=0.04, diverged=diverged),
            mean_weight=replace(measured.mean_weight, pvalue=mean, detectable=0.04),
            forgetful=forgetful,
        )
        return [judgement.verdict for judgement in a5_mean.decide(outcome.case, "rejected", changed)]

    assert [judgement.kind for judgement in outcome.judgements] == [None, None, "control"]
    assert verdicts(0.3, 0.3, 1e-7) == ["holds", "holds", "holds"]
    assert verdicts(1e-7, 0.3, 0.3) == ["refuted", "holds", "undecided"]
    assert verdicts(0.3, 1e-7, 1e-7, diverged=1) == ["undecided", "refuted", "undecided"]


def test_the_first_step_moves_against_the_mean():
    outcome = outcome_of(a5_mean.CLAIM, smaller_case(a5_mean.CLAIM, FIRST_STEP, 200))
    assert outcome.prediction == "negative"
    (judgement,) = outcome.judgements
    assert judgement.verdict == "holds"
    assert judgement.interval[1] < 0


@pytest.mark.parametrize(
    ("along", "diverged", "verdict"),
    [(-0.3, 0, "holds"), (-0.1, 0, "undecided"), (0.3, 0, "refuted"), (-0.3, 1, "undecided")],
)
def test_a_sign_can_be_refuted(along, diverged, verdict):
    measured = MeanDirection(along, 0.1, 64, 200, diverged)
    (judgement,) = a5_mean.decide(case_of(a5_mean.CLAIM, FIRST_STEP), "negative", measured)
    assert judgement.verdict == verdict
