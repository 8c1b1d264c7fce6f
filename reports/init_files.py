"""The command-line side of `eigenalign init`: its source, the shape as text, the output file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as encode

from reports.files import write_atomically
from reports.init import WeightLaw, law_of_file, law_of_setting, law_of_store, vectors_of
from reports.setting_file import load
from reports.stability import warn_if_unstable
from theory.errors import InvalidInput

SUFFIXES = (".npy", ".safetensors")
KEY = "weight"  # the name of the array in a .safetensors file

# The options that belong to every source.
OPTIONS = {
    "data": ("time", "initial", "center", "channels_last", "dilation"),
    "setting": ("formula", "replicas"),
    "store": (),
}


@dataclass(frozen=True)
class SavedWeights:
    """Weights that were written, their Frobenius norm, and their origin: formula, covariance, source, seed."""

    path: str
    shape: tuple[int, ...]
    norm: float
    details: dict[str, Any]


def law_from(
    sources: Mapping[str, str | None], shape: Sequence[int], options: Mapping[str, Any], *, progress: bool = False
) -> WeightLaw:
    """The law of the given source with the given options.

    Raises
    ------
    InvalidInput
        Unless exactly one of data, setting and store is given, and every option belongs to it.
    """
    given = {kind: source for kind, source in sources.items() if source is not None}
    if len(given) != 1:
        raise InvalidInput("data, setting, store", list(given), "exactly one of --data, --setting, --store is needed")
    ((kind, source),) = given.items()
    for name, value in options.items():
        if name not in OPTIONS[kind]:
            owner = next(other for other, names in OPTIONS.items() if name in names)
            raise InvalidInput(name, value, f"belongs to --{owner}, not to --{kind}")
    if kind == "data":
        law = law_of_file(source, shape, progress=progress, **options)
    elif kind == "store":
        law = law_of_store(source, shape)
    else:
        setting = load(source)
        warn_if_unstable(setting)
        law = law_of_setting(setting, shape, progress=progress, **options)
    return replace(law, source=f"{kind}: {source}")


def save(path: Path, weights: np.ndarray, law: WeightLaw, *, seed: int) -> SavedWeights:
    """Write weights to .npy or .safetensors, completely or not at all.

    A .safetensors file holds one array, "weight", with its origin in the metadata, under "about".

    Raises
    ------
    InvalidInput
        If the name has any other suffix.
    """
    check_suffix(path)
    about = {
        "formula": law.formula,
        "covariance": law.explanation,
        "source": law.source,
        "seed": seed,
        "warnings": list(law.warnings),
    }
    write_atomically(path, _encoded(path, weights, about))
    norm = float(np.linalg.norm(weights.astype(np.float64)))
    return SavedWeights(str(path), weights.shape, norm, about)


def check_suffix(path: Path) -> None:
    """Raise InvalidInput unless weights can be written under this name."""
    if path.suffix not in SUFFIXES:
        raise InvalidInput("out", str(path), f"must end in {' or '.join(SUFFIXES)}")


def parse_shape(text: str) -> tuple[int, ...]:
    """M,D or M,C,KH,KW as integers.

    >>> parse_shape("64,3,3,3")
    (64, 3, 3, 3)
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts):
        raise InvalidInput("shape", text, "must be whole numbers, such as 256,64 or 64,3,3,3")
    shape = tuple(int(part) for part in parts)
    vectors_of(shape)
    return shape


def _encoded(path: Path, weights: np.ndarray, about: dict[str, Any]) -> bytes:
    if path.suffix == ".npy":
        file = BytesIO()
        np.save(file, weights)
        return file.getvalue()
    # one entry, because entries of safetensors' metadata come in no fixed order
    return encode({KEY: np.ascontiguousarray(weights)}, {"about": json.dumps(about, sort_keys=True)})
