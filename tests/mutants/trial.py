"""One mutant against the tests that answer for it, in a copy of the project and in a process of its own."""

from __future__ import annotations

import compileall
import contextlib
import importlib
import json
import os
import py_compile
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.mutants.areas import stages
from tests.mutants.mutants import Mutant
from tests.paths import PACKAGES

Fate = Literal["killed", "timed out", "survived"]

LEFT_BEHIND = (".*", "__pycache__", "*.egg-info", "build", "dist", "report")
HEAVY = (
    "numpy", "scipy.linalg", "scipy.optimize", "scipy.stats", "scipy.integrate", "sympy", "torch", "torch.func",
    "array_api_compat.numpy", "array_api_compat.torch", "hypothesis.extra.numpy", "msgspec", "pytest",
)  # fmt: skip
# plain assertions: otherwise the tests would be compiled again for every mutant
OPTIONS = (
    "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:xdist", "--benchmark-skip", "--assert=plain",
)  # fmt: skip
RECORD = "record.json"
SPARE, FACTOR = 20.0, 4.0  # seconds of processor time that a test may take beyond so many times those of the original
LONGEST = 1200  # of a whole run, and of every process that its tests start
MEMORY = 16 << 30  # bytes of addresses: a mutant must not take the machine along
LATE = 3  # the exit status of a run one of whose tests took too long
NONE = 5  # that of pytest where there is no test: those of some modules are all slow, which says nothing of a mutant


@contextmanager
def copy(root: Path) -> Iterator[Path]:
    """The project in a folder that is thrown away: nothing is ever written into the working tree."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        place = Path(folder) / "project"
        shutil.copytree(root, place, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
        for package in PACKAGES:
            # known by their source's hash: a mutant of the same second and size is never taken for its original
            compileall.compile_dir(
                place / package, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH
            )
        yield place


@dataclass(frozen=True)
class Run:
    """How tests ended: pytest's exit status, or LATE; the test that failed or was late, and the time of each, in s."""

    status: int
    ended_by: str | None
    seconds: dict[str, float]


@dataclass
class Trials:
    """Runs tests in a copy. Of the original only what kills mutants is run, for all of them at once: it must pass."""

    place: Path
    seconds: dict[str, float] = field(default_factory=dict)  # of each test, last seen
    killers: set[str] = field(default_factory=set)  # tests that have killed a mutant
    broken: set[tuple[str, ...]] = field(default_factory=set)  # tests that a mutant could not even import
    passing: set[tuple[str, ...]] = field(default_factory=set)  # what the original has passed

    def fate(self, mutant: Mutant, *, near_only: bool = False) -> Fate:
        """What becomes of a mutant: the tests that are near to its module first, farther ones if it survives them."""
        for paths in filter(None, stages(self.place, mutant.module)[: 2 if near_only else None]):
            tests = tuple(map(str, paths))
            found = self._of(mutant, tests)
            if found.status == LATE and found.ended_by is not None and (found.ended_by,) not in self.passing:
                self._must_pass((found.ended_by,))
                found = self._of(mutant, tests)  # now that the time of this test is known
            if found.status not in (0, NONE):
                if found.ended_by is None:
                    self.broken.add(tests)
                else:
                    self.killers.add(found.ended_by)
                return "timed out" if found.status == LATE or found.status < 0 else "killed"
        return "survived"

    def confirm(self) -> None:
        """Run what has killed mutants on the original; raises RuntimeError if anything fails there, too."""
        for tests in sorted(self.broken):
            self._must_pass(("--collect-only", *tests))
        if self.killers:
            self._must_pass(tuple(sorted(self.killers)))

    def _of(self, mutant: Mutant, tests: tuple[str, ...]) -> Run:
        path = self.place / mutant.module
        original, changed = path.read_bytes(), mutant.code(self.place)
        path.write_text(changed, encoding="utf-8")
        try:
            found = _run(self.place, tests, self.seconds, limited=True)
        finally:
            path.write_bytes(original)
        # of a test that failed or was late, the time says nothing
        self.seconds.update((test, spent) for test, spent in found.seconds.items() if test != found.ended_by)
        return found

    def _must_pass(self, tests: tuple[str, ...]) -> None:
        if tests in self.passing:
            return
        found = _run(self.place, tests, {}, limited=False)
        if found.status not in (0, NONE):
            raise RuntimeError(f"{found.ended_by or ' '.join(tests)}: fails without any mutant")
        self.seconds.update(found.seconds)
        self.passing.add(tests)


class Watch:
    """A plugin of pytest that runs what was fast first, for most mutants die of any test, and stops what is late."""

    def __init__(self, place: Path, known: dict[str, float], *, limited: bool) -> None:
        self.place, self.known, self.limited = place, known, limited
        self.seconds: dict[str, float] = {}
        self.ended_by: str | None = None

    def pytest_collection_modifyitems(self, items: list) -> None:
        items.sort(key=lambda item: self.known.get(item.nodeid, 0.0))

    def pytest_runtest_protocol(self, item: Any) -> None:
        self.test, self.began = item.nodeid, time.process_time()
        if self.limited:
            signal.setitimer(signal.ITIMER_PROF, SPARE + FACTOR * self.known.get(item.nodeid, 0.0))

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[report.nodeid] = time.process_time() - self.began
        if report.failed:
            self.ended_by = report.nodeid

    def late(self, *_: object) -> None:
        """Handle the timer's signal: record the test that is running, and exit."""
        self.ended_by = self.test
        self.write(LATE)
        os._exit(LATE)

    def write(self, status: int) -> None:
        """The record of the run, for the process that has started it."""
        found = {"status": status, "ended_by": self.ended_by, "seconds": self.seconds}
        (self.place / RECORD).write_text(json.dumps(found), encoding="utf-8")


def _run(place: Path, tests: Sequence[str], known: dict[str, float], *, limited: bool) -> Run:
    """The tests, in a child that has the heavy libraries already.

    Nothing of the project is imported before the fork, so that every child imports the copy as it then is.
    """
    for name in HEAVY:
        importlib.import_module(name)
    (place / RECORD).unlink(missing_ok=True)
    sys.stdout.flush()
    child = os.fork()
    if not child:
        _test(place, tests, known, limited=limited)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what its tests have started
    if (place / RECORD).exists():
        return Run(**json.loads((place / RECORD).read_text(encoding="utf-8")))
    return Run(os.waitstatus_to_exitcode(status) or 1, None, {})


def _test(place: Path, tests: Sequence[str], known: dict[str, float], *, limited: bool) -> None:
    """Run pytest in the child process, write what was seen, and exit."""
    try:
        os.setpgid(0, 0)
        watch = Watch(place, known, limited=limited)
        if limited:
            sys.dont_write_bytecode = True
            signal.signal(signal.SIGPROF, watch.late)
            resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        os.chdir(place)
        os.environ.update(HYPOTHESIS_PROFILE="ci", PYTHONDONTWRITEBYTECODE="1", PYTHONPATH=str(place))
        for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "cosmic_ray")]:
            del sys.modules[name]
        sys.path[:] = [str(place), *sys.path]
        import pytest

        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            status = int(pytest.main([*OPTIONS, *tests], [watch]))
        watch.write(status)
    except BaseException:
        os._exit(1)
    os._exit(0)
