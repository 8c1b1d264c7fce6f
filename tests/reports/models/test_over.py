"""Alignment along training: checkpoints in order, numbers to log, callbacks of libraries that are not there."""

import json
import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from reports.check import check
from reports.models import check_over, lightning_callback, trainer_callback, watch
from reports.views.check import view as view_of_layer
from reports.views.over_page import figure, fragment, html
from tests.reports.command_line import run
from tests.reports.models.test_model import ROWS, mlp
from theory.errors import InvalidInput

STEPS = "0 tanh 2 relu 4"


@pytest.fixture
def run_folder(tmp_path):
    """Three checkpoints, whose names sort as numbers and not as letters, and data."""
    for step, seed in ((9, 0), (10, 1), (100, 2)):
        torch.save(mlp(seed).state_dict(), tmp_path / f"step{step}.pt")
    (tmp_path / "notes.txt").write_text("")
    np.save(tmp_path / "x.npy", ROWS.numpy())
    (tmp_path / "run").mkdir()
    for path in tmp_path.glob("*.pt"):
        path.rename(tmp_path / "run" / path.name)
    return tmp_path


def test_every_checkpoint_is_checked_alone():
    course = check_over([mlp(0), mlp(1)], ROWS, labels=["a", "b"], layers="0")
    assert course.labels == ("a", "b")
    for seed, point in enumerate(course.layers["0"]):
        assert view_of_layer(point.check).value == view_of_layer(check(mlp(seed), ROWS, layers="0")["0"]).value
    (layer,) = course.to_dict()["layers"]
    assert [point["effect"] for point in layer["course"]] == [p.check.orientation.effect for p in course.layers["0"]]
    (panel,) = figure(course).panels
    np.testing.assert_array_equal(panel.series[0].y, [p.check.orientation.effect for p in course.layers["0"]])
    assert "<svg" in fragment(course)
    assert "1 layer at 2 checkpoints" in str(course)
    assert repr(course) == "<Course: 1 layer at 2 checkpoints>"


def test_files_and_folders_in_the_order_of_their_numbers(capfd, run_folder):
    data = ["--data", run_folder / "x.npy", "--json"]
    status, out, _ = run(capfd, "check", "--over", run_folder / "run", *data, "--forward", STEPS, "--layers", "0")
    record = json.loads(out)
    assert status == 0
    assert record["checkpoints"] == ["step9.pt", "step10.pt", "step100.pt"]
    one = json.loads(run(capfd, "check", "--over", f"{run_folder}/run:0.weight", *data)[1])
    effects = [[point["effect"] for point in each["layers"][0]["course"]] for each in (record, one)]
    assert effects[0] == pytest.approx(effects[1], rel=1e-6)


@pytest.mark.parametrize("index", [False, True])
def test_folders_of_the_hugging_face_trainer_are_one_checkpoint_each(capfd, run_folder, index):
    for step, seed in ((5, 0), (10, 1)):
        folder = run_folder / "hf" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        save_file({"net.0.weight": mlp(seed)[0].weight.detach()}, folder / f"model{'-1' if index else ''}.safetensors")
        (folder / "model.safetensors.index.json").write_text("{}") if index else None
        torch.save({"lr": torch.ones(1)}, folder / "optimizer.pt")
    every, each = [f"{run_folder}/hf:0.weight"], [f"{run_folder}/hf/checkpoint-{step}:0.weight" for step in (5, 10)]
    outs = [
        run(capfd, "check", "--over", *these, "--data", run_folder / "x.npy", "--json")[1] for these in (every, each)
    ]
    assert json.loads(outs[0])["checkpoints"] == ["checkpoint-5", "checkpoint-10"]
    assert outs[0] == outs[1]


def test_the_page_escapes_names(run_folder):
    course = check_over([mlp(0), mlp(1)], ROWS, labels=["<a>", "b"], layers="0")
    page = html(course, ["<run>"])
    assert "<a>" not in page
    assert "<run>" not in page
    assert "&lt;a&gt;" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--over"], "needs the files of checkpoints"),
        (["--over", "run/step9.pt"], "at least two checkpoints"),
        (["--model", "run/step9.pt", "run/step10.pt"], "only --over takes files without an option"),
        (["--over", "run/step9.pt", "run/step10.pt", "--dilation", "2"], "belongs to --weights"),
        (["--over", "nowhere.pt", "run/step9.pt"], "no such file"),
    ],
)
def test_what_is_refused(capfd, monkeypatch, run_folder, arguments, message):
    monkeypatch.chdir(run_folder)
    status, _, err = run(capfd, "check", *arguments, "--data", "x.npy")
    assert status == 2
    assert message in err


