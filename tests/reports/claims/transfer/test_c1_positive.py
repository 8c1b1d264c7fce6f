"""Claim C1: gains by their signs, and what is shown of them."""

from __future__ import annotations

import numpy as np

from reports.claims.claim import Context, Outcome
from reports.claims.transfer.c1_positive import CLAIM
from tests.reports.claims.transfer.made import PLAIN, made

CASES = CLAIM.cases(Context(seed=999))


def verdicts(measured) -> list[str]:
    return [judgement.verdict for judgement in CLAIM.decide(CASES[0], CLAIM.predict(CASES[0]), measured)]


def test_the_reverse_of_a_gain_is_refuted():
    assert verdicts(PLAIN) == ["holds"] * 2
    assert verdicts(made({"pretrained": -0.1, "rescaled": -0.05})) == ["refuted"] * 2
    assert verdicts(made({"pretrained": 0.001, "rescaled": 0.0})) == ["undecided"] * 2


def test_gains_and_lengths_are_shown():
    shown = CLAIM.illustrate(tuple(Outcome(case, "positive", PLAIN, ()) for case in CASES))
    (table,), (figure,) = shown.tables, shown.figures
    gain = PLAIN.difference("pretrained")
    assert any(row[3] == (gain.mean, gain.standard_error) for row in table.rows)
    assert "(6 epochs of real labels, 20 of new random ones)" in table.caption
    assert [panel.title for panel in figure.panels] == [case.name for case in CASES]
    assert all(np.isfinite(series.y).all() for panel in figure.panels for series in panel.series)


def test_both_gains_have_simultaneous_intervals():
    for judgement, name in zip(CLAIM.decide(CASES[0], "positive", PLAIN), ("pretrained", "rescaled"), strict=True):
        found = PLAIN.difference(name, confidence=0.975)
        assert judgement.interval == (found.low, found.high)
        assert judgement.note.startswith(
            f"accuracy from scratch {PLAIN.of('scratch').mean():.3f}; 12 of {PLAIN.replicas} replicas fit all upstream "
            "labels, in 10 steps on average"
        )
