"""Untrusted files as named arrays: NumPy, safetensors, PyTorch, ONNX, HDF5 and Keras. Code in a file is never run.

File types are read from the first bytes, not the name. Shapes and types are read first; numbers are read only for the
requested array, and from .npy and .safetensors files only in the requested slices.
"""

from __future__ import annotations

import math
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reports.check.array_names import WRAPPERS, alike, listed, meant, plain_name
from reports.check.hdf5_file import SIGNATURE, WEIGHTS, read_hdf5
from reports.check.onnx_file import is_onnx, read_onnx
from reports.check.stored_array import StoredArray, printable, readable
from theory.errors import InvalidInput
from theory.setting.limits import require_memory

_OPTIMIZER = "optim"  # how the key of its state begins
_SHOWN = 8  # names in a message
_DEEPEST = 64  # levels of nested dictionaries and lists
_MOST = 100_000  # dictionaries and lists in a checkpoint, counted once per reference


def split(source: str) -> tuple[Path, str | None]:
    """FILE[:KEY] split into file and key; a file whose own name has a colon takes precedence."""
    # os.path's functions return False for impossible names (too long, with NUL); those of Path raise
    if os.path.exists(source):
        return Path(source), None
    for match in reversed(list(re.finditer(":", source))):
        if os.path.exists(source[: match.start()]):
            return Path(source[: match.start()]), source[match.end() :]
    return Path(source), None


def stored(source: str, argument: str, dimensions: tuple[int, ...]) -> StoredArray:
    """The array that FILE[:KEY] denotes: the only one in the file, or the only numeric one with these `dimensions`.

    Raises
    ------
    InvalidInput
        If there is no such file or key, there are several arrays and no key, there are no numbers, or the file is
        damaged or would run code; the error names `argument`.
    """
    path, key = split(source)
    arrays = contents(path, argument)
    if key is not None:
        wanted = meant(arrays, key) or meant(contents(path, argument, whole=True), key)
        if len(wanted) > 1:
            rule = f"several names end with {printable(key)}; {listed(wanted)}"
            raise InvalidInput(argument, source, rule)
        if not wanted:
            rule = f"there is no array {printable(key)} in the file{alike(arrays, key)}"
            raise InvalidInput(argument, source, rule)
        found = wanted[0]
    else:
        fitting = [array for array in arrays if array.numbers and len(array.shape) in dimensions]
        if len(arrays) > 1 and len(fitting) != 1:
            rule = f"name one of its arrays as FILE:KEY; {listed(fitting or arrays)}"
            raise InvalidInput(argument, source, rule)
        if not arrays:
            raise InvalidInput(argument, source, "contains no array")
        found = fitting[0] if fitting else arrays[0]
    if not found.numbers:
        what = {"c": "complex numbers", "O": "Python objects"}.get(found.kind, "something else")
        raise InvalidInput(argument, source, f"must hold real numbers, not {what}")
    return found


def contents(path: Path, argument: str, *, whole: bool = False) -> list[StoredArray]:
    """All arrays in a file; see `stored` for what is refused.

    From a PyTorch checkpoint these are the arrays of its model, without the keys around it; if `whole`, also all
    others, such as averaged weights and the state of an optimizer, under their full names.
    """
    if not os.path.exists(path):
        raise InvalidInput(argument, str(path), "there is no such file")
    if path.is_dir():
        return _shards(path, argument)
    if not path.is_file():
        raise InvalidInput(argument, str(path), "is not a file")
    with readable(path, argument):
        with open(path, "rb") as file:
            start = file.read(16)
        if not start:
            raise InvalidInput(argument, str(path), "is empty")
        if start.startswith(b"\x93NUMPY"):
            return [_npy(path, argument)]
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
            if WEIGHTS in names:
                return _named(read_hdf5(path, argument))
            if any(name.endswith(("/constants.pkl", "/archive_format")) for name in names):
                raise InvalidInput(argument, str(path), _program_rule(names))
            if not any(name.endswith("data.pkl") for name in names):
                return _npz(path, [name for name in names if name.endswith(".npy")], argument)
            return _torch(path, argument, whole)
        if _is_safetensors(start, path.stat().st_size):  # first: the length of its header may begin as a pickle does
            return _safetensors(path, argument)
        if start[:1] == b"\x80" or start.startswith(b"PK"):
            return _torch(path, argument, whole)
        if start.startswith(SIGNATURE):
            return _named(read_hdf5(path, argument))
        if is_onnx(start):
            return _named(read_onnx(path, argument))
    rule = "must be a .npy, .npz, .safetensors, .onnx, .keras or .h5 file, or a PyTorch checkpoint"
    raise InvalidInput(argument, str(path), rule)


