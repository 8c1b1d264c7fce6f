"""A transfer experiment in shards, ranks and processes: the same bytes as one run, and words on what is missing."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from tqdm import tqdm

import simulate
import simulate.transfer.experiment as engine
import simulate.transfer.store as files
from reports.cli import main
from reports.transfer import study
from reports.views.transfer import view
from simulate import workers
from simulate.identity import experiment_digest
from simulate.transfer import Progress, holds_experiment, merge, progress, run, shares
from tests.test_simulate_store import ROOT, SETTING
from tests.test_simulate_transfer import ALL, small
from tests.test_simulate_transfer_store import content, in_single, squares
from tests.test_simulate_transfer_store import shards as written
from tests.test_simulate_workers import ENVIRONMENT, alive, children, eigenalign, started, wait_until
from theory.setting import Data, Diverged, InvalidInput, Until

KINDS = ("scratch", "pretrained", "covariance", "recursive")
# Three ranges of 32 replicas, which processes of their own agree on; the last one is not full.
MANY = 70


@pytest.fixture(autouse=True)
def warnings_are_seen(caplog):
    """Whatever a command of another test has left behind."""
    caplog.set_level(logging.WARNING, logger="simulate")


@pytest.fixture
def small_ranges(monkeypatch):
    """Ranges of one tile of two replicas."""
    monkeypatch.setattr(engine, "tile_size", lambda *arguments: 2)
    monkeypatch.setattr(engine, "MOST", {"cpu": 2, "cuda": 2})


@pytest.fixture
def trained(monkeypatch):
    """How many replicas were trained upstream, and how many times one downstream."""
    counted = {"upstream": 0, "downstream": 0}
    upstream, measure = engine.train_upstream, engine.measure

    def trained_upstream(setting, until, inputs):
        counted["upstream"] += 1
        return upstream(setting, until, inputs)

    def measured(network, read, inputs, here, **options):
        counted["downstream"] += here.stop - here.start
        return measure(network, read, inputs, here, **options)

    monkeypatch.setattr(engine, "train_upstream", trained_upstream)
    monkeypatch.setattr(engine, "measure", measured)
    return counted


def names(result):
    return [treated.treatment.name for treated in result.treated]


# ---- the same bytes


@pytest.fixture
def bars(monkeypatch):
    """The progress bars that were made, and whether they were wanted off."""
    made = []

    class Bar(tqdm):
        def __init__(self, *args, **kwargs):
            assert kwargs["delay"] == 1
            super().__init__(*args, **{**kwargs, "disable": False, "file": io.StringIO()})
            made.append((self, kwargs["disable"]))

    monkeypatch.setattr(shares, "tqdm", Bar)
    return made


def test_processes_shards_and_ranks_are_one_experiment(tmp_path, monkeypatch, bars):
    """Also as JSON: every number that is shown has the same bytes."""
    experiment = in_single(small(kinds=ALL, replicas=MANY, steps=6, until=Until(accuracy=0.6), bias=True))
    whole = run(experiment)
    shown = view(study(whole)).as_json()

    def same(result):
        assert content(result) == content(whole)
        assert view(study(result)).as_json() == shown

    same(run(experiment, processes=2, chunk=7, progress=True))
    bar, off = bars[-1]
    assert (bar.n, bar.total, off) == (MANY * 10, MANY * 10, None)
    for shard in ("3/3", "1/3", "2/3"):
        run(experiment, shard=shard, store=tmp_path / "shards", chunk=11)
    same(run(experiment, store=tmp_path / "shards", resume=True))
    monkeypatch.setenv("WORLD_SIZE", "2")
    for number in ("0", "1"):
        monkeypatch.setenv("RANK", number)
        run(experiment, store=tmp_path / "ranks")
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.delenv("RANK")
    same(run(experiment, store=tmp_path / "ranks", resume=True))


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_take_a_share_and_its_second_phase(tmp_path, processes):
    experiment = small(kinds=KINDS, replicas=5 * 32, steps=3)
    first = run(experiment, store=tmp_path, shard="1/2", processes=processes)
    second = run(experiment, store=tmp_path, shard="2/2", processes=processes)
    assert (names(first), names(second)) == (["scratch", "pretrained"], list(KINDS))
    assert (first.replicas, second.replicas) == (96, 64)
    whole = content(run(experiment))
    assert content(run(experiment, store=tmp_path, processes=processes, resume=True)) == whole
    assert content(merge(tmp_path)) == whole


def test_upstream_ends_have_the_same_bits_wherever_their_tensors_lie():
    """Rows of a large tensor are not aligned as those of a small one are; what is computed from them is."""
    experiment = small(kinds=ALL, replicas=9, hidden=(7, 5))
    made = engine.Engine(experiment, engine.torch.device("cpu"))
    ends = made.upstream(lambda count: None).ends
    alone = files.Ends.of({name: array.copy() for name, array in ends.part(4, 5).arrays().items()})
    one, two = (engine.one(those.parameters, row) for those, row in ((ends, 4), (alone, 0)))
    assert [w.tobytes() for w in one] == [w.tobytes() for w in two]
    assert all(w.ctypes.data % 16 == 0 for w in (*one, *two))


# ---- what a shard computes


def test_what_waits_for_other_replicas_is_computed_by_whoever_finds_them(tmp_path, small_ranges, trained):
    experiment = small(kinds=KINDS, replicas=7)
    whole = content(run(experiment))
    trained.update(upstream=0, downstream=0)
    first = run(experiment, store=tmp_path, shard="1/2")
    assert (first.replicas, names(first)) == (4, ["scratch", "pretrained"])
    assert trained == {"upstream": 2, "downstream": 4 * 2}
    assert progress(experiment, tmp_path) == Progress(replicas=7, upstream=4, downstream=0)
    with pytest.raises(
        InvalidInput, match=r"2 of 4 upstream shards are not there: upstream-000001\.safetensors \(miss"
    ):
        merge(tmp_path)

    # All upstream ends are there by the end of the second shard, which computes all of its own.
    second = run(experiment, store=tmp_path, shard="2/2")
    assert (second.replicas, names(second)) == (3, list(KINDS))
    assert trained == {"upstream": 4, "downstream": 4 * 2 + 3 * 4}
    assert progress(experiment, tmp_path) == Progress(replicas=7, upstream=7, downstream=3)
    missing = r"2 of 4 downstream shards are not there: downstream-of-000007-000000\.safetensors \(missing\), .*-000002"
    with pytest.raises(InvalidInput, match=missing):
        merge(tmp_path)

    # The first computes what it could not before, once more nothing, and what is left is nothing, too.
    for _ in range(2):
        again = run(experiment, store=tmp_path, shard="1/2", resume=True)
        assert (again.replicas, names(again)) == (4, list(KINDS))
        assert trained == {"upstream": 4, "downstream": 7 * 4}
    for a, b in zip(first.treated, again.treated[:2], strict=True):
        assert a.curves.train_loss.tobytes() == b.curves.train_loss.tobytes()
    assert progress(experiment, tmp_path) == Progress(replicas=7, upstream=7, downstream=7)
    assert content(merge(tmp_path)) == content(run(experiment, store=tmp_path, resume=True)) == whole
    assert trained == {"upstream": 4, "downstream": 7 * 4}


def test_a_shard_that_finds_everything_writes_nothing(tmp_path, small_ranges, trained):
    experiment = small(kinds=KINDS, replicas=5)
    run(experiment, store=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    trained.update(upstream=0, downstream=0)
    found = run(experiment, store=tmp_path, shard="2/2", resume=True)
    assert (found.replicas, names(found)) == (2, list(KINDS))
    assert trained == {"upstream": 0, "downstream": 0}
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == before


def test_without_drawn_weights_nothing_waits(tmp_path, small_ranges):
    experiment = squares(replicas=5)
    parts = [run(experiment, store=tmp_path, shard=shard) for shard in ("1/2", "2/2")]
    assert [names(part) for part in parts] == [["scratch", "pretrained"]] * 2
    whole = run(experiment)
    assert content(merge(tmp_path)) == content(whole)
    loss = np.concatenate([parts[0].upstream.loss, parts[1].upstream.loss])
    assert np.array_equal(loss[[0, 1, 3, 4, 2]], whole.upstream.loss)


def test_a_shard_beyond_the_last_range_is_empty(tmp_path, small_ranges):
    found = run(small(kinds=KINDS, replicas=3), store=tmp_path, shard="5/5")
    assert (found.replicas, found.diverged, found.treated, found.upstream.steps.shape) == (0, 0, (), (0,))


def test_shards_of_an_experiment_that_grows(tmp_path, small_ranges, trained):
    experiment = small(kinds=KINDS, replicas=7)
    run(experiment, replicas=3, store=tmp_path)
    trained.update(upstream=0, downstream=0)
    # Range 1 has one replica and is to have two: not all are there, though there are files of all.
    found = run(experiment, replicas=4, store=tmp_path, shard="1/2", resume=True)
    assert names(found) == ["scratch", "pretrained"]
    assert trained == {"upstream": 0, "downstream": 0}
    with pytest.raises(
        InvalidInput, match=r"1 of 2 upstream shards .* upstream-000001\.safetensors \(1 replicas, not 2"
    ):
        merge(tmp_path)
    for shard in ("1/2", "2/2", "1/2"):
        run(experiment, store=tmp_path, shard=shard, resume=True)
    assert content(merge(tmp_path)) == content(run(experiment))
    # Fewer are asked for again: the largest number is what is merged.
    run(experiment, replicas=3, store=tmp_path, resume=True)
    assert merge(tmp_path).replicas == 7


def test_all_diverged_is_said_by_whoever_sees_all(tmp_path, small_ranges):
    experiment = small(kinds=KINDS, replicas=4, activation="identity")
    training = msgspec.structs.replace(experiment.upstream.training, learning_rate=1e30)
    upstream = msgspec.structs.replace(experiment.upstream, training=training)
    wild = msgspec.structs.replace(experiment, upstream=upstream)
    assert run(wild, store=tmp_path, shard="1/2").diverged == 2
    with pytest.raises(Diverged, match="leaves 0 of 4 replicas finite upstream, and at least 2 are needed"):
        run(wild, store=tmp_path, shard="2/2")
    with pytest.raises(Diverged, match="leaves 0 of 4 replicas finite upstream"):
        merge(tmp_path)


# ---- stores that are not what they should be


def test_merging_names_what_is_damaged(tmp_path, small_ranges, caplog):
    experiment = small(kinds=KINDS, replicas=7)
    whole = content(run(experiment, store=tmp_path))
    home = tmp_path / experiment_digest(experiment)
    first, other = (home / f"downstream-00000{k}.safetensors" for k in (1, 2))
    last = home / "downstream-of-000007-000003.safetensors"
    good = {path: path.read_bytes() for path in (first, last)}
    first.write_bytes(other.read_bytes())
    last.unlink()
    with pytest.raises(
        InvalidInput, match=r"1 of 4 .*-000001\.safetensors \(belongs to .* \(first 4, not 2\)\); --resume"
    ):
        merge(tmp_path)
    first.write_bytes(good[first])
    with pytest.raises(
        InvalidInput, match=r"1 of 4 downstream .* downstream-of-000007-000003\.safetensors \(missing\)"
    ):
        merge(home)
    last.write_bytes(good[last])
    assert content(merge(home)) == whole
    assert caplog.text == ""

    about = home / files.EXPERIMENT
    description = about.read_bytes()
    about.write_bytes(description[:-5])
    with pytest.raises(InvalidInput, match=r"experiment\.safetensors is cut short .* --resume writes it again"):
        merge(tmp_path)
    values = {"digest": home.name, "device": "cpu", "tile": 2, "experiment": {"upstream": 3}}
    files.write_file(about, values, {}, files.FORMAT)
    with pytest.raises(InvalidInput, match="holds no experiment that this version knows"):
        merge(tmp_path)
    assert content(run(experiment, store=tmp_path, resume=True)) == whole
    assert about.read_bytes() == description


def test_what_is_no_store_of_one_experiment(tmp_path, small_ranges):
    with pytest.raises(InvalidInput, match=r"holds no experiment: there is no experiment\.safetensors in it"):
        merge(tmp_path)
    assert not holds_experiment(tmp_path)
    one, two = (small(kinds=("scratch",), replicas=2, seed=seed) for seed in (0, 1))
    for experiment in (one, two):
        run(experiment, store=tmp_path)
    assert holds_experiment(str(tmp_path))
    with pytest.raises(InvalidInput, match="holds 2 experiments; name one of its folders: "):
        merge(tmp_path)
    assert merge(tmp_path / experiment_digest(two)).experiment == two
    simulate.run(SETTING, replicas=3, store=tmp_path)
    with pytest.raises(InvalidInput, match="holds experiments and ensembles; name one of its folders: "):
        holds_experiment(tmp_path)
    assert holds_experiment(tmp_path / experiment_digest(one))
    assert not holds_experiment(tmp_path / simulate.digest(SETTING))


def test_files_say_how_many_replicas_they_hold(tmp_path, small_ranges):
    run(small(kinds=("scratch",), replicas=3), store=tmp_path)
    counts = {path.name: files.count_rows(path) for path in written(tmp_path)}
    assert list(counts.values()) == [2, 1, 2, 1]
    path = written(tmp_path)[0]
    path.write_bytes(b"nothing")
    assert files.count_rows(path) == files.count_rows(tmp_path / "none") == 0
    (about,) = tmp_path.rglob(files.EXPERIMENT)
    assert files.count_rows(about) == 0


def test_data_are_where_they_were_found_last(tmp_path, small_ranges):
    rows = np.random.default_rng(0).standard_normal((60, 4))
    experiment = small(kinds=("scratch",), replicas=2)
    moved = []
    for name in ("here.npy", "there.npy"):
        np.save(tmp_path / name, rows)
        data = Data(kind="array", path=str(tmp_path / name), samples=26)
        upstream = msgspec.structs.replace(experiment.upstream, data=data)
        moved.append(msgspec.structs.replace(experiment, upstream=upstream))
    run(moved[0], store=tmp_path / "store")
    (tmp_path / "here.npy").unlink()
    run(moved[1], store=tmp_path / "store", resume=True)
    assert merge(tmp_path / "store").experiment == moved[1]


# ---- refusals


def test_numbers_that_make_no_sense(tmp_path):
    experiment = small(kinds=("scratch",), replicas=2)
    with pytest.raises(InvalidInput, match="processes = 0: must be at least 1"):
        run(experiment, processes=0)
    with pytest.raises(InvalidInput, match=r"store = None: is needed by resume, and by shards, which leave"):
        run(experiment, shard="1/2")
    with pytest.raises(InvalidInput, match="shard = '3/2': must be 'i/n' with 1 ≤ i ≤ n"):
        run(experiment, shard="3/2", store=tmp_path)
    assert run(experiment, shard="1/1").replicas == 2


def test_shards_of_others_are_in_nobodys_way(tmp_path, small_ranges):
    experiment = small(kinds=("scratch",), replicas=5)
    run(experiment, store=tmp_path, shard="1/2")
    run(experiment, store=tmp_path, shard="2/2")
    with pytest.raises(InvalidInput, match="holds 2 shards of this experiment already: resume it"):
        run(experiment, replicas=9, store=tmp_path, shard="2/5")
    with pytest.raises(InvalidInput, match="holds 6 shards of this experiment already: resume it"):
        run(experiment, store=tmp_path)
    assert merge(tmp_path).replicas == 5  # what was refused has left no trace


# ---- processes on one machine


def test_workers_of_one_machine_share_its_devices(tmp_path, monkeypatch, small_ranges):
    monkeypatch.setattr(workers.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(workers.torch.cuda, "device_count", lambda: 2)
    employed = []
    monkeypatch.setattr(shares, "employ", lambda entry, jobs, **options: employed.append((entry, jobs)))
    made = engine.Engine(small(replicas=9), engine.torch.device("cpu"))
    store = made.keep(tmp_path, resume=False)
    shares.distribute(made, made.ranges(), None, print, store=store, device="cuda", processes=3)
    ((entry, jobs),) = employed
    assert entry is shares.main
    assert [job.device for job in jobs] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [[here.number for here in job.mine] for job in jobs] == [[0, 3], [1, 4], [2]]
    assert [job.drawn for job in jobs] == [False] * 3


def test_progress_is_that_of_a_share(tmp_path, monkeypatch, bars):
    experiment = small(kinds=("scratch", "covariance"), replicas=40, steps=3)
    run(experiment, store=tmp_path, shard="1/2", progress=True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for number in ("1", "0"):
        monkeypatch.setenv("RANK", number)
        run(experiment, store=tmp_path, resume=True, progress=True)
    # The first waits for the others' upstream ends, which the later ones find.
    assert [(bar.n, bar.total) for bar, _ in bars] == [(64, 64), (24, 24), (96, 96)]
    assert [off for _, off in bars] == [None, True, None]


@pytest.mark.slow
def test_what_a_worker_refuses_is_said_by_its_master(tmp_path, monkeypatch):
    """The data vanish between the check of the experiment and the worker's reading of them."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((60, 4)))
    experiment = small(kinds=("scratch",), replicas=40)
    upstream = msgspec.structs.replace(
        experiment.upstream, data=Data(kind="array", path=str(tmp_path / "x.npy"), samples=26)
    )
    distribute = shares.distribute

    def late(*args, **kwargs):
        (tmp_path / "x.npy").unlink()
        distribute(*args, **kwargs)

    monkeypatch.setattr(shares, "distribute", late)
    with pytest.raises(InvalidInput, match=r"data\.path = .*x\.npy': there is no such file"):
        run(msgspec.structs.replace(experiment, upstream=upstream), processes=2)


