"""Names of arrays in files: which one is meant by a key that is not quite its name."""

from __future__ import annotations

import re

from reports.check.stored_array import StoredArray, printable
from theory.errors import nearest

WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys under which a checkpoint keeps its model
_SHOWN = 8  # names in a message
_COMPARED = 1000  # names with the key, letter by letter, which takes 0.1 ms each


def plain_name(name: str) -> str:
    """A parameter's name without the parts added by torch.compile (`_orig_mod.`) and data parallelism (`module.`)."""
    return re.sub(r"^(module\.)+", "", re.sub(r"(^|(?<=\.))_orig_mod\.", "", name))


def meant(arrays: list[StoredArray], key: str) -> list[StoredArray]:
    """The arrays that a key may stand for: its own, those whose names end with it, or its end after `WRAPPERS`.

    Nothing else in front of a name is ignored, because it may tell one network of a file from another.

    >>> first, second = (StoredArray(name, (2,), "f", None) for name in ("bert.encoder.weight", "weight"))
    >>> [array.name for array in meant([first, second], "encoder.weight")]
    ['bert.encoder.weight']
    >>> [array.name for array in meant([first, second], "state_dict.bert.encoder.weight")]
    ['bert.encoder.weight']
    >>> meant([first, second], "ema.bert.encoder.weight")
    []
    """
    plain = plain_name(key)
    for wanted in (key, plain):
        same = [array for array in arrays if array.name == wanted]
        if same:
            return same
    longer = [array for array in arrays if array.name.endswith(f".{plain}")]
    if longer:
        return longer
    first, _, rest = plain.partition(".")
    return meant(arrays, rest) if rest and first in WRAPPERS else []


def alike(arrays: list[StoredArray], key: str) -> str:
    """What a message says after a name that no array has: the name that is most like it, then some of them.

    >>> alike([StoredArray("fc1.weight", (2, 3), "f", None)], "fc1.wieght")
    "; did you mean 'fc1.weight'? It holds fc1.weight (2 × 3)"
    """
    names = (printable(array.name) for array in _by_likeness(arrays, key)[:_COMPARED])
    guess = nearest(printable(key), names)
    found = listed(arrays, key)
    return f"{guess} {found[0].upper()}{found[1:]}" if guess else f"; {found}"


def listed(arrays: list[StoredArray], key: str = "") -> str:
    """Names and shapes for a message: a few of them, those first that share most parts with the key."""
    names = ", ".join(array.describe() for array in _by_likeness(arrays, key)[:_SHOWN])
    more = f" and {len(arrays) - _SHOWN} more" if len(arrays) > _SHOWN else ""
    return f"it holds {names}{more}" if arrays else "it holds none"


def _by_likeness(arrays: list[StoredArray], key: str) -> list[StoredArray]:
    parts = set(key.split("."))
    return sorted(arrays, key=lambda array: -len(parts & set(array.name.split("."))))