def _shards(folder: Path, argument: str) -> list[StoredArray]:
    """The arrays of all .safetensors files in a folder, as large models are published; each name once."""
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise InvalidInput(argument, str(folder), "is a folder without .safetensors files")
    found: dict[str, StoredArray] = {}
    for path in paths:
        for array in contents(path, argument):
            if array.name in found:
                rule = f"holds {printable(array.name)} in several files: name the file"
                raise InvalidInput(argument, str(folder), rule)
            found[array.name] = array
    return list(found.values())


def _program_rule(names: list[str]) -> str:
    """What to do with an archive that contains a program as well as weights."""
    if any(name.endswith("/archive_format") for name in names):
        return "is an exported program: check all of its layers with --model"
    return (
        "is a TorchScript program, which holds code; where it is trusted, save its weights by "
        "torch.save(torch.jit.load(file).state_dict(), 'weights.pt'), or export the model by torch.export.save"
    )


def _npy(path: Path, argument: str) -> StoredArray:
    with open(path, "rb") as file:
        shape, dtype = _header(file)
    if dtype.kind not in "fiub" or 0 in shape or shape == ():
        return StoredArray("", shape, dtype.kind, lambda start, stop: np.empty((0, *shape[1:]), float))
    np.load(path, mmap_mode="r", allow_pickle=False)  # refuses a file that is shorter than its header says

    def read(start: int, stop: int) -> np.ndarray:
        # one memory map per slice, so that its pages are released with the slice
        with readable(path, argument):
            return np.load(path, mmap_mode="r", allow_pickle=False)[start:stop]

    return StoredArray("", shape, dtype.kind, read)


def _npz(path: Path, names: list[str], argument: str) -> list[StoredArray]:
    found = []
    with zipfile.ZipFile(path) as archive:
        for name in names:
            with archive.open(name) as file:
                shape, dtype = _header(file)
                holds = archive.getinfo(name).file_size - file.tell()
            if holds != math.prod(shape) * dtype.itemsize and dtype.kind in "fiub":
                raise ValueError(f"{name} holds {holds} bytes, not the numbers of its shape {shape}")
            found.append(StoredArray(name[: -len(".npy")], shape, dtype.kind, _Kept(path, name, argument).read))
    return found


class _Kept:
    """An array in an archive, which cannot be read in slices: read whole on first use, then kept."""

    def __init__(self, path: Path, name: str, argument: str) -> None:
        self._path, self._name, self._argument = path, name, argument
        self._array: np.ndarray | None = None

    def read(self, start: int, stop: int) -> np.ndarray:
        if self._array is None:
            with zipfile.ZipFile(self._path) as archive:
                unpacked = archive.getinfo(self._name).file_size
            what = f"{printable(self._name)}, which is packed in an archive and not read in slices, and its copy"
            require_memory(2 * unpacked, self._argument, str(self._path), what)
            with (
                readable(self._path, self._argument),
                zipfile.ZipFile(self._path) as archive,
                archive.open(self._name) as file,
            ):
                self._array = np.lib.format.read_array(file, allow_pickle=False)
        assert self._array is not None
        return self._array[start:stop]


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if any(side < 0 for side in shape):
        raise ValueError(f"a negative shape {shape}")
    return shape, dtype


def _is_safetensors(start: bytes, size: int) -> bool:
    """The length of a header of JSON that the file can hold, and the header."""
    return start[8:9] == b"{" and 8 + int.from_bytes(start[:8], "little") <= size


