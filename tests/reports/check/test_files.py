"""Files of strangers: every format, precision and layout that is read."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from reports.check.files import plain_name, printable, split
from reports.check.weights import filters, read_filters
from tests.reports.check.layers import DENSE, FILTERS, ROWS, written
from tests.reports.command_line import run_quietly

KINDS = ["npy", "npz", "safetensors", "tensor.pt", "legacy.pt", "compiled.pt", "parallel.pt", "nested.pt"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_weights(tmp_path, kind):
    source = written(tmp_path, kind, DENSE)
    np.testing.assert_array_equal(read_filters(source).vectors, DENSE)
    if kind not in ("npy", "tensor.pt"):
        np.testing.assert_array_equal(read_filters(f"{source}:layer.weight").vectors, DENSE)


@pytest.mark.parametrize("kind", ["npz", "safetensors", "legacy.pt", "tensor.pt", "npy"])
def test_every_format_is_read_as_data(tmp_path, capfd, kind):
    weight = written(tmp_path, "npz", DENSE) + ":layer.weight"
    data = _npz(tmp_path) if kind == "npz" else written(tmp_path, kind, ROWS)
    status, out, err = run_quietly(capfd, "check", "--weights", weight, "--data", data, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["details"]["samples"] == 50


def _npz(folder: Path) -> Path:
    np.savez(folder / "rows.npz", rows=ROWS, labels=np.arange(50))
    return folder / "rows.npz"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_precisions_become_float64(tmp_path, dtype, kind):
    tensor = torch.from_numpy(DENSE).to(dtype)
    path = tmp_path / f"w.{kind}"
    save_file({"w": tensor}, path) if kind == "safetensors" else torch.save({"w": tensor}, path)
    np.testing.assert_array_equal(read_filters(str(path)).vectors, tensor.double().numpy())
    np.testing.assert_array_equal(filters(tensor).vectors, tensor.double().numpy())


def test_a_key_may_be_written_with_its_wrapping(tmp_path):
    source = written(tmp_path, "compiled.pt", DENSE)
    np.testing.assert_array_equal(read_filters(f"{source}:_orig_mod.layer.weight").vectors, DENSE)


def test_names_that_would_collide_are_left_as_they_are(tmp_path):
    torch.save({"w": torch.zeros(2, 3) + 1, "module.w": torch.ones(2, 3) * 2}, tmp_path / "w.pt")
    assert read_filters(f"{tmp_path}/w.pt:module.w").vectors[0, 0] == 2
    assert read_filters(f"{tmp_path}/w.pt:w").vectors[0, 0] == 1


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("_orig_mod.a.weight", "a.weight"),
        ("module.module.a", "a"),
        ("features._orig_mod.0.weight", "features.0.weight"),
        ("encoder.module.0", "encoder.module.0"),
        ("my_orig_mod.a", "my_orig_mod.a"),
    ],
)
def test_plain_names(name, plain):
    assert plain_name(name) == plain


def test_a_colon_in_a_file_name_is_no_key(tmp_path):
    path = tmp_path / "a:b.npy"
    np.save(path, DENSE)
    assert split(str(path)) == (path, None)
    assert split(f"{path}:w") == (path, "w")


def test_names_cannot_steer_a_terminal():
    assert printable("a\x1b[31m\nb") == "a\\x1b[31m\\nb"


@pytest.mark.parametrize("array", [DENSE, FILTERS, FILTERS[:, :, 0]])
def test_transposed_layouts(array):
    turned = array.T if array.ndim < 4 else array.transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(filters(turned, transposed=True).vectors, filters(array).vectors)
    assert filters(turned, transposed=True).kernel == filters(array).kernel
