"""Read a setting from a TOML file, with a one-line message for a bad file."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from theory.errors import InvalidInput, unknown
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

LARGEST_FILE = 2**20
DEEPEST_KEY = 64
TABLES = tuple(field.name for field in msgspec.structs.fields(Setting))


def load(path: str | Path) -> Setting:
    """The setting that a TOML file describes; paths in it are relative to the file.

    All rows of a user's array are used unless the file sets their number, `data.samples`.

    Raises
    ------
    InvalidInput
        If the file is missing, unreadable, empty or not TOML, or has unknown keys, wrong types or impossible values,
        each of which is reported with the key, the rule and the value.
    """
    tables = read(path, "setting")
    if not tables:
        raise InvalidInput("setting file", str(path), "is empty: a setting needs at least the table [data]")
    return from_tables(tables, Path(path).parent)


def read(path: str | Path, what: str) -> dict[str, Any]:
    """The parsed tables of a TOML file, which holds `what`."""
    key = f"{what} file"
    try:
        with open(path, "rb") as file:  # whose size says nothing of a pipe, nor of what never ends, as /dev/zero
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise InvalidInput(key, str(path), f"must not exceed {LARGEST_FILE} bytes")
        text = content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        if _deepest_key(text) > DEEPEST_KEY:
            raise InvalidInput(key, str(path), f"must have keys of at most {DEEPEST_KEY} parts")
        return tomllib.loads(text)
    except InvalidInput:  # a ValueError, too
        raise
    except OSError as error:
        raise InvalidInput(key, str(path), (error.strerror or str(error)).lower()) from None
    except UnicodeDecodeError:
        raise InvalidInput(key, str(path), "must be UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(key, str(path), f"must be TOML: {error}") from None
    except RecursionError:
        raise InvalidInput(key, str(path), "must be TOML with fewer brackets in each other") from None
    except ValueError as error:  # an integer of thousands of digits, or a name with NUL
        raise InvalidInput(key, str(path), str(error).partition("; use sys")[0]) from None


def _deepest_key(text: str) -> int:
    """The most dots between two words of a line: tomllib takes half a minute for a dotted key with 20,000 parts.

    >>> _deepest_key("a . b.c = 1.5 # and so on. ..")
    2
    """
    words = re.split(r"[\r\n=,\[\]{}]+", text.replace(" ", "").replace("\t", ""))
    return max((len(re.findall(r"[\w\"'-]\.(?=[\w\"'-])", word)) for word in words), default=0)


def from_tables(tables: dict[str, Any], folder: Path) -> Setting:
    """The setting that parsed TOML tables describe; relative paths start at `folder`."""
    for name, table in tables.items():
        if name not in TABLES:
            raise InvalidInput(name, table, unknown(name, "a table of a setting", TABLES))
        if not isinstance(table, dict):
            raise InvalidInput(name, table, "must be a table")
    if "data" not in tables:
        raise InvalidInput("data", None, "is missing: a setting needs at least the table [data]")
    return Setting(**{**tables, "data": _with_all_rows(located(tables["data"], folder))})


def located(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A table [data] whose relative paths start at `folder`."""
    paths = {}
    for key in ("path", "labels_path", "moments_of"):
        if isinstance(data.get(key), str):
            try:
                paths[key] = str((folder / data[key]).resolve())
            except (OSError, RuntimeError, ValueError) as error:  # links in a circle, NUL
                raise InvalidInput(f"data.{key}", data[key], f"cannot be the name of a file ({error})") from None
    return {**data, **paths}


def _with_all_rows(data: dict[str, Any]) -> dict[str, Any]:
    """A table [data] of a user's array, with the number of rows filled in if the file leaves it out."""
    if data.get("kind") != "array" or "samples" in data or not isinstance(data.get("path"), str):
        return data
    from theory.setting.array_file import read_array

    array = read_array(data["path"], "data.path")
    return {**data, "samples": len(array)} if array.ndim else data


def departures(setting: Setting) -> tuple[str, ...]:
    """The values that differ from the defaults, as TOML assignments; the whole setting follows from them.

    >>> departures(Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0)), training=Training(steps=5)))
    ('data.kind = "gaussian"', 'data.spectrum = [1.0, 2.0]', 'training.steps = 5')
    """
    return tuple(assignments(msgspec.to_builtins(setting), defaults(setting.network)))


def assignments(tables: dict[str, Any], plain: dict[str, dict[str, Any]], under: str = "") -> list[str]:
    """Every key of the tables whose value differs from the plain one, with the prefix `under`."""
    return [
        f"{under}{table}.{key} = {json.dumps(value)}"
        for table, values in tables.items()
        for key, value in values.items()
        if json.dumps(value) != json.dumps(plain[table].get(key, msgspec.NODEFAULT), default=str)
    ]


def defaults(network: Network) -> dict[str, dict[str, Any]]:
    """The defaults of a setting's tables; those that depend on the kind or on the widths are filled in."""
    alike = Network(kind=network.kind, hidden=network.widths if network.hidden else None, blocks=network.blocks)
    usual = msgspec.to_builtins(Network(kind=network.kind))
    return {
        "data": {field.name: field.default for field in msgspec.structs.fields(Data)},
        "labels": msgspec.to_builtins(Labels()),
        "network": msgspec.to_builtins(alike)
        | {"kind": Network().kind, "hidden": usual["hidden"], "blocks": usual["blocks"]},
        "training": msgspec.to_builtins(Training()),
        "ensemble": msgspec.to_builtins(Ensemble()),
    }
