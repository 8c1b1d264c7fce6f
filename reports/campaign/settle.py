"""One case at a time: predicted and measured into a record, and judged from it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from reports import experiment_file, setting_file
from reports.campaign.errors_found import with_smallest_errors
from reports.campaign.records import Kept, Lost, round_trip
from reports.claims.claim import AnyClaim, Case, Context, Measurement, Outcome, PartDone
from reports.findings import ClaimReport, Exhibits, Finding, Judgement
from simulate.devices import one_thread
from theory.errors import Diverged, NoClosedForm
from theory.setting import Setting

WITHOUT_CASES = "This report has none of its cases: they begin with a larger budget."


@one_thread()
def settle(claim: AnyClaim, case: Case[Any], context: Context) -> Kept[Any]:
    """Predict and measure a case. Rows that no closed form covers and training that diverges do not end the report."""
    clock = time.perf_counter()
    try:
        prediction: Any = claim.predict(case)
    except (NoClosedForm, Diverged) as error:
        nothing = Lost(error.key, error.rule)
        return Kept((nothing, nothing), time.perf_counter() - clock)
    try:
        measurement: Any = claim.measure(case, context)
    except Diverged as error:
        measurement = Lost(error.key, error.rule)
    return Kept((prediction, measurement), time.perf_counter() - clock)


def joined(claim: AnyClaim, parts: Sequence[Kept[Any] | None]) -> Kept[Any] | None:
    """A whole case from its parts; None where the claim joins none, or one of them is missing or lost.

    Its seconds are those of the parts.
    """
    found = [part for part in parts if part is not None and not any(isinstance(each, Lost) for each in part.value)]
    if claim.join is None or not found or len(found) < len(parts):
        return None
    return Kept(claim.join([part.value for part in found]), sum(part.seconds for part in found))


@one_thread()
def train_part(claim: AnyClaim, case: Case[Any], context: Context) -> float:
    """Train the part of a case's ensemble that the context names, and leave it in the context's store: seconds."""
    clock = time.perf_counter()
    with suppress(PartDone, Diverged):  # what diverges is found again, and said, when the case is settled
        claim.measure(case, context)
    return time.perf_counter() - clock


@one_thread()
def background(claim: AnyClaim) -> Kept[Any]:
    """The tables of a claim that depend on no case."""
    clock = time.perf_counter()
    return Kept(claim.background(), time.perf_counter() - clock)


def judge_claim(claim: AnyClaim, context: Context) -> ClaimReport:
    """Everything of one claim, in this process and without a folder."""
    kept = {case: round_trip(settle(claim, case, context), claim) for case in claim.cases(context)}
    return judged(claim, kept, round_trip(background(claim), claim, background=True))


@one_thread()
def judged(claim: AnyClaim, kept: Mapping[Case[Any], Kept[Any]], behind: Kept[Any]) -> ClaimReport:
    """What the report says of a claim, from what is kept of its cases, in their order."""
    findings: list[Finding] = []
    outcomes: list[Outcome[Any, Any, Any]] = []
    for case, record in kept.items():
        prediction, measurement = record.value
        if isinstance(measurement, Lost):
            findings.append(_lost(claim, case, measurement, predicted=not isinstance(prediction, Lost)))
            continue
        judgements = with_smallest_errors(claim, case, prediction, measurement)
        outcomes.append(Outcome(case, prediction, measurement, judgements))
        findings += [_stamped(claim, case, judgement, measurement) for judgement in judgements]
    shown = Exhibits()
    if outcomes:
        for judgement, of in claim.conclude(tuple(outcomes)):
            findings.append(_stamped(claim, None, judgement, *(outcome.measurement for outcome in of)))
        shown = claim.illustrate(tuple(outcomes))
    return ClaimReport(
        id=claim.id,
        title=claim.title,
        statement=claim.statement,
        reference=claim.reference,
        method=claim.method if kept else f"{claim.method} {WITHOUT_CASES}",
        findings=tuple(findings),
        tables=(*shown.tables, *behind.value),
        figures=tuple(figure for figure in shown.figures if figure.panels),  # of a claim whose cases all diverged
        settings={case.name: msgspec.to_builtins(case.trained) for case in kept},
        departures={case.name: _departures(case) for case in kept},
        seconds=sum(record.seconds for record in (*kept.values(), behind)),
    )


def _stamped(claim: AnyClaim, case: Case[Any] | None, judgement: Judgement, *measured: Measurement) -> Finding:
    """A judgement as a finding: with its claim, its case, and the networks behind it."""
    return Finding(
        claim=claim.id,
        case=judgement.about or ("all cases" if case is None else case.name),
        kind=judgement.kind or ("outside" if case is None else case.kind),
        quantity=judgement.quantity,
        prediction=judgement.prediction,
        measurement=judgement.measurement,
        verdict=judgement.verdict,
        standard_error=judgement.standard_error,
        interval=judgement.interval,
        pvalue=judgement.pvalue,
        power=judgement.power,
        note=judgement.note,
        smallest_error=judgement.smallest_error,
        replicas=sum(each.replicas for each in measured),
        diverged=sum(each.diverged for each in measured),
    )


def _lost(claim: AnyClaim, case: Case[Any], lost: Lost, *, predicted: bool) -> Finding:
    """What is found where training diverged, or where nothing was predicted of the rows that were drawn."""
    return Finding(
        claim=claim.id,
        case=case.name,
        kind=case.kind,
        quantity="training" if predicted else "prediction",
        prediction="finite numbers" if predicted else "none",
        measurement="diverged" if predicted else "not made",
        verdict="undecided",
        note=f"{lost.key}: {lost.rule}",
    )


def _departures(case: Case[Any]) -> tuple[str, ...]:
    if isinstance(case.trained, Setting):
        return setting_file.departures(case.trained)
    return experiment_file.departures(case.trained)
