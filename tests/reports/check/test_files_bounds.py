"""Files at the bounds of what is recognised, and what is said of those that are not."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from reports.check.files import contents, stored
from tests.reports.check.layers import DENSE
from theory.errors import InvalidInput

UNKNOWN = "must be a .npy, .npz, .safetensors"


def test_a_safetensors_file_without_tensors_is_one(tmp_path):
    """A safetensors file whose header is all it has is recognised and holds no arrays."""
    save_file({}, tmp_path / "none.safetensors")
    raw = (tmp_path / "none.safetensors").read_bytes()
    assert len(raw) == 8 + int.from_bytes(raw[:8], "little")
    assert contents(tmp_path / "none.safetensors", "w") == []


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:-1],  # a byte less than its header says
        lambda raw: raw[:7] + b"\x01" + raw[8:],  # a header of 2⁵⁶ bytes
        lambda raw: b"\xff" * 8 + raw[8:],
        lambda raw: raw[:8] + b"[" + raw[9:],
    ],
)
def test_a_header_that_the_file_cannot_hold_is_none(tmp_path, change):
    save_file({}, tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(change((tmp_path / "w.safetensors").read_bytes()))
    with pytest.raises(InvalidInput, match=UNKNOWN):
        contents(tmp_path / "w.safetensors", "w")


def test_a_header_may_be_longer_than_255_bytes(tmp_path):
    save_file({"n" * 70_000: torch.ones(2, 3)}, tmp_path / "w.safetensors")
    assert len(contents(tmp_path / "w.safetensors", "w")) == 1


@pytest.mark.parametrize(("side", "said"), [(-1, r"a negative shape \(-1, 6\)"), (0, "must not be empty")])
def test_a_shape_that_is_negative_is_said(tmp_path, side, said):
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({side}, 6)}}\n".encode()
    raw = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head
    (tmp_path / "w.npy").write_bytes(raw + b"\0" * 96)
    from reports.check.weights import read_filters

    with pytest.raises(InvalidInput, match=said):
        read_filters(str(tmp_path / "w.npy"))


def test_the_kinds_of_tensors_are_those_of_numpy(tmp_path):
    kinds = {
        "bool": ("b", True), "int8": ("i", True), "uint8": ("i", True), "int64": ("i", True), "float16": ("f", True),
        "bfloat16": ("f", True), "float64": ("f", True), "complex64": ("c", False),
    }  # fmt: skip
    torch.save({name: torch.ones(2, 3, dtype=getattr(torch, name)) for name in kinds}, tmp_path / "w.pt")
    found = {array.name: (array.kind, array.numbers) for array in contents(tmp_path / "w.pt", "w")}
    assert found == kinds


def test_eight_of_the_classes_that_a_checkpoint_needs_are_named(tmp_path, monkeypatch):
    class Odd:
        pass

    (tmp_path / "w.pt").write_bytes(pickle.dumps(print))
    for count in (1, 8, 9):
        names = [f"a.b{k}" for k in range(count)]
        monkeypatch.setattr(torch.serialization, "get_unsafe_globals_in_checkpoint", lambda _, names=names: names[::-1])
        with pytest.raises(InvalidInput) as found:
            contents(tmp_path / "w.pt", "w")
        assert f"it needs {', '.join(names[:8])}; on the machine" in str(found.value)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_of_several_arrays_the_only_one_that_fits_is_meant(tmp_path, count):
    """The only array with two axes is taken from several; a single array is taken whatever its axes.

    The function that needs other axes then refuses it by its shape.
    """
    others = {f"b{k}": np.ones(4) for k in range(count - 1)}
    np.savez(tmp_path / "w.npz", w=DENSE, **others)
    assert stored(str(tmp_path / "w.npz"), "w", (2,)).name == "w"
    np.savez(tmp_path / "w.npz", w=DENSE[0], **others)
    if count == 1:
        assert stored(str(tmp_path / "w.npz"), "w", (2,)).shape == (6,)
        return
    with pytest.raises(InvalidInput, match="name one of its arrays"):
        stored(str(tmp_path / "w.npz"), "w", (2,))
