"""What a pinned call gives, as a list of numbers, words and arrays, and whether two such lists agree.

A row is a name and a call without arguments. Its result may be a number, a word, an array, a result of `theory`, or a
list of any of these. Refusals are results as well: their kind, the argument that they name, and the numbers that they
say, so that the bounds of arguments are pinned from both sides, but no wording is.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import sympy

from theory.errors import InvalidInput

Scalar = float | int | bool | str | None
Leaf = Scalar | list[Scalar]  # an array is one leaf
Call = Callable[[], object]
Rows = Mapping[str, Call]

WITHIN = 1e-9  # relative; rounding differs by machine
FLOOR = 1e-3  # of the largest number of an array, or of 1: smaller numbers agree if they differ by `WITHIN` of this
LEAST = 1e-2  # the largest number of an array counts as this at least: it may hold rounding errors alone
DIGITS = 12
MOST = 12  # entries of an array that are pinned one by one; of a larger one sums with weights are
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def leaves(value: Any) -> list[Leaf]:
    """A result as a list of numbers, words and arrays."""
    if value is None or isinstance(value, (bool, int, str)):
        return [value]
    if isinstance(value, (bool, float, np.generic)):
        return [_number(value.item() if isinstance(value, np.generic) else value)]
    if isinstance(value, InvalidInput):
        return [type(value).__name__, value.key, *numbers(value)]
    if isinstance(value, slice):
        return [value.start, value.stop]
    if isinstance(value, (sympy.Basic, sympy.MatrixBase)):
        return leaves(np.array(value.evalf(20).tolist() if hasattr(value, "tolist") else value.evalf(20), dtype=float))
    if hasattr(value, "detach"):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, msgspec.Struct):
        return leaves(msgspec.to_builtins(value))
    if dataclasses.is_dataclass(value):
        return [leaf for field in dataclasses.fields(value) for leaf in leaves(getattr(value, field.name))]
    return [leaf for each in (value.values() if isinstance(value, Mapping) else value) for leaf in leaves(each)]


def numbers(text: object) -> list[float]:
    """The numbers that a text says."""
    return [float(found) for found in NUMBER.findall(str(text))]


def outcome(call: Callable[..., object], *arguments: object) -> object:
    """What a call gives, or the error by which it refuses."""
    try:
        return call(*arguments)
    except InvalidInput as error:
        return error


def outcomes(call: Callable[..., object], *values: object) -> list[object]:
    """What a call of one argument gives for each of these values: numbers or refusals."""
    return [outcome(call, value) for value in values]


def agree(found: list[Leaf], pinned: list[Leaf], within: float = WITHIN) -> list[str]:
    """Where two lists differ, as lines for a reader; none if they agree."""
    if len(found) != len(pinned):
        return [f"{len(found)} entries instead of {len(pinned)}"]
    return [
        f"entry {i}: {a!r} instead of {b!r}"
        for i, (a, b) in enumerate(zip(found, pinned, strict=True))
        if not _alike(a, b, within)
    ]


def _alike(found: Leaf, pinned: Leaf, within: float) -> bool:
    if isinstance(found, list) and isinstance(pinned, list):
        largest = max((abs(each) for each in pinned if _is_number(each)), default=0.0)
        largest = max(largest, LEAST)
        same = len(found) == len(pinned)
        return same and all(_same(a, b, within, FLOOR * largest) for a, b in zip(found, pinned, strict=True))
    return _same(found, pinned, within, FLOOR)


def _same(found: Any, pinned: Any, within: float, floor: float) -> bool:
    if _is_number(found) and _is_number(pinned):
        return bool(abs(found - pinned) <= within * max(abs(pinned), floor))
    return type(found) is type(pinned) and bool(found == pinned)


def _is_number(leaf: object) -> bool:
    return isinstance(leaf, (int, float)) and not isinstance(leaf, bool)


def _number(value: Any) -> Scalar:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else str(value)
    return value


def _array(array: np.ndarray) -> list[Leaf]:
    """The entries; of many the shape, how many are finite, and six sums over these, no two of equal weights."""
    if array.size <= MOST:
        return [[_number(entry) for entry in array.ravel().tolist()]]
    flat = array.ravel().astype(float)
    where = np.flatnonzero(np.isfinite(flat))
    sums = [float(np.abs(flat[where]).sum()), *(float(flat[where] @ np.cos(k * where + k)) for k in range(5))]
    return [*array.shape, len(where), [_number(each) for each in sums]]
