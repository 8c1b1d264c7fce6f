"""Processes of their own: Python that runs some code, the command line as it is started, and what becomes of them."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path

from tests.paths import ROOT

COMMAND = "import sys\nfrom reports.cli import main\nsys.exit(main(sys.argv[1:]))"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def python(code, *arguments, **options):
    """A Python of its own that runs `code`."""
    options = {"capture_output": True, "text": True, "cwd": ROOT, "check": False, "timeout": 300, **options}
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], **options)


def eigenalign(*arguments):
    """The command, run to its end."""
    return python(COMMAND, *arguments, env=ENVIRONMENT)


@contextmanager
def started(*arguments):
    """The command, running; it is ended, whatever the test finds.

    It heeds Ctrl-C, which processes ignore that a shell has started in the background, and all that they start.
    """
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    pipes["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, start_new_session=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.005)


def children(pid):
    """The processes that a process has started."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in task.read_text().split()]
    return found


def alive(pid):
    """Whether the process is there and not a zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
