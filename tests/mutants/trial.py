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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.mutants.areas import first_tests, package_tests
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
DURATIONS = "durations.json"
SPARE, FACTOR = 20.0, 4.0  # seconds of processor time that a mutant may take beyond so many times those of the original
MEMORY = 16 << 30  # bytes of addresses: a mutant must not take the machine along


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


@dataclass
class Trials:
    """Runs tests in a copy; how long they take of the original is measured once, where they must pass."""

    place: Path
    seconds: dict[tuple[Path, ...], float] = field(default_factory=dict)  # of the original, a run of tests
    durations: dict[str, float] = field(default_factory=dict)  # of the original, a test

    def fate(self, mutant: Mutant, *, named_only: bool = False) -> Fate:
        """What becomes of a mutant: its module's own tests first, those of the package if it survives them."""
        named, package = (mutant.module, *first_tests(self.place, mutant.module)), (package_tests(mutant.module),)
        for tests in dict.fromkeys((named,) if named_only else (named, package)):
            limit = SPARE + FACTOR * self._original(tests)
            path = self.place / mutant.module
            original, changed = path.read_bytes(), mutant.code(self.place)
            path.write_text(changed, encoding="utf-8")
            try:
                code, _ = _run(self.place, tests, limit, self.durations)
            finally:
                path.write_bytes(original)
            if code != 0:
                return "timed out" if code < 0 else "killed"
        return "survived"

    def _original(self, tests: tuple[Path, ...]) -> float:
        if tests not in self.seconds:
            code, seconds = _run(self.place, tests, float("inf"), {})
            if code != 0:
                raise RuntimeError(f"{', '.join(map(str, tests))}: these fail without any mutant")
            self.seconds[tests] = seconds
            self.durations.update(json.loads((self.place / DURATIONS).read_text()))
        return self.seconds[tests]


class Fastest:
    """A plugin of pytest that runs what was fast first, for most mutants die of any test; and notes what was fast."""

    def __init__(self, known: dict[str, float]) -> None:
        self.known, self.seen = known, dict[str, float]()

    def pytest_collection_modifyitems(self, items: list) -> None:
        items.sort(key=lambda item: self.known.get(item.nodeid, 0.0))

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seen[report.nodeid] = self.seen.get(report.nodeid, 0.0) + report.duration


def _run(place: Path, tests: Sequence[Path], limit: float, known: dict[str, float]) -> tuple[int, float]:
    """The tests, in a child that has the heavy libraries already: its exit status, negative for a signal, and its time.

    Nothing of the project is imported before the fork, so that every child imports the copy as it then is.
    """
    for name in HEAVY:
        importlib.import_module(name)
    sys.stdout.flush()
    child = os.fork()
    if not child:
        _test(place, tests, limit, known)
    _, status, usage = os.wait4(child, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what its tests have started
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def _test(place: Path, tests: Sequence[Path], limit: float, known: dict[str, float]) -> None:
    """In the child: run pytest, and leave with its status."""
    try:
        os.setpgid(0, 0)
        if limit < float("inf"):
            sys.dont_write_bytecode = True
            resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        os.chdir(place)
        os.environ.update(HYPOTHESIS_PROFILE="ci", PYTHONDONTWRITEBYTECODE="1", PYTHONPATH=str(place))
        for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "cosmic_ray")]:
            del sys.modules[name]
        sys.path[:] = [str(place), *sys.path]
        import pytest

        fastest = Fastest(known)
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            status = int(pytest.main([*OPTIONS, *map(str, tests)], [fastest]))
        if limit == float("inf"):
            (place / DURATIONS).write_text(json.dumps(fastest.seen))
    except BaseException:
        status = 1
    os._exit(status)
