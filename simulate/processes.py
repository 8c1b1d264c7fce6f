"""Worker processes on this machine: each does one job, reports its progress, and ends with the process that waits.

A worker is a Python of its own, not a fork, since torch's threads do not survive one; and not multiprocessing, so that
a script needs no ``if __name__ == "__main__"``. It imports nothing from the current folder.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from simulate.devices import one_thread
from theory.setting import InvalidInput

# A function that is told how many replicas are done, and whether they were trained now or found in the store.
Announce = Callable[[int, bool], None]
J = TypeVar("J", bound=msgspec.Struct)


def employ(
    main: Callable[[], None],
    jobs: Sequence[msgspec.Struct],
    *,
    folder: Path,
    processes: int,
    tell: Callable[[int, bool], object],
) -> None:
    """Do each job in a process of its own, which calls `main` and leaves its results in `folder`.

    `main` is a function of a module, and calls `serve`.

    Raises
    ------
    InvalidInput
        If a worker raises it, or a worker was ended from outside.
    RuntimeError
        If a worker failed unexpectedly; its traceback is a note of the error.
    """
    path = os.pathsep.join(entry for entry in sys.path if entry)
    # Not -m, which would load the module a second time: the package has imported it by then. -P keeps the current
    # folder off the worker's path: a file there that is called as a module is the user's, and not to be run.
    command = [sys.executable, "-P", "-c", f"from {main.__module__} import {main.__name__} as work; work()"]
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for job in jobs:
            # In a session of their own Ctrl-C reaches only this process, which then ends them.
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )
            workers.append(process)
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # its end is seen below
                process.stdin.write(msgspec.json.encode(job) + b"\n")
                process.stdin.flush()
        for message in _messages(workers, folder, processes):
            if "failed" in message:
                error = RuntimeError(f"a worker process failed: {message['failed']}")
                error.add_note(message["traceback"])
                raise error
            if "key" in message:
                raise InvalidInput(message["key"], message["value"], message["rule"])
            tell(message["done"], message["trained"])
    finally:
        for process in workers:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with suppress(OSError):
                    pipe.close()


def serve(kind: type[J], work: Callable[[J, Announce], None]) -> None:
    """A worker process: reads a job on stdin, does it, and reports its progress in lines of JSON on stdout.

    `work` tells what it has done; an InvalidInput that it raises is raised by the process that waits for it. The worker
    ends at once when that process is gone, however it ended, since stdin then ends.
    """
    # What libraries may print is not part of the conversation.
    channel = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(**message: object) -> None:
        line = json.dumps(message, default=repr).encode() + b"\n"
        while line:
            line = line[os.write(channel, line) :]

    def tell(count: int, trained: bool) -> None:
        say(done=count, trained=trained)

    told = sys.stdin.buffer.readline()
    if not told:  # whoever wanted the result is gone; so below
        os._exit(1)
    try:
        job = msgspec.json.decode(told, type=kind)
        threading.Thread(target=_end_with_parent, args=(sys.stdin.fileno(),), daemon=True).start()
        with one_thread():
            work(job, tell)
    except BrokenPipeError:
        os._exit(1)
    except InvalidInput as error:
        with suppress(BrokenPipeError):
            say(key=error.key, value=error.value, rule=error.rule)
    except Exception as error:
        with suppress(BrokenPipeError):
            say(failed=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())


def _end_with_parent(stdin: int) -> None:
    """Nothing is sent after the job: the pipe ends when its other end is closed, as the system does for the dead."""
    while os.read(stdin, 4096):
        pass
    os._exit(1)


def _messages(workers: Sequence[subprocess.Popen[bytes]], folder: Path, processes: int) -> Iterator[dict[str, Any]]:
    """The messages of all workers as they come, until all have ended; InvalidInput if one ended before it was done."""
    with selectors.DefaultSelector() as selector:
        begun = {}
        for process in workers:
            assert process.stdout is not None
            selector.register(process.stdout, selectors.EVENT_READ, process)
            begun[process.pid] = b""
        while selector.get_map():
            for key, _ in selector.select():
                process = key.data
                said = os.read(key.fd, 65536)
                *lines, begun[process.pid] = (begun[process.pid] + said).split(b"\n")
                yield from map(json.loads, lines)
                if not said:
                    selector.unregister(key.fileobj)
                    if status := process.wait():
                        raise InvalidInput("processes", processes, _ended(status, folder))


def _ended(status: int, folder: Path) -> str:
    ended = f"signal {-status}" if status < 0 else f"status {status}"
    memory = "; perhaps the system ran out of memory" if status == -signal.SIGKILL else ""
    return f"one of them ended with {ended}; shards that are complete are kept in {folder}{memory}"
