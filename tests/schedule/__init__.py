"""How long a report takes on many machines, by the times that its pieces took on one."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.campaign.plan import CaseJob, JobGroup, Plan
from reports.campaign.records import Records
from reports.claims import CLAIMS
from reports.claims.claim import Context


@dataclass(frozen=True)
class Piece:
    """What one process does at a time: a group of cases, or a part of one; and how many seconds that takes."""

    name: str
    seconds: float


def measured_pieces(folder: Path) -> list[Piece]:
    """The pieces of a report with the times in its records, a part's being its share of its case.

    What settles a cut case when its parts are there is counted as none.

    Raises
    ------
    InvalidInput
        Where the folder holds no report.
    KeyError
        Where one of its cases is missing.
    """
    records = Records(folder, "cpu")
    asked = records.description()
    context = Context(asked.budget, asked.seed, asked.device)
    plan = Plan(context, tuple(claim for claim in CLAIMS if claim.id in asked.claims))

    def seconds(job: CaseJob) -> float:
        claim = next(claim for claim in CLAIMS if claim.id == job.claim)
        kept = records.load(claim, job.case, context, any_version=True)
        if kept is None:
            raise KeyError(job)
        return kept.seconds

    def piece(group: JobGroup) -> Piece:
        job = group[0]
        if job.case is None:
            return Piece(f"{job.claim}: tables", seconds(job))
        share = 1 if job.part is None else 1 / len(job.case.parts)
        return Piece(f"{job.claim}: {job.case.name}", share * sum(map(seconds, group)))

    return [piece(group) for group in plan.pieces()]


def by_shards(pieces: Sequence[Piece], machines: int) -> float:
    """Seconds until the last of `report --shard i/n` is done, each on one process: piece k is machine k mod n's.

    >>> by_shards([Piece("a", 3.0), Piece("b", 1.0), Piece("c", 2.0)], 2)
    5.0
    """
    return max(sum(piece.seconds for piece in pieces[i::machines]) for i in range(machines))


def by_queue(pieces: Sequence[Piece], processes: int) -> float:
    """Seconds until the last process is done where each takes the next piece when it is free.

    >>> by_queue([Piece("a", 3.0), Piece("b", 1.0), Piece("c", 2.0)], 2)
    3.0
    """
    free = [0.0] * processes
    for piece in pieces:
        heapq.heapreplace(free, free[0] + piece.seconds)
    return max(free)


def bound(pieces: Sequence[Piece], machines: int) -> float:
    """No schedule is faster: a machine's share of the sum, or the longest piece.

    >>> bound([Piece("a", 3.0), Piece("b", 1.0), Piece("c", 2.0)], 4)
    3.0
    """
    return max(sum(piece.seconds for piece in pieces) / machines, max(piece.seconds for piece in pieces))
