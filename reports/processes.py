"""Jobs in worker processes, one thread each: their results as they come, and no worker left when the caller goes."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from typing import Any, TypeVar

from theory.errors import InvalidInput

Result = TypeVar("Result")
# The packages that log. They are named in a string here alone: their __name__ would cost a second and a half, and
# torch, before the level of what they log can be set. A test compares them with the packages that there are.
LOGGERS = ("reports", "simulate")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def results(
    function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], processes: int
) -> Generator[tuple[int, Result]]:
    """The number of each job and function(*job), in the order in which they are done.

    Workers are spawned, since torch's threads don't survive a fork: `function` must be a module's, and a script that
    calls this needs ``if __name__ == "__main__"``. They import nothing from the current folder unless this process
    does. Closing the generator ends the workers at once, and so does an exception.

    Raises
    ------
    InvalidInput
        If a worker was ended from outside. What a job raises is raised here.
    """
    before = set(active_children())
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    with _safe_path():  # the pool starts a process at once that keeps count of its semaphores
        pool = ProcessPoolExecutor(
            max_workers=max(1, min(processes, len(jobs))),
            mp_context=get_context("spawn"),
            initializer=_begin,
            initargs=(levels,),
        )
    with pool:
        numbers: dict[Future[Result], int] = {}
        try:
            with _safe_path():  # submitting starts the workers
                for number, job in enumerate(jobs):
                    numbers[pool.submit(function, *job)] = number
            for done in as_completed(numbers):
                yield numbers[done], done.result()
        except BaseException as error:
            for future in numbers:
                future.cancel()
            for process in set(active_children()) - before:  # leaving `pool` then waits for none of their jobs
                process.terminate()
            if isinstance(error, BrokenProcessPool):
                raise InvalidInput("processes", processes, "one of them was ended from outside") from None
            raise


@contextmanager
def _safe_path() -> Iterator[None]:
    """Python that is started inside does not begin with the current folder on its path: its modules are the user's."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _begin(levels: Mapping[str, int]) -> None:
    """A worker logs what its parent would, leaves Ctrl-C to its parent, and does not outlive it."""
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
