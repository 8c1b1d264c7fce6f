"""Structs that check every value however they were built: the basis of `theory.setting`.

A msgspec struct checks types when it is decoded, not when it is constructed in Python. `Checked` closes that gap:
each field is converted strictly (no "5" for 5, no True for 1, no NaN), then the struct's own rules are checked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, ClassVar, Literal, get_args

import msgspec

from theory.errors import InvalidInput, unknown

# The bound of integers: those below it are exact as doubles, in which everything is computed.
EXACT = 2**53


@cache  # msgspec reads the annotations anew at every call, which is nine tenths of building a setting
def fields_of(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """The fields of a struct."""
    return msgspec.structs.fields(kind)


class Checked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A struct whose fields are converted and checked on construction, from TOML and from Python alike."""

    table: ClassVar[str] = ""
    wide: ClassVar[tuple[str, ...]] = ()  # fields whose integers may be larger than `EXACT`

    def __post_init__(self) -> None:
        for field in fields_of(type(self)):
            key = f"{self.table}.{field.name}".lstrip(".")
            value = _convert(key, _plain(getattr(self, field.name)), field.type)
            if field.name not in self.wide:
                _require_exact(key, value)
            msgspec.structs.force_setattr(self, field.name, value)
        self.check()

    def check(self) -> None:
        """Check the rules that types cannot express."""

    def departs(self, field: str) -> bool:
        """Whether a field differs from its default."""
        return getattr(self, field) != next(known.default for known in fields_of(type(self)) if known.name == field)

    def require(self, holds: bool, field: str, rule: str, value: object = msgspec.UNSET) -> None:
        """Raise InvalidInput, naming this table's field, unless the rule holds."""
        if not holds:
            shown = getattr(self, field.split("[")[0]) if value is msgspec.UNSET else value
            raise InvalidInput(f"{self.table}.{field}".lstrip("."), shown, rule)


def require(holds: bool, key: str, value: object, rule: str) -> None:
    """Raise InvalidInput(key, value, rule) unless the rule holds."""
    if not holds:
        raise InvalidInput(key, value, rule)


@contextmanager
def under(table: str) -> Iterator[None]:
    """Prefix the keys of errors raised inside with the table's name, unless they begin with it."""
    try:
        yield
    except InvalidInput as error:
        inside = error.key.split(".")[0] == table
        raise InvalidInput(error.key if inside else f"{table}.{error.key}", error.value, error.rule) from None


def any_of(kinds: tuple[str, ...]) -> str:
    """The kinds, quoted, for use in a rule."""
    return " or ".join(repr(kind) for kind in kinds)


def _plain(value: Any) -> Any:
    """NumPy scalars and arrays as Python numbers and lists, so that they pass the strict type check."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _convert(key: str, value: Any, kind: Any) -> Any:
    """`value` as the type `kind`, strictly (no "5" for 5, no True for 1, no NaN or infinity)."""
    for path, number in _floats(value):
        require(math.isfinite(number), key + path, number, "must be a finite number")
    _require_tags(key, value, kind)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, InvalidInput):
            raise error.__cause__ from None
        raise _explained(key, value, kind, str(error)) from None


def _require_exact(key: str, value: Any) -> None:
    if isinstance(value, tuple):
        for i, item in enumerate(value):
            _require_exact(f"{key}[{i}]", item)
    elif isinstance(value, int):
        require(abs(value) < EXACT, key, value, "must lie below 2^53, as far as doubles count exactly")


def _require_tags(key: str, value: Any, kind: Any) -> None:
    """Raise InvalidInput if a table lacks the key that says what it is; msgspec requires it only for several kinds."""
    if not isinstance(value, dict):
        return
    for member in get_args(kind) or (kind,):
        if isinstance(member, type) and issubclass(member, msgspec.Struct):
            tag = member.__struct_config__.tag_field
            require(tag is None or tag in value, f"{key}.{tag}", None, "is missing")
            for field in fields_of(member):
                _require_tags(f"{key}.{field.name}", value.get(field.name), field.type)


def _floats(value: Any, path: str = "") -> list[tuple[str, float]]:
    if isinstance(value, float):
        return [(path, value)]
    if isinstance(value, list):
        return [found for i, item in enumerate(value) for found in _floats(item, f"{path}[{i}]")]
    return []


def _explained(key: str, value: Any, kind: Any, message: str) -> InvalidInput:
    """A conversion error of msgspec as one that names the dotted key, the rule and the value."""
    rule, _, where = message.partition(" - at `$")
    where = where.rstrip("`")
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", where):
        value = value[name] if name else value[int(index)]
        kind = _field_type(kind, name) if name else kind
    key += where
    if found := re.match(r"Object contains unknown field `(.+)`", rule):
        names = _field_names(kind, value)
        return InvalidInput(f"{key}.{found[1]}", value[found[1]], unknown(found[1], "a key of this table", names))
    if found := re.match(r"Object missing required field `(.+)`", rule):
        return InvalidInput(f"{key}.{found[1]}", None, "is missing")
    if rule.startswith("Number out of range"):
        return InvalidInput(key, value, "is out of the range of numbers")
    if rule.startswith("Invalid"):
        choices = ", ".join(repr(choice) for choice in _choices(kind))
        numbers = "".join(f"{_WORDS[member.__name__]} or " for member in get_args(kind) if member in (int, float))
        return InvalidInput(key, value, f"must be {numbers}{'' if numbers else 'one of '}{choices}")
    wanted = re.sub(r"Expected `(.+?)`.*", r"\1", rule).split(" | ")
    return InvalidInput(key, value, "must be " + " or ".join(_WORDS.get(word, word) for word in wanted))


_WORDS = {
    "float": "a number",
    "int": "an integer",
    "str": "a string",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "absent",
}


def _field_type(kind: Any, name: str) -> Any:
    """The type of a struct's field; of a tagged union's, the first struct that has it, or its tags."""
    for member in get_args(kind) or (kind,):
        if isinstance(member, type) and issubclass(member, msgspec.Struct):
            for field in fields_of(member):
                if field.name == name:
                    return field.type
    tags = [member.__struct_config__.tag for member in get_args(kind) if hasattr(member, "__struct_config__")]
    return Literal[tuple(tags)] if tags else kind


def _field_names(kind: Any, table: dict[str, Any]) -> tuple[str, ...]:
    """The keys that a table of this type may have; of a tagged union, those of the struct that its tag names."""
    for member in get_args(kind) or (kind,):
        if isinstance(member, type) and issubclass(member, msgspec.Struct):
            config = member.__struct_config__
            if config.tag_field is None:
                return member.__struct_fields__
            if table.get(config.tag_field) == config.tag:
                return (config.tag_field, *member.__struct_fields__)
    return ()


def _choices(kind: Any) -> list[str]:
    """The strings that a type admits."""
    found: list[str] = []
    for arg in get_args(kind):
        found += [arg] if isinstance(arg, str) else _choices(arg)
    return found
