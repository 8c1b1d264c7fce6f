"""The walk through the claims: each case predicted, measured and decided, with progress on the terminal.

Cases are independent, so that worker processes can share them: they are told the claim and the number of a case, and
send back its outcome. Outcomes are put together in the order of claims and cases, and every case is judged on one
thread: the bits of a report know nothing of the processes.
"""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from tqdm import tqdm

from reports import experiment_file, setting_file
from reports.claims import CLAIMS, paper_networks
from reports.claims.claim import BUDGETS, Case, Claim, Context, Outcome
from reports.findings import ClaimReport, Finding
from reports.processes import cores, results
from reports.record import ReportRecord
from simulate.devices import one_thread, resolve
from theory.errors import Diverged, InvalidInput

log = logging.getLogger(__name__)

LIMITS = (
    "Closed forms of $f$ exist for linear models at every time, and for networks of one hidden layer: their first step "
    "at every width (F3), any time near the kernel limit up to order $1/m$ (F4). Away from that limit the theory of "
    "the shape fails, and F6 shows where: networks come down at large $\\sigma$ where the theory only rises. For other "
    "networks the theorem predicts alignment, not the values of $f$: their shapes are seen (B3, B5), not derived, and "
    "F7 takes the values from a smaller network, a surrogate that is measured and not proved.",
    "The sign of transfer is derived for linear models (T1) and in the kernel regime (F5); F8 shows how far such signs "
    "reach. What transfer does in networks that leave that regime is measured (C1 to C4), not derived.",
    "Digits and photographs are not invariant under the group that commutes with their second moment, and neither are "
    "the activations that a deeper layer sees. Their misalignment is an estimate beside what sampling alone and random "
    "bases would give. That weights are nearer to the data's eigenvectors than to random bases is judged; no verdict "
    "on the theorem follows.",
    "$M$ is biased upwards by sampling: it is read against its floor, never against zero. A test that does not reject "
    "is worth what it would have found, which stands beside it in the table of findings.",
)


def run_campaign(
    *,
    budget: str = "quick",
    only: Sequence[str] = (),
    device: str = "cpu",
    seed: int = 0,
    store: Path | None = None,
    fresh: bool = False,
    cifar10: Path | None = None,
    processes: int | None = 1,
    progress: bool = False,
) -> ReportRecord:
    """Judge the claims whose ids are in `only`, or all of them, in their order.

    What the folder `store` holds of their ensembles is not computed again, unless it is to be `fresh`: it is then
    deleted first. `cifar10` is the folder of CIFAR-10's binary batches, data_batch_*.bin, on which the budget "paper"
    trains the paper's own networks besides; no other budget takes it. Results depend neither on the store nor on
    `processes`, the number of worker processes: as many as there are cores if None, and one on a GPU. With more than
    one, a script needs ``if __name__ == "__main__"``.

    Raises
    ------
    InvalidInput
        Before anything runs or is deleted, where a name or a number is none of those above, or the folder does not hold
        the images.
    """
    if budget not in BUDGETS:
        raise InvalidInput("budget", budget, f"must be one of {', '.join(BUDGETS)}")
    known = {claim.id: claim for claim in CLAIMS}
    for name in only:
        if name not in known:
            raise InvalidInput("only", name, f"must name claims among {', '.join(known)}")
    workers = _workers(processes, device)
    cifar10 = paper_networks.checked(budget, cifar10)
    if fresh and store is not None and store.exists():
        shutil.rmtree(store)
    context = Context(budget=budget, seed=seed, device=device, store=store, cifar10=cifar10)
    chosen = [claim for claim in CLAIMS if not only or claim.id in only]
    left_out = [claim.id for claim in chosen if claim.id in paper_networks.CLAIMS]
    if budget == "paper" and cifar10 is None and left_out:
        names = ", ".join(left_out)
        log.info("the paper's own networks on CIFAR-10 are left out (%s): --cifar10 DIR trains them, too", names)
    jobs = [(claim.id, number, context) for claim in chosen for number in range(len(claim.cases(context)))]
    settled: dict[tuple[str, int], tuple[Outcome, float]] = {}
    started, clock = datetime.now(UTC), time.perf_counter()
    # disable=None: no bar where stderr is no terminal
    with tqdm(total=len(jobs), unit="case", disable=None if progress else True) as bar:
        for (claim, number, _), outcome in _settled(jobs, workers, store):
            settled[claim, number] = outcome
            bar.set_description(f"{claim}: {outcome[0].case.name}")
            bar.update()
    judged = tuple(
        _report(claim, [settled[claim.id, number] for number in range(len(claim.cases(context)))]) for claim in chosen
    )
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


