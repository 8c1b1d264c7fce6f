"""An array in an untrusted file: its name, its shape, and a way to read slices of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from theory.errors import InvalidInput


@dataclass(frozen=True)
class StoredArray:
    """An array in a file.

    Attributes
    ----------
    name : str
        Empty if the file holds only one array.
    shape : tuple of int
    kind : str
        NumPy's letter for the kind of number: f, i, u, b, c, or another for other types.
    read : callable
        (start, stop) → the entries start … stop − 1 of the first axis, a NumPy array.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    read: Callable[[int, int], np.ndarray]

    @property
    def numbers(self) -> bool:
        """Whether the entries are real numbers."""
        return self.kind in "fiub"

    def describe(self) -> str:
        """Name and shape for a message, with control characters escaped."""
        shape = " × ".join(map(str, self.shape)) or "one number"
        return f"{printable(self.name)} ({shape})" if self.name else shape


def printable(text: str, width: int = 60) -> str:
    """A name from a file, on one line and without control characters."""
    clean = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return clean if len(clean) <= width else clean[: width - 1] + "…"


@contextmanager
def readable(path: Path, argument: str) -> Iterator[None]:
    """Turns any exception of a reader, such as for damaged or hostile files, into an InvalidInput."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about unusual files repeat the error, or do not matter
            yield
    except InvalidInput:
        raise
    except Exception as error:
        lines = str(error).splitlines()
        why = printable(lines[0], 100) if lines and lines[0] else type(error).__name__
        raise InvalidInput(argument, str(path), f"is damaged or has the wrong type ({why})") from None


EXTRAS = {"onnx": "onnx", "h5py": "keras"}  # the extras of this project that install a package, by package


def extra(package: str, argument: str, path: Path) -> Any:
    """A package that only some files need.

    Raises
    ------
    InvalidInput
        If it is not installed; the message says how to install it.
    """
    try:
        return import_module(package)
    except ImportError:
        rule = f"needs the package {package}: pip install '.[{EXTRAS[package]}]' in the folder of eigenalign"
        raise InvalidInput(argument, str(path), rule) from None
