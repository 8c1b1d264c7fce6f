"""`make gpu` where there is no CUDA device: it says so, and what it measures is right on a pretend device."""

import numpy as np
import pytest
import torch

from simulate.kernels import one_hidden
from tests.gpu import measures
from tests.gpu.__main__ import NO_DEVICE, main
from tests.pretending import needs_pretend_device
from tests.processes import python
from tests.simulate.image_settings import IMAGES

PRETENDED = """
    import sys
    from pathlib import Path
    import torch
    from tests.gpu.measures import FLOAT64, agreement, faults
    from tests.pretend_device import DEVICE, Pretend

    found = agreement(Path(sys.argv[1]), DEVICE, torch.float64, Pretend, only=8)
    assert len({each["kernel"] for each in found}) > 2, found
    assert faults(found, FLOAT64) == [], found
"""


def test_without_a_device_it_says_so(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["--out", str(tmp_path / "gpu.json")]) == 2
    assert capsys.readouterr().err == f"{NO_DEVICE}\n"
    assert not (tmp_path / "gpu.json").exists()


@needs_pretend_device
@pytest.mark.slow
def test_agreement_on_a_pretend_device(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    done = python(PRETENDED, tmp_path / "images.npy")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_kernel_that_is_wrong_is_a_fault(tmp_path, monkeypatch):
    np.save(tmp_path / "images.npy", IMAGES)
    train = one_hidden.train

    def wrong(setting, inputs):
        return {step: tuple(w * (1 + 1e-9) for w in each) for step, each in train(setting, inputs).items()}

    monkeypatch.setattr(one_hidden, "train", wrong)
    found = measures.agreement(tmp_path / "images.npy", torch.device("cpu"), torch.float64, only=4)
    assert measures.faults(found, measures.FLOAT64)


def test_throughput_has_a_bound():
    small = measures.Setting(
        data=measures.Data(kind="gaussian", spectrum=(1.0, 2.0), samples=8),
        training=measures.Training(steps=3),
        ensemble=measures.Ensemble(replicas=4),
    )
    found = measures.throughput("cpu", small)
    assert all(value > 0 for value in found.values())
    assert measures.repeated("cpu", small)


@pytest.mark.gpu
@pytest.mark.slow
def test_the_whole_on_a_device(tmp_path):
    assert main(["--out", str(tmp_path / "gpu.json")]) == 0
