"""HDF5 and Keras files as named arrays, read with the package h5py (the extra `keras`). Keras itself is never imported.

A Keras file describes its layers, and a Lambda layer contains code; only the numbers are read here.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from reports.check.stored_array import StoredArray, extra, printable, readable
from theory.setting.limits import require_memory

SIGNATURE = b"\x89HDF\r\n\x1a\n"
WEIGHTS = "model.weights.h5"  # the file of the weights in a .keras archive
_MOST = 100_000  # groups and arrays
_LONGEST = 1_000  # characters of a path
_OPTIMIZER = ("optimizer", "optimizer_weights")  # which keeps arrays of the shapes of the weights


def read_hdf5(path: Path, argument: str) -> list[StoredArray]:
    """The arrays of a .h5 file, or of the weights in a .keras archive, with dots between the parts of their names.

    An optimizer's arrays are left out, and everything that is not in the file itself: links of any kind, and data in
    other files.

    Raises
    ------
    InvalidInput
        If h5py is not installed, or an archive unpacks to more than the limit.
    """
    h5py = extra("h5py", argument, path)
    archived = zipfile.is_zipfile(path)
    if archived:
        with zipfile.ZipFile(path) as archive:
            unpacked = archive.getinfo(WEIGHTS).file_size
            require_memory(2 * unpacked, argument, str(path), f"{WEIGHTS} and its copy")
            content = archive.read(WEIGHTS)

    @contextmanager
    def opened() -> Iterator[Any]:
        with readable(path, argument), h5py.File(io.BytesIO(content) if archived else path, "r") as file:
            yield file

    def stored(place: str, array: Any) -> StoredArray:
        shape, dtype = tuple(array.shape), array.dtype

        def read(start: int, stop: int) -> np.ndarray:
            entries = math.prod(shape[1:]) * max(0, min(stop, shape[0]) - start)
            require_memory(2 * entries * dtype.itemsize, argument, str(path), f"{printable(place)} and its copy")
            with opened() as again:
                return np.asarray(again[place][start:stop])

        return StoredArray(_plain(place), shape, dtype.kind, read)

    with opened() as file:
        return [stored(place, file[place]) for place in sorted(_places(h5py, file))]


def _places(h5py: Any, file: Any) -> Iterator[str]:
    """Paths of the arrays in the file, each object once: groups may contain themselves.

    Links to other places, and arrays made of parts of other files, are not followed: they could name any file.
    """
    waiting, seen = [""], set()
    while waiting:
        place = waiting.pop()
        group = file[place] if place else file
        for name in group:
            inner = f"{place}/{name}" if place else name
            if not isinstance(group.get(name, getlink=True), h5py.HardLink) or inner in _OPTIMIZER:
                continue
            found = group[name]
            address = h5py.h5o.get_info(found.id).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > _MOST or len(inner) > _LONGEST:
                raise ValueError(f"holds more than {_MOST} groups and arrays, or a name above {_LONGEST} characters")
            if isinstance(found, h5py.Group):
                waiting.append(inner)
            elif isinstance(found, h5py.Dataset) and found.shape and not (found.is_virtual or found.external):
                yield inner


def _plain(place: str) -> str:
    """A path as a dotted name, without the number that TensorFlow appends to a variable.

    >>> _plain("model_weights/dense/kernel:0")
    'model_weights.dense.kernel'
    """
    return re.sub(r":\d+$", "", place).replace("/", ".")
