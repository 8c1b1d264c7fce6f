"""Where the tensors of a transfer experiment live, without a GPU: on a pretend device that refuses what CUDA refuses.

In a process of its own, because torch cannot forget a device.
"""

import numpy as np

from tests.pretending import needs_pretend_device
from tests.processes import python

PLACED = """
import sys, tempfile, warnings
from pathlib import Path
import msgspec, numpy as np, torch
warnings.simplefilter("error")
from tests.pretend_device import DEVICE, Pretend
from simulate import tiles
from simulate.transfer import experiment as engine, shares
from tests.simulate.transfer.experiments import filters, small
from theory.setting import Until

shares.resolve = lambda device: DEVICE if device == "pretend" else torch.device("cpu")
tiles.free_memory = lambda device: 2**20
tiled, keep = [], engine.Engine.keep
def keeping(self, *arguments, **options):
    store = keep(self, *arguments, **options)
    tiled.append(store.tile)
    return store
engine.Engine.keep = keeping
count = 0
dense = small(kinds=("scratch", "rescaled", "recursive"), until=Until(loss=0.9), bias=True, replicas=2, steps=4)
images = filters(sys.argv[1])
upstream = msgspec.structs.replace(images.upstream, until=Until(accuracy=0.6))  # soon: updates are dear there
for experiment in (dense, msgspec.structs.replace(images, upstream=upstream)):
    here = shares.run(experiment)
    with Pretend():
        there = shares.run(experiment, device="pretend", store=sys.argv[2])
        # Less memory is free when the run is resumed, and its tile is the same.
        tiles.free_memory = lambda device: 1
        for shard in Path(sys.argv[2]).glob("*/*stream-*"):
            shard.unlink()
        again = shares.run(experiment, device="pretend", store=sys.argv[2], resume=True)
        tiles.free_memory = lambda device: 2**20
        # In shards that come one after the other: the second finds all upstream ends.
        with tempfile.TemporaryDirectory() as folder:
            parts = [shares.run(experiment, device="pretend", store=folder, shard=f"{i}/2") for i in (2, 1)]
            merged = shares.merge(folder)
    assert (there.device, parts[1].device, merged.device) == ("pretend:0", "pretend:0", "pretend")
    np.testing.assert_array_equal(here.upstream.steps, there.upstream.steps)
    for a, b in zip(here.treated, there.treated, strict=True):
        np.testing.assert_allclose(a.curves.train_loss, b.curves.train_loss, rtol=1e-9)
        np.testing.assert_allclose(a.curves.test_accuracy, b.curves.test_accuracy, atol=1e-12)
        np.testing.assert_allclose(a.layers.effective_rank, b.layers.effective_rank, rtol=1e-8)
        count += 1
    for a, b in zip(there.treated, again.treated, strict=True):
        np.testing.assert_array_equal(a.curves.train_loss, b.curves.train_loss)
        np.testing.assert_array_equal(a.weights[-1].second_moments, b.weights[-1].second_moments)
    for a, b in zip(there.treated, merged.treated, strict=True):
        np.testing.assert_array_equal(a.curves.train_loss, b.curves.train_loss)
        np.testing.assert_array_equal(a.weights[-1].second_moments, b.weights[-1].second_moments)
    assert tiled[-1] == tiled[-2] > 1
print(count)
"""


@needs_pretend_device
def test_an_experiment_keeps_to_its_device(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((40, 2, 5, 5)))
    done = python(PLACED, tmp_path / "x.npy", tmp_path / "store")
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) == 3 + 5
