"""Studies decide, names do not: every case renamed, a claim reports the same; and whole claims at another seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from reports.campaign.settle import judge_claim
from reports.claims.alignment import (
    a1_equivariance,
    a2_averaging,
    a3_theorem,
    a4_hypotheses,
    a5_mean,
    a6_convolutions,
    a7_eigenvectors,
    b4_deeper,
)
from reports.claims.claim import AnyClaim, Context, Trial
from reports.record import to_builtins
from tests.reports.claims.alignment.ensembles import QUICK, smaller, with_trials
from theory.setting import Setting


def few(claim: AnyClaim, replicas: int, names: str, training: Mapping[str, Any]) -> AnyClaim:
    """The claim's cases with so many replicas and other names, the number of each after `names`."""
    trials: dict[str, Trial[Any]] = {}
    for number, trial in enumerate(claim.trials(QUICK).values()):
        assert isinstance(trial.trained, Setting)
        if claim is a3_theorem.CLAIM and trial.trained.data.kind == "digits":
            continue  # 61 dimensions take as long as all other cases, which patches are like
        # untrained cases stay as they are
        changes = {} if trial.trained.training.readings == (0,) else training
        trials[f"{names} {number}"] = replace(trial, trained=smaller(trial.trained, replicas, **changes))
    return with_trials(claim, trials)


def renamed(plain: Any, before: str, after: str) -> Any:
    """A report as plain values, with what begins with `before` and a space beginning with `after`."""
    if isinstance(plain, dict):
        return {renamed(key, before, after): renamed(value, before, after) for key, value in plain.items()}
    if isinstance(plain, list):
        return [renamed(value, before, after) for value in plain]
    if isinstance(plain, str) and plain.startswith(f"{before} "):
        return after + plain.removeprefix(before)
    return plain


@pytest.mark.parametrize(
    ("claim", "replicas", "training"),
    [
        (a1_equivariance, 3, {}),
        (a2_averaging, 30, {}),
        (a3_theorem, 20, {}),
        (a4_hypotheses, 32, {}),
        (a5_mean, 30, {}),
        (a6_convolutions, 3, {"steps": (0, 8)}),
        (a7_eigenvectors, 14, {"steps": (0, 2)}),
        (b4_deeper, 3, {"steps": (0, 8)}),
    ],
)
@pytest.mark.slow
def test_names_decide_nothing(claim, replicas, training):
    first, second = (
        to_builtins(judge_claim(few(claim.CLAIM, replicas, names, training), QUICK)) for names in ("one", "linear")
    )
    for report in (first, second):
        assert report.pop("seconds") > 0
    assert renamed(first, "one", "linear") == second


@pytest.mark.slow
@pytest.mark.parametrize("claim", [a6_convolutions, a7_eigenvectors, b4_deeper])
def test_whole_claims(claim):
    """At a seed other than the report's, nothing is refuted and every exact finding holds."""
    report = judge_claim(claim.CLAIM, Context(seed=999))
    assert report.tables
    assert report.figures
    assert "refuted" not in {finding.verdict for finding in report.findings}
    assert all(f.verdict == "holds" for f in report.findings if f.kind == "exact")
