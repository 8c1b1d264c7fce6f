"""Arrays of numbers in untrusted files, read without running any code from them and within the memory limit."""

from __future__ import annotations

import math
import os
import zipfile
from io import BytesIO
from typing import IO

import numpy as np

from theory.errors import InvalidInput
from theory.setting.limits import require_memory


def read_array(path: str, key: str) -> np.ndarray:
    """The array in a .npy file, or the only one in a .npz file; never runs code from the file.

    Raises
    ------
    InvalidInput
        If there is no such array of finite numbers; the error names `key`.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        # /dev/zero never ends, a pipe may never begin
        raise InvalidInput(key, path, "is not a .npy or .npz file of numbers (it is no regular file)")
    try:
        with open(path, "rb") as file:
            if not zipfile.is_zipfile(file):
                file.seek(0)
                array = _one_array(file, os.fstat(file.fileno()).st_size, key, path)
            else:
                with zipfile.ZipFile(file) as archive:
                    names = archive.namelist()
                    if len(names) != 1:
                        raise InvalidInput(key, path, f"must hold one array, not {len(names)}")
                    with archive.open(names[0]) as packed:
                        array = _one_array(packed, archive.getinfo(names[0]).file_size, key, path)
    except FileNotFoundError:
        raise InvalidInput(key, path, "there is no such file") from None
    except InvalidInput:
        raise
    except Exception as error:  # archives that are damaged, encrypted or oddly compressed raise anything
        raise InvalidInput(key, path, f"is not a .npy or .npz file of numbers ({first_line(error)})") from None
    if array.dtype.kind not in "fiub":
        raise InvalidInput(key, path, f"must hold real numbers, not {array.dtype}")
    if array.size == 0:
        raise InvalidInput(key, path, f"is empty, of shape {array.shape}")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InvalidInput(key, path, f"must hold finite numbers, and entry {where} is not")
    return array


def _one_array(file: IO[bytes], size: int, key: str, path: str) -> np.ndarray:
    """The array of a .npy file of `size` bytes, after a check that its header declares as many."""
    require_memory(size, key, path, "its numbers")
    start = BytesIO(file.read(min(size, 2**17)))
    version = np.lib.format.read_magic(start)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in header:
        raise ValueError(f"version {version} of the format")
    shape, _, dtype = header[version](start)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded: they could run code")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - start.tell():
        raise ValueError(f"its header declares shape {shape}, and {size - start.tell()} bytes follow")
    return np.lib.format.read_array(BytesIO(start.getvalue() + file.read()), allow_pickle=False)


def first_line(error: Exception) -> str:
    """The first line of an exception's message, or its name if it has no message."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
