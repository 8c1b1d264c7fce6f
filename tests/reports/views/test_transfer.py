"""`eigenalign transfer`: the JSON contract, the text, errors and interruptions."""

from __future__ import annotations

import json

import pytest

from tests.paths import ROOT
from tests.reports.command_line import run_quietly
from tests.reports.experiments import REST, UPSTREAM

ESTIMATE = ["mean", "standard_error", "low", "high", "pvalue", "replicas", "confidence"]
PREDICTED = [
    "treatment", "measure", "effect", "gain", "single", "loss", "by_kernels", "kernels", "fresh_task", "broken", "text"
]  # fmt: skip
EXAMPLES = ROOT / "reports" / "examples"


def test_the_json_contract(capfd, file):
    status, out, err = run_quietly(capfd, "transfer", file(), "--json", "--replicas", "3")
    record = json.loads(out)
    assert (status, err) == (0, "")
    assert list(record) == ["replicas", "diverged", "device", "seed", "upstream", "gain_of", "treatments", "answers"]
    assert (record["replicas"], record["diverged"], record["seed"], record["gain_of"]) == (3, 0, 1, "pretrained")
    assert list(record["upstream"]) == ["fitted", "steps", "loss", "accuracy"]
    assert record["upstream"]["steps"] == [30, 30, 30]
    names = [treatment["name"] for treatment in record["treatments"]]
    assert names == ["scratch", "pretrained", "first-layers 1", "covariance"]
    scratch, pretrained, first, _ = record["treatments"]
    assert [measure["name"] for measure in first["measures"]] == [
        "mean accuracy",
        "final accuracy",
        "final test accuracy",
        "steps to target",
        "mean loss",
        "final test loss",
    ]
    assert list(first["measures"][0]) == ["name", "estimate", "difference", "share"]
    assert list(first["measures"][0]["estimate"]) == ["mean", "standard_error"]
    assert list(first["measures"][0]["difference"]) == [
        "mean", "standard_error", "low", "high", "pvalue", "replicas", "confidence"
    ]  # fmt: skip
    assert all(measure["difference"] is measure["share"] is None for measure in scratch["measures"])
    assert all(measure["share"] is None for measure in pretrained["measures"])
    reading = first["readings"][-1]
    assert list(reading) == [
        "step", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "misalignment", "layers"
    ]  # fmt: skip
    assert [list(layer) for layer in reading["layers"]] == [["norm", "active", "alive", "effective_rank"]] * 3
    assert reading["layers"][2]["active"] is None


def test_the_text_names_every_treatment_and_measure(capfd, file):
    status, out, _ = run_quietly(capfd, "transfer", file())
    assert status == 0
    assert out.startswith("4 replicas, 0 diverged, seed 1, cpu; upstream 4 of 4 fitted, 30 steps on average\n")
    assert out.count("first-layers 1") == 6 + 2 * 3 + 1
    for words in ("mean accuracy", "steps to target", "share of pretrained", "layers at downstream step 8"):
        assert words in out


def test_what_does_not_vary_is_not_estimable(capfd, file):
    """No replica reaches the target: the steps to it are all the same, before and after."""
    text = (UPSTREAM + REST).replace("target = 0.3", "target = 1.0")
    status, out, _ = run_quietly(capfd, "transfer", file(text), "--json")
    (steps,) = (m for m in json.loads(out)["treatments"][1]["measures"] if m["name"] == "steps to target")
    difference = steps["difference"]
    assert (status, steps["estimate"], difference["mean"]) == (0, {"mean": 8.0, "standard_error": None}, 0.0)
    assert [difference[key] for key in ("standard_error", "low", "high", "pvalue")] == [None] * 4
    _, out, _ = run_quietly(capfd, "transfer", file(text))
    assert out.count("not estimable") == 3
    assert " ".join(out.split()).count("The linearised training predicts") == 3


def test_one_replica_has_no_error(capfd, file):
    text = (UPSTREAM + REST).replace(', "covariance"', "")
    status, out, _ = run_quietly(capfd, "transfer", file(text), "--json", "--replicas", "1")
    measure = json.loads(out)["treatments"][1]["measures"][0]
    assert status == 0
    assert measure["estimate"]["standard_error"] is measure["difference"] is measure["share"] is None


