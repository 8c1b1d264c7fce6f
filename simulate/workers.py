"""Who computes which ranges of an ensemble: this process, several on one machine, or the ranks of a cluster.

Workers do not communicate. Each trains the ranges that are its own, range number k belonging to worker k mod n,
and leaves their sums in a store; they are then added in the order of replicas, so the bits of the result do
not depend on the workers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import torch

from simulate.devices import resolve
from simulate.moments import Sums
from simulate.processes import Announce, employ, serve
from simulate.ranges import Range
from simulate.store import Description, Store
from simulate.tiles import Trainer
from theory.setting import Setting


def compute(
    trainer: Trainer, store: Store | None, mine: Sequence[Range], chunk: int | None, tell: Announce
) -> Iterator[Sums]:
    """The sums of each range in turn: from the store if it has them, otherwise trained, and stored.

    A range of which the store has some replicas is continued, so an ensemble that grows computes no replica twice.
    """
    for here in mine:
        sums = store.load(here) if store else None
        keep = store is not None
        if sums is not None and sums.last > here.last:
            # The store has more than was asked for, and that is not to be lost.
            sums, keep = sums.shortened(here.last), False
        if sums is None:
            sums = trainer.empty(here.first)
        tell(sums.replicas, False)
        if sums.last < here.last:
            trainer.extend(sums, here.last, chunk, lambda count: tell(count, True))
            if store is not None and keep:
                store.save(here, sums)
        yield sums


def placed(device: str, worker: int | None = None) -> str:
    """The device of one worker of several: those that share a machine take its CUDA devices in turn.

    `worker` is its number on this machine; if None, what ``torchrun`` says in LOCAL_RANK, if anything.
    """
    if worker is None:
        local = os.environ.get("LOCAL_RANK", "")
        worker = int(local) if local.isdecimal() else None
    if worker is None or device not in ("auto", "cuda") or not torch.cuda.is_available():
        return device
    return f"cuda:{worker % torch.cuda.device_count()}"


class EnsembleJob(msgspec.Struct, frozen=True, kw_only=True):
    """The job of a worker process."""

    setting: Setting
    device: str
    chunk: int | None
    kernel: str | None
    folder: str
    digest: str
    replicas: int
    mine: list[Range]


def distribute(
    store: Store,
    mine: Sequence[Range],
    *,
    device: str,
    chunk: int | None,
    kernel: str | None,
    processes: int,
    tell: Announce,
) -> None:
    """Train ranges in several processes on this machine, one thread each; their sums are then in the store.

    Raises
    ------
    InvalidInput
        As for `employ`.
    """
    known = store.description
    jobs = [
        EnsembleJob(
            setting=known.setting,
            device=placed(device, worker),
            chunk=chunk,
            kernel=kernel,
            folder=str(store.folder),
            digest=known.digest,
            replicas=known.replicas,
            mine=list(mine[worker::processes]),
        )
        for worker in range(min(processes, len(mine)))
    ]
    employ(main, jobs, folder=store.folder, processes=processes, tell=tell)


def main() -> None:
    """A worker process that trains ranges of an ensemble."""
    serve(EnsembleJob, _train)


def _train(job: EnsembleJob, tell: Announce) -> None:
    trainer = Trainer(job.setting, resolve(job.device), job.kernel)
    description = Description(
        job.setting,
        job.digest,
        trainer.device.type,
        trainer.range,
        job.replicas,
        trainer.draws.shapes[0][0],
        trainer.draws.data_moment,
    )
    for _ in compute(trainer, Store(Path(job.folder), description), job.mine, job.chunk, tell):
        pass
