"""`eigenalign check --model` as a user meets it: the contract, the table, the exit status, the page."""

import dataclasses
import json
import sys
import types

import numpy as np
import pytest
import torch

from reports.check import check
from reports.views.check import view as view_of_layer
from reports.views.models import view
from reports.views.models_page import figure, fragment, html
from tests.reports.command_line import run
from tests.reports.models.networks import images
from tests.reports.models.test_model import ROWS, mlp

STEPS = "0 tanh 2 relu 4"
KEYS = ["networks", "samples", "layers", "unchecked", "notes", "verdicts", "summary"]


@pytest.fixture(scope="module")
def found():
    return check([mlp(0), mlp(1)], ROWS, layers=["0", "2"])


@pytest.fixture
def saved(tmp_path):
    torch.save(mlp(0).state_dict(), tmp_path / "model.pt")
    np.save(tmp_path / "x.npy", ROWS.numpy())
    return ["--model", tmp_path / "model.pt", "--data", tmp_path / "x.npy", "--forward", STEPS]


def test_the_command_prints_what_python_prints(capfd, saved):
    alone = check(mlp(0), ROWS.numpy(), layers="0")
    status, out, err = run(capfd, "check", *saved, "--layers", "0", "--quiet")
    assert (status, err) == (0, "")
    assert out == f"{alone}\n"
    record = json.loads(run(capfd, "check", *saved, "--layers", "0", "--json")[1])
    assert record == alone.to_dict()
    assert list(record) == KEYS
    (layer,) = record["layers"]
    assert (layer["layer"], layer["filters"], layer["dimension"]) == ("0", 8, 5)
    assert layer["verdict"] == layer["check"]["verdict"]


def test_a_convolutional_network_has_one_table_in_python_and_from_the_command(capfd, tmp_path):
    """conv, conv, dense, dense: every line is the same, from the module, from its weights and from the command."""
    torch.manual_seed(0)
    network = torch.nn.Sequential()
    network.add_module("conv1", torch.nn.Conv2d(1, 6, 3, padding=1))
    network.add_module("relu1", torch.nn.ReLU())
    network.add_module("conv2", torch.nn.Conv2d(6, 4, 2, stride=2))
    network.add_module("relu2", torch.nn.ReLU())
    network.add_module("flatten", torch.nn.Flatten())
    network.add_module("fc1", torch.nn.Linear(4 * 4 * 4, 12))
    network.add_module("relu3", torch.nn.ReLU())
    network.add_module("fc2", torch.nn.Linear(12, 3))
    torch.save({"epoch": 1, "state_dict": network.state_dict()}, tmp_path / "net.pt")
    x = images(120)
    np.save(tmp_path / "x.npy", x.numpy())
    steps = "conv1(padding=1) relu conv2(stride=2) relu flatten fc1 relu fc2"
    given = ["--model", tmp_path / "net.pt", "--data", tmp_path / "x.npy", "--forward", steps]
    status, out, err = run(capfd, "check", *given, "--quiet")
    assert (status, err) == (0, "")
    assert out == f"{check(network, x)}\n"
    assert [line.split()[0] for line in out.splitlines()[3:7]] == ["conv1", "conv2", "fc1", "fc2"]


def test_layers_are_listed(capfd, saved):
    status, out, _ = run(capfd, "check", *saved[:2], "--forward", STEPS, "--list")
    assert status == 0
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["0", "8", "×", "5", "dense"], ["2", "8", "×", "8", "dense"], ["4", "3", "×", "8", "dense"],
    ]  # fmt: skip


def test_weights_without_steps_are_listed_as_they_are(capfd, saved):
    status, out, _ = run(capfd, "check", *saved[:2], "--list")
    assert status == 0
    assert [line.split() for line in out.splitlines()[1:4]] == [
        ["0", "8", "×", "5"], ["2", "8", "×", "8"], ["4", "3", "×", "8"],
    ]  # fmt: skip
    assert "--forward" in out
    record = json.loads(run(capfd, "check", *saved[:2], "--list", "--json")[1])
    assert record["layers"][0] == {"layer": "0", "shape": [8, 5]}