TOML = """
[upstream.data]
kind = "gaussian"
spectrum = [0.5, 1.0, 2.0]
samples = 20
[upstream.labels]
kind = "classes"
classes = 3
[upstream.network]
kind = "mlp"
hidden = [8]
[upstream.training]
loss = "cross-entropy"
steps = {steps}
batch_size = 4
[treatment]
kinds = ["scratch", "pretrained", "covariance"]
[downstream]
samples = 20
[downstream.labels]
kind = "classes"
classes = 3
[downstream.training]
loss = "cross-entropy"
steps = [0, 5]
[ensemble]
replicas = {replicas}
"""


def experiment_file(tmp_path, *, replicas, steps=4):
    path = tmp_path / "experiment.toml"
    path.write_text(TOML.format(replicas=replicas, steps=steps))
    return path


def test_the_commands(tmp_path, capfd):
    file, store = str(experiment_file(tmp_path, replicas=MANY)), str(tmp_path / "store")
    whole = ["transfer", file, "--json", "--quiet"]

    def told(*arguments):
        status = main([*arguments])
        out, err = capfd.readouterr()
        assert (status, err) == (0, "")
        return out

    alone = told(*whole)
    first = json.loads(told(*whole, "--store", store, "--shard", "2/2"))
    assert first == {
        "shard": "2/2",
        "replicas": 32,
        "diverged": 0,
        "treatments": ["scratch", "pretrained"],
        "store": {"replicas": MANY, "upstream": 32, "downstream": 0},
    }
    assert told("transfer", file, "--store", store, "--shard", "1/2", "--quiet") == (
        f"shard 1/2: 38 of 70 replicas, 0 diverged, after scratch, pretrained, covariance\n"
        f"in {store}: 70 of 70 replicas upstream, 38 downstream; "
        f"`eigenalign transfer EXPERIMENT.toml --store {store} --resume` computes what is left\n"
    )
    assert main(["merge", store, "--json"]) == 2
    refused = json.loads(capfd.readouterr().out)
    assert "1 of 3 downstream shards are not there: downstream-of-000070-000001.safetensors" in refused["why"]
    assert told("transfer", file, "--store", store, "--shard", "2/2", "--resume", "--quiet").endswith(
        f"70 of 70 replicas upstream, 70 downstream; `eigenalign merge {store}` puts them together\n"
    )
    assert told("merge", store, "--json", "--quiet") == alone
    assert told(*whole, "--store", store, "--resume") == alone
    assert told("merge", store, "--quiet") == told("transfer", file, "--quiet")


