"""Exported programs (.pt2) as data: the graph and the tensors as they are stored in the archive.

`torch.export.load` is not safe for untrusted files: it evaluates expressions, may unpickle, and runs any
function under `torch` that the graph names. Here the graph is read as JSON and the tensors as bytes; nothing in the
file is evaluated, unpickled or imported.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reports.check.stored_array import printable
from theory.errors import InvalidInput

_MOST_TEXT = 2**28  # bytes of the graph
# The types by the numbers that the format gives them.
TYPES: Mapping[int, torch.dtype] = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16,
    7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Written:
    """What an exported program holds.

    Attributes
    ----------
    nodes : list of mapping
        Calls in their order, as JSON: `target`, `inputs`, `outputs`.
    tensors : mapping of str to tensor
        Parameters, buffers and constants by their names in the graph.
    names : mapping of str to str
        The names of the parameters in the model.
    inputs : tuple of str
        Names in the graph of the model's inputs.
    batch : int or None
        The length of the first axis of the first input, if the program was exported for one length only.
    """

    nodes: list[Mapping[str, Any]]
    tensors: Mapping[str, torch.Tensor]
    names: Mapping[str, str]
    inputs: tuple[str, ...]
    batch: int | None


def is_program(path: Path) -> bool:
    """Whether a file is an archive of an exported program."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/archive_format") for name in archive.namelist())


def read_program(path: Path) -> Written:
    """The graph and the tensors of a .pt2 file.

    Raises
    ------
    InvalidInput
        If the file is damaged, compressed, or holds pickled objects or several programs.
    """
    with _readable(path), zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise InvalidInput("model", str(path), "is compressed, as no exported program is")
        graphs = [info.filename for info in infos if "/models/" in info.filename and info.filename.endswith(".json")]
        if len(graphs) != 1:
            raise InvalidInput("model", str(path), f"must hold one program, not {len(graphs)}")
        root, _, file = graphs[0].partition("/models/")
        if archive.read(f"{root}/byteorder") != b"little":
            raise InvalidInput("model", str(path), "must have been saved on a little-endian machine")
        program = _json(archive, graphs[0])["graph_module"]
        name = file.removesuffix(".json")
        stored = {
            key: entry
            for folder, kind in (("weights", "weights"), ("constants", "constants"))
            for key, entry in _stored(archive, f"{root}/data/{folder}", f"{name}_{kind}_config.json")
        }
        return _written(program, stored, path)


def _written(program: Mapping[str, Any], stored: Mapping[str, torch.Tensor | None], path: Path) -> Written:
    graph = program["graph"]
    tensors: dict[str, torch.Tensor] = {}
    names: dict[str, str] = {}
    inputs: list[str] = []
    for entry in program["signature"]["input_specs"]:
        ((kind, spec),) = entry.items()
        if kind == "user_input":
            inputs.append(_only_tensor(spec["arg"], path))
            continue
        key = next(
            (spec[key] for key in ("parameter_name", "buffer_name", "tensor_constant_name") if key in spec), None
        )
        tensor = None if key is None else stored.get(key)
        if key is None or tensor is None:
            raise InvalidInput("model", str(path), f"needs {printable(str(key or kind))}, which is not a plain tensor")
        tensors[spec["arg"]["name"]] = tensor
        names[spec["arg"]["name"]] = key
    if not inputs:
        raise InvalidInput("model", str(path), "takes no input")
    first = graph["tensor_values"][inputs[0]]["sizes"]
    return Written(graph["nodes"], tensors, names, tuple(inputs), first[0].get("as_int") if first else None)


def _only_tensor(argument: Mapping[str, Any], path: Path) -> str:
    if set(argument) != {"as_tensor"}:
        raise InvalidInput("model", str(path), "takes an input that is not a tensor")
    return argument["as_tensor"]["name"]


def _stored(archive: zipfile.ZipFile, folder: str, config: str) -> Iterator[tuple[str, torch.Tensor | None]]:
    """Names and tensors of one folder; None for entries that are pickled or not tensors."""
    if f"{folder}/{config}" not in archive.namelist():
        return
    for key, entry in _json(archive, f"{folder}/{config}")["config"].items():
        meta = entry.get("tensor_meta")
        if entry.get("use_pickle") or not meta or meta["dtype"] not in TYPES:
            yield key, None
            continue
        content = archive.read(f"{folder}/{entry['path_name']}")
        sizes, strides = ([int(side["as_int"]) for side in meta[part]] for part in ("sizes", "strides"))
        offset, dtype = int(meta["storage_offset"]["as_int"]), TYPES[meta["dtype"]]
        flat = torch.frombuffer(bytearray(content), dtype=dtype) if content else torch.zeros(0, dtype=dtype)
        last = offset + sum((side - 1) * stride for side, stride in zip(sizes, strides, strict=True))
        if min([*sizes, *strides, offset, 0]) < 0 or math.prod(sizes) > len(flat) or last >= max(len(flat), 1):
            raise ValueError(f"{key} is shorter than its shape says")
        yield key, flat.as_strided(sizes, strides, offset) if math.prod(sizes) else flat.reshape(sizes)


def _json(archive: zipfile.ZipFile, name: str) -> Any:
    if archive.getinfo(name).file_size > _MOST_TEXT:
        raise ValueError(f"{name} is longer than {_MOST_TEXT} bytes")
    return json.loads(archive.read(name))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns any exception caused by a damaged or hostile file into an InvalidInput."""
    try:
        yield
    except InvalidInput:
        raise
    except (Exception, RecursionError) as error:
        why = printable((str(error).splitlines() or [""])[0], 100) or type(error).__name__
        raise InvalidInput("model", str(path), f"is damaged, or a kind of program that is not known ({why})") from None
