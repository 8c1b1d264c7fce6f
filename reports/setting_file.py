"""From a TOML file to a setting, and from a bad file to one clear line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from theory.errors import InvalidInput
from theory.setting import Setting

TABLES = tuple(field.name for field in msgspec.structs.fields(Setting))


def load(path: str | Path) -> Setting:
    """The setting that a TOML file describes; paths in it are relative to the file.

    Raises
    ------
    InvalidInput
        For a file that is missing, unreadable, empty or not TOML, and for unknown keys, wrong types and impossible
        values, each naming the key, the rule and the value.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput("setting file", str(path), (error.strerror or str(error)).lower()) from None
    except UnicodeDecodeError:
        raise InvalidInput("setting file", str(path), "must be UTF-8 text") from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput("setting file", str(path), f"must be TOML: {error}") from None
    if not tables:
        raise InvalidInput("setting file", str(path), "is empty: a setting needs at least the table [data]")
    return from_tables(tables, path.parent)


def from_tables(tables: dict[str, Any], folder: Path) -> Setting:
    """The setting that parsed TOML tables describe; relative paths start at `folder`."""
    for name, table in tables.items():
        if name not in TABLES:
            raise InvalidInput(name, table, f"is not a table of a setting ({', '.join(TABLES)})")
        if not isinstance(table, dict):
            raise InvalidInput(name, table, "must be a table")
    if "data" not in tables:
        raise InvalidInput("data", None, "is missing: a setting needs at least the table [data]")
    data = dict(tables["data"])
    for key in ("path", "labels_path"):
        if isinstance(data.get(key), str):
            data[key] = str((folder / data[key]).resolve())
    return Setting(**{**tables, "data": data})
