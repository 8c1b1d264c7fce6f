"""A whole run: which cases there are, who settles which, and what is put together from their records.

Cases are independent, so that worker processes and machines can share them: each settles some of them, and leaves
records. Whoever has all records judges them in the order of claims and cases, and every case is
settled on one thread: the bits of a report know nothing of who computed what.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from reports.campaign.duration import duration_in_words, expected_seconds
from reports.campaign.limits import LIMITS
from reports.campaign.plan import CaseJob, JobGroup, Plan
from reports.campaign.records import Asked, Kept, Records
from reports.campaign.settle import background, joined, judged, settle, train_part
from reports.claims import CLAIMS, paper_networks
from reports.claims.claim import BUDGETS, AnyClaim, Case, Context
from reports.foreign_text import command_line
from reports.processes import cores, results
from reports.provenance import provenance
from reports.record import ReportRecord
from simulate.devices import resolve
from simulate.ranges import parse_shard
from theory.errors import InvalidInput, unknown

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shared:
    """What a shard has done: how many of the cases of a report are now kept, and of how many."""

    shard: str
    kept: int
    cases: int
    folder: Path


def run_campaign(
    *,
    budget: str = "quick",
    only: Sequence[str] = (),
    device: str = "cpu",
    seed: int = 0,
    folder: Path | None = None,
    fresh: bool = False,
    cifar10: Path | None = None,
    processes: int | None = 1,
    progress: bool = False,
) -> ReportRecord:
    """Judge the claims whose ids are in `only`, or all of them, in their order.

    What `folder` holds of their cases is not computed again, unless it is to be `fresh`: it is then deleted first, but
    for what an interrupted report has left of its ensembles, with which a fresh one is refused.
    `cifar10` is the folder of CIFAR-10's binary batches, data_batch_*.bin, on which the budget "paper" trains the
    paper's own networks besides; no other budget takes it. Results depend neither on the folder nor on `processes`, the
    number of worker processes: as many as there are cores if None, and one on a GPU. With more than one, a script needs
    ``if __name__ == "__main__"``.

    Raises
    ------
    InvalidInput
        Before anything runs or is deleted, if a name or a number is not one of those above, or if the folder of
        CIFAR-10 does not hold the images.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    plan = _plan(budget, only, device, seed, cifar10)
    workers = _workers(processes, device)
    with _records(folder, device) as records:
        records.require_folders(fresh=fresh)
        if fresh:
            records.clear()
        plan.settle(records, (1, 1), workers, progress=progress)
        asked = Asked(
            budget=budget,
            seed=seed,
            device=device,
            claims=tuple(claim.id for claim in plan.claims),
            cifar10=None if plan.context.cifar10 is None else str(plan.context.cifar10),
            command=command_line(["eigenalign", *sys.argv[1:]]),
            started=started.isoformat(timespec="seconds"),
            seconds=time.perf_counter() - clock,
            provenance=provenance(device),
        )
        records.describe(asked)
        report = plan.report(records, asked)
        records.clear_ensembles()  # they were there for an interruption
    return report


def run_shard(
    shard: str,
    folder: Path,
    *,
    budget: str = "quick",
    only: Sequence[str] = (),
    device: str = "cpu",
    seed: int = 0,
    cifar10: Path | None = None,
    processes: int | None = 1,
    progress: bool = False,
) -> Shared:
    """Settle the share i of n of a report's cases, "i/n", and leave their records in `folder`.

    What the folder holds already is not computed again. `run_campaign` with the same arguments puts the report together
    when all shards have left their records there.

    Raises
    ------
    InvalidInput
        As for `run_campaign`, or if the shard is not "i/n".
    """
    i, n = parse_shard(shard)
    plan = _plan(budget, only, device, seed, cifar10)
    with _records(folder, device) as records:
        records.require_folders(fresh=False)
        plan.settle(records, (i, n), _workers(processes, device), progress=progress)
        jobs = [job for group in plan.groups() for job in group]
        kept = sum(records.path(_claim(job), job.case, plan.context).exists() for job in jobs)
    return Shared(shard, kept, len(jobs), folder)


