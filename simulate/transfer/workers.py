"""Ranges of a transfer experiment in several processes on one machine, which leave them in a store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from simulate.devices import resolve
from simulate.processes import Announce, employ, serve
from simulate.ranges import Range
from simulate.transfer.experiment import Engine, Tell, silent
from simulate.transfer.handover import Trained
from simulate.transfer.store import TransferStore
from simulate.workers import placed
from theory.setting import Experiment


class TransferJob(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker process is told; `drawn` says which phase it is, `downstream` whether it goes that far."""

    experiment: Experiment
    device: str
    chunk: int | None
    weights: bool
    folder: str
    digest: str
    tile: int
    mine: list[Range]
    drawn: bool
    downstream: bool


def distribute_shares(
    engine: Engine,
    mine: Sequence[Range],
    trained: Trained | None,
    tell: Tell,
    *,
    store: TransferStore,
    device: str,
    processes: int,
    downstream: bool = True,
) -> None:
    """`Engine.fill` in several processes on this machine, one thread each; `Engine.ends` where not `downstream`.

    Raises
    ------
    InvalidInput
        If a worker raises it, or a worker was ended from outside.
    """
    jobs = [
        TransferJob(
            experiment=engine.experiment,
            device=placed(device, worker),
            chunk=engine.chunk,
            weights=engine.weights,
            folder=str(store.folder),
            digest=store.digest,
            tile=store.tile,
            mine=list(mine[worker::processes]),
            drawn=trained is not None,
            downstream=downstream,
        )
        for worker in range(min(processes, len(mine)))
    ]
    employ(main, jobs, folder=store.folder, processes=processes, tell=lambda count, _: tell(count))


def main() -> None:
    """A worker process that trains ranges of a transfer experiment."""
    serve(TransferJob, _work)


def _work(job: TransferJob, tell: Announce) -> None:
    engine = Engine(job.experiment, resolve(job.device), job.chunk, weights=job.weights, tile=job.tile)
    engine.use(TransferStore(Path(job.folder), job.digest, engine.device.type, job.tile, weights=job.weights))
    if not job.downstream:
        engine.ends(job.mine, lambda count: tell(count, True))
        return
    trained = engine.upstream(silent) if job.drawn else None
    engine.fill(job.mine, trained, lambda count: tell(count, True))
