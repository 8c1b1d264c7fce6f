"""Claim C4: the sign of every gain, by the scale of the init."""

from __future__ import annotations

import numpy as np
import pytest

from reports.claims.claim import Context, Outcome
from reports.claims.transfer.c4_scale import CLAIM, DRAWN
from reports.claims.transfer.digits import NEW_OUTPUT
from tests.reports.claims.transfer.made import ALL, made

CASES = CLAIM.cases(Context(seed=999))


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, ["holds"] * 3),
        (1, ["refuted", "holds", "refuted"]),  # negative is predicted of the first, nothing that matters of the last
        (2, ["refuted", "refuted", "refuted"]),
    ],
)
def test_the_scale_of_the_init_decides_the_sign(number, expected):
    case = CASES[number]
    prediction = CLAIM.predict(case)
    assert list(prediction) == [NEW_OUTPUT, "pretrained", DRAWN]
    assert [judgement.verdict for judgement in CLAIM.decide(case, prediction, ALL)] == expected


@pytest.mark.parametrize(
    ("gain", "noise", "verdict"),
    [
        (0.0, 0.01, "holds"),
        (0.004, 0.01, "holds"),
        (0.06, 0.01, "refuted"),
        (-0.06, 0.01, "refuted"),
        (0.0, 0.1, "undecided"),
    ],
)
def test_a_drawn_layer_gains_nothing_that_matters_at_large_factors(gain, noise, verdict):
    measured = made({NEW_OUTPUT: -0.1, "pretrained": -0.1, DRAWN: gain}, noise=noise)
    *_, found = CLAIM.decide(CASES[2], CLAIM.predict(CASES[2]), measured)
    assert found.verdict == verdict
    assert found.prediction == "within 0.02 of 0"
    assert ("would need" in found.note or "no number of replicas" in found.note) is (verdict == "undecided")


def test_gains_are_shown_by_the_factor():
    outcomes = tuple(Outcome(case, CLAIM.predict(case), ALL, ()) for case in CASES)
    shown = CLAIM.illustrate(outcomes)
    (table,), (figure,) = shown.tables, shown.figures
    gain = ALL.difference("pretrained")
    assert any(row[3] == (gain.mean, gain.standard_error) for row in table.rows)
    assert "changes by $+0.000" in table.caption
    for series in figure.panels[0].series[1:]:
        np.testing.assert_array_equal(series.x, [0.5, 1.0, 2.0])
    assert all(np.isfinite(series.y).all() for panel in figure.panels for series in panel.series)


def test_what_is_left_of_diverging_networks_is_shown():
    """Without the networks of one factor, no difference between factors is stated."""
    outcomes = tuple(Outcome(case, CLAIM.predict(case), ALL, ()) for case in CASES[1:])
    shown = CLAIM.illustrate(outcomes)
    assert "changes by" not in shown.tables[0].caption
    np.testing.assert_array_equal(shown.figures[0].panels[0].series[1].x, [1.0, 2.0])


def test_intervals_are_as_many_together_as_gains_are_judged():
    for case in CASES:
        prediction = CLAIM.predict(case)
        judged = CLAIM.decide(case, prediction, ALL)
        for judgement, name in zip(judged, prediction, strict=True):
            found = ALL.difference(name, confidence=1 - 0.05 / 3)
            assert judgement.interval == pytest.approx((found.low, found.high))
            assert judgement.note.startswith(f"{ALL.of(name).mean():.3f} against {ALL.of('scratch').mean():.3f} from")
        assert [judgement.quantity.removeprefix("gain in mean train accuracy, ") for judgement in judged] == [
            "hidden layers rescaled, output layer new",
            "all layers kept",
            "first layer drawn from $N(0, \\Sigma_w)$",
        ]
