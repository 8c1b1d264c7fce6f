"""Several processes, ranks and shards, killed and interrupted: the same bytes as one run in one process."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tqdm import tqdm

import simulate
from simulate import workers
from simulate.ranges import ranges, rank
from simulate.store import Damaged, find_store
from tests.test_simulate_store import ROOT, SETTING, content, python, shards
from theory.setting import Data, InvalidInput

TOML = """
[data]
kind = "gaussian"
spectrum = [0.5, 1.0, 2.0]
samples = 9
[network]
kind = "mlp"
hidden = [5]
[training]
steps = [1, {steps}]
batch_size = 4
[ensemble]
replicas = {replicas}
dtype = "float32"
"""
COMMAND = "import sys\nfrom reports.cli import main\nsys.exit(main(sys.argv[1:]))"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def eigenalign(*arguments):
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
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in task.read_text().split()]
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def setting_file(tmp_path, *, replicas, steps=4):
    path = tmp_path / "setting.toml"
    path.write_text(TOML.format(replicas=replicas, steps=steps))
    return path


def test_ranges_are_dealt_out_once():
    whole = ranges(1000, 64)
    assert [r.first for r in whole] == list(range(0, 1000, 64))
    assert [r.last for r in whole] == [*range(64, 1000, 64), 1000]
    for n in (1, 2, 3, 20):
        dealt = [r for i in range(n) for r in ranges(1000, 64, (i + 1, n))]
        assert sorted(dealt) == whole
        assert max(len(ranges(1000, 64, (i + 1, n))) for i in range(n)) == -(-len(whole) // n)


def test_ranks_of_torchrun_are_shards(tmp_path, monkeypatch):
    assert rank() == (0, 1)
    whole = content(simulate.run(SETTING, replicas=1500))
    monkeypatch.setenv("WORLD_SIZE", "2")
    counts = []
    for number in ("0", "1"):
        monkeypatch.setenv("RANK", number)
        counts.append(simulate.run(SETTING, replicas=1500, store=tmp_path).replicas)
    assert counts == [3 * 256, 2 * 256 + 220]
    assert content(simulate.merge(tmp_path)) == whole
    with pytest.raises(InvalidInput, match="store = None: is needed by resume, and by shards"):
        simulate.run(SETTING, replicas=3)
    assert simulate.run(SETTING, replicas=3, shard="1/1").replicas == 3
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(
        InvalidInput, match="RANK/WORLD_SIZE = '2/2': must be whole numbers, the first below the second"
    ):
        simulate.run(SETTING, replicas=3, store=tmp_path)


def test_workers_of_one_machine_share_its_devices(monkeypatch):
    monkeypatch.setattr(workers.torch.cuda, "is_available", lambda: False)
    assert workers.placed("cuda", 1) == "cuda"
    monkeypatch.setattr(workers.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(workers.torch.cuda, "device_count", lambda: 2)
    assert [workers.placed("auto", worker) for worker in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert workers.placed("cuda:1", 0) == "cuda:1"
    assert workers.placed("cpu", 1) == "cpu"
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert workers.placed("cuda") == "cuda"
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert workers.placed("cuda") == "cuda:1"


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_three_shards_are_one_ensemble(tmp_path, chunk):
    whole = simulate.run(SETTING, replicas=600)
    for shard in ("3/3", "1/3", "2/3"):
        part = simulate.run(SETTING, replicas=600, store=tmp_path, shard=shard, chunk=chunk)
        assert part.replicas == {"1/3": 256, "2/3": 256, "3/3": 88}[shard]
    assert content(simulate.merge(tmp_path)) == content(whole)


@pytest.mark.slow
def test_what_a_worker_refuses_is_said_by_its_master(tmp_path, monkeypatch):
    """The data vanish between the check of the setting and the worker's reading of them."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((20, 3)))
    setting = type(SETTING)(data=Data(kind="array", path=str(tmp_path / "x.npy"), samples=5))
    compute = workers.distribute

    def late(*args, **kwargs):
        (tmp_path / "x.npy").unlink()
        compute(*args, **kwargs)

    monkeypatch.setattr("simulate.ensemble.distribute", late)
    with pytest.raises(InvalidInput, match=r"data\.path = .*x\.npy': there is no such file"):
        simulate.run(setting, replicas=300, processes=2)


