"""The cheap condition on whole networks in files, from Python and from the command line."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from reports.transfer import fresh_task_of_files, fresh_task_of_modules
from reports.transfer.fresh_files import parse_blocks, read_chain
from tests.reports.command_line import run_quietly
from theory.errors import InvalidInput

MLP = (nn.Linear(9, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3))
CONV = (nn.Conv2d(2, 4, (3, 2)), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4 * 5, 5), nn.ReLU(), nn.Linear(5, 3))
VGG = (
    *(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
    *(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4, 3)),
)
KINDS = {
    "dense": (MLP, (9,), {"activation": "tanh"}),
    "filters": (CONV, (2, 6, 6), {}),
    "blocks": (VGG, (2, 5, 5), {"blocks": (2, 1)}),
}


def drawn(parts, seed):
    """A module of these parts, drawn afresh."""
    torch.manual_seed(seed)
    module = copy.deepcopy(nn.Sequential(*parts))
    for part in module:
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()
    return module


def saved(folder, parts, shape):
    """Two networks and data in files."""
    torch.save(drawn(parts, 0).state_dict(), folder / "before.pt")
    save_file(drawn(parts, 1).state_dict(), folder / "after.safetensors")
    np.save(folder / "data.npy", np.random.default_rng(0).standard_normal((30, *shape)))
    return [str(folder / name) for name in ("before.pt", "after.safetensors", "data.npy")]


@pytest.mark.parametrize("kind", KINDS)
def test_files_say_what_modules_say(kind, tmp_path):
    parts, shape, keys = KINDS[kind]
    before, after, data = saved(tmp_path, parts, shape)
    found = fresh_task_of_files([before], [after], data, rows=30, **keys)
    expected = fresh_task_of_modules(drawn(parts, 0), drawn(parts, 1), np.load(data))
    assert found.mean == pytest.approx(expected.mean, rel=1e-8)


def test_rows_are_taken_from_all_over_the_data(tmp_path):
    before, after, data = saved(tmp_path, MLP, (9,))
    whole = np.load(data)
    np.save(tmp_path / "some.npy", whole[np.linspace(0, 29, 4).round().astype(int)])
    few = fresh_task_of_files([before], [after], data, activation="tanh", rows=4)
    some = fresh_task_of_files([before], [after], str(tmp_path / "some.npy"), activation="tanh")
    assert few.mean == some.mean
    assert few.mean != fresh_task_of_files([before], [after], data, activation="tanh").mean


def test_the_command(tmp_path, capfd):
    before, after, data = saved(tmp_path, MLP, (9,))
    arguments = ("fresh", "--before", before, "--after", after, "--data", data, "--activation", "tanh")
    status, out, _ = run_quietly(capfd, *arguments)
    assert status == 0
    assert out.startswith("A fresh task would be learned ")
    assert "note: counted on the drawn settings of claim C5" in out
    status, out, _ = run_quietly(capfd, *arguments, "--json")
    found = json.loads(out)
    assert found["each"] == [found["mean"]]
    assert found["faster"] == (found["mean"] > 0)
    assert 0.5 < found["score"]["low"] < found["score"]["right"] / found["score"]["decided"] < found["score"]["high"]
    twice = ("fresh", "--before", before, "--after", after, "--before", after, "--after", before)
    status, out, _ = run_quietly(capfd, *twice, "--data", data)
    assert status == 0
    assert "No prediction" in out
    assert "2 pairs: " in out


def test_the_tenth_layer_follows_the_ninth(tmp_path):
    names = [f"layers.{number}" for number in (1, 2, 10)]
    sizes = [(5, 4), (5, 5), (3, 5)]
    state = {f"{name}.weight": torch.randn(size) for name, size in zip(names, sizes, strict=True)}
    torch.save({"state_dict": state}, tmp_path / "w.pt")
    chain = read_chain(str(tmp_path / "w.pt"), "before")
    assert [w.shape for w in chain.parameters] == sizes
    assert chain.network.hidden == (5, 5)
    assert not chain.network.bias


DENSE = {"a.weight": (5, 4), "b.weight": (3, 5)}


@pytest.mark.parametrize(
    ("shapes", "blocks", "words"),
    [
        ({}, (), "contains no array"),
        ({**DENSE, "a.running_mean": (5,)}, (), "not a weight or bias"),
        ({**DENSE, "a.bias": (5,)}, (), "a bias in every layer, or in none"),
        ({**DENSE, "c.bias": (5,)}, (), "a bias of c, and no weight"),
        ({"a.weight": (5, 4), "b.weight": (3, 6)}, (), "do not follow each other"),
        ({"a.weight": (5, 4, 3, 3)}, (), "must end in a dense layer"),
        ({"a.weight": (5, 4, 3, 3), "b.weight": (5, 5, 3, 3), **{"c.weight": (3, 5)}}, (), "blocks"),
        ({"a.weight": (5, 4, 3, 3), "b.weight": (3, 5)}, (2,), "blocks"),
        ({"a.weight": (5, 4, 5, 5), "b.weight": (3, 5)}, (1,), "3 × 3"),
    ],
)
def test_refused_networks(shapes, blocks, words, tmp_path):
    torch.save({name: torch.randn(shape) for name, shape in shapes.items()}, tmp_path / "w.pt")
    with pytest.raises(InvalidInput, match=words):
        read_chain(str(tmp_path / "w.pt"), "before", blocks=blocks)


def test_refused_pairs_and_data(tmp_path):
    before, after, data = saved(tmp_path, MLP, (9,))
    torch.save({"a.weight": torch.randn(3, 9)}, tmp_path / "other.pt")
    for files, words in (
        (([before], [after, after]), "as many files"),
        (([before], [str(tmp_path / "other.pt")]), "shapes of"),
    ):
        with pytest.raises(InvalidInput, match=words):
            fresh_task_of_files(*files, data)
    np.save(tmp_path / "wide.npy", np.ones((5, 8)))
    with pytest.raises(InvalidInput, match="9 numbers per sample"):
        fresh_task_of_files([before], [after], str(tmp_path / "wide.npy"))
    np.save(tmp_path / "nan.npy", np.full((5, 9), np.nan))
    with pytest.raises(InvalidInput, match="finite"):
        fresh_task_of_files([before], [after], str(tmp_path / "nan.npy"))
    np.save(tmp_path / "one.npy", np.ones((1, 9)))
    with pytest.raises(InvalidInput, match="two samples"):
        fresh_task_of_files([before], [after], str(tmp_path / "one.npy"))
    with pytest.raises(InvalidInput, match="at least 2"):
        fresh_task_of_files([before], [after], data, rows=1)


def test_blocks_are_numbers():
    assert parse_blocks("2,2,3") == (2, 2, 3)
    assert parse_blocks(None) == ()
    for text in ("", "2,x", "0"):
        with pytest.raises(InvalidInput, match="blocks"):
            parse_blocks(text)
