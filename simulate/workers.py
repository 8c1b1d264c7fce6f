"""Who computes which ranges of an ensemble: this process, several on one machine, or the ranks of a cluster.

Workers never talk to each other. Each trains the ranges that are its own, range number k belonging to worker k mod n,
and leaves their sums in a store; whoever reads them adds them in the order of replicas, so the bits of the result know
nothing of the workers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec
import torch

from simulate.devices import one_thread, resolve
from simulate.moments import Sums
from simulate.ranges import Range
from simulate.store import Description, Store
from simulate.tiles import Trainer
from theory.setting import InvalidInput, Setting

# Told how many replicas are done, and whether they were trained now or found in the store.
Announce = Callable[[int, bool], None]
J = TypeVar("J", bound=msgspec.Struct)


def compute(
    trainer: Trainer, store: Store | None, mine: Sequence[Range], chunk: int | None, tell: Announce
) -> Iterator[Sums]:
    """The sums of each range in turn: those in the store, else they are trained, and stored.

    A range of which the store has some replicas is gone on with, so an ensemble that grows computes no replica twice.
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
    """What a worker process is told."""

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

    A process of its own, not a fork: torch's threads don't survive one; and not multiprocessing, so that a script
    needs no ``if __name__ == "__main__"``.

    Raises
    ------
    InvalidInput
        What a worker raises, or that one was ended from outside.
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


def employ(
    main: Callable[[], None],
    jobs: Sequence[msgspec.Struct],
    *,
    folder: Path,
    processes: int,
    tell: Callable[[int, bool], object],
) -> None:
    """Have each job done by a process of its own, which calls `main`, and leaves its work in `folder`.

    `main` is a function of a module, and calls `serve`.

    Raises
    ------
    InvalidInput
        See `distribute`.
    """
    path = os.pathsep.join(entry for entry in sys.path if entry)
    # Not -m, which would load the module a second time: the package has imported it by then.
    command = [sys.executable, "-c", f"from {main.__module__} import {main.__name__} as work; work()"]
    reader, writer = os.pipe()
    workers: list[subprocess.Popen[bytes]] = []
    try:
        with os.fdopen(reader, encoding="utf-8") as lines:
            try:
                for job in jobs:
                    # In a session of their own Ctrl-C reaches only this process, which then ends them.
                    process = subprocess.Popen(
                        command,
                        stdin=subprocess.PIPE,
                        stdout=writer,
                        env={**os.environ, "PYTHONPATH": path},
                        start_new_session=True,
                    )
                    workers.append(process)
                    assert process.stdin is not None
                    with suppress(BrokenPipeError), process.stdin:
                        process.stdin.write(msgspec.json.encode(job))
            finally:
                os.close(writer)
            for line in lines:
                message = json.loads(line)
                if "key" in message:
                    raise InvalidInput(message["key"], message["value"], message["rule"])
                tell(message["done"], message["trained"])
        for process in workers:
            if process.wait() != 0:
                ended = f"signal {-process.returncode}" if process.returncode < 0 else f"status {process.returncode}"
                rule = f"one of them ended with {ended}; shards that are complete are kept in {folder}"
                raise InvalidInput("processes", processes, rule)
    finally:
        for process in workers:
            process.kill()
            process.wait()


def serve(kind: type[J], work: Callable[[J, Announce], None]) -> None:
    """A worker process: reads a job on stdin, does it, says how far it is in lines of JSON on stdout.

    `work` tells what it has done; an InvalidInput that it raises is raised by the process that waits for it.
    """
    # What libraries may print is not part of the conversation.
    channel = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(**message: object) -> None:
        # One write: lines of several workers share a pipe, and short ones are not torn apart.
        os.write(channel, json.dumps(message, default=repr).encode() + b"\n")

    def tell(count: int, trained: bool) -> None:
        say(done=count, trained=trained)

    try:
        job = msgspec.json.decode(sys.stdin.buffer.read(), type=kind)
        with one_thread():
            work(job, tell)
    except BrokenPipeError:
        # Whoever wanted the result is gone.
        os._exit(1)
    except InvalidInput as error:
        say(key=error.key, value=error.value, rule=error.rule)


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
