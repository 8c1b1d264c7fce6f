"""HDF5 files: what is passed over, wherever it stands, and how many arrays there may be."""

from __future__ import annotations

import numpy as np
import pytest

from reports.check import hdf5_file
from reports.check.files import contents
from tests.reports.check.layers import DENSE
from theory.errors import InvalidInput

h5py = pytest.importorskip("h5py")


def names(path):
    return [array.name for array in contents(path, "w")]


def test_what_is_passed_over_does_not_end_the_search(tmp_path):
    """An optimizer, a link, an object met before, a single number, and data elsewhere, with an array behind each."""
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["a"] = DENSE
        file["b_again"] = file["a"]
        file["c"] = DENSE
        file["d_link"] = h5py.SoftLink("/c")
        file["e"] = DENSE
        file["f_number"] = 3.0
        file["g/w"] = DENSE
        file["optimizer/w"] = DENSE
        file["optimizer_weights/w"] = DENSE
        file["p"] = DENSE
        layout = h5py.VirtualLayout((3, 2), "f8")
        layout[:] = h5py.VirtualSource("other.h5", "w", (3, 2))
        file.create_virtual_dataset("q_virtual", layout)
        file.create_dataset("r_external", (3, 2), "f8", external=[("other.raw", 0, h5py.h5f.UNLIMITED)])
        file["s_type"] = np.dtype("f8")
        file["t"] = DENSE
    assert names(tmp_path / "m.h5") == ["a", "c", "e", "g.w", "p", "t"]


@pytest.mark.parametrize(("count", "fits"), [(3, True), (4, False)])
def test_arrays_are_counted(tmp_path, monkeypatch, count, fits):
    monkeypatch.setattr(hdf5_file, "_MOST", 3)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        for k in range(count):
            file[f"w{k}"] = DENSE
    if fits:
        assert len(names(tmp_path / "m.h5")) == 3
    else:
        with pytest.raises(InvalidInput, match="holds more than 3 groups and arrays"):
            names(tmp_path / "m.h5")


def test_a_hundred_thousand_are_the_most(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["n" * 1001] = DENSE
    with pytest.raises(InvalidInput, match="holds more than 100000 groups and arrays, or a name above 1000 characters"):
        names(tmp_path / "m.h5")


def test_memory_is_that_of_the_entries_there_are(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(hdf5_file, "require_memory", lambda size, *_: asked.append(size))
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["w"] = np.ones((5, 3, 2), np.float32)
    (found,) = contents(tmp_path / "m.h5", "w")
    for start, stop, count in ((0, 2, 2), (4, 9, 1), (5, 9, 0), (7, 9, 0)):
        assert found.read(start, stop).shape == (count, 3, 2)
        assert asked.pop() == 2 * 4 * 6 * count