def assemble(folder: Path) -> ReportRecord:
    """The report that the records of a folder make, whatever version of the code computed them. Nothing is computed.

    Raises
    ------
    InvalidInput
        If the folder holds no report, or a record is missing or damaged.
    """
    asked = Records(folder, "").description()
    records = Records(folder, asked.device)
    cifar10 = None if asked.cifar10 is None else Path(asked.cifar10)
    context = Context(asked.budget, asked.seed, asked.device, None, cifar10)
    known = {claim.id: claim for claim in CLAIMS}
    for name in asked.claims:
        if name not in known:
            raise InvalidInput("folder", str(folder), f"holds claim {name}, which this version does not have")
    plan = _Run(context, tuple(known[name] for name in asked.claims))
    return plan.report(records, asked, any_version=True)


class _Run(Plan):
    """A plan that is carried out."""

    def settle(self, records: Records, share: tuple[int, int], workers: int, *, progress: bool) -> None:
        """Compute and keep what is not kept of a share (i, n) of the cases.

        Of cases that are cut, parts are shared as if each were a case. Who finds all parts of such a case there, when
        its own are done, settles it: whoever comes last does.
        """
        i, n = share
        groups = self.groups()
        left = {job for group in groups for job in group if records.load(_claim(job), job.case, self.context) is None}

        def missing(share: Sequence[JobGroup]) -> list[JobGroup]:
            """What is left to do of some groups; a part is if its case is."""
            found = (tuple(job for job in group if replace(job, part=None) in left) for group in share)
            return [group for group in found if group]

        mine, cut = missing(self.pieces()[i - 1 :: n]), missing([group for group in groups if group[0].parts])
        context = replace(self.context, store=records.ensembles)
        pending = Counter(job.claim for group in (*mine, *cut) for job in group if job.part is None)
        total = sum(map(len, groups))
        # disable=None: no bar where stderr is no terminal
        with tqdm(total=total, unit="case", disable=None if progress else True) as bar, unranked():
            bar.update(total - len(left))

            def settle_all(groups: Sequence[JobGroup]) -> None:
                for job in (job for done in _settled(groups, context, records, workers) for job in done):
                    bar.set_description(f"{job.claim}: {'tables' if job.case is None else job.case.name}")
                    if job.part is not None:
                        continue
                    bar.update()
                    pending[job.claim] -= 1
                    if progress and bar.disable and not pending[job.claim]:  # a log gets one line per claim
                        complete = sum(not count for count in pending.values())
                        log.info("%s is complete (%d of %d claims)", job.claim, complete, len(pending))

            settle_all(mine)
            settle_all([group for group in cut if records.has_parts(group[0].case, context)])

    def report(self, records: Records, asked: Asked, *, any_version: bool = False) -> ReportRecord:
        """What is found, from the records of all cases."""

        def kept(claim: AnyClaim, case: Case[Any] | None) -> Kept[Any]:
            found = records.load(claim, case, self.context, any_version=any_version)
            if found is None:
                what = "the background" if case is None else f"case {case.name!r}"
                rule = f"lacks {what} of claim {claim.id}: `eigenalign report --resume` computes it"
                raise InvalidInput("folder", str(records.folder), rule)
            return found

        return ReportRecord(
            budget=asked.budget,
            seed=asked.seed,
            device=asked.device,
            claims=tuple(
                judged(claim, {case: kept(claim, case) for case in self.cases[claim.id]}, kept(claim, None))
                for claim in self.claims
            ),
            seconds=asked.seconds,
            started=asked.started,
            command=asked.command,
            limits=LIMITS,
            provenance=asked.provenance,
        )


def settle_jobs(jobs: JobGroup, context: Context, records: Records) -> JobGroup:
    """Settle and keep some cases, or parts of them."""
    for job in jobs:
        claim = _claim(job)
        if job.case is None:
            records.save(claim, None, context, background(claim))
        elif job.part is None:
            records.save(claim, job.case, context, _whole(claim, job.case, context, records))
        elif claim.join is None:
            seconds = train_part(claim, job.case, replace(context, part=job.part))
            records.save_part(job.case, context, job.part, seconds)
        else:
            part = replace(job.case, parts=(job.part,))
            kept = settle(claim, part, context)
            records.save(claim, part, context, kept)
            records.save_part(job.case, context, job.part, kept.seconds)
    return jobs