def test_ctrl_c_exits_3_and_keeps_shards(tmp_path):
    store, setting = tmp_path / "store", setting_file(tmp_path, replicas=1_000_000)
    with started("simulate", setting, "--store", store, "--json") as process:
        wait_until(lambda: len(shards(store)) >= 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert out == ""
    kept = shards(store)
    assert f"{len(kept)} shards are kept in {kept[0].parent}; --resume goes on from them" in err
    assert err.endswith("eigenalign: interrupted\n")
    assert list(store.rglob("*.tmp")) == []
    opened = find_store(store)
    assert opened.description.replicas == 1_000_000
    for here in ranges(len(kept) * 256, 256):
        assert opened.read(here).replicas == 256


KILLS = """
    import os, random, signal, sys, threading, time
    import simulate
    from tqdm import tqdm
    from tests.test_simulate_store import SETTING, content

    tqdm.set_lock(threading.RLock())  # by default forks share one, and who is killed with it keeps it for ever
    folder, seed, kills, replicas = sys.argv[1], *map(int, sys.argv[2:])
    began = time.monotonic()
    whole = simulate.run(SETTING, replicas=replicas)
    took = time.monotonic() - began
    home = os.path.join(folder, simulate.digest(SETTING))
    moments = random.Random(seed)
    killed = 0
    progress = []
    while killed < kills:
        pid = os.fork()
        if pid == 0:
            simulate.run(SETTING, replicas=replicas, store=folder, resume=True, chunk=moments.choice((64, 200, None)))
            os._exit(0)
        time.sleep(moments.uniform(0, 2 * took / kills))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        else:  # it was faster than ever before: some of the work is to be done again
            for name in os.listdir(home)[::2]:
                os.unlink(os.path.join(home, name))
        progress.append(len(os.listdir(home)) if os.path.isdir(home) else 0)
    print(killed, *progress)
    resumed = simulate.run(SETTING, replicas=replicas, store=folder, resume=True)
    assert content(resumed) == content(whole)
    assert content(simulate.merge(folder)) == content(whole)
"""


def test_killed_ten_times(tmp_path):
    """SIGKILL at random moments of an ensemble; forks of one process, so that no time is lost in importing torch."""
    done = python(KILLS, tmp_path, 20201, 10, 40_000)
    assert done.returncode == 0, done.stderr
    killed, *progress = map(int, done.stdout.split())
    assert killed == 10
    assert max(progress) > 1  # beside the description, shards
    assert done.stderr == ""  # nor was a shard ever found damaged


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_the_command_killed_ten_times(tmp_path, processes):
    """The whole of it: `eigenalign simulate --resume` killed at random moments, workers and all."""
    store, setting = tmp_path / "store", setting_file(tmp_path, replicas=40_000, steps=20)
    moments = np.random.default_rng(20202)
    run = ["simulate", setting, "--store", store, "--resume", "--json", "--processes", processes]
    uninterrupted = eigenalign("simulate", setting, "--json")
    assert uninterrupted.returncode == 0, uninterrupted.stderr
    counts, orphans = [], []
    for _ in range(10):
        there = len(shards(store))
        with started(*run) as process:
            # Its start takes most of its time; from the first new shard on it is at work.
            wait_until(lambda p=process, n=there: len(shards(store)) > n or p.poll() is not None)
            time.sleep(moments.uniform(0, 0.3))
            orphans += children(process.pid)
            process.kill()
            assert process.wait() == -signal.SIGKILL
        # Without a master there is nothing to work for. The shard at hand may still land: the next start's it is not.
        wait_until(lambda those=orphans: not any(map(alive, those)), seconds=20)
        counts.append(len(shards(store)))
    assert counts == sorted(counts)
    assert 0 < counts[0] < counts[-1] < len(ranges(40_000, 256))
    assert len(orphans) == (10 * processes if processes > 1 else 0)
    before = {path: path.stat().st_mtime_ns for path in shards(store)}
    resumed = eigenalign(*run)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout == uninterrupted.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert eigenalign("merge", store, "--json").stdout == uninterrupted.stdout
    assert list(store.rglob(".shard*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [1, 7, 64])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_and_chunks(tmp_path, processes, chunk):
    whole = content(simulate.run(SETTING, replicas=1100))
    assert content(simulate.run(SETTING, replicas=1100, processes=processes, chunk=chunk)) == whole
    stored = simulate.run(SETTING, replicas=1100, processes=processes, chunk=chunk, store=tmp_path)
    assert content(stored) == whole


@pytest.mark.slow
def test_torchrun_with_two_ranks(tmp_path):
    store, setting = tmp_path / "store", setting_file(tmp_path, replicas=1500)
    alone = eigenalign("simulate", setting, "--json")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    torchrun += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "--no-python"]
    torchrun += [str(Path(sys.executable).with_name("eigenalign"))]
    done = subprocess.run(
        [*torchrun, "simulate", str(setting), "--store", str(store), "--json"],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["replicas"] == 768  # one value, of rank 0
    merged = eigenalign("merge", store, "--json")
    assert merged.returncode == 0, merged.stderr
    assert merged.stdout == alone.stdout


@pytest.mark.slow
def test_a_worker_that_is_ended_from_outside(tmp_path):
    store, setting = tmp_path / "store", setting_file(tmp_path, replicas=20_000, steps=20)
    with started("simulate", setting, "--store", store, "--processes", 2, "--json") as process:
        wait_until(lambda: len(shards(store)) >= 2)
        first, second = children(process.pid)
        os.kill(first, signal.SIGKILL)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 2, err
    assert "one of them ended with signal 9; shards that are complete are kept in" in json.loads(out)["why"]
    assert not alive(second)
    assert len(shards(store)) > 2


@pytest.mark.slow
def test_ctrl_c_ends_workers_too(tmp_path):
    store, setting = tmp_path / "store", setting_file(tmp_path, replicas=200_000, steps=20)
    with started("simulate", setting, "--store", store, "--processes", 2) as process:
        wait_until(lambda: len(shards(store)) >= 2)
        workers_of_it = children(process.pid)
        assert len(workers_of_it) == 2
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert "shards are kept in" in err
    assert not any(map(alive, workers_of_it))
    assert "Traceback" not in err
    opened = find_store(store)
    for path in shards(store):
        number = int(path.stem.partition("-")[2])
        try:
            opened.read(ranges(200_000, 256)[number])
        except Damaged as error:
            pytest.fail(f"{path}: {error}")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """What a progress bar writes, which shows every change at once: not after a second, nor a few times a second."""
    file = Terminal()

    class Eager(tqdm):
        def __init__(self, *args, **kwargs):
            assert kwargs["delay"] == 1
            super().__init__(*args, **{**kwargs, "delay": 0, "mininterval": 0, "miniters": 1, "file": file})

    monkeypatch.setattr("simulate.ensemble.tqdm", Eager)
    return file


@pytest.mark.parametrize("processes", [1, 2])
def test_processes_are_one_ensemble_and_show_progress(tmp_path, processes, terminal):
    whole = content(simulate.run(SETTING, replicas=1100))
    run = simulate.run(SETTING, replicas=1100, store=tmp_path, processes=processes, chunk=100, progress=True)
    assert content(run) == whole
    assert content(simulate.merge(tmp_path)) == whole
    shown = terminal.getvalue().split("\r")
    assert any(re.search(r"1100/1100 \[\d\d:\d\d<\d\d:\d\d, .*replicas/s\]", line) for line in shown), shown


def test_what_was_found_is_no_speed(tmp_path, monkeypatch):
    """Of 600 replicas 512 are in the store: the rate is that of the others."""
    simulate.run(SETTING, replicas=512, store=tmp_path)
    bars = []

    class Bar(tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **{**kwargs, "disable": False, "file": io.StringIO()})
            bars.append(self)

    monkeypatch.setattr("simulate.ensemble.tqdm", Bar)
    simulate.run(SETTING, replicas=600, store=tmp_path, progress=True, resume=True)
    (bar,) = bars
    assert (bar.n, bar.initial, bar.total) == (600, 512, 600)


def test_only_rank_0_shows_progress(tmp_path, monkeypatch, terminal):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for number, shows in (("0", True), ("1", False)):
        monkeypatch.setenv("RANK", number)
        at = terminal.tell()
        simulate.run(SETTING, replicas=600, store=tmp_path, progress=True)
        assert ("replicas" in terminal.getvalue()[at:]) == shows
