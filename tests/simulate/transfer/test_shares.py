"""A transfer experiment in shards, ranks and processes: the same bytes as one run."""

from __future__ import annotations

import io

import msgspec
import numpy as np
import pytest
from tqdm import tqdm

import simulate.transfer.experiment as engine
import simulate.transfer.store as files
import simulate.transfer.workers as transfer_workers
from reports.transfer import study
from reports.views.transfer import view
from simulate import workers
from simulate.transfer import Progress, merge, progress, run, shares
from tests.simulate.transfer.experiments import (
    ALL,
    KINDS,
    MANY,
    content,
    in_single,
    small,
    squares,
)
from theory.setting import Data, Diverged, InvalidInput, Until


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
    """Processes, shards and ranks give the bytes of one run, also in every number that is shown as JSON."""
    experiment = in_single(small(kinds=ALL, replicas=MANY, steps=6, until=Until(accuracy=0.6), bias=True))
    whole = run(experiment)
    shown = view(study(whole), ()).as_json()

    def same(result):
        assert content(result) == content(whole)
        assert view(study(result), ()).as_json() == shown

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
    experiment = small(kinds=KINDS, replicas=5 * 12, steps=3)
    first = run(experiment, store=tmp_path, shard="1/2", processes=processes)
    second = run(experiment, store=tmp_path, shard="2/2", processes=processes)
    assert (names(first), names(second)) == (["scratch", "pretrained"], list(KINDS))
    assert (first.replicas, second.replicas) == (36, 24)
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


def test_what_waits_for_other_replicas_is_computed_by_whoever_finds_them(tmp_path, small_ranges, trained_replicas):
    experiment = small(kinds=KINDS, replicas=7)
    whole = content(run(experiment))
    trained_replicas.update(upstream=0, downstream=0)
    first = run(experiment, store=tmp_path, shard="1/2")
    assert (first.replicas, names(first)) == (4, ["scratch", "pretrained"])
    assert trained_replicas == {"upstream": 2, "downstream": 4 * 2}
    assert progress(experiment, tmp_path) == Progress(replicas=7, upstream=4, downstream=0)
    with pytest.raises(InvalidInput, match=r"2 of 4 upstream shards are missing: upstream-000001\.safetensors \(miss"):
        merge(tmp_path)

    # All upstream ends are there by the end of the second shard, which computes all of its own.
    second = run(experiment, store=tmp_path, shard="2/2")
    assert (second.replicas, names(second)) == (3, list(KINDS))
    assert trained_replicas == {"upstream": 4, "downstream": 4 * 2 + 3 * 4}
    assert progress(experiment, tmp_path) == Progress(replicas=7, upstream=7, downstream=3)
    missing = r"2 of 4 downstream shards are missing: downstream-of-000007-000000\.safetensors \(missing\), .*-000002"
    with pytest.raises(InvalidInput, match=missing):
        merge(tmp_path)

    # The first computes what it could not before, once more nothing, and what is left is nothing, too.
    for _ in range(2):
        again = run(experiment, store=tmp_path, shard="1/2", resume=True)
        assert (again.replicas, names(again)) == (4, list(KINDS))
        assert trained_replicas == {"upstream": 4, "downstream": 7 * 4}
    for a, b in zip(first.treated, again.treated[:2], strict=True):
        assert a.curves.train_loss.tobytes() == b.curves.train_loss.tobytes()
    assert progress(experiment, tmp_path) == Progress(replicas=7, upstream=7, downstream=7)
    assert content(merge(tmp_path)) == content(run(experiment, store=tmp_path, resume=True)) == whole
    assert trained_replicas == {"upstream": 4, "downstream": 7 * 4}


def test_a_shard_that_finds_everything_writes_nothing(tmp_path, small_ranges, trained_replicas):
    experiment = small(kinds=KINDS, replicas=5)
    run(experiment, store=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    trained_replicas.update(upstream=0, downstream=0)
    found = run(experiment, store=tmp_path, shard="2/2", resume=True)
    assert (found.replicas, names(found)) == (2, list(KINDS))
    assert trained_replicas == {"upstream": 0, "downstream": 0}
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


def test_shards_of_an_experiment_that_grows(tmp_path, small_ranges, trained_replicas):
    experiment = small(kinds=KINDS, replicas=7)
    run(experiment, replicas=3, store=tmp_path)
    trained_replicas.update(upstream=0, downstream=0)
    # Range 1 has one replica and is to have two: not all are there, though there are files of all.
    found = run(experiment, replicas=4, store=tmp_path, shard="1/2", resume=True)
    assert names(found) == ["scratch", "pretrained"]
    assert trained_replicas == {"upstream": 0, "downstream": 0}
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


# ---- processes on one machine


def test_workers_of_one_machine_share_its_devices(tmp_path, monkeypatch, small_ranges):
    monkeypatch.setattr(workers.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(workers.torch.cuda, "device_count", lambda: 2)
    employed = []
    monkeypatch.setattr(transfer_workers, "employ", lambda entry, jobs, **options: employed.append((entry, jobs)))
    made = engine.Engine(small(replicas=9), engine.torch.device("cpu"))
    store = made.keep(tmp_path, resume=False)
    transfer_workers.distribute_shares(made, made.ranges(), None, print, store=store, device="cuda", processes=3)
    ((entry, jobs),) = employed
    assert entry is transfer_workers.main
    assert [job.device for job in jobs] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [[here.number for here in job.mine] for job in jobs] == [[0, 3], [1, 4], [2]]
    assert [job.drawn for job in jobs] == [False] * 3


def test_progress_is_that_of_a_share(tmp_path, monkeypatch, bars):
    experiment = small(kinds=("scratch", "covariance"), replicas=15, steps=3)
    run(experiment, store=tmp_path, shard="1/2", progress=True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for number in ("1", "0"):
        monkeypatch.setenv("RANK", number)
        run(experiment, store=tmp_path, resume=True, progress=True)
    # The first waits for the others' upstream ends, which the later ones find.
    assert [(bar.n, bar.total) for bar, _ in bars] == [(24, 24), (9, 9), (36, 36)]
    assert [off for _, off in bars] == [None, True, None]


@pytest.mark.slow
def test_what_a_worker_refuses_is_said_by_its_master(tmp_path, monkeypatch):
    """The data vanish between the check of the experiment and the worker's reading of them."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((60, 4)))
    experiment = small(kinds=("scratch",), replicas=40)
    upstream = msgspec.structs.replace(
        experiment.upstream, data=Data(kind="array", path=str(tmp_path / "x.npy"), samples=26)
    )
    distribute_shares = shares.distribute_shares

    def late(*args, **kwargs):
        (tmp_path / "x.npy").unlink()
        distribute_shares(*args, **kwargs)

    monkeypatch.setattr(shares, "distribute_shares", late)
    with pytest.raises(InvalidInput, match=r"data\.path = .*x\.npy': there is no such file"):
        run(msgspec.structs.replace(experiment, upstream=upstream), processes=2)