@pytest.mark.slow
def test_torchrun_with_two_ranks(tmp_path):
    store, file = tmp_path / "store", experiment_file(tmp_path, replicas=MANY)
    alone = eigenalign("transfer", file, "--json")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    torchrun += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "--no-python"]
    torchrun += [sys.executable, "-c", "import sys; from reports.cli import main; sys.exit(main(sys.argv[1:]))"]
    done = subprocess.run(
        [*torchrun, "transfer", str(file), "--store", str(store), "--json"],
        cwd=ROOT,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)  # one value, of rank 0
    assert (record["shard"], record["replicas"]) == ("1/2", 38)
    assert eigenalign("transfer", file, "--store", store, "--resume", "--json").stdout == alone.stdout
    assert eigenalign("merge", store, "--json").stdout == alone.stdout


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["upstream", "downstream-of"])
def test_a_worker_that_is_ended_from_outside(tmp_path, phase):
    store, file = tmp_path / "store", experiment_file(tmp_path, replicas=1500, steps=200)
    command = ["transfer", file, "--store", store, "--processes", 2, "--json"]
    with started(*command) as process:
        wait_until(lambda: len(list(store.rglob(f"{phase}-*.safetensors"))) >= 2)
        first, second = children(process.pid)
        os.kill(first, signal.SIGKILL)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 2, err
    assert "one of them ended with signal 9; shards that are complete are kept in" in json.loads(out)["why"]
    assert not alive(second)
    there = len(written(store))
    assert there < 3 * 47
    resumed, alone = eigenalign(*command, "--resume"), eigenalign("transfer", file, "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout == alone.stdout
    assert len(written(store)) == 3 * 47


@pytest.mark.slow
def test_ctrl_c_ends_workers_too(tmp_path):
    store, file = tmp_path / "store", experiment_file(tmp_path, replicas=20_000, steps=200)
    with started("transfer", file, "--store", store, "--processes", 2) as process:
        wait_until(lambda: len(written(store)) >= 2)
        workers_of_it = children(process.pid)
        assert len(workers_of_it) == 2
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    kept = written(store)
    assert f"{len(kept)} shards are kept in {kept[0].parent}; --resume goes on from them" in err
    assert "Traceback" not in err
    assert not any(map(alive, workers_of_it))
