"""Studies decide, names do not: every case renamed, a report says the same under other names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reports.campaign.settle import judge_claim
from reports.claims.claim import AnyClaim, Context, Trial
from reports.claims.forms import f1_closed_forms, f3_first_steps, f4_lazy
from reports.record import to_builtins
from tests.reports.claims.forms.outcomes import QUICK, with_replicas


def few(claim: AnyClaim, replicas: int, *, renamed: bool) -> AnyClaim:
    """The claim at so many replicas per case, under its own names or others."""

    def trials(context: Context) -> dict[str, Trial[Any]]:
        return {
            f"case {number}" if renamed else name: replace(trial, trained=with_replicas(trial.trained, replicas))
            for number, (name, trial) in enumerate(claim.trials(context).items())
        }

    return replace(claim, trials=trials, background=lambda: ())


def under_names(value: Any, names: dict[str, str]) -> Any:
    """A report as plain values, its cases under other names."""
    if isinstance(value, dict):
        return {names.get(key, key): under_names(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [under_names(each, names) for each in value]
    return names.get(value, value) if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("claim", "replicas"), [(f1_closed_forms.CLAIM, 32), (f3_first_steps.CLAIM, 64), (f4_lazy.CLAIM, 2)]
)
@pytest.mark.slow
def test_names_decide_nothing(claim: AnyClaim, replicas: int) -> None:
    names = {name: f"case {number}" for number, name in enumerate(claim.trials(QUICK))}
    before, after = (
        to_builtins(judge_claim(few(claim, replicas, renamed=renamed), QUICK)) for renamed in (False, True)
    )
    for report in (before, after):
        del report["seconds"]
    assert under_names(before, names) == after
