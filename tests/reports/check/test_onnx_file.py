"""ONNX files: which matrices are turned, which tensors are numbers, and shapes that their bytes cannot fill."""

from __future__ import annotations

import numpy as np
import pytest

from reports.check.files import contents, stored
from tests.reports.check.layers import DENSE
from theory.errors import InvalidInput

onnx = pytest.importorskip("onnx")
node, from_array = onnx.helper.make_node, onnx.numpy_helper.from_array


def saved(path, nodes, *tensors):
    graph = onnx.helper.make_graph(nodes, "g", [], [], list(tensors))
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    return path


@pytest.mark.parametrize(
    ("operation", "inputs", "options", "turned"),
    [
        ("Gemm", ["x", "w"], {}, True),
        ("Gemm", ["x", "w"], {"transA": 1}, True),
        ("Gemm", ["x", "w"], {"transB": 0}, True),
        ("Gemm", ["x", "w"], {"transB": 1}, False),
        ("Gemm", ["w", "x"], {}, False),
        ("Gemm", ["x", "y", "w"], {}, False),
        ("MatMul", ["x", "w"], {}, True),
        ("MatMul", ["w", "x"], {}, False),
        ("Add", ["x", "w"], {}, False),
    ],
)
def test_matrices_from_the_right_are_turned(tmp_path, operation, inputs, options, turned):
    path = saved(tmp_path / "m.onnx", [node(operation, inputs, ["z"], **options)], from_array(DENSE, "w"))
    (found,) = contents(path, "w")
    expected = DENSE.T if turned else DENSE
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found.read(1, 4), expected[1:4])


def test_only_matrices_are_turned(tmp_path):
    cube = np.arange(24.0).reshape(2, 3, 4)
    nodes = [node("MatMul", ["x", "w"], ["y"]), node("MatMul", ["x", "v"], ["z"])]
    path = saved(tmp_path / "m.onnx", nodes, from_array(cube, "w"), from_array(np.arange(3.0), "v"))
    assert [array.shape for array in contents(path, "w")] == [(3,), (2, 3, 4)]


def test_constants_that_are_no_tensors_are_passed_over(tmp_path):
    nodes = [node("Constant", [], ["c"], value_float=1.0), node("Constant", [], ["w"], value=from_array(DENSE))]
    assert [array.name for array in contents(saved(tmp_path / "m.onnx", nodes), "w")] == ["w"]


@pytest.mark.parametrize("way", ["location", "entries", "both"])
def test_data_in_other_files_are_refused_however_they_are_named(tmp_path, way):
    tensor = from_array(DENSE, "w")
    if way != "entries":
        tensor.data_location = onnx.TensorProto.EXTERNAL
    if way != "location":
        tensor.external_data.add(key="location", value="other")
    (tmp_path / "other").write_bytes(DENSE.tobytes())
    with pytest.raises(InvalidInput, match="keeps its weights in other files: join them"):
        contents(saved(tmp_path / "m.onnx", [], tensor), "w")


@pytest.mark.parametrize(("kind", "said"), [(99, "Python objects"), (0, "Python objects"), (8, "Python objects")])
def test_tensors_of_unknown_kinds_are_no_numbers(tmp_path, kind, said):
    """99 is none, 0 undefined, 8 strings."""
    tensor = onnx.TensorProto(name="w", data_type=kind, dims=(2, 3), raw_data=bytes(60))
    with pytest.raises(InvalidInput, match=f"must hold real numbers, not {said}"):
        stored(str(saved(tmp_path / "m.onnx", [], tensor)), "w", (2,))


def test_of_kinds_that_numpy_lacks_floats_alone_are_numbers(tmp_path):
    """bfloat16 is read as floats, whereas INT4, whose kind is that of ONNX's own type, does not count as numbers."""
    tensors = [
        onnx.helper.make_tensor("a", onnx.TensorProto.BFLOAT16, (2,), [1.0, -2.0]),
        onnx.helper.make_tensor("b", onnx.TensorProto.INT4, (2,), [1, -2]),
        from_array(DENSE.astype(np.float32), "c"),
        from_array(DENSE.astype(np.int32), "d"),
    ]
    found = {array.name: array for array in contents(saved(tmp_path / "m.onnx", [], *tensors), "w")}
    assert found["a"].read(0, 2).tolist() == [1, -2]
    assert [found[name].kind for name in "acd"] == ["f", "f", "i"]
    assert [found[name].numbers for name in "abcd"] == [True, False, True, True]
    assert found["b"].kind == np.dtype(onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.INT4)).kind


@pytest.mark.parametrize(("more", "fits"), [(-1, True), (0, True), (1, False)])
def test_a_message_holds_eight_entries_per_byte_at_most(tmp_path, more, fits):
    """A tensor may declare up to eight entries per byte of its message, which includes the length of the shape.

    That is one bit per entry, less than any type takes.
    """
    count = next(n for n in range(1, 2000) if n == 8 * bits(n).ByteSize())
    path = saved(tmp_path / "m.onnx", [], bits(count + more))
    if fits:
        assert contents(path, "w")[0].shape == (count + more,)
    else:
        with pytest.raises(InvalidInput, match="is damaged: w is shorter than its shape says"):
            contents(path, "w")


def bits(count):
    """A tensor that says that it has so many entries; 24 bytes of them are there."""
    return onnx.TensorProto(name="w", data_type=onnx.TensorProto.BOOL, dims=(count,), raw_data=bytes(24))


@pytest.mark.parametrize(("dims", "said"), [((-1, 2), "is shorter than its shape says"), ((0, 2), "must not be empty")])
def test_sides_of_a_shape_are_not_negative(tmp_path, dims, said):
    from reports.check.weights import read_filters

    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.DOUBLE, dims=dims, raw_data=bytes(16))
    with pytest.raises(InvalidInput, match=said):
        read_filters(str(saved(tmp_path / "m.onnx", [], tensor)))
