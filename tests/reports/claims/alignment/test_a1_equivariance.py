"""Equivariance holds, its controls are seen, and it would be refuted for what is not equivariant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.campaign.settle import judge_claim
from reports.claims.alignment import a1_equivariance
from reports.claims.alignment.a1_equivariance import TOLERANCE, RotationDiscrepancies
from tests.reports.claims.alignment.ensembles import QUICK, case_of

LINEAR = case_of(a1_equivariance.CLAIM, "linear model, heavy ball, weight decay")
ADAM = case_of(a1_equivariance.CLAIM, "Adam")


def test_equivariance_holds_and_its_controls_are_seen():
    report = judge_claim(a1_equivariance.CLAIM, QUICK)
    assert {finding.verdict for finding in report.findings} == {"holds"}
    assert len(report.findings) == 9
    equal, unequal = report.figures[0].panels
    assert [series.label for series in equal.series][::4] == ["linear model", "digits 8x8"]
    assert [series.label for series in unequal.series] == ["Adam", "RMSprop", "sign SGD", "L1 decay"]


def test_equivariance_of_adam_would_be_refuted():
    measured = a1_equivariance.measure(ADAM, QUICK)
    (judgement,) = a1_equivariance.decide(replace(ADAM, kind="exact"), 0.0, measured)
    assert judgement.verdict == "refuted"


@pytest.mark.parametrize(
    ("size", "of_exact", "of_control"),
    [(TOLERANCE, "holds", "undecided"), (100 * TOLERANCE, "refuted", "undecided"), (1e-6, "refuted", "holds")],
)
def test_verdicts_by_the_size_of_the_discrepancy(size, of_exact, of_control):
    measured = RotationDiscrepancies(np.array([0, 5]), np.full((2, 3), size))
    wild = replace(measured, values=np.array([[0.0, 0.0, 0.0], [size, size, np.nan]]))
    for case, expected in ((LINEAR, of_exact), (ADAM, of_control)):
        assert a1_equivariance.decide(case, "", measured)[0].verdict == expected
        assert a1_equivariance.decide(case, "", wild)[0].verdict == "undecided"
    assert (measured.replicas, measured.diverged, wild.diverged) == (3, 0, 1)


def test_the_largest_of_all_steps_is_judged_and_the_range_at_the_last_is_shown():
    measured = RotationDiscrepancies(np.array([0, 5, 9]), np.array([[0.0, 0, 0], [9e-11, 0, 0], [1e-11, 3e-11, 2e-11]]))
    (exact,) = a1_equivariance.decide(LINEAR, 0.0, measured)
    assert (exact.measurement, exact.interval, exact.verdict) == (9e-11, (1e-11, 3e-11), "holds")
    wild = replace(measured, values=np.array([[0.0, 0, 0], [1, 1, 1], [1e-8, 1.0, 1.0]]))
    (control,) = a1_equivariance.decide(ADAM, "", wild)  # one replica differs too little, at the end
    assert (control.measurement, control.verdict) == (1.0, "undecided")
    assert control.power == "detects anything above 1e-10"
