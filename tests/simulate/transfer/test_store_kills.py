"""Experiments that are killed and go on: the same bits, and nothing half written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import count

import pytest

import simulate.store
import simulate.transfer.experiment as engine
import simulate.transfer.store as files
from simulate.identity import experiment_digest
from simulate.transfer import run
from tests.paths import ROOT
from tests.simulate.transfer.experiments import (
    EXPERIMENT,
    KINDS,
    content,
    shards,
    small,
)

pytestmark = pytest.mark.usefixtures("small_ranges")


class Killed(BaseException):
    """An exception that nothing catches, which stands for a kill."""


def dying(function, after: int, *, first: bool):
    """`function`, which raises at call number `after`: before it does anything, or after it is done."""
    calls = count()

    def call(*arguments, **options):
        number = next(calls)
        if number == after and first:
            raise Killed
        result = function(*arguments, **options)
        if number == after:
            raise Killed
        return result

    return call


POINTS = [
    *((engine, "train_upstream", k, True) for k in (0, 1, 2)),
    *((engine, "read_replicas", k, False) for k in (0, 4, 5, 11)),
    *((files, "write_file", k, first) for k in (0, 1, 2, 4, 6) for first in (True, False)),
    (simulate.store.os, "replace", 3, True),
    (engine, "marks", 0, True),
]


@pytest.mark.parametrize(("module", "name", "after", "first"), POINTS)
def test_killed_anywhere_and_resumed_gives_the_same_bits(
    tmp_path, monkeypatch, trained_pieces, module, name, after, first
):
    experiment = small(kinds=KINDS, replicas=5)
    whole = content(run(experiment))
    trained_pieces.update(upstream=0, downstream=0)
    with monkeypatch.context() as patched:
        patched.setattr(module, name, dying(getattr(module, name), after, first=first))
        with pytest.raises(Killed):
            run(experiment, store=tmp_path)
    assert content(run(experiment, store=tmp_path, resume=True)) == whole
    # No more is lost than one range: a piece upstream, or one after each of four treatments.
    assert trained_pieces["upstream"] <= 3 + 1
    assert trained_pieces["downstream"] <= 4 * 3 + 4


def test_killed_again_and_again(tmp_path, monkeypatch):
    """A run that may write but one shard before it dies comes to its end."""
    experiment = small(kinds=KINDS, replicas=5)
    write = files.write_file

    def write_once(path, *rest):
        write(path, *rest)
        if path.name != files.EXPERIMENT:
            raise Killed

    for _ in range(6):
        with monkeypatch.context() as patched:
            patched.setattr(files, "write_file", write_once)
            with pytest.raises(Killed):
                run(experiment, store=tmp_path, resume=True)
    assert content(run(experiment, store=tmp_path, resume=True)) == content(run(experiment))


@pytest.mark.slow
@pytest.mark.parametrize("there", [0, 1, 3])
def test_a_real_kill(tmp_path, there):
    """SIGKILL when so many shards are there, of six; the JSON of the resumed command has the same bytes."""
    file, store = tmp_path / "experiment.toml", tmp_path / "store"
    file.write_text(EXPERIMENT)
    call = "import sys; from reports.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", call, "transfer", str(file), "--json", "--quiet"]
    keys = {"cwd": ROOT, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
    whole = subprocess.run(command, capture_output=True, check=True, timeout=300, **keys).stdout
    killed = subprocess.Popen([*command, "--store", str(store)], stdout=subprocess.DEVNULL, **keys)
    while len(shards(store)) < there or not list(store.glob("*/*")):
        assert killed.poll() is None
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert len(shards(store)) < 6
    resumed = subprocess.run([*command, "--store", str(store), "--resume"], capture_output=True, timeout=300, **keys)
    assert (resumed.returncode, resumed.stderr, resumed.stdout) == (0, b"", whole)


def test_what_a_kill_left_half_written_is_removed_when_it_is_old(tmp_path):
    experiment = small(kinds=("scratch",), replicas=2)
    run(experiment, store=tmp_path)
    old, new = (tmp_path / experiment_digest(experiment) / f".upstream-000000-{k}.tmp" for k in (1, 2))
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    run(experiment, store=tmp_path, resume=True)
    assert (old.exists(), new.exists()) == (False, True)
