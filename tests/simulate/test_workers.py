"""Several processes, ranks and shards: the same bytes as one run in one process, and their progress."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tqdm import tqdm

import simulate
from simulate import workers
from tests.paths import ROOT
from tests.processes import ENVIRONMENT, eigenalign
from tests.simulate.stores import SETTING, content, setting_file
from theory.setting import Data, InvalidInput


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
    """With 512 of 600 replicas in the store the bar starts at 512, so that its rate is that of the others."""
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
