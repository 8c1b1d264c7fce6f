"""Shards that are damaged, or of another ensemble: they are named and computed again."""

import tempfile
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

import simulate
from simulate.moments import Sums
from simulate.ranges import Range
from simulate.store import Damaged, Description, Store
from tests.simulate.stores import SETTING, SHARD, content, shards
from theory.setting import Ensemble, InvalidInput


def damaged(path, kind):
    whole = path.read_bytes()
    if kind.startswith("cut to"):
        return whole[: int(float(kind.split()[-1]) * len(whole))]
    if kind == "one bit":
        return whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:]
    if kind == "header":
        return whole[:20] + bytes([whole[20] ^ 1]) + whole[21:]
    if kind == "zeros":
        return bytes(len(whole))
    return whole + b"0"


@pytest.mark.parametrize("kind", ["cut to 0.0", "cut to 0.001", "cut to 0.5", "one bit", "header", "zeros", "longer"])
def test_a_damaged_shard_is_named_and_computed_again(tmp_path, kind, trained, caplog):
    whole = content(simulate.run(SETTING, replicas=600, store=tmp_path))
    path = shards(tmp_path)[1]
    good = path.read_bytes()
    path.write_bytes(damaged(path, kind))
    trained[0] = 0
    assert content(simulate.run(SETTING, replicas=600, store=tmp_path, resume=True)) == whole
    assert trained[0] == SHARD
    assert path.read_bytes() == good
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(f"{path}: ")
    assert record.getMessage().endswith("; it is computed again")


def test_foreign_shards_are_named_and_computed_again(tmp_path, trained, caplog):
    whole = content(simulate.run(SETTING, replicas=600, store=tmp_path / "mine"))
    other = msgspec.structs.replace(SETTING, ensemble=Ensemble(seed=1))
    simulate.run(other, replicas=600, store=tmp_path / "other")
    mine, theirs = shards(tmp_path / "mine"), shards(tmp_path / "other")
    mine[0].write_bytes(theirs[0].read_bytes())
    mine[1].write_bytes(mine[2].read_bytes())
    save_file({"means": np.zeros(3)}, mine[2])
    trained[0] = 0
    assert content(simulate.run(SETTING, replicas=600, store=tmp_path / "mine", resume=True)) == whole
    assert trained[0] == 600
    messages = [record.getMessage() for record in caplog.records]
    assert f"belongs to another ensemble (digest {simulate.digest(other)}" in messages[0]
    assert "belongs to another ensemble (first 512, not 256)" in messages[1]
    assert "was not written by this program" in messages[2]


def test_a_damaged_description_is_named_and_written_again(tmp_path, caplog):
    whole = content(simulate.run(SETTING, replicas=300, store=tmp_path))
    (path,) = tmp_path.rglob("ensemble.safetensors")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InvalidInput, match=r"ensemble\.safetensors is cut short"):
        simulate.merge(tmp_path)
    assert content(simulate.run(SETTING, replicas=300, store=tmp_path, resume=True)) == whole
    assert f"{path}: is cut short" in caplog.text
    assert content(simulate.merge(tmp_path)) == whole


def example_store(folder):
    """A store of one small shard, without training anything."""
    sums = Sums((3,), 2, 4, 4)
    rng = np.random.default_rng(0)
    sums.add([(rng.random((3, 2, 2)), rng.random((3, 2)), rng.random(3))], np.array([True, False, True]))
    store = Store(folder, Description(SETTING, "ab" * 32, "cpu", 4, 7, 5, np.eye(2)))
    store.save(Range(1, 4, 7), sums)
    return store


@pytest.fixture(scope="module")
def small():
    with tempfile.TemporaryDirectory() as folder:
        store = example_store(Path(folder))
        yield store, store.path(1).read_bytes()


@given(data=st.data())
def test_no_flipped_bits_pass_for_sums(small, data):
    store, whole = small
    position = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(1, 255))
    store.path(1).write_bytes(whole[:position] + bytes([whole[position] ^ flip]) + whole[position + 1 :])
    try:
        sums = store.read(Range(1, 4, 7))
    except Damaged:
        return
    # White space of the header may change without harm.
    store.path(1).write_bytes(whole)
    for a, b in zip(sums.readings, store.read(Range(1, 4, 7)).readings, strict=True):
        assert a.second_moments.tobytes() == b.second_moments.tobytes()
        assert (sums.replicas, a.counts.tolist()) == (3, [1, 0, 1, 0])


def test_shards_of_another_kind_of_device_are_not_mixed(tmp_path):
    store = example_store(tmp_path)
    there = Store(tmp_path, replace(store.description, device="cuda"))
    with pytest.raises(Damaged, match=r"another ensemble \(device cpu, not cuda\)"):
        there.read(Range(1, 4, 7))
