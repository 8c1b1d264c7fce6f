"""Models from files: exported programs, and state dicts with their steps in words. Nothing in a file is run as code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from reports.check.array_names import plain_name
from reports.check.files import contents, split
from reports.check.stored_array import StoredArray, printable
from reports.models.chain import chain, dense_steps
from reports.models.program import load_program
from reports.models.program_file import is_program
from theory.errors import InvalidInput


def load_model(source: str, forward: str | None = None) -> tuple[Any, tuple[str, ...]]:
    """The model in FILE[:PREFIX], and what was assumed about it.

    An exported program (`torch.export.save`, .pt2) contains the order of its layers. For any other file that `check`
    reads, `forward` gives it: see `chain`. In a file that holds several models, PREFIX selects the arrays whose names
    begin with it.

    Raises
    ------
    InvalidInput
        If the file cannot be read or would run code, or does not have one of the steps.
    """
    path, prefix = split(source)
    if is_program(path):
        if prefix or forward is not None:
            raise InvalidInput("forward", forward or prefix, "is for files of weights: a program knows its steps")
        return load_program(path), ()
    state = read_layers(path, prefix)
    if forward is not None:
        return chain(state, forward), ()
    steps = " ".join(dense_steps(state))
    return chain(state), (f"a file of weights does not say what is between the layers: {steps} is assumed",)


def read_state(path: Path, prefix: str | None = None) -> dict[str, torch.Tensor]:
    """The numeric arrays in a file as tensors in single precision, by name without `prefix`."""
    arrays = _numeric(contents(path, "model"))
    state = _under(arrays, prefix)
    if not state and prefix is not None:
        state = _under(_numeric(contents(path, "model", whole=True)), prefix)
    if not state:
        found = ", ".join(dict.fromkeys(array.name.split(".")[0] for array in arrays)) or "none"
        raise InvalidInput(
            "model", f"{path}:{prefix}", f"no array has a name that begins like this; names begin with {found}"
        )
    return {
        name: torch.from_numpy(array.read(0, array.shape[0]).astype("float32")).clone() for name, array in state.items()
    }


def read_layers(path: Path, prefix: str | None = None) -> dict[str, torch.Tensor]:
    """`read_state` of a file with layers as PyTorch names them; refuses others, such as those of Keras."""
    state = read_state(path, prefix)
    if not any(name.endswith(".weight") for name in state):
        shown = ", ".join(printable(name) for name in list(state)[:4])
        rule = (
            f"no array is called NAME.weight, as in PyTorch ({shown}): check one layer at a time, by --weights FILE:KEY"
        )
        raise InvalidInput("model", str(path), rule)
    return state


def _numeric(arrays: Sequence[StoredArray]) -> list[StoredArray]:
    return [array for array in arrays if array.numbers and array.shape]


def _under(arrays: Sequence[StoredArray], prefix: str | None) -> dict[str, StoredArray]:
    return {
        _without(array.name, prefix): array
        for array in arrays
        if prefix is None or array.name.startswith(f"{prefix.rstrip('.')}.")
    }


def _without(name: str, prefix: str | None) -> str:
    return plain_name(name if prefix is None else name[len(prefix.rstrip(".")) + 1 :])