def test_intervals_that_say_nothing_are_not_drawn(found):
    """Intervals so wide that they would hide the curve are left out."""
    layer = found.layers[0]
    f = layer.check.transfer_function
    wide = dataclasses.replace(f, high=np.where(np.arange(len(f.high)) == 0, 1e6, f.high))
    changed = dataclasses.replace(layer, check=dataclasses.replace(layer.check, transfer_function=wide))
    (panel,) = figure(dataclasses.replace(found, layers=(changed,))).panels
    curve, low, high = panel.series
    assert np.isnan([high.y[0], low.y[0]]).all()
    np.testing.assert_array_equal(curve.y, f.f)
    np.testing.assert_array_equal(high.y[1:], f.high[1:])


def test_strict_asserts_a_verdict(capfd, saved):
    assert run(capfd, "check", *saved, "--layers", "0", "--strict")[0] == 1
    verdict = check(mlp(0), ROWS, layers="0")["0"].verdict
    assert run(capfd, "check", *saved, "--layers", "0", "--strict", "--expect", verdict)[0] == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--weights", "w.npy"], "exactly one of --weights, --model and --over"),
        (["--expect", "aligned"], "belongs to --strict"),
        (["--strict", "--expect", "fine"], "must be one of: aligned"),
        (["--transposed"], "belongs to --weights"),
        (["--layers", "conv*"], "matches no layer"),
    ],
)
def test_what_is_refused(capfd, saved, more, message):
    status, _, err = run(capfd, "check", *saved, *more)
    assert status == 2
    assert message in err


def test_options_of_models_are_refused_for_weights(capfd, saved):
    status, _, err = run(capfd, "check", "--weights", f"{saved[1]}:0.weight", *saved[2:4], "--layers", "0")
    assert status == 2
    assert "belongs to --model" in err


def test_networks_have_a_row_each_where_their_inputs_differ(found):
    rows = [line for line in str(found).splitlines() if " × " in line and "m × d" not in line]
    assert [row.split("  ")[0].strip() for row in rows] == ["0", "2 [1]", "2 [2]"]
    assert found.summary.startswith("2 layers of 2 networks on 200 samples, 3 checks: ")
    assert repr(found) == f"<ModelCheck: {found.summary}>"


def test_notes_of_all_layers_are_printed_once(found):
    shared = set.intersection(*(set(layer.check.warnings) for layer in found.layers))
    text = " ".join(str(found).split())
    assert all(text.count(note) == 1 for note in shared)


def test_a_panel_per_row_and_a_page_with_everything(found):
    assert [panel.title for panel in figure(found).panels] == ["0", "2 [1]", "2 [2]"]
    page = html(found, ["<model>"])
    assert "&lt;model&gt;" in page
    assert found.summary in page
    assert page.count("<tr>") == 1 + len(found.layers)


def test_notebooks_and_frames_have_the_table(found, monkeypatch):
    shown = found._repr_html_()
    assert "<svg" in shown
    assert found.summary in shown
    pandas = types.SimpleNamespace(DataFrame=lambda rows: rows)
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    rows = found.to_frame()
    assert [row["layer"] for row in rows] == ["0", "2", "2"]
    assert "check" not in rows[0]
    one = found["0"]
    assert [row["f"] for row in one.to_frame()] == list(one.transfer_function.f)
    assert "<svg" in one._repr_html_()
    assert str(one) == view_of_layer(one).as_text()
    assert repr(one) == f"<Check: {one.verdict}, 8 × 5>"


def test_an_empty_check_is_shown():
    empty = check(torch.nn.Sequential(torch.nn.ReLU()), ROWS)
    assert view(empty).as_text() == "No layer was checked; 0 left out."
    assert "<svg" not in html(empty)
    assert fragment(empty) == f"<p>{empty.summary}</p>"
