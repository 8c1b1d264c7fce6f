"""Tiles: how many replicas are trained at once."""

import pytest
import torch

from simulate.inputs import Draws
from simulate.tiles import tile_size
from theory.setting import Data, Network, Setting


def test_tiles_fit_the_cache():
    small = Setting(
        data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=9), network=Network(kind="mlp", hidden=(5,))
    )
    wide = Setting(
        data=Data(kind="gaussian", spectrum=(1.0,) * 30, samples=256),
        network=Network(kind="mlp", hidden=(2048, 256)),
    )
    cpu = torch.device("cpu")
    assert tile_size(small, Draws(small), cpu) == 256
    assert tile_size(wide, Draws(wide), cpu) == 1


@pytest.mark.parametrize(("memory", "fewer"), [(2**36, False), (2**24, True)])
def test_tiles_on_a_gpu_follow_its_memory(monkeypatch, memory, fewer):
    monkeypatch.setattr("simulate.tiles.free_memory", lambda device: memory)
    data = Data(kind="gaussian", spectrum=(1.0,) * 30, samples=256)
    setting = Setting(data=data, network=Network(kind="mlp", hidden=(256,)))
    tile = tile_size(setting, Draws(setting), torch.device("cuda", 0))
    assert tile == (3 if fewer else 4096)
