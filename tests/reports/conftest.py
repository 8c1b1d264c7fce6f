"""What tests of the reports share."""

import numpy as np
import pytest

from tests.reports.command_line import write
from tests.reports.experiments import REST, UPSTREAM

FIXED = """
[data]
kind = "gaussian"
spectrum = [0.5, 1.0, 2.0]
samples = 12
fixed = true
[training]
learning_rate = 0.1
steps = [0, 8]
"""
ONLINE = """
[data]
kind = "gaussian"
spectrum = [2.0, 0.5, 0.5]
samples = "online"
[training]
learning_rate = 0.1
batch_size = 4
sampling = "fresh"
steps = 30
"""
NETWORK = """
[data]
kind = "gaussian"
spectrum = [0.5, 1.0, 2.0]
samples = 16
[network]
kind = "mlp"
hidden = [8]
activation = "tanh"
[training]
learning_rate = 0.2
steps = 4
[ensemble]
replicas = 30
"""


@pytest.fixture
def rows():
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    return rng.standard_normal((300, 4)) * [0.3, 1.0, 2.0, 3.0] @ basis


@pytest.fixture
def sources(tmp_path, rows):
    np.save(tmp_path / "x.npy", rows)
    np.save(tmp_path / "images.npy", np.random.default_rng(2).integers(0, 256, (20, 6, 7, 3), dtype=np.uint8))
    np.save(tmp_path / "constant.npy", np.ones((20, 4)))
    np.save(tmp_path / "nan.npy", np.full((20, 4), np.nan))
    for name, text in (("fixed", FIXED), ("online", ONLINE), ("network", NETWORK)):
        (tmp_path / f"{name}.toml").write_text(text)
    (tmp_path / "zero.toml").write_text(FIXED.replace("[0, 8]", "0") + "[network]\ninit_variance = 0.0\n")
    diverging = NETWORK.replace('"tanh"', '"identity"').replace("0.2", "1e30").replace("steps = 4", "steps = 40")
    (tmp_path / "diverging.toml").write_text(diverging)
    return tmp_path


@pytest.fixture
def file(tmp_path):
    """Writes a transfer experiment, or another text, and returns its path."""

    def written(text=UPSTREAM + REST, name="experiment.toml"):
        return write(tmp_path, text, name)

    return written
