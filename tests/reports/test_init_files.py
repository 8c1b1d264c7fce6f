"""`eigenalign init` as a user meets it: the contract, the text, refusals."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

import simulate
from reports.check import check
from reports.init import draw_layer, law_of_data, law_of_store
from reports.setting_file import load
from tests.reports.command_line import run


def test_the_contract(capfd, sources):
    out = sources / "deep" / "w.safetensors"
    arguments = ("--data", sources / "x.npy", "--shape", "300,4", "--norm", "2.5", "--seed", "3", "--out", out)
    status, printed, err = run(capfd, "init", *arguments, "--json")
    record = json.loads(printed)
    assert (status, err) == (0, "")
    assert list(record) == ["path", "shape", "norm", "details"]
    assert (record["path"], record["shape"]) == (str(out), [300, 4])
    assert record["norm"] == pytest.approx(2.5, rel=1e-6)
    with safe_open(out, framework="pt") as file:
        assert list(file.keys()) == ["weight"]
        weights, about = file.get_tensor("weight"), json.loads(file.metadata()["about"])
    assert weights.dtype == torch.float32
    np.testing.assert_array_equal(
        weights, draw_layer(law_of_data(np.load(sources / "x.npy"), (300, 4)), (300, 4), norm=2.5, seed=3)
    )
    assert about == record["details"]
    assert (about["formula"], about["seed"], about["source"]) == ("linear-flow", 3, f"data: {sources / 'x.npy'}")
    assert check(weights, np.load(sources / "x.npy")).verdict == "aligned"
    first = out.read_bytes()
    assert run(capfd, "init", *arguments)[0] == 0
    assert out.read_bytes() == first
    assert list(out.parent.iterdir()) == [out]  # nothing half-written beside it


def test_filters_of_images_and_the_text(capfd, sources):
    out = sources / "w.npy"
    arguments = ("--data", sources / "images.npy", "--channels-last", "--shape", "16,3,3,3", "--out", out, "--quiet")
    status, printed, err = run(capfd, "init", *arguments, "--time", "2", "--initial", "0.1", "--center")
    assert (status, err) == (0, "")
    assert np.load(out).shape == (16, 3, 3, 3)
    assert printed.startswith(f"16 × 3 × 3 × 3 weights of norm 2.3094: {out}\n")
    for words in ("linear-flow: ", "c = 0.1: ", "drawn with seed 0", "images.npy", "is one of scale"):
        assert words in printed


def test_setting_and_store_from_the_command_line(capfd, sources):
    out = sources / "w.npy"
    record = json.loads(
        run(capfd, "init", "--setting", sources / "fixed.toml", "--shape", "9,3", "--out", out, "--json")[1]
    )
    assert record["details"]["formula"] == "linear-full-batch"
    assert simulate.run(load(sources / "network.toml"), replicas=5, store=sources / "runs").replicas == 5
    for source in (("--setting", sources / "network.toml", "--replicas", "5"), ("--store", sources / "runs")):
        status, printed, _ = run(capfd, "init", *source, "--shape", "9,3", "--out", out, "--json", "--quiet")
        assert status == 0
        assert json.loads(printed)["details"]["formula"] == "simulated"
    law = law_of_store(sources / "runs", (9, 3))
    np.testing.assert_array_equal(np.load(out), draw_layer(law, (9, 3)))


DATA = ("--data", "x.npy")
REFUSALS = [
    ((*DATA, "--shape", "9,3"), "must have 3 numbers per sample"),
    ((*DATA, "--shape", "9"), "must be M,D of a dense layer"),
    ((*DATA, "--shape", "9,x"), "must be whole numbers"),
    ((*DATA, "--shape", "0,4"), "must be M,D of a dense layer"),
    ((*DATA, "--shape", "-9,4"), "must be whole numbers"),
    ((*DATA, "--shape", "1,2,3,4,5"), "must be M,D of a dense layer"),
    ((*DATA, "--shape", "2,99999"), "at most 8192 numbers a vector"),
    ((*DATA, "--shape", "999999999,4"), "at most 268435456 numbers"),
    ((*DATA, "--shape", "9,4", "--out", "w.txt"), "must end in .npy or .safetensors"),
    ((*DATA, "--shape", "9,4", "--out", "x.npy/w.npy"), "could not open file"),
    ((*DATA, "--shape", "9,4", "--norm", "0"), "must lie between 1e-30 and 1e30"),
    ((*DATA, "--shape", "9,4", "--norm", "nan"), "must lie between 1e-30 and 1e30"),
    ((*DATA, "--shape", "9,4", "--time", "0"), "must be positive and finite"),
    ((*DATA, "--shape", "9,4", "--time", "inf"), "must be positive and finite"),
    ((*DATA, "--shape", "9,4", "--initial", "-1"), "must be finite and not negative"),
    ((*DATA, "--shape", "9,4", "--initial", "nan"), "must be finite and not negative"),
    ((*DATA, "--shape", "9,4", "--seed", "-1"), "not in the range"),
    ((*DATA, "--shape", "9,4", "--replicas", "5"), "replicas = 5: belongs to --setting, not to --data"),
    (("--setting", "fixed.toml", "--shape", "9,3", "--center"), "belongs to --data, not to --setting"),
    (("--store", ".", "--shape", "9,3", "--formula", "x"), "belongs to --setting, not to --store"),
    (("--shape", "9,4"), "exactly one of"),
    ((*DATA, "--store", ".", "--shape", "9,4"), "exactly one of"),
    (DATA, "missing option '--shape'"),
    (("--data", "none.npy", "--shape", "9,4"), "there is no such file"),
    (("--data", "constant.npy", "--shape", "9,4"), "never vary"),
    (("--data", "nan.npy", "--shape", "9,4"), "must hold finite numbers"),
    (("--data", "images.npy", "--shape", "9,3,3,3"), "channels"),
    (("--data", "images.npy", "--shape", "9,3,7,7", "--channels-last"), "as large as the filters"),
    (("--setting", "none.toml", "--shape", "9,3"), "no such file"),
    (("--setting", "fixed.toml", "--shape", "9,4"), "must have 3 numbers a vector"),
    (("--setting", "fixed.toml", "--shape", "9,3", "--formula", "magic"), "is not a closed form"),
    (("--setting", "network.toml", "--shape", "9,3", "--formula", "linear-full-batch"), "no closed form"),
    (("--setting", "zero.toml", "--shape", "9,3"), "predicts weights that are all zero"),
    (("--setting", "diverging.toml", "--shape", "9,3"), "lets every replica diverge"),
    (("--store", ".", "--shape", "9,3"), "holds no ensemble"),
]


@pytest.mark.parametrize(("arguments", "why"), REFUSALS, ids=[" ".join(arguments) for arguments, _ in REFUSALS])
def test_refusals_are_exit_2_one_line_and_no_file(capfd, sources, monkeypatch, arguments, why):
    monkeypatch.chdir(sources)
    before = sorted(sources.rglob("*"))
    target = () if "--out" in arguments else ("--out", "w.npy")
    status, printed, err = run(capfd, "init", *arguments, *target, "--json", "--quiet")
    assert status == 2
    assert len(err.splitlines()) == 1
    assert why.lower() in err.lower()
    assert set(json.loads(printed)) == {"error", "key", "value", "why"}
    assert sorted(sources.rglob("*")) == before