def judge(claim: Claim, context: Context) -> ClaimReport:
    """Predict, measure and decide every case of one claim."""
    return _report(claim, [_settle(claim, number, context) for number in range(len(claim.cases(context)))])


def settle(claim: str, number: int, context: Context) -> tuple[Outcome, float]:
    """The outcome of one case of the claim with that id, and the seconds that it took."""
    return _settle(next(known for known in CLAIMS if known.id == claim), number, context)


@one_thread()
def _settle(claim: Claim, number: int, context: Context) -> tuple[Outcome, float]:
    clock = time.perf_counter()
    case = claim.cases(context)[number]
    predicted = claim.predict(case)
    try:
        measured = claim.measure(case, context)
        outcome = Outcome(case, predicted, measured, claim.decide(case, predicted, measured))
    except Diverged as error:
        # a finding, and no reason to lose the report of all others
        outcome = Outcome(case, predicted, None, (_lost(claim, case, error),))
    return outcome, time.perf_counter() - clock


def _lost(claim: Claim, case: Case, error: Diverged) -> Finding:
    """What is found where training diverged."""
    return Finding(
        claim=claim.id,
        case=case.name,
        kind=case.kind,
        quantity="training",
        prediction="finite numbers",
        measurement="diverged",
        verdict="undecided",
        note=f"{error.key}: {error.rule}",
    )


Job = tuple[str, int, Context]


def _settled(jobs: Sequence[Job], workers: int, store: Path | None) -> Iterator[tuple[Job, tuple[Outcome, float]]]:
    """Each job with what came of it, in the order in which they are done."""
    if workers == 1:
        yield from ((job, settle(*job)) for job in jobs)
        return
    try:
        with closing(results(settle, jobs, workers)) as done:
            yield from ((jobs[number], outcome) for number, outcome in done)
    except KeyboardInterrupt:
        if store is not None:
            log.warning("what is complete is kept in %s; --resume goes on from it", store)
        raise


def _workers(processes: int | None, device: str) -> int:
    """How many processes judge cases: those asked for, or one for every core; a GPU is not shared."""
    shared = resolve(device).type == "cpu"
    if processes is None:
        return cores() if shared else 1
    if processes < 1:
        raise InvalidInput("processes", processes, "must be at least 1")
    if processes > 1 and not shared:
        raise InvalidInput("processes", processes, f"must be 1 on {device}: a GPU is not shared")
    return processes


@one_thread()
def _report(claim: Claim, settled: Sequence[tuple[Outcome, float]]) -> ClaimReport:
    """What the report says of a claim, from the outcomes of its cases in their order."""
    clock = time.perf_counter()
    outcomes = tuple(outcome for outcome, _ in settled)
    cases = [outcome.case for outcome in outcomes]
    measured = tuple(outcome for outcome in outcomes if outcome.measurement is not None)
    tables, figures = claim.illustrate(measured)
    return ClaimReport(
        id=claim.id,
        title=claim.title,
        statement=claim.statement,
        reference=claim.reference,
        method=claim.method,
        findings=(*(finding for outcome in outcomes for finding in outcome.findings), *claim.conclude(measured)),
        tables=tables,
        figures=figures,
        settings={case.name: msgspec.to_builtins(case.experiment or case.setting) for case in cases},
        departures={case.name: _departures(case) for case in cases},
        seconds=sum(seconds for _, seconds in settled) + time.perf_counter() - clock,
    )


def _departures(case: Case) -> tuple[str, ...]:
    if case.experiment is not None:
        return experiment_file.departures(case.experiment)
    return setting_file.departures(case.setting)