def _safetensors(path: Path, argument: str) -> list[StoredArray]:
    from safetensors import safe_open

    kinds = {"F": "f", "BF": "f", "I": "i", "U": "u", "BOOL": "b", "C": "c"}
    found = []
    # its reader checks every offset of the header against the length of the file
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 (it is not a mapping)
            view = file.get_slice(name)
            kind = kinds.get(re.sub(r"\d.*", "", str(view.get_dtype())), "V")

            def read(start: int, stop: int, name: str = name) -> np.ndarray:
                with readable(path, argument), safe_open(path, framework="pt") as again:
                    return _host(again.get_slice(name)[start:stop])

            found.append(StoredArray(name, tuple(view.get_shape()), kind, read))
    return _named(found)


def _torch(path: Path, argument: str, whole: bool) -> list[StoredArray]:
    import pickle

    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError:
        raise InvalidInput(argument, str(path), _refusal(path)) from None
    return _named([_tensor(name, tensor) for name, tensor in _tensors(content, whole)])


def _refusal(path: Path) -> str:
    """The classes that a checkpoint needs, and how to convert it to one with tensors only."""
    from torch.serialization import get_unsafe_globals_in_checkpoint

    try:
        wanted = sorted(get_unsafe_globals_in_checkpoint(str(path)))
    except Exception:  # an old format, which does not list them separately
        wanted = []
    names = ", ".join(printable(name) for name in wanted[:_SHOWN])
    needs = f"it needs {names}" if names else "it holds more than tensors"
    return (
        f"loading it could run code, so it is refused: {needs}; on the machine that has the model's code, convert "
        "it by torch.save(model.state_dict(), 'weights.pt')"
    )


def _tensors(content: Any, whole: bool) -> list[tuple[str, Any]]:
    """The tensors of a checkpoint with dotted names: all of them, or those under `state_dict`, `model`, … if any."""
    import torch

    if not whole:
        content = _model(content)
    found: list[tuple[str, Any]] = []
    waiting: list[tuple[str, int, Any]] = [("", 0, content)]
    seen = 0
    while waiting:
        name, depth, value = waiting.pop()
        if isinstance(value, torch.Tensor):
            found.append((name, value.detach()))
        elif isinstance(value, (Mapping, list, tuple)):
            # a dictionary may contain itself, and a list that holds one list twice doubles with every level
            seen += 1
            if depth > _DEEPEST or seen > _MOST:
                raise ValueError(
                    f"holds more than {_MOST} dictionaries and lists, or more than {_DEEPEST} levels of them"
                )
            entries = value.items() if isinstance(value, Mapping) else enumerate(value)
            waiting += [
                (f"{name}.{key}" if name else str(key), depth + 1, entry)
                for key, entry in entries
                if isinstance(entry, (torch.Tensor, Mapping, list, tuple))
            ]
    return sorted(found, key=lambda pair: pair[0])


def _model(content: Any) -> Any:
    """What is under the innermost of `WRAPPERS`; without one, all but the state of an optimizer."""
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            return content
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    return {
        key: value
        for key, value in content.items()
        if not (str(key).startswith(_OPTIMIZER) and isinstance(value, (Mapping, list, tuple)))
    }


def _tensor(name: str, tensor: Any) -> StoredArray:
    import torch

    dtype = tensor.dtype
    kind = "c" if dtype.is_complex else "f" if dtype.is_floating_point else "b" if dtype == torch.bool else "i"
    plain = tensor.layout == torch.strided and not tensor.is_quantized and tensor.device.type == "cpu"
    # strides may repeat numbers: a file of a few bytes then stands for any amount of memory
    if not plain or tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
        kind = "V"
    return StoredArray(name, tuple(tensor.shape), kind, lambda start, stop: _host(tensor[start:stop]))


def _host(tensor: Any) -> np.ndarray:
    """A tensor as a NumPy array; NumPy has no bfloat16 and no eight-bit floats."""
    return (tensor.float() if tensor.dtype.is_floating_point and tensor.element_size() < 4 else tensor).numpy()


def _named(arrays: list[StoredArray]) -> list[StoredArray]:
    """Plain names, unless two arrays would then share one."""
    plain = [plain_name(array.name) for array in arrays]
    if len(set(plain)) < len(plain):
        return arrays
    return [replace(array, name=name) for name, array in zip(plain, arrays, strict=True)]
