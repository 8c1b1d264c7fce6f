"""Where tensors live, without a GPU: every kernel on a pretend device that refuses what CUDA refuses.

In a process of its own, because torch cannot forget a device.
"""

import pytest
import torch

from simulate.devices import free_memory, one_thread, resolve
from tests.pretending import needs_pretend_device
from tests.processes import python
from theory.setting import InvalidInput

PLACED = """
    import dataclasses, sys, warnings
    import msgspec, numpy as np, torch
    warnings.simplefilter("error")
    from tests.pretend_device import DEVICE, MixedDevicesError, Pretend, PretendTensor
    import simulate
    from simulate import ensemble, tiles
    from simulate.kernels import KERNELS, choose_kernel, one_hidden
    from tests.simulate import dense_settings, image_settings, vgg_settings

    EVERY_KERNEL = ("linear, bias, momentum", "epochs", "cross-entropy", "replacement, fixed", "ntk, tanh, first")
    path = sys.argv[1]
    settings = dict(dense_settings.SETTINGS)
    settings |= {name: image_settings.setting_of(name, path) for name in image_settings.SETTINGS}
    settings |= {f"vgg, {name}": vgg_settings.setting_of(path, *those) for name, those in vgg_settings.SETTINGS.items()}
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
            if kernel is not choose_kernel(setting) and not (name in EVERY_KERNEL and kernel.applies(setting)):
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


@needs_pretend_device
def test_every_kernel_keeps_to_the_device(path):
    done = python(PLACED, path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) == 44


def test_free_memory_is_a_power_of_two(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 * 2**33 + 17, 2**36))
    assert free_memory(torch.device("cuda", 0)) == 2**34


def test_no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve("auto") == torch.device("cpu")
    with pytest.raises(InvalidInput, match="device = 'cuda': no CUDA device is available"):
        resolve("cuda")


@pytest.mark.filterwarnings("ignore:.*control TF32")
@pytest.mark.parametrize("there", [True, False])
def test_convolutions_of_cuda_add_up_in_one_order_and_full_precision(monkeypatch, there):
    """Settings of cuDNN change where CUDA is available; otherwise they are not touched."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.allow_tf32
    with one_thread():
        assert (cudnn.deterministic, cudnn.allow_tf32) == ((True, False) if there else before)
    assert (cudnn.deterministic, cudnn.allow_tf32) == before


def test_cuda_devices_have_an_index(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve("auto") == resolve("cuda") == torch.device("cuda", 1)
    assert resolve("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(InvalidInput, match="there are 2 CUDA devices"):
        resolve("cuda:2")
