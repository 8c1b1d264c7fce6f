"""Runs that are killed and interrupted: what is complete is kept, and the rest is computed."""

import json
import os
import signal
import time

import numpy as np
import pytest

from simulate.ranges import ranges
from simulate.store import Damaged, find_store
from tests.processes import alive, children, eigenalign, python, started, wait_until
from tests.simulate.stores import setting_file, shards


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
    import os, random, signal, sys, threading, time, warnings
    import simulate
    from tqdm import tqdm
    from tests.simulate.stores import SETTING, content

    warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)  # from Python 3.12 on
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
    done = python(KILLS, tmp_path, 20201, 10, 20_000)
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
    assert len(shards(store)) >= 2  # it is noticed at once: the other one does not go on to its end
    assert len(shards(store)) < len(ranges(20_000, 256))


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
