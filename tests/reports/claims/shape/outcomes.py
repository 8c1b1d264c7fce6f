"""Cases of these claims made small, and what comes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from reports.campaign.records import round_trip
from reports.campaign.settle import settle
from reports.claims.claim import AnyClaim, Case, Context, Outcome
from theory.setting import Setting

QUICK = Context(seed=5)


def smaller(setting: Setting, replicas: int, **training: Any) -> Setting:
    """The setting with so many replicas and another training."""
    return msgspec.structs.replace(
        setting,
        training=msgspec.structs.replace(setting.training, **training),
        ensemble=msgspec.structs.replace(setting.ensemble, replicas=replicas),
    )


def case_of(claim: AnyClaim, name: str) -> Case[Any]:
    """The case of that name."""
    (found,) = (case for case in claim.cases(QUICK) if case.name == name)
    return found


def control_of(claim: AnyClaim) -> Case[Any]:
    """The only control."""
    (found,) = (case for case in claim.cases(QUICK) if case.kind == "control")
    return found


def smaller_case(case: Case[Any], replicas: int, **training: Any) -> Case[Any]:
    """The case with so many replicas and another training."""
    return replace(case, trained=smaller(case.setting, replicas, **training))


def outcome_of(claim: AnyClaim, case: Case[Any], context: Context = QUICK) -> Outcome[Any, Any, Any]:
    """A case predicted, measured, kept, read again and decided."""
    prediction, measurement = round_trip(settle(claim, case, context), claim).value
    return Outcome(case, prediction, measurement, claim.decide(case, prediction, measurement))
