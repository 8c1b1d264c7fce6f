"""Data with a mean: the tests, the control and the sign can each say no."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

import simulate
from reports.claims.alignment import a5_mean
from reports.claims.alignment.a5_mean import MeanDirection
from reports.judging.estimate import data_eigenspaces
from reports.judging.intervals import detected
from tests.reports.claims.alignment.ensembles import QUICK, case_of, outcome_of, smaller_case
from theory.symmetry import symmetry_group
from theory.testing import escalating_randomization_test

FIRST_STEP = "first step, mean is an eigenvector"


def test_both_tests_and_the_control_can_say_no():
    outcome = outcome_of(a5_mean.CLAIM, smaller_case(a5_mean.CLAIM, "mean is an eigenvector", 200, steps=10))
    measured = outcome.measurement

    def judged(alignment, mean, forgetful, diverged=0):
        changed = replace(
            measured,
            alignment=replace(measured.alignment, pvalue=alignment, detectable=0.04, diverged=diverged),
            mean_weight=replace(measured.mean_weight, pvalue=mean, detectable=0.04),
            forgetful=forgetful,
        )
        return a5_mean.decide(outcome.case, "rejected", changed)

    def verdicts(*measurements, **options):
        return [judgement.verdict for judgement in judged(*measurements, **options)]

    assert [judgement.kind for judgement in outcome.judgements] == [None, None, "control"]
    assert [judgement.prediction for judgement in outcome.judgements] == [0.0, 0.0, outcome.prediction]
    assert verdicts(0.3, 0.3, 1e-7) == ["holds", "holds", "holds"]
    assert verdicts(1e-7, 0.3, 0.3) == ["refuted", "holds", "undecided"]
    assert verdicts(0.3, 1e-7, 1e-7, diverged=1) == ["undecided", "refuted", "undecided"]
    for forgetful, told in ((0.9e-6, "rejected"), (1e-6, "not rejected"), (1.1e-6, "not rejected")):
        control = judged(0.3, 0.3, forgetful)[-1]
        assert (control.measurement, control.pvalue) == (told, forgetful)


def test_the_first_step_moves_against_the_mean():
    outcome = outcome_of(a5_mean.CLAIM, smaller_case(a5_mean.CLAIM, FIRST_STEP, 200))
    assert outcome.prediction == "negative"
    (judgement,) = outcome.judgements
    assert judgement.verdict == "holds"
    assert judgement.interval[1] < 0


def test_the_direction_is_that_of_the_mean_weight_in_units_of_all_weights():
    """The measured value is the mean over replicas of w · μ/|μ|, over sqrt(tr Σ_w).

    Its standard error is that between blocks, in the same units.
    """
    case = smaller_case(a5_mean.CLAIM, FIRST_STEP, 200)
    measured, simulation = outcome_of(a5_mean.CLAIM, case).measurement, QUICK.run(case.setting)
    (reading,) = simulation.readings
    mu = simulate.population(case.setting).mean
    unit, replicas = np.sqrt(np.trace(reading.second_moment)), reading.counts.sum()
    blocks = [w @ mu / np.linalg.norm(mu) for w in reading.means]
    along = sum(n * v for n, v in zip(reading.counts, blocks, strict=True)) / replicas
    spread = sum(n * (v - along) ** 2 for n, v in zip(reading.counts, blocks, strict=True)) / (len(blocks) - 1)
    assert measured.along == pytest.approx(along / unit)
    assert measured.standard_error == pytest.approx(np.sqrt(spread / replicas) / unit)
    assert (measured.replicas, measured.diverged) == (200, 0)


def test_each_group_has_the_test_that_is_asked_of_it():
    """The smaller group fixes μ, the control forgets it; E w is tested outside the direction that is fixed."""
    case = smaller_case(a5_mean.CLAIM, "mean is an eigenvector", 400, steps=40)
    measured, simulation = outcome_of(a5_mean.CLAIM, case).measurement, QUICK.run(case.setting)
    (reading,), seed = simulation.readings, case.setting.ensemble.seed
    spaces, mu = data_eigenspaces(simulation), simulate.population(case.setting).mean
    fixing, forgetting = symmetry_group(spaces, mean=mu), symmetry_group(spaces)
    assert (fixing.fixed, forgetting.fixed) == (1, 0)

    def pvalue(group):
        options = {"counts": reading.counts, "level": 1e-6, "seed": seed}
        return escalating_randomization_test(reading.second_moments, group, **options).pvalue

    assert measured.alignment.pvalue == pvalue(fixing)
    assert measured.forgetful == pvalue(forgetting)
    assert measured.forgetful < 0.01 < measured.alignment.pvalue
    along = mu / np.linalg.norm(mu)
    outside = reading.mean - along * (along @ reading.mean)
    assert measured.mean_weight.size == pytest.approx(
        np.linalg.norm(outside) / np.sqrt(np.trace(reading.second_moment))
    )


@pytest.mark.parametrize(
    ("along", "diverged", "verdict"),
    [(-0.3, 0, "holds"), (-0.1, 0, "undecided"), (0.3, 0, "refuted"), (-0.3, 1, "undecided")],
)
def test_a_sign_can_be_refuted(along, diverged, verdict):
    measured = MeanDirection(along, 0.1, 64, 200, diverged)
    (judgement,) = a5_mean.decide(case_of(a5_mean.CLAIM, FIRST_STEP), "negative", measured)
    assert judgement.verdict == verdict


def test_a_direction_has_students_interval_between_blocks():
    (judgement,) = a5_mean.decide(case_of(a5_mean.CLAIM, FIRST_STEP), "negative", MeanDirection(-0.3, 0.1, 5, 200, 0))
    half = t.ppf(0.975, 4) * 0.1
    assert judgement.interval == pytest.approx((-0.3 - half, -0.3 + half))
    assert (judgement.measurement, judgement.standard_error) == (-0.3, 0.1)
    assert judgement.power == f"detects {detected(0.1, degrees=4):.2g} with 90% power"
