"""Cases of a claim at fewer replicas, and what comes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from reports.campaign.records import round_trip
from reports.campaign.settle import settle
from reports.claims.claim import AnyClaim, Case, Context, Outcome
from reports.claims.forms.form_evidence import FormEvidence
from theory.errors import InvalidInput
from theory.setting import Setting

QUICK = Context(seed=5)


def with_replicas(setting: Setting, replicas: int) -> Setting:
    """The setting at so many replicas."""
    ensemble = msgspec.structs.replace(setting.ensemble, replicas=replicas)
    return msgspec.structs.replace(setting, ensemble=ensemble)


def case_of(claim: AnyClaim, name: str, replicas: int) -> Case[Any]:
    """The case of that name, of the quick budget or the full one, at so many replicas."""
    for case in claim.cases(replace(QUICK, budget="full")):
        if case.name == name:
            return Case(case.name, with_replicas(case.setting, replicas), case.study, case.kind)
    raise InvalidInput("name", name, f"is no case of {claim.id}")


def outcome_of(claim: AnyClaim, case: Case[Any]) -> Outcome[Any, Any, Any]:
    """A case predicted, measured, kept, read again and decided."""
    prediction, measurement = round_trip(settle(claim, case, QUICK), claim).value
    return Outcome(case, prediction, measurement, claim.decide(case, prediction, measurement))


def first_block(evidence: FormEvidence) -> FormEvidence:
    """The evidence of one block alone, from which no error is known."""
    names = ("counts", "triangles", "means", "losses")
    return replace(evidence, **{name: getattr(evidence, name)[:1] for name in names})
