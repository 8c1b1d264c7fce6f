"""Tiles: how many replicas are trained at once."""

import numpy as np
import pytest
import torch

import simulate
from simulate.inputs import Draws
from simulate.tiles import Trainer, tile_size
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


SMALL = Setting(
    data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=9), network=Network(kind="mlp", hidden=(5,))
)


def test_a_small_ensemble_may_be_one_tile(tmp_path):
    """The draws are the same, so that only rounding differs. One tile is not stored: a store never mixes tiles."""
    assert Trainer(SMALL, torch.device("cpu"), most=3).tile == 3
    whole, few = (simulate.run(SMALL, replicas=3, fitted=fitted, store=tmp_path) for fitted in (False, True))
    assert few.replicas == whole.replicas == 3
    assert len(list(tmp_path.rglob("shard-*"))) == 1
    np.testing.assert_allclose(few.readings[-1].second_moments, whole.readings[-1].second_moments, rtol=1e-12)


def test_an_ensemble_of_whole_tiles_is_the_same_fitted_or_not(tmp_path):
    whole, fitted = (simulate.run(SMALL, replicas=300, fitted=fitted) for fitted in (False, True))
    assert np.array_equal(fitted.readings[-1].second_moments, whole.readings[-1].second_moments)
    assert not Trainer(SMALL, torch.device("cpu"), most=300).fitted
    simulate.run(SMALL, replicas=300, fitted=True, store=tmp_path)
    assert len(list(tmp_path.rglob("shard-*"))) == 2


@pytest.mark.parametrize(("memory", "fewer"), [(2**36, False), (2**24, True)])
def test_tiles_on_a_gpu_follow_its_memory(monkeypatch, memory, fewer):
    monkeypatch.setattr("simulate.tiles.free_memory", lambda device: memory)
    data = Data(kind="gaussian", spectrum=(1.0,) * 30, samples=256)
    setting = Setting(data=data, network=Network(kind="mlp", hidden=(256,)))
    tile = tile_size(setting, Draws(setting), torch.device("cuda", 0))
    assert tile == (3 if fewer else 4096)
