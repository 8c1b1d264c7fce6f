"""The walk through the claims: each case predicted, measured and decided, with progress on the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from tqdm import tqdm

from reports.claims import CLAIMS
from reports.claims.claim import BUDGETS, Claim, Context, Outcome
from reports.findings import ClaimReport
from reports.record import ReportRecord
from reports.setting_file import departures
from theory.errors import InvalidInput

LIMITS = (
    "Closed forms are compared for linear models. For networks with an activation the theorem predicts alignment, not "
    "the values of $f$; that these rise and then fall too is seen, not predicted.",
    "Digits and photographs are not invariant under the group that commutes with their second moment. Their "
    "misalignment is an estimate beside what sampling alone and random bases would give; no verdict on the theorem "
    "follows.",
    "$M$ is biased upwards by sampling: it is read against its floor, never against zero. A test that does not reject "
    "is worth what it would have found, which stands beside every p-value.",
)


def run_campaign(
    *,
    budget: str = "quick",
    only: Sequence[str] = (),
    device: str = "cpu",
    seed: int = 0,
    store: Path | None = None,
    progress: bool = False,
) -> ReportRecord:
    """Judge the claims whose ids are in `only`, or all of them, in their order.

    What `store` holds of their ensembles is not computed again; results don't depend on it.
    """
    if budget not in BUDGETS:
        raise InvalidInput("budget", budget, f"must be one of {', '.join(BUDGETS)}")
    known = {claim.id: claim for claim in CLAIMS}
    for name in only:
        if name not in known:
            raise InvalidInput("only", name, f"must name claims among {', '.join(known)}")
    chosen = [claim for claim in CLAIMS if not only or claim.id in only]
    context = Context(budget=budget, seed=seed, device=device, store=store)
    started, clock = datetime.now(UTC), time.perf_counter()
    total = sum(len(claim.cases(context)) for claim in chosen)
    # disable=None: no bar where stderr is no terminal
    with tqdm(total=total, unit="case", disable=None if progress else True) as bar:
        judged = tuple(judge(claim, context, bar) for claim in chosen)
    return ReportRecord(
        budget=budget,
        seed=seed,
        device=device,
        claims=judged,
        seconds=time.perf_counter() - clock,
        started=started.isoformat(timespec="seconds"),
        command=" ".join(["eigenalign", *sys.argv[1:]]),
        limits=LIMITS,
    )


def judge(claim: Claim, context: Context, bar: tqdm | None = None) -> ClaimReport:
    """Predict, measure and decide every case of one claim."""
    clock = time.perf_counter()
    outcomes = []
    for case in claim.cases(context):
        if bar is not None:
            bar.set_description(f"{claim.id}: {case.name}")
        predicted = claim.predict(case)
        measured = claim.measure(case, context)
        outcomes.append(Outcome(case, predicted, measured, claim.decide(case, predicted, measured)))
        if bar is not None:
            bar.update()
    tables, figures = claim.illustrate(tuple(outcomes))
    return ClaimReport(
        id=claim.id,
        title=claim.title,
        statement=claim.statement,
        reference=claim.reference,
        method=claim.method,
        findings=tuple(finding for outcome in outcomes for finding in outcome.findings),
        tables=tables,
        figures=figures,
        settings={outcome.case.name: msgspec.to_builtins(outcome.case.setting) for outcome in outcomes},
        departures={outcome.case.name: departures(outcome.case.setting) for outcome in outcomes},
        seconds=time.perf_counter() - clock,
    )
