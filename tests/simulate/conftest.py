"""What tests of the simulator share."""

import logging

import numpy as np
import pytest

from simulate.moments import Sums
from tests.simulate.image_settings import IMAGES


@pytest.fixture(autouse=True)
def warnings_are_seen(caplog):
    """Whatever level a command run by another test has left behind."""
    caplog.set_level(logging.WARNING, logger="simulate")


@pytest.fixture
def trained(monkeypatch):
    """How many replicas have been trained: a list of one number."""
    count = [0]
    add = Sums.add

    def counting(self, moments, kept):
        count[0] += len(kept)
        add(self, moments, kept)

    monkeypatch.setattr(Sums, "add", counting)
    return count


@pytest.fixture
def saved(tmp_path):
    """Saves an array and returns its path."""

    def save(array, name="x.npy"):
        path = tmp_path / name
        (np.savez if name.endswith(".npz") else np.save)(path, array)
        return str(path)

    return save


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The images of `image_settings`, in a file."""
    file = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(file, IMAGES)
    return str(file)
