"""Studies decide, names do not: every case renamed, a claim reports the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reports.campaign.settle import judge_claim
from reports.claims.claim import AnyClaim, Context
from reports.claims.shape import (
    b1_function,
    b2_shape,
    b3_images,
    b5_panels,
    f2_criterion,
    f6_regimes,
    f7_surrogate,
)
from reports.findings import Exhibits
from reports.record import to_builtins
from tests.reports.claims.shape.outcomes import QUICK, smaller

CLAIMS = (b1_function, b2_shape, b3_images, b5_panels, f2_criterion, f6_regimes, f7_surrogate)


def few(claim: AnyClaim, replicas: int, names: str, training: dict[str, Any]) -> AnyClaim:
    """The claim's cases with so many replicas and other names, the number of each after `names`."""
    trials = {
        f"{names} {number}": replace(trial, trained=smaller(trial.trained, replicas, **training))
        for number, trial in enumerate(claim.trials(QUICK).values())
    }
    return replace(claim, trials=lambda _: trials, background=lambda: ())


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
        (b1_function, 8, {}),
        (b2_shape, 64, {}),
        (b3_images, 2, {"steps": (0, 1, 2, 4, 8)}),
        (b5_panels, 2, {}),
        (f2_criterion, 64, {}),
        (f6_regimes, 64, {}),
        (f7_surrogate, 3, {"steps": (16, 32)}),
    ],
)
@pytest.mark.slow
def test_names_decide_nothing(claim: Any, replicas: int, training: dict[str, Any]) -> None:
    first, second = (
        to_builtins(judge_claim(few(claim.CLAIM, replicas, names, training), QUICK)) for names in ("number", "linear")
    )
    for report in (first, second):
        assert report.pop("seconds") >= 0
    assert renamed(first, "number", "linear") == second


@pytest.mark.parametrize("claim", CLAIMS)
def test_where_every_training_diverged_there_is_nothing_to_show_and_nothing_breaks(claim: Any) -> None:
    assert isinstance(claim.CLAIM.illustrate(()), Exhibits)
    assert claim.CLAIM.conclude(()) == ()


@pytest.mark.slow
@pytest.mark.parametrize("claim", [b3_images, f2_criterion, f6_regimes])
def test_whole_claims(claim: Any) -> None:
    """At a seed other than the report's, nothing that is judged is refuted."""
    report = judge_claim(claim.CLAIM, Context(seed=999))
    assert report.tables
    assert report.figures
    assert "refuted" not in {finding.verdict for finding in report.findings}
