"""Ranges of replicas: dealt out once, to shards and to ranks."""

import pytest

import simulate
from simulate.ranges import ranges, rank
from tests.simulate.stores import SETTING, content
from theory.setting import InvalidInput


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
