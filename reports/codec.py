"""Dataclasses as plain values with their arrays aside, and back: to what annotations say, never to what a file says.

A record is read as a known type, field by field, so that a file can name no class and run no code. What the annotations
allow: dataclasses, msgspec structs, NumPy arrays, numbers, strings, None, tuples, lists, mappings with plain keys,
literals, and unions of these, of which several dataclasses are told apart by their names.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
import numpy as np

Arrays = dict[str, np.ndarray]
TAG = "@"  # the key of a dataclass's name among its fields: no field is called that


class Unreadable(Exception):
    """A record does not hold what its type says; the message names the place."""


def pack(value: Any) -> tuple[Any, Arrays]:
    """A value as JSON has it (and NaN, and infinities), and its arrays by their paths in it."""
    arrays: Arrays = {}
    return _packed(value, "", arrays), arrays


def _packed(value: Any, path: str, arrays: Arrays) -> Any:
    if isinstance(value, np.ndarray):
        arrays[path] = np.ascontiguousarray(value).reshape(value.shape)
        return {"array": path}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        packed = {name: _packed(each, f"{path}/{name}", arrays) for name, each in fields.items()}
        return {TAG: type(value).__name__, **packed}
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    if isinstance(value, Mapping):
        return [[key, _packed(each, f"{path}/{number}", arrays)] for number, (key, each) in enumerate(value.items())]
    if isinstance(value, (tuple, list)):
        return [_packed(each, f"{path}/{number}", arrays) for number, each in enumerate(value)]
    raise TypeError(f"{path or 'the value'}: {type(value).__name__} cannot be kept")


def unpack(plain: Any, arrays: Mapping[str, np.ndarray], kind: Any) -> Any:
    """The value of the type `kind` that was packed.

    Raises
    ------
    Unreadable
        If the plain value is not of that type.
    """
    return _unpacked(plain, arrays, kind, "record")


def _unpacked(plain: Any, arrays: Mapping[str, np.ndarray], kind: Any, path: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:  # an array of any library, as theory's functions take them: NumPy's is what was kept
        kind = np.ndarray
    if isinstance(kind, TypeVar):
        raise TypeError(f"{path}: a generic type cannot be read")
    if origin in (Union, types.UnionType):
        return _unpacked(plain, arrays, _member(plain, arguments, path), path)
    if origin is Literal:
        return _required(plain in arguments, plain, path, f"one of {', '.join(map(repr, arguments))}")
    if origin in (tuple, list):
        return _sequence(plain, arrays, origin, arguments, path)
    if origin is not None and issubclass(origin, Mapping):
        _required(
            isinstance(plain, list) and all(isinstance(p, list) and len(p) == 2 for p in plain), plain, path, "pairs"
        )
        return {
            _unpacked(key, arrays, arguments[0], path): _unpacked(value, arrays, arguments[1], f"{path}[{key!r}]")
            for key, value in plain
        }
    if kind is np.ndarray or origin is np.ndarray:
        found = isinstance(plain, dict) and plain.keys() == {"array"} and plain["array"] in arrays
        _required(found, plain, path, "an array")
        return arrays[plain["array"]]
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(plain, arrays, kind, path)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        try:
            return msgspec.convert(plain, kind)
        except (msgspec.ValidationError, ValueError) as error:
            raise Unreadable(f"{path}: {error}") from None
    return _scalar(plain, kind, path)


def _scalar(plain: Any, kind: Any, path: str) -> Any:
    if kind is None or kind is types.NoneType:
        return _required(plain is None, plain, path, "nothing")
    if kind is float and isinstance(plain, int) and not isinstance(plain, bool):
        return float(plain)
    if kind in (bool, int, float, str):
        return _required(type(plain) is kind, plain, path, kind.__name__)
    raise TypeError(f"{path}: {kind!r} cannot be read")


def _sequence(plain: Any, arrays: Mapping[str, np.ndarray], origin: Any, arguments: tuple[Any, ...], path: str) -> Any:
    _required(isinstance(plain, list), plain, path, "a sequence")
    if origin is list or (len(arguments) == 2 and arguments[1] is Ellipsis):
        kinds = (arguments[0],) * len(plain)
    else:
        kinds = () if arguments == ((),) else arguments
    _required(len(kinds) == len(plain), plain, path, f"{len(kinds)} values")
    return origin(
        _unpacked(each, arrays, kind, f"{path}[{i}]") for i, (each, kind) in enumerate(zip(plain, kinds, strict=True))
    )


def _dataclass(plain: Any, arrays: Mapping[str, np.ndarray], kind: type, path: str) -> Any:
    """A record of an older version may lack fields that have got a default since."""
    hints = _hints(kind)
    none = dataclasses.MISSING
    needed = {f.name for f in dataclasses.fields(kind) if f.init and f.default is none and f.default_factory is none}
    named = isinstance(plain, dict) and plain.get(TAG) == kind.__name__
    _required(named and {TAG, *needed} <= plain.keys() <= {TAG, *hints}, plain, path, f"a {kind.__name__}")
    found = {name: hint for name, hint in hints.items() if name in plain}
    return kind(**{name: _unpacked(plain[name], arrays, hint, f"{path}.{name}") for name, hint in found.items()})


def _member(plain: Any, members: tuple[Any, ...], path: str) -> Any:
    """The member of a union that a plain value is of: dataclasses by their names, all others by what fits."""
    if isinstance(plain, dict) and TAG in plain:
        for member in members:
            if dataclasses.is_dataclass(member) and getattr(member, "__name__", None) == plain[TAG]:
                return member
    for member in members:
        if not dataclasses.is_dataclass(member) and _fits(plain, member):
            return member
    raise Unreadable(f"{path}: is none of the types that it may be")


def _fits(plain: Any, member: Any) -> bool:
    if member is types.NoneType:
        return plain is None
    if member in (bool, int, float, str):
        return type(plain) is member
    if get_origin(member) is Literal:
        return plain in get_args(member)
    if member is Any or member is np.ndarray:
        return isinstance(plain, dict) and plain.keys() == {"array"}
    if isinstance(member, type) and issubclass(member, msgspec.Struct):
        return isinstance(plain, dict)
    return isinstance(plain, list)


@cache
def _hints(kind: type) -> dict[str, Any]:
    """The types of the fields that a dataclass is made from."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}


def _required(holds: bool, plain: Any, path: str, what: str) -> Any:
    if not holds:
        raise Unreadable(f"{path}: is not {what}")
    return plain
