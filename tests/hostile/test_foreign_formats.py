"""ONNX and HDF5 files that name other files, contain themselves, or declare more than they hold."""

import contextlib
import os
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from reports.check.files import contents, stored
from theory.errors import InvalidInput

WHOLE = np.ones((3, 2))


def onnx_file(path, *, dims=(3, 2), content=None, elsewhere=""):
    onnx = pytest.importorskip("onnx")
    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.DOUBLE, dims=dims)
    if elsewhere:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=elsewhere)
    else:
        tensor.raw_data = WHOLE.tobytes() if content is None else content
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [tensor])), str(path))
    return str(path)


def test_onnx_opens_no_other_file(tmp_path):
    (tmp_path / "secret").write_bytes(WHOLE.tobytes())
    for elsewhere in ("secret", "../secret", "/etc/passwd"):
        path = onnx_file(tmp_path / "m.onnx", elsewhere=elsewhere)
        with pytest.raises(InvalidInput, match="keeps its weights in other files"):
            stored(path, "weights", (2,))


@pytest.mark.parametrize("dims", [(10**9, 64), (2**40, 2**40), (-1, 2), (5, 2), (3, 0)])
def test_onnx_shapes_that_are_not_there(tmp_path, dims):
    path = onnx_file(tmp_path / "m.onnx", dims=dims)
    with pytest.raises(InvalidInput):
        stored(path, "weights", (2,)).read(0, 1)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_files_give_an_answer_or_a_refusal(tmp_path, seed):
    """A file with some bytes changed and its end cut off raises nothing but InvalidInput."""
    rng = np.random.default_rng(seed)
    raw = bytearray(Path(onnx_file(tmp_path / "m.onnx")).read_bytes())
    for place in rng.integers(2, len(raw), 4):
        raw[place] = rng.integers(256)
    (tmp_path / "d.onnx").write_bytes(raw[: int(rng.integers(3, len(raw) + 1))])
    with contextlib.suppress(InvalidInput):
        for array in contents(tmp_path / "d.onnx", "weights"):
            assert array.read(0, 1).shape[1:] == array.shape[1:]


def hdf5_file(path, write):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["w"] = WHOLE
        write(h5py, file)
    return path


def links(h5py, file):
    file["soft"] = h5py.SoftLink("/nowhere")
    file["outside"] = h5py.ExternalLink("other.h5", "/w")


def virtual(h5py, file):
    layout = h5py.VirtualLayout((3, 2), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "w", (3, 2))
    file.create_virtual_dataset("virtual", layout)


def external(h5py, file):
    file.create_dataset("external", (3, 2), "f8", external=[("other.raw", 0, h5py.h5f.UNLIMITED)])


def itself(h5py, file):
    inner = file.create_group("inner")
    inner["again"] = file["/"]
    inner["w"] = file["w"]


@pytest.mark.parametrize("write", [links, virtual, external, itself])
def test_hdf5_stays_in_the_file_and_ends(tmp_path, write):
    (tmp_path / "other.raw").write_bytes(WHOLE.tobytes())
    hdf5_file(tmp_path / "other.h5", lambda h5py, file: None)
    path = hdf5_file(tmp_path / "m.h5", write)
    opened = os.stat(tmp_path / "other.h5").st_atime_ns
    assert [array.name for array in contents(path, "weights")] in (["w"], ["inner.w"])
    assert os.stat(tmp_path / "other.h5").st_atime_ns == opened


def test_hdf5_numbers_that_were_never_written(tmp_path):
    """A few bytes declare a terabyte of zeros, which is refused before it is made."""
    path = hdf5_file(tmp_path / "m.h5", lambda h5py, file: file.create_dataset("zeros", (10**6, 10**6), "u1"))
    assert path.stat().st_size < 10_000
    with pytest.raises(InvalidInput, match=r"need 1\.9e\+03 GiB"):
        stored(f"{path}:zeros", "weights", (2,)).read(0, 10**6)
    assert stored(f"{path}:zeros", "data", (2,)).read(0, 2).shape == (2, 10**6)


def test_a_keras_archive_that_unpacks_to_more_than_the_limit(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(2**26))
    pytest.importorskip("h5py")
    monkeypatch.setenv("EIGENALIGN_MEMORY", "0.1")
    began = time.process_time()
    with pytest.raises(InvalidInput, match=r"need 0\.12 GiB"):
        contents(tmp_path / "m.keras", "weights")
    assert time.process_time() - began < 1


@pytest.mark.parametrize("length", [8, 40, 300, 1500])
def test_hdf5_cut_short(tmp_path, length):
    path = hdf5_file(tmp_path / "m.h5", lambda h5py, file: None)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InvalidInput):
        contents(path, "weights")
