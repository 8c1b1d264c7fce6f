"""Files of other libraries, as their own packages write them: ONNX, HDF5, Keras."""

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from reports.check import hdf5_file, onnx_file
from reports.check.files import contents, stored
from reports.check.onnx_file import is_onnx
from reports.check.weights import read_filters
from tests.reports.check.layers import DENSE, FILTERS, ROWS
from tests.reports.command_line import run_quietly
from theory.errors import InvalidInput


def saved(path, nodes, **arrays):
    """An ONNX file of a graph that multiplies, with `arrays` as initialisers."""
    onnx = pytest.importorskip("onnx")
    kept = [onnx.numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()]
    graph = onnx.helper.make_graph(nodes(onnx.helper.make_node), "graph", [], [], kept)
    onnx.save(onnx.helper.make_model(graph), str(path))
    return str(path)


def test_onnx_gives_the_weights_output_first(tmp_path):
    path = saved(
        tmp_path / "m.onnx",
        lambda node: [
            node("Conv", ["x", "filters"], ["a"]),
            node("MatMul", ["x", "right"], ["b"]),
            node("MatMul", ["left", "x"], ["c"]),
            node("Gemm", ["x", "gemm"], ["d"]),
            node("Gemm", ["x", "turned"], ["e"], transB=1),
            node("MatMul", ["x", "both"], ["f"]),
            node("Add", ["x", "both"], ["g"]),
        ],
        filters=FILTERS, right=DENSE.T, left=DENSE, gemm=DENSE.T, turned=DENSE, both=DENSE,
    )  # fmt: skip
    np.testing.assert_array_equal(read_filters(f"{path}:filters").vectors, FILTERS.reshape(len(FILTERS), -1))
    for name in ("right", "left", "gemm", "turned", "both"):
        np.testing.assert_array_equal(read_filters(f"{path}:{name}").vectors, DENSE, err_msg=name)
        np.testing.assert_array_equal(stored(f"{path}:{name}", "weights", (2,)).read(1, 3), DENSE[1:3])


def test_onnx_constants_and_branches(tmp_path):
    onnx = pytest.importorskip("onnx")
    helper, kept = onnx.helper, onnx.numpy_helper.from_array(DENSE, "w")
    inner = helper.make_graph([helper.make_node("Constant", [], ["branch.weight"], value=kept)], "inner", [], [])
    held = onnx.numpy_helper.from_array(FILTERS.astype(np.float16))
    outer = [
        helper.make_node("Constant", [], ["conv.weight"], value=held),
        helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner),
    ]
    onnx.save(helper.make_model(helper.make_graph(outer, "outer", [], [])), str(tmp_path / "m.onnx"))
    found = {array.name: array for array in contents(tmp_path / "m.onnx", "weights")}
    assert set(found) == {"branch.weight", "conv.weight"}
    np.testing.assert_array_equal(found["branch.weight"].read(0, len(DENSE)), DENSE)
    assert found["conv.weight"].kind == "f"


def test_onnx_in_the_precisions_of_training(tmp_path):
    onnx = pytest.importorskip("onnx")
    tensor = onnx.helper.make_tensor("w", onnx.TensorProto.BFLOAT16, (2, 2), [1.0, -2.0, 0.5, 3.0])
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [tensor])), str(tmp_path / "m.onnx"))
    assert read_filters(str(tmp_path / "m.onnx")).vectors.tolist() == [[1.0, -2.0], [0.5, 3.0]]


def hdf5(path, **arrays):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name.replace("__", "/")] = array
    return str(path)


