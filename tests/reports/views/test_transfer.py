"""`eigenalign transfer`: files, the JSON contract, the text, errors and interruptions; and the study behind it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import simulate.transfer
from reports import cli
from reports.experiment_file import departures, load
from reports.transfer import measures, study
from tests.paths import ROOT
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput
from theory.misalignment import misalignment
from theory.testing import mean_ratio, paired_mean

UPSTREAM = """
[upstream.data]
kind = "digits"
samples = 60
[upstream.labels]
kind = "classes"
[upstream.network]
kind = "mlp"
hidden = [80, 6]
[upstream.training]
loss = "cross-entropy"
learning_rate = 0.1
batch_size = 20
steps = 30
"""
REST = """
[treatment]
kinds = ["scratch", "pretrained", { kind = "first-layers", layers = 1 }, "covariance"]
[downstream]
samples = 50
held_out = 20
target = 0.3
[downstream.labels]
kind = "real"
[downstream.training]
loss = "cross-entropy"
learning_rate = 0.1
batch_size = 25
steps = [0, 4, 8]
[ensemble]
replicas = 4
seed = 1
"""


@pytest.fixture
def file(tmp_path):
    def write(text=UPSTREAM + REST, name="experiment.toml"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    path = tmp_path_factory.mktemp("experiment") / "experiment.toml"
    path.write_text(UPSTREAM + REST)
    return simulate.transfer.run(load(path))


def run(capfd, *arguments):
    status = cli.main([*arguments, "--quiet"])
    out, err = capfd.readouterr()
    return status, out, err


def test_the_json_contract(capfd, file):
    status, out, err = run(capfd, "transfer", file(), "--json", "--replicas", "3")
    record = json.loads(out)
    assert (status, err) == (0, "")
    assert list(record) == ["replicas", "diverged", "device", "seed", "upstream", "gain_of", "treatments"]
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
    assert list(first["measures"][0]["difference"]) == ["mean", "standard_error", "low", "high", "pvalue", "replicas"]
    assert all(measure["difference"] is measure["share"] is None for measure in scratch["measures"])
    assert all(measure["share"] is None for measure in pretrained["measures"])
    reading = first["readings"][-1]
    assert list(reading) == [
        "step", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "misalignment", "layers"
    ]  # fmt: skip
    assert [list(layer) for layer in reading["layers"]] == [["norm", "active", "alive", "effective_rank"]] * 3
    assert reading["layers"][2]["active"] is None


def test_the_text_names_every_treatment_and_measure(capfd, file):
    status, out, _ = run(capfd, "transfer", file())
    assert status == 0
    assert out.startswith("4 replicas, 0 diverged, seed 1, cpu; upstream 4 of 4 fitted, 30 steps on average\n")
    assert out.count("first-layers 1") == 6 + 2 * 3
    for words in ("mean accuracy", "steps to target", "share of pretrained", "layers at downstream step 8"):
        assert words in out


def test_the_study_is_computed_from_pairs(result):
    found = study(result)
    values = {treated.treatment.name: measures(result, treated) for treated in result.treated}
    for name in ("mean accuracy", "mean loss", "steps to target"):
        scratch, pretrained, drawn = (values[key][name] for key in ("scratch", "pretrained", "covariance"))
        measure = found["covariance"][name]
        np.testing.assert_allclose(measure.estimate.mean, drawn.mean())
        np.testing.assert_allclose(measure.estimate.standard_error, drawn.std(ddof=1) / 2)
        assert vars(measure.difference) == vars(paired_mean(drawn - scratch))
        share = mean_ratio(drawn - scratch, pretrained - scratch)
        assert (measure.share is None) == (share is None)
        assert share is None or vars(measure.share) == vars(share)
    last = result["covariance"].curves
    np.testing.assert_allclose(found["covariance"].readings[2].test_accuracy.mean, last.test_accuracy[:, 2].mean())
    spaces = eigenspaces(result.data_moment, gap=1e-9)
    moment = result["covariance"].weights[1].second_moment
    np.testing.assert_allclose(found["covariance"].readings[1].misalignment, misalignment(spaces, moment))


def test_shares_of_another_gain(result):
    found = study(result, gain_of="first-layers 1")
    assert found.gain_of == "first-layers 1"
    assert found["first-layers 1"]["mean loss"].share is None
    with pytest.raises(InvalidInput, match="treatment = 'bald'"):
        study(result, gain_of="bald")


def test_replicas_that_never_reach_the_target_count_as_the_last_reading(result):
    treated = result["scratch"]
    accuracy = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.2], [0.5, 0.2, 0.3], [0.0, 0.3, 0.1]])
    given = replace(treated, curves=replace(treated.curves, train_accuracy=accuracy))
    assert measures(result, given)["steps to target"].tolist() == [8, 8, 0, 4]


def test_one_replica_has_no_error(capfd, file):
    text = (UPSTREAM + REST).replace(', "covariance"', "")
    status, out, _ = run(capfd, "transfer", file(text), "--json", "--replicas", "1")
    measure = json.loads(out)["treatments"][1]["measures"][0]
    assert status == 0
    assert measure["estimate"]["standard_error"] is measure["difference"] is measure["share"] is None


def test_all_replicas_diverged_is_said(capfd, file):
    text = (UPSTREAM + REST.replace("learning_rate = 0.1", "learning_rate = 1e30")).replace(
        "hidden = [80, 6]", 'hidden = [80, 6]\nactivation = "identity"'
    )
    status, _, err = run(capfd, "transfer", file(text))
    assert status == 2
    assert err == "eigenalign: bad input: downstream.training.learning_rate = 1e+30: lets every replica diverge\n"


def test_upstream_from_a_setting_file(file):
    setting = UPSTREAM.replace("upstream.", "").replace("steps = 30", "steps = [0, 10, 30]")
    file(setting + "[ensemble]\nreplicas = 7\n", name="setting.toml")
    here = 'file = "setting.toml"\n'
    from_file = load(file("[upstream]\n" + here + REST))
    assert from_file == load(file(UPSTREAM + REST))
    alone = load(file("[upstream]\n" + here + "[upstream.until]\nloss = 0.5\n" + REST[: REST.index("[ensemble]")]))
    assert alone.ensemble.replicas == 7
    assert alone.upstream.until is not None
    with pytest.raises(InvalidInput, match=r"upstream.network = .*: must not stand beside upstream.file"):
        load(file("[upstream]\n" + here + '[upstream.network]\nkind = "mlp"\n' + REST))


def test_paths_are_relative_to_the_file(file, tmp_path):
    text = UPSTREAM.replace('kind = "digits"', 'kind = "array"\npath = "x.npy"\nlabels_path = "y.npy"')
    data = load(file(text + REST)).upstream.data
    assert (data.path, data.labels_path) == (str(tmp_path / "x.npy"), str(tmp_path / "y.npy"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "upstream = None: is missing: an experiment needs at least the table [upstream]"),
        ("[upstream]\n", "upstream.data = None: is missing: upstream needs the table [upstream.data], or a file"),
        ("upstream = 3", "upstream = 3: must be a table"),
        ("[ups]\n", "ups = {}: is not a table of an experiment (upstream, treatment, downstream, ensemble)"),
        ("[upstream]\nfile = 3", "upstream.file = 3: must be a string"),
        ("[upstream]\nfile = 'none.toml'", "upstream.setting file = "),
        ("[upstream]\ndata = 3", "upstream.data = 3: must be a table"),
        ("[upstream]\ncolour = 3\n[upstream.data]\nkind = 'digits'", "upstream.colour = 3: is not a key"),
        ("[upstream.data]\nkind = 'digits'\nsamples = 0", "upstream.data.samples = 0: must be at least 1"),
        ("[upstream.data]\nkind = 'digits'\nsample = 0", "upstream.data.sample = 0: is not a key of this table"),
        (UPSTREAM + "[downstream]\nsample = 3", "downstream.sample = 3: is not a key of this table"),
        (UPSTREAM + "[downstream.labels]\nkind = 'gauss'", "downstream.labels.kind = 'gauss': must be one of"),
        (UPSTREAM + "[treatment]\nkinds = 3", "treatment.kinds = 3: must be a list"),
        (UPSTREAM + "[ensemble]\nreplicas = '3'", "ensemble.replicas = '3': must be an integer"),
        (UPSTREAM + "[ensemble]\nreplica = 3", "ensemble.replica = 3: is not a key of this table"),
        ("[upstream", "experiment file = "),
    ],
)
def test_a_bad_file_is_one_clear_line(capfd, file, text, line):
    status, out, err = run(capfd, "transfer", file(text))
    assert (status, out) == (2, "")
    assert err.startswith(f"eigenalign: bad input: {line}")
    assert err.count("\n") == 1


def test_a_missing_file(capfd, tmp_path):
    status, _, err = run(capfd, "transfer", str(tmp_path / "none.toml"))
    assert (status, err.count("\n")) == (2, 1)
    assert "no such file" in err


def test_an_interruption_exits_3(capfd, file, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("simulate.transfer.run", interrupted)
    status, out, err = run(capfd, "transfer", file())
    assert (status, out, err.strip()) == (3, "", "eigenalign: interrupted")


def test_the_example_is_read():
    example = ROOT / "reports" / "examples" / "transfer_digits.toml"
    names = [treatment.name for treatment in load(example).treatment.each]
    assert names == ["scratch", "pretrained", "rescaled", "first-layers 1 rescaled", "covariance", "spectrum"]


def test_the_whole_experiment_follows_from_its_departures(file):
    """Written as a file again, they are the same experiment; what is left at its default is not among them."""
    text = UPSTREAM + "[upstream.until]\naccuracy = 0.9\n" + REST.replace(', { kind = "first-layers", layers = 1 }', "")
    experiment = load(file(text))
    written = departures(experiment)
    assert load(file("\n".join(written))) == experiment
    assert not any(line.startswith("upstream.data.fixed") for line in written)
    assert 'treatment.kinds = ["scratch", "pretrained", "covariance"]' in written
    named = {"kind": "first-layers", "layers": 1}
    assert any(json.dumps(named) in line for line in departures(load(file())))
