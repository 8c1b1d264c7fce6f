"""Numbers that are no results: constants of modules, defaults of arguments and of fields, in all of `theory`."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import partial
from types import ModuleType

import msgspec
import numpy as np

import theory
from tests.pinning.table import Call

MODULES = tuple(info.name for info in pkgutil.walk_packages(theory.__path__, "theory.") if not info.ispkg)


def of_module(name: str) -> list[object]:
    """All constants and defaults that are numbers or words, or collections of these."""
    module = importlib.import_module(name)
    constants = [value for key, value in vars(module).items() if key.lstrip("_").isupper() and _plain(value)]
    return [constants, [value for value in _defaults(module) if _plain(value)]]


def _plain(value: object) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_plain, value))
    if isinstance(value, dict):
        return all(map(_plain, value.values()))
    if isinstance(value, str):
        return " " not in value  # no wording is pinned
    return isinstance(value, (bool, int, float, np.ndarray))


def _defaults(module: ModuleType) -> Iterator[object]:
    """Defaults of the functions, methods and fields of the module itself; for a table also its tag.

    Tables also say whether they may change, and whether they refuse unknown fields.
    """
    for value in vars(module).values():
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value):
            yield from (argument.default for argument in inspect.signature(value).parameters.values())
        if inspect.isclass(value):
            if dataclasses.is_dataclass(value):
                yield from (field.default for field in dataclasses.fields(value))
            elif issubclass(value, msgspec.Struct):
                config = value.__struct_config__
                yield [config.frozen, config.forbid_unknown_fields, config.tag or ""]
                yield from (field.default for field in msgspec.structs.fields(value))
            for method in filter(inspect.isfunction, vars(value).values()):
                yield from (argument.default for argument in inspect.signature(method).parameters.values())


ROWS: dict[str, Call] = {name: partial(of_module, name) for name in MODULES}