def test_hdf5_as_weights_and_as_data(tmp_path, capfd):
    weights = hdf5(tmp_path / "w.h5", **{"model_weights__dense__kernel:0": DENSE.T, "optimizer_weights__m": DENSE})
    data = hdf5(tmp_path / "x.h5", rows=ROWS)
    assert [array.name for array in contents(tmp_path / "w.h5", "weights")] == ["model_weights.dense.kernel"]
    np.testing.assert_array_equal(read_filters(f"{weights}:dense.kernel", transposed=True).vectors, DENSE)
    status, out, err = run_quietly(
        capfd, "check", "--weights", weights, "--transposed", "--data", f"{data}:rows", "--json"
    )
    assert (status, err) == (0, "")
    assert json.loads(out)["details"]["samples"] == 50


def test_keras_is_read_without_keras(tmp_path):
    """The description of the layers, where a Lambda layer has its code, is not looked at."""
    hdf5(tmp_path / "w.h5", layers__dense__vars__0=DENSE.T, optimizer__vars__0=DENSE)
    code = "4wEAAAAAAAAAAAAAAAEAAAABAAAAQwAAAA=="
    layers = [{"class_name": "Lambda", "config": {"function": [code, None, None]}}]
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": layers}}))
        archive.write(tmp_path / "w.h5", "model.weights.h5")
    before = set(sys.modules)
    np.testing.assert_array_equal(read_filters(f"{tmp_path}/m.keras:dense.vars.0", transposed=True).vectors, DENSE)
    assert not any(name.split(".")[0] in ("keras", "tensorflow", "marshal") for name in set(sys.modules) - before)


@pytest.mark.parametrize(
    ("name", "start", "package", "extra"),
    [
        ("m.onnx", b"\x08\x08\x12\x07pytorch", "onnx", "onnx"),
        ("m.h5", b"\x89HDF\r\n\x1a\n" + bytes(8), "h5py", "keras"),
    ],
)
def test_what_a_format_needs_is_said(tmp_path, monkeypatch, name, start, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / name).write_bytes(start)
    with pytest.raises(InvalidInput, match=rf"needs the package {package}: pip install '\.\[{extra}\]'"):
        contents(tmp_path / name, "weights")


@pytest.mark.parametrize(
    ("start", "known"),
    [
        (b"\x08\x01\x09", True),
        (b"\x08\x3f\x12\x07", True),
        (b"\x08\x40\x12\x07", False),
        (b"\x08\x00\x12\x07", False),
        (b"\x08\x01\x08", False),
        (b"\x08\x01", False),
        (b"\x07\x01\x12\x07", False),
        (b"\x09\x01\x12\x07", False),
    ],
)
def test_onnx_begins_with_its_version(start, known):
    assert is_onnx(start) is known


def test_memory_is_asked_for_before_numbers_are_read(tmp_path, monkeypatch):
    """A message and an array beside an ONNX file; of a packed file and of a slice a copy."""
    asked = []
    for module in (hdf5_file, onnx_file):
        monkeypatch.setattr(module, "require_memory", lambda size, *_: asked.append(size))
    contents(Path(saved(tmp_path / "m.onnx", lambda node: [], w=DENSE)), "weights")
    assert asked == [3 * (tmp_path / "m.onnx").stat().st_size]
    path = hdf5(tmp_path / "w.h5", w=DENSE)
    (found,) = contents(Path(path), "weights")
    np.testing.assert_array_equal(found.read(1, 4), DENSE[1:4])
    np.testing.assert_array_equal(found.read(38, 99), DENSE[38:])
    assert asked[1:] == [2 * 3 * 6 * 8, 2 * 2 * 6 * 8]
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.write(path, "model.weights.h5")
    contents(tmp_path / "m.keras", "weights")
    assert asked[3:] == [2 * (tmp_path / "w.h5").stat().st_size]


def test_a_name_in_hdf5_has_a_thousand_characters_at_most(tmp_path):
    (found,) = contents(Path(hdf5(tmp_path / "w.h5", **{"n" * 1000: DENSE})), "weights")
    assert len(found.name) == 1000
    with pytest.raises(InvalidInput, match="a name above 1000 characters"):
        contents(Path(hdf5(tmp_path / "long.h5", **{"n" * 1001: DENSE})), "weights")
