"""The cases of the report that plants are judged on: measured once, whatever is planted."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from reports.campaign.records import Lost, Records, round_trip
from reports.campaign.settle import settle
from reports.claims import CLAIMS
from reports.claims.claim import AnyClaim, Case, Outcome
from reports.findings import Judgement
from reports.judging.rules import WORST_FIRST
from simulate.devices import one_thread
from tests.plants.plant import Plant, planted
from tests.plants.quick import QUICK
from theory.errors import InvalidInput

# the records of a quick report, `eigenalign report --out DIR`: its DIR/records, of any version of the code
RECORDS = os.environ.get("EIGENALIGN_RECORDS")
CLAIM = {claim.id: claim for claim in CLAIMS}


@cache
def cases_of(claim: str) -> dict[str, Case[Any]]:
    """The cases of a claim in the quick report of seed 0, by their names, and those that only the full one has."""
    both = (*CLAIM[claim].cases(replace(QUICK, budget="full")), *CLAIM[claim].cases(QUICK))
    return {case.name: case for case in both}


def case_of(claim: str, name: str) -> Case[Any]:
    """The case of that name."""
    if name not in cases_of(claim):
        raise InvalidInput("name", name, f"is no case of {claim}")
    return cases_of(claim)[name]


@cache
def outcome_of(claim: str, name: str) -> Outcome[Any, Any, Any]:
    """The case by the right theory, as the report has it."""
    found, case = CLAIM[claim], case_of(claim, name)
    kept = None
    if RECORDS is not None:
        kept = Records(Path(RECORDS), QUICK.device).load(found, case, QUICK, any_version=True)
    if kept is None:
        kept = round_trip(settle(found, case, QUICK), found)
    prediction, measurement = kept.value
    assert not isinstance(measurement, Lost), measurement
    return Outcome(case, prediction, measurement, found.decide(case, prediction, measurement))


@one_thread()
def judged_by(plant: Plant, name: str) -> tuple[Judgement, ...]:
    """What the claim finds of the case when the theory is wrong; nothing where it cannot be predicted or judged at all.

    An error that makes a claim raise on inadmissible numbers has been noticed.
    """
    claim, right = CLAIM[plant.claim], outcome_of(plant.claim, name)
    with planted(plant):
        try:
            prediction = claim.predict(right.case)
            return claim.decide(right.case, prediction, right.measurement)
        except InvalidInput:
            return ()


@one_thread()
def measured_by(claim: AnyClaim, case: Case[Any]) -> Any:
    """What the claim measures of a case, by the theory as it stands."""
    return claim.measure(case, QUICK)


def turned(plant: Plant, name: str) -> set[int]:
    """The places of the findings that are worse by the wrong theory: from "holds" to anything, or to "refuted"."""
    right, wrong = outcome_of(plant.claim, name).judgements, judged_by(plant, name)
    asked = {i for i, each in enumerate(right) if plant.quantity.lower() in each.quantity.lower() and judged(each)}
    return {i for i in asked if not wrong or WORST_FIRST.index(wrong[i].verdict) < WORST_FIRST.index(right[i].verdict)}


def judged(judgement: Judgement) -> bool:
    """Whether it has a verdict, and could have a worse one."""
    return judgement.verdict in ("holds", "undecided")
