"""Where tensors live, without a GPU: every kernel on a pretend device that refuses what CUDA refuses.

In a process of its own, because torch cannot forget a device.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from simulate.devices import free_memory
from simulate.inputs import Draws
from simulate.tiles import tile_size
from theory.setting import Data, Network, Setting

PLACED = """
    import dataclasses, sys, warnings
    import msgspec, numpy as np, torch
    warnings.simplefilter("error")
    from tests.pretend_device import DEVICE, MixedDevicesError, Pretend, PretendTensor
    import simulate
    from simulate import ensemble, tiles
    from simulate.kernels import KERNELS, choose, one_hidden
    from tests.test_simulate_images import SETTINGS as IMAGES, setting_of
    from tests.test_simulate_training import SETTINGS
    from tests import test_simulate_vgg as vgg

    EVERY_KERNEL = ("linear, bias, momentum", "epochs", "cross-entropy", "replacement, fixed", "ntk, tanh, first")
    path = sys.argv[1]
    settings = {**SETTINGS, **{name: setting_of(name, path) for name in IMAGES}}
    settings |= {f"vgg, {name}": vgg.setting_of(path, *those) for name, those in vgg.SETTINGS.items()}
    for name, setting in settings.items():
        training = msgspec.structs.replace(setting.training, steps=(1, 4))
        settings[name] = msgspec.structs.replace(setting, training=training)
    count = 0
    for name, setting in settings.items():
        inputs = simulate.replica_inputs(setting, [0, 1])
        with Pretend():
            there = inputs.to(DEVICE, torch.float64)
        assert all(isinstance(tensor, PretendTensor) for tensor in (there.x, there.y, *there.parameters))
        for key, kernel in KERNELS.items():
            # The kernel that the setting decides on, and for some settings all.
            if kernel is not choose(setting) and not (name in EVERY_KERNEL and kernel.applies(setting)):
                continue
            expected = kernel.train(setting, inputs)
            with Pretend():
                trained = kernel.train(setting, there)
                for step in expected:
                    for a, b in zip(trained[step], expected[step], strict=True):
                        assert a.device == DEVICE, (name, key, a.device)
                        assert torch.equal(a.cpu(), b), (name, key)
            count += 1

    with Pretend():
        # The device does refuse: rows left on the host, and then only the batches' order.
        setting = settings["epochs"]
        inputs = simulate.replica_inputs(setting, [0, 1])
        there = inputs.to(DEVICE, torch.float64)
        for part in ("x", "y", "orders"):
            try:
                one_hidden.train(setting, dataclasses.replace(there, **{part: getattr(inputs, part)}))
            except MixedDevicesError:
                continue
            raise AssertionError(part)

    # A whole ensemble, whose sums come back to the host.
    ensemble.resolve = lambda device: DEVICE if device == "pretend" else torch.device("cpu")
    tiles.free_memory = lambda device: 2**18
    for name in ("epochs", "online", "linear", "deep, ntk"):
        here = simulate.run(settings[name], replicas=5)
        with Pretend():
            there = simulate.run(settings[name], replicas=5, device="pretend")
        assert there.device == "pretend:0"
        for a, b in zip(there.readings, here.readings, strict=True):
            np.testing.assert_allclose(a.second_moments, b.second_moments, rtol=1e-12)
            np.testing.assert_allclose(a.losses, b.losses, rtol=1e-12)
    print(count)
"""


def test_every_kernel_keeps_to_the_device(tmp_path):
    import numpy as np

    from tests.test_simulate_images import IMAGES

    np.save(tmp_path / "images.npy", IMAGES)
    root = Path(__file__).parent.parent
    script = "\n".join(line[4:] for line in PLACED.splitlines())
    command = [sys.executable, "-c", script, str(tmp_path / "images.npy")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) == 43


def test_free_memory_is_a_power_of_two(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 * 2**33 + 17, 2**36))
    assert free_memory(torch.device("cuda", 0)) == 2**34


@pytest.mark.parametrize(("memory", "fewer"), [(2**36, False), (2**24, True)])
def test_tiles_on_a_gpu_follow_its_memory(monkeypatch, memory, fewer):
    monkeypatch.setattr("simulate.tiles.free_memory", lambda device: memory)
    data = Data(kind="gaussian", spectrum=(1.0,) * 30, samples=256)
    setting = Setting(data=data, network=Network(kind="mlp", hidden=(256,)))
    tile = tile_size(setting, Draws(setting), torch.device("cuda", 0))
    assert tile == (3 if fewer else 4096)
