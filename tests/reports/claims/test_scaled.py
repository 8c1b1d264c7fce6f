"""What claims call a prediction that is wrong by a factor: its numbers are, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.claims import CLAIMS
from reports.claims.claim import Context
from reports.claims.forms import f1_closed_forms, f3_first_steps
from reports.claims.shape import b2_shape
from reports.claims.transfer import f5_kernel_transfer, t1_linear_transfer

QUICK = Context(seed=5)


def first(claim):
    return claim.predict(claim.cases(QUICK)[0])


def test_the_claims_that_predict_numbers():
    assert [claim.id for claim in CLAIMS if claim.scaled is not None] == [
        "A9",
        "B2",
        "B6",
        "F1",
        "F3",
        "F4",
        "F5",
        "F9",
        "T1",
    ]


@pytest.mark.parametrize("claim", [t1_linear_transfer.CLAIM, f5_kernel_transfer.CLAIM], ids=lambda claim: claim.id)
def test_gains_are_scaled(claim):
    right = first(claim)
    wrong = claim.scaled(right, 1.5)
    np.testing.assert_allclose(wrong.gains, 1.5 * right.gains)
    assert replace(wrong, gains=right.gains).__dict__ == right.__dict__


def test_forms_are_scaled_as_a_whole_and_first_steps_in_what_they_change():
    form = first(f1_closed_forms.CLAIM)
    np.testing.assert_allclose(f1_closed_forms.CLAIM.scaled(form, 1.5).readings[-1].tau, 1.5 * form.readings[-1].tau)
    curve = first(b2_shape.CLAIM)
    values, wrong = curve.prediction.readings[-1].tau, b2_shape.CLAIM.scaled(curve, 1.5)
    np.testing.assert_allclose(wrong.prediction.readings[-1].tau, 1.5 * values)
    assert (wrong.shape, wrong.criterion) == (curve.shape, curve.criterion)
    step = first(f3_first_steps.CLAIM)
    moved = f3_first_steps.CLAIM.scaled(step, 1.5).form.readings[-1].tau - step.initial
    np.testing.assert_allclose(moved, 1.5 * (step.form.readings[-1].tau - step.initial))