def test_all_replicas_diverged_is_said(capfd, file):
    text = (UPSTREAM + REST.replace("learning_rate = 0.1", "learning_rate = 1e30")).replace(
        "hidden = [80, 6]", 'hidden = [80, 6]\nactivation = "identity"'
    )
    status, _, err = run_quietly(capfd, "transfer", file(text))
    assert status == 2
    assert err == "eigenalign: bad input: downstream.training.learning_rate = 1e+30: lets every replica diverge\n"


def test_an_interruption_exits_3(capfd, file, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("simulate.transfer.run_with_networks", interrupted)
    status, out, err = run_quietly(capfd, "transfer", file())
    assert (status, out, err.strip()) == (3, "", "eigenalign: interrupted")


def test_every_treatment_is_answered(capfd, file):
    status, out, _ = run_quietly(capfd, "transfer", file(), "--json")
    record = json.loads(out)
    assert status == 0
    assert [each["treatment"] for each in record["answers"]] == ["pretrained", "first-layers 1", "covariance"]
    for each in record["answers"]:
        assert list(each) == ["treatment", "measure", "effect", "gain", "bound", "predicted", "agrees", "text"]
        assert list(each["gain"]) == ESTIMATE
        assert list(each["predicted"]) == PREDICTED
        assert each["text"].startswith(each["treatment"])
    _, printed, _ = run_quietly(capfd, "transfer", file())
    assert " ".join(printed.split()).endswith(record["answers"][-1]["text"])


def test_the_prediction_alone_is_that_of_the_whole(capfd, file, monkeypatch):
    _, out, _ = run_quietly(capfd, "transfer", file(), "--json")
    whole = [each["predicted"] for each in json.loads(out)["answers"]]
    monkeypatch.setattr("simulate.transfer.experiment.Engine.result", lambda *a, **k: pytest.fail("downstream"))
    status, out, err = run_quietly(capfd, "transfer", file(), "--predict", "--json")
    record = json.loads(out)
    assert (status, err) == (0, "")
    assert list(record) == ["replicas", "diverged", "device", "seed", "upstream", "predicted"]
    assert record["upstream"]["steps"] == [30] * 4
    assert record["predicted"] == whole
    assert list(record["predicted"][0]["gain"]) == ESTIMATE
    assert list(record["predicted"][0]["kernels"]) == ["trace", "effective_rank"]
    _, printed, _ = run_quietly(capfd, "transfer", file(), "--predict")
    assert "no downstream training" in printed
    assert "pretrained: The linearised training predicts" in printed


@pytest.mark.parametrize("arguments", [("--shard", "1/2"), ()])
def test_what_cannot_be_predicted_is_refused(capfd, file, arguments):
    text = UPSTREAM + REST if arguments else UPSTREAM + REST.replace(
        '["scratch", "pretrained", { kind = "first-layers", layers = 1 }, "covariance"]', '["scratch"]'
    )  # fmt: skip
    status, out, err = run_quietly(capfd, "transfer", file(text), "--predict", *arguments)
    assert (status, out) == (2, "")
    assert (
        "applies to downstream training only" in err
        if arguments
        else "must hold a treatment other than 'scratch'" in err
    )


def test_scratch_alone_is_measured(capfd, file):
    text = (UPSTREAM + REST).replace(', "pretrained", { kind = "first-layers", layers = 1 }, "covariance"', "")
    status, out, _ = run_quietly(capfd, "transfer", file(text))
    assert status == 0
    assert out.endswith("no treatment is compared with scratch\n")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("transfer_digits", ("pretrained", 1), marks=pytest.mark.slow),
        pytest.param("transfer_colours", ("covariance", 1), marks=pytest.mark.slow),
        ("transfer_specialised", ("pretrained", -1)),
    ],
)
def test_the_examples_are_answered(capfd, name, expected):
    path = str(EXAMPLES / f"{name}.toml")
    status, out, _ = run_quietly(capfd, "transfer", path, "--replicas", "3", "--device", "cpu", "--json")
    assert status == 0
    found = json.loads(out)["answers"]
    assert all("The linearised training predicts" in each["text"] for each in found)
    kind, sign = expected
    gains = {each["treatment"]: each["predicted"]["gain"]["mean"] for each in found}
    assert sign * gains[kind] > 0.03
