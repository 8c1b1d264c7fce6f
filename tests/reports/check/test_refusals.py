"""Files of strangers that are refused, in one line; and that nothing in them runs."""

import json
import os
import pickle
import warnings
import zipfile
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.reports.check.layers import DENSE, FILTERS, IMAGES, RNG, ROWS, saved, written
from tests.reports.command_line import run_quietly


class Payload:
    """Unpickling it creates a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def cut(folder: Path, source: str, share: float = 0.5) -> str:
    content = Path(source).read_bytes()
    path = folder / ("cut-" + Path(source).name)
    path.write_bytes(content[: int(len(content) * share)])
    return str(path)


def torched(folder: Path, content: object, **options: object) -> str:
    torch.save(content, folder / "odd.pt", **options)
    return str(folder / "odd.pt")


def picture(folder: Path, name: str, size: tuple[int, int] = (8, 8)) -> Path:
    folder.mkdir(exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / name)
    return folder


def written_text(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return str(folder / name)


def header(description: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(description).to_bytes(2, "little") + description


def poisoned(array: np.ndarray, value: float) -> np.ndarray:
    array = array.copy()
    array[3, 1] = value
    return array


def empty_archive(folder: Path) -> str:
    with zipfile.ZipFile(folder / "empty.npz", "w"):
        pass
    return str(folder / "empty.npz")


def lying_tensors(folder: Path) -> str:
    """A safetensors header that points behind the end of the file."""
    head = json.dumps({"w": {"dtype": "F32", "shape": [1000, 1000], "data_offsets": [0, 4000000]}}).encode()
    return written_text(folder, "w.safetensors", len(head).to_bytes(8, "little") + head + b"\0" * 16)


def weights(build):
    return lambda folder: ["--weights", build(folder), "--data", saved(folder, "rows.npy", ROWS)]


def rows(build, layer=DENSE):
    return lambda folder: ["--weights", saved(folder, "w.npy", layer), "--data", build(folder)]


def pair(layer, data, *options):
    return lambda folder: ["--weights", saved(folder, "w.npy", layer), "--data", saved(folder, "x.npy", data), *options]


BAD = {
    "no such file": (weights(lambda f: str(f / "absent.npy")), "there is no such file"),
    "no such data": (rows(lambda f: str(f / "absent.npy")), "there is no such file"),
    "a folder for weights": (weights(str), "is a folder"),
    "a folder without images": (rows(lambda f: str(f)), "contains no images"),
    "an empty file": (weights(lambda f: written_text(f, "w.npy", b"")), "is empty"),
    "an empty checkpoint": (weights(lambda f: written_text(f, "w.pt", b"")), "is empty"),
    "text": (weights(lambda f: written_text(f, "w.txt", b"1.0, 2.0\n")), "must be a .npy, .npz, .safetensors, .onnx,"),
    "an empty archive": (weights(empty_archive), "contains no array"),
    "an empty checkpoint's dictionary": (weights(lambda f: torched(f, {})), "contains no array"),
    "a checkpoint of numbers": (weights(lambda f: torched(f, {"epoch": 3})), "contains no array"),
    "a cut npy": (weights(lambda f: cut(f, saved(f, "a.npy", DENSE))), "is damaged"),
    "a cut header": (weights(lambda f: cut(f, saved(f, "a.npy", DENSE), 0.02)), "is damaged"),
    "a cut npz": (weights(lambda f: cut(f, written(f, "npz", DENSE))), "is damaged"),
    "a cut safetensors": (weights(lambda f: cut(f, written(f, "safetensors", DENSE))), "is damaged"),
    "a lying safetensors": (weights(lying_tensors), "is damaged"),
    "a cut checkpoint": (weights(lambda f: cut(f, written(f, "parallel.pt", DENSE))), "is damaged"),
    "a cut legacy checkpoint": (weights(lambda f: cut(f, written(f, "legacy.pt", DENSE))), "is damaged"),
    "a header that is code": (
        weights(lambda f: written_text(f, "w.npy", header(b"__import__('os').mkdir('pwned')\n"))), "is damaged"
    ),
    "a negative shape": (
        weights(lambda f: written_text(
            f, "w.npy", header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 6)}\n") + b"\0" * 96)),
        "is damaged",
    ),
    "cut data": (rows(lambda f: cut(f, saved(f, "x.npy", ROWS))), "is damaged"),
    "no such key": (weights(lambda f: written(f, "npz", DENSE) + ":wieght"), "there is no array wieght in the file"),
    "no such key in a checkpoint": (weights(lambda f: written(f, "parallel.pt", DENSE) + ":a"), "no array a in"),
    "several keys": (
        weights(lambda f: torched(f, {"a.weight": torch.ones(2, 6), "b.weight": torch.ones(3, 6)})),
        "name one of its arrays as FILE:KEY; it holds a.weight (2 × 6), b.weight (3 × 6)",
    ),
    "a key that steers the terminal": (
        weights(lambda f: torched(f, {"a\x1b[2J": torch.ones(2, 6), "b\n": torch.ones(3, 6)})), r"a\x1b[2J (2 × 6)"
    ),
    "only a bias": (weights(lambda f: torched(f, {"bias": torch.ones(4), "scale": torch.ones(4)})), "name one of"),
    "NaN in weights": (weights(lambda f: saved(f, "w.npy", poisoned(DENSE, np.nan))), "entry (3, 1) is not"),
    "infinity in weights": (weights(lambda f: saved(f, "w.npy", poisoned(DENSE, np.inf))), "entry (3, 1) is not"),
    "NaN in data": (rows(lambda f: saved(f, "x.npy", poisoned(ROWS, np.nan))), "sample 3 does not"),
    "infinity in data": (rows(lambda f: saved(f, "x.npy", poisoned(ROWS, -np.inf))), "sample 3 does not"),
    "NaN in an image": (pair(FILTERS, np.where(np.arange(20)[:, None, None, None] == 7, np.nan, IMAGES)), "sample 7"),
    "data that overflow": (pair(DENSE, ROWS * 1e200), "squares that overflow"),
    "data that underflow": (pair(DENSE, ROWS * 1e-200), "squares that underflow"),
    "weights that overflow": (pair(DENSE * 1e200, ROWS), "between 1e-100 and 1e100"),
    "all weights zero": (pair(DENSE * 0, ROWS), "are all zero"),
    "weights zero where the data vary": (
        pair(DENSE * [1, 1, 1, 0, 0, 0], ROWS * [0, 0, 0, 1, 1, 1]), "zero where the data vary"
    ),
    "constant rows": (pair(DENSE, np.ones((50, 6))), "never vary"),
    "constant images": (pair(FILTERS, np.ones((5, 3, 6, 6))), "never vary"),
    "black images": (pair(FILTERS, np.zeros((5, 3, 6, 6), np.uint8)), "never vary"),
    "complex weights": (weights(lambda f: saved(f, "w.npy", DENSE * 1j)), "not complex numbers"),
    "complex tensors": (weights(lambda f: torched(f, torch.ones(2, 6) * 1j)), "not complex numbers"),
    "strings": (weights(lambda f: saved(f, "w.npy", np.full((2, 6), "a"))), "must hold real numbers"),
    "objects": (weights(lambda f: saved(f, "w.npy", np.full((2, 6), None))), "not Python objects"),
    "strings in the data": (rows(lambda f: saved(f, "x.npy", np.full((9, 6), "a"))), "must hold real numbers"),
    "records": (weights(lambda f: saved(f, "w.npy", np.zeros(3, "f8,i4"))), "must hold real numbers"),
    "a sparse tensor": (weights(lambda f: torched(f, torch.eye(6).to_sparse())), "must hold real numbers"),
    "a tensor larger than its file": (
        weights(lambda f: torched(f, torch.zeros(1).expand(100000, 100000))), "must hold real numbers"
    ),
    "a pickled module": (weights(lambda f: torched(f, torch.nn.Linear(6, 4))), "needs torch.nn.modules.linear.Linear"),
    "a checkpoint with settings": (
        weights(lambda f: torched(f, {"w": torch.ones(2, 6), "args": Namespace(lr=1)})), "it needs argparse.Namespace"
    ),
    "no filters": (pair(np.zeros((0, 6)), ROWS), "must not be empty"),
    "no dimensions": (pair(np.zeros((5, 0)), ROWS), "must not be empty"),
    "one number": (pair(np.array(1.0), ROWS), "must be (m, d) of a dense layer"),
    "a vector": (pair(np.ones(6), ROWS), "must be (m, d) of a dense layer"),
    "five axes": (pair(np.ones((2, 3, 2, 2, 2)), IMAGES), "must be (m, d) of a dense layer"),
    "no samples": (pair(DENSE, np.zeros((0, 6))), "must not be empty"),
    "one sample": (pair(DENSE, ROWS[:1]), "at least 2 samples"),
    "one column": (pair(DENSE, ROWS[:, 0]), "the first axis must be samples"),
    "other dimensions": (pair(DENSE, np.ones((9, 7))), "must have 6 numbers per sample, as a weight vector has, not 7"),
    "samples last": (pair(DENSE, ROWS.T), "the first axis must be samples"),
    "weights transposed": (pair(DENSE.T, ROWS[:, :6]), "fit transposed weights (--transposed)"),
    "other channels": (pair(FILTERS, np.ones((4, 5, 6, 6))), "must have 3 channels, as the filters have, not 5"),
    "channels last": (pair(FILTERS, np.ones((4, 8, 8, 3))), "(--channels-last)?"),
    "filters transposed": (pair(FILTERS.transpose(2, 3, 1, 0), IMAGES), "read with --transposed"),
    "grouped filters": (pair(FILTERS, np.ones((4, 6, 8, 8))), "group by group (--group 1/2)"),
    "a group of none": (pair(FILTERS, IMAGES, "--group", "3/2"), "must be J/G"),
    "a group in words": (pair(FILTERS, IMAGES, "--group", "first"), "must be J/G"),
    "groups of a dense layer": (pair(DENSE, ROWS, "--group", "1/2"), "has no groups"),
    "groups that do not divide": (pair(FILTERS, IMAGES, "--group", "1/3"), "must divide 16 filters"),
    "filters larger than the images": (pair(FILTERS, IMAGES[:, :, :1]), "at least as large as the filters, 2 × 2"),
    "filters higher than they are wide": (
        pair(np.ones((4, 3, 4, 2)), IMAGES[:, :, :3]),
        "at least as large as the filters, 4 × 2",
    ),
    "dilated filters larger than the images": (pair(FILTERS, IMAGES, "--dilation", "5"), "as the filters, 6 × 6"),
    "no dilation": (pair(FILTERS, IMAGES, "--dilation", "0"), "dilation"),
    "a ridge of everything": (pair(DENSE, ROWS, "--ridge", "1"), "must lie in [0, 1)"),
    "a ridge of nothing known": (pair(DENSE, ROWS, "--ridge", "nan"), "must lie in [0, 1)"),
    "two layers of different shapes": (
        lambda f: [*pair(DENSE, ROWS)(f), "--weights", saved(f, "v.npy", DENSE[:20])], "must have the same shape"
    ),
    "the same network twice": (
        lambda f: [*pair(DENSE, ROWS)(f), "--weights", saved(f, "v.npy", DENSE)], "are the same"
    ),
    "no weights": (lambda f: ["--data", saved(f, "x.npy", ROWS)], "--weights"),
    "a damaged image": (
        rows(lambda f: str(Path(written_text(picture(f / "a", "1.png"), "2.png", b"\x89PNG\r\n")).parent), FILTERS),
        "cannot be read as an image",
    ),
    "images of many sizes for a dense layer": (
        rows(lambda f: str(picture(picture(f / "a", "1.png"), "2.png", (9, 8)))), "all images must have one size"
    ),
    "images for deep filters": (
        rows(lambda f: str(picture(f / "a", "1.png")), np.ones((4, 64, 2, 2))), "pass saved activations"
    ),
    "images smaller than the filters": (
        rows(lambda f: str(picture(f / "a", "1.png", (1, 8))), FILTERS), "at least as large as the filters"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "why"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line(tmp_path, capfd, monkeypatch, arguments, why):
    monkeypatch.chdir(tmp_path)
    status, out, err = run_quietly(capfd, "check", *arguments(tmp_path), "--json")
    assert status == 2, out
    assert why in err
    assert len(err.splitlines()) == 1
    assert err.isprintable() or err[:-1].isprintable()
    assert "Traceback" not in err
    record = json.loads(out)
    assert set(record) == {"error", "key", "value", "why"}
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "array"])
def test_code_in_a_file_never_runs(tmp_path, capfd, form):
    target, path = tmp_path / "pwned", tmp_path / "weights.pt"
    content = {"weight": torch.ones(4, 6), "extra": Payload(target)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(Payload(target)))
    elif form == "array":
        with warnings.catch_warnings():
            np.save(tmp_path / "weights.npy", np.array([Payload(target)], dtype=object), allow_pickle=True)
        path = tmp_path / "weights.npy"
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    status, _, err = run_quietly(capfd, "check", "--weights", path, "--data", saved(tmp_path, "x.npy", ROWS))
    assert status == 2
    assert not target.exists()
    if form != "array":
        assert "could run code, so it is refused" in err
        assert "torch.save(model.state_dict()" in err
    if form == "zip":
        assert "posix.mkdir" in err
    Payload(target).__reduce__()[0](str(target))  # what would have happened
    assert target.exists()