def test_labels_are_as_many_as_checkpoints():
    with pytest.raises(InvalidInput, match="as many as there are checkpoints"):
        check_over([mlp(0), mlp(1)], ROWS, labels=["a"])
    with pytest.raises(InvalidInput, match="at least two"):
        check_over([mlp(0)], ROWS)


def test_a_watch_reads_weights_as_they_are():
    """The numbers of a watch are the orientations that `check` finds, before and after the weights change."""
    model = mlp(0)
    seen = watch(model, ROWS)
    assert seen.layers == ("0", "2", "4")
    found = check(model, ROWS)
    for name in seen.layers:
        assert seen()[f"alignment/{name}"] == pytest.approx(found[name].orientation.effect, abs=1e-6)
    with torch.no_grad():
        model[0].weight.copy_(mlp(1)[0].weight)
    assert seen()["alignment/0"] == pytest.approx(check(mlp(1), ROWS, layers="0")["0"].orientation.effect, abs=1e-6)


def test_a_watch_is_refreshed():
    """The inputs of the second layer change with the first."""
    model = mlp(0)
    seen = watch(model, ROWS)
    with torch.no_grad():
        model[0].weight.mul_(torch.tensor([5.0, 1.0, 1.0, 1.0, 0.1]))
    before = seen()
    seen.refresh()
    assert seen()["alignment/0"] == pytest.approx(before["alignment/0"])
    assert seen()["alignment/2"] == pytest.approx(check(model, ROWS, layers="2")["2"].orientation.effect, abs=1e-6)
    assert seen()["alignment/2"] != pytest.approx(before["alignment/2"])


def test_a_watch_of_nothing_is_refused():
    with pytest.raises(InvalidInput, match="no layer"):
        watch(torch.nn.Sequential(torch.nn.ReLU()), ROWS)
    with pytest.raises(InvalidInput, match="no layer"):
        watch(mlp(0), ROWS, largest=2)


def test_lightning_logs_every_so_many_steps():
    logged = []
    module = types.SimpleNamespace(log_dict=logged.append)
    callback = lightning_callback(watch(mlp(0), ROWS, layers="0"), every=2)
    callback.on_fit_start(None, module)  # a hook that does nothing
    for step in range(1, 6):
        callback.on_train_batch_end(types.SimpleNamespace(global_step=step), module, {}, None, step - 1)
    assert [list(entry) for entry in logged] == [["alignment/0"]] * 2
    assert not hasattr(callback, "state")


def test_the_trainer_gets_the_numbers_with_its_log():
    state = types.SimpleNamespace(global_step=0, log_history=[])
    control = types.SimpleNamespace(should_log=False)
    callback = trainer_callback(watch(mlp(0), ROWS, layers="0"), every=3)
    for step in (1, 2, 3):
        state.global_step = step
        callback.on_step_end(None, state, control)
        assert control.should_log == (step == 3)
    logs = {"loss": 1.0}
    state.log_history.append({"loss": 1.0})
    callback.on_log(None, state, control, logs=logs)
    assert list(logs) == list(state.log_history[-1]) == ["loss", "alignment/0"]
    again = {"loss": 0.5}
    callback.on_log(None, state, control, logs=again)
    assert list(again) == ["loss"]


def test_callbacks_derive_from_the_class_of_an_imported_library(monkeypatch):
    class Callback:
        pass

    seen = watch(mlp(0), ROWS, layers="0")
    for module, name, make in (
        ("lightning.pytorch.callbacks", "Callback", lightning_callback),
        ("transformers", "TrainerCallback", trainer_callback),
    ):
        monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(**{name: Callback}))
        assert isinstance(make(seen), Callback)
        with pytest.raises(InvalidInput, match="every"):
            make(seen, every=0)
