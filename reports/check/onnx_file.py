"""ONNX files as named arrays, read with the package onnx (the extra `onnx`). The graph is read, never run."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reports.check.stored_array import StoredArray, extra, printable, readable
from theory.errors import InvalidInput
from theory.setting.limits import require_memory

_NEWEST = 64  # versions of the format: the first number of a file
_COPIES = 3  # of the file in memory: its bytes, the message, an array


def is_onnx(start: bytes) -> bool:
    r"""Whether a file begins with field 1, the version, as ONNX files do, which have no signature.

    >>> is_onnx(b"\x08\x08\x12\x07pytorch"), is_onnx(b"\x08\x00\x00")
    (True, False)
    """
    return len(start) > 2 and start[0] == 8 and 0 < start[1] < _NEWEST and start[2] > 8


def read_onnx(path: Path, argument: str) -> list[StoredArray]:
    """The weights of an ONNX file: initialisers and the constants of nodes, including those in branches and loops.

    Matrices that only multiply from the right, like those of dense layers, are transposed: the graph shows how a matrix
    is used, so that outputs come first, as in PyTorch.

    Raises
    ------
    InvalidInput
        If onnx is not installed, or the weights are in other files.
    """
    onnx = extra("onnx", argument, path)
    require_memory(_COPIES * os.path.getsize(path), argument, str(path), "the file and its copies")
    graph = onnx.load(str(path), load_external_data=False).graph
    tensors: dict[str, Any] = {}
    uses: dict[str, set[bool]] = {}
    for each in _graphs(onnx, graph):
        for tensor in each.initializer:
            tensors.setdefault(tensor.name, tensor)
        for node in each.node:
            if node.op_type == "Constant":
                held = [a.t for a in node.attribute if a.type == onnx.AttributeProto.TENSOR]
                tensors.update(zip(node.output, held, strict=False))
            for place, name in enumerate(node.input):
                uses.setdefault(name, set()).add(_from_the_right(node, place))
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data for tensor in tensors.values()):
        rule = "keeps its weights in other files: join them by onnx.save(onnx.load(file), 'joined.onnx')"
        raise InvalidInput(argument, str(path), rule)
    return [
        _array(onnx, name, tensor, transposed=uses.get(name) == {True}, source=(path, argument))
        for name, tensor in sorted(tensors.items())
    ]


def _graphs(onnx: Any, first: Any) -> Iterator[Any]:
    """A graph and all graphs in its nodes; messages cannot contain themselves, and protobuf bounds their depth."""
    waiting = [first]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else list(attribute.graphs)


def _from_the_right(node: Any, place: int) -> bool:
    """Whether a node computes x W of this input W: columns of W are then the weight vectors."""
    if node.op_type == "Gemm":
        return place == 1 and not any(a.name == "transB" and a.i for a in node.attribute)
    return node.op_type == "MatMul" and place == 1


def _array(onnx: Any, name: str, tensor: Any, *, transposed: bool, source: tuple[Path, str]) -> StoredArray:
    shape = tuple(tensor.dims)
    turned = transposed and len(shape) == 2
    path, argument = source
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, TypeError, ValueError):
        dtype = np.dtype(object)
    # NumPy has a separate kind for types such as bfloat16; they become single precision
    kind = "f" if dtype.kind == "V" and "float" in dtype.name else dtype.kind
    if any(side < 0 for side in shape) or math.prod(shape) > 8 * tensor.ByteSize():
        raise InvalidInput(argument, str(path), f"is damaged: {printable(name)} is shorter than its shape says")

    def read(start: int, stop: int) -> np.ndarray:
        with readable(path, argument):
            values = np.asarray(onnx.numpy_helper.to_array(tensor))
            values = values.astype(np.float32) if values.dtype.kind == "V" else values
            return (values.T if turned else values)[start:stop]

    return StoredArray(name, shape[::-1] if turned else shape, kind, read)