def _whole(claim: AnyClaim, case: Case[Any], context: Context, records: Records) -> Kept[Any]:
    """A case from its parts, or computed, perhaps from the ensemble that its parts have trained."""
    if claim.join is not None:
        parts = [records.load(claim, replace(case, parts=(part,)), context) for part in case.parts]
        return joined(claim, parts) or settle(claim, case, context)
    kept = settle(claim, case, context)
    return replace(kept, seconds=kept.seconds + records.seconds_of_parts(case, context))


def _claim(job: CaseJob) -> AnyClaim:
    return next(claim for claim in CLAIMS if claim.id == job.claim)


def _settled(groups: Sequence[JobGroup], context: Context, records: Records, workers: int) -> Iterator[JobGroup]:
    """Each group, in the order in which they are done."""
    if workers == 1:
        yield from (settle_jobs(group, context, records) for group in groups)
        return
    try:
        with closing(results(settle_jobs, [(group, context, records) for group in groups], workers)) as done:
            yield from (group for _, group in done)
    except KeyboardInterrupt:
        log.warning("what is complete is kept in %s; --resume goes on from it", records.folder)
        raise


def _plan(budget: str, only: Sequence[str], device: str, seed: int, cifar10: Path | None) -> _Run:
    """What is to be run, once it is seen to be possible."""
    if budget not in BUDGETS:
        raise InvalidInput("budget", budget, f"must be one of {', '.join(BUDGETS)}")
    known = {claim.id: claim for claim in CLAIMS}
    for name in only:
        if name not in known:
            raise InvalidInput("only", name, unknown(name, "a claim", known))
    context = Context(budget, seed, device, None, paper_networks.checked(budget, cifar10))
    chosen = tuple(claim for claim in CLAIMS if not only or claim.id in only)
    left_out = [claim.id for claim in chosen if claim.id in paper_networks.CLAIMS]
    if budget == "paper" and cifar10 is None and left_out:
        names = ", ".join(left_out)
        log.info("the paper's own networks on CIFAR-10 are left out (%s): --cifar10 DIR trains them, too", names)
    if cifar10 is not None:
        every = [case for claim in chosen for case in claim.cases(context)]
        added = [case for case in every if paper_networks.is_paper(case.setting)]
        if added:
            took = duration_in_words(expected_seconds(added, device))
            log.info(
                "CIFAR-10 adds cases (%d): about %s here, one after the other, by a few updates that were timed; "
                "--resume goes on from an interruption, and --shard shares them",
                len(added),
                took,
            )
    return _Run(context, chosen)


@contextmanager
def unranked() -> Iterator[None]:
    """Hides what torchrun says of ranks: cases are shared among ranks, and the ensembles of a case are not.

    LOCAL_RANK stays, by which processes of one machine take its GPUs in turn.
    """
    told = {name: os.environ.pop(name) for name in ("RANK", "WORLD_SIZE") if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(told)


@contextmanager
def _records(folder: Path | None, device: str) -> Iterator[Records]:
    """The records of a folder, or of a temporary one."""
    kind = resolve(device).type
    if folder is not None:
        yield Records(folder, kind)
        return
    with tempfile.TemporaryDirectory(prefix="eigenalign-") as temporary:
        yield Records(Path(temporary), kind)


def _workers(processes: int | None, device: str) -> int:
    """How many processes settle cases: those asked for, or one for every core; a GPU is not shared."""
    shared = resolve(device).type == "cpu"
    if processes is None:
        return cores() if shared else 1
    if processes < 1:
        raise InvalidInput("processes", processes, "must be at least 1")
    if processes > 1 and not shared:
        raise InvalidInput("processes", processes, f"must be 1 on {device}: a GPU is not shared")
    return processes
