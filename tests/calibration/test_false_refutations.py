"""`verify` refutes exact forms that are right no more often than it declares, and can refute those that are wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import simulate
from reports.judging.compare import compare
from tests.calibration.false_refutations import (
    BY_NAME,
    CASES,
    MORE,
    REPLICAS,
    Case,
    counted,
    ensemble,
    kept,
    prediction,
    trained,
)
from theory.catalogue import FORMS

GUIDE = Path(__file__).parents[2] / "reports/site/guides/calibration.md"


@pytest.mark.slow
def test_no_exact_form_is_refuted_more_often_than_declared():
    broken = [(name, replicas, found) for name, replicas, found in counted(200) if not kept(found)]
    assert not broken


def test_refutations_are_counted():
    assert kept(Counter(refuted=0, undecided=200))
    assert not kept(Counter(refuted=2, undecided=198))


def test_every_exact_form_is_counted_and_in_the_guide():
    assert {case.form for case in CASES} == {form.name for form in FORMS if form.status == "exact"}
    printed = {tuple(line.strip("| ").split(" | ")[:2]) for line in GUIDE.read_text().splitlines()}
    assert {(name, f"{r:,}") for name in BY_NAME for r in (*REPLICAS, *MORE)} <= printed


def test_a_run_is_the_ensemble_that_verify_would_train():
    case = BY_NAME["linear-online"]
    one = simulate.run(case.setting, replicas=700)
    again = ensemble(one, trained(case.setting, 700))
    assert (again.readings[-1].counts == one.readings[-1].counts).all()
    np.testing.assert_allclose(again.readings[-1].second_moments, one.readings[-1].second_moments, rtol=1e-12)
    wrong, right = wrong_by(case, 1.5), prediction(case)
    assert compare(right, again).comparison[-1].verdict != "refuted"
    assert compare(wrong, ensemble(one, trained(case.setting, 3000))).comparison[-1].verdict == "refuted"


def wrong_by(case: Case, factor: float):
    """The prediction of a case, its last reading too large by a factor."""
    *others, last = prediction(case).readings
    moment = None if last.second_moment is None else factor * last.second_moment
    return replace(prediction(case), readings=(*others, replace(last, tau=factor * last.tau, second_moment=moment)))
