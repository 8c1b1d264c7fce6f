"""Shares that are merged: words on what is missing or damaged, and refusals."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

import simulate
import simulate.transfer.store as files
from simulate.identity import experiment_digest
from simulate.transfer import holds_experiment, merge, run
from tests.simulate.stores import SETTING
from tests.simulate.transfer.experiments import (
    KINDS,
    bits,
    content,
    shards,
    small,
)
from theory.setting import Data, InvalidInput

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
    counts = {path.name: files.count_rows(path) for path in shards(tmp_path)}
    assert list(counts.values()) == [2, 1, 2, 1]
    path = shards(tmp_path)[0]
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


def test_layers_that_refer_to_other_replicas_are_the_same_from_shards(tmp_path, small_ranges):
    """The layers' references are whole networks, which shards read from the store."""
    experiment = small(kinds=("scratch", "rainbow", "unrotated"), replicas=5)
    whole = run(experiment)
    for shard in ("1/2", "2/2", "1/2"):
        run(experiment, store=tmp_path, shard=shard, resume=True)
    assert bits(merge(tmp_path)) == bits(whole)
    # more replicas are other references, and nothing that was drawn from fewer is taken for theirs
    more = msgspec.structs.replace(experiment, ensemble=msgspec.structs.replace(experiment.ensemble, replicas=6))
    assert bits(run(more, store=tmp_path, resume=True)) == bits(run(more))
