"""Experiments as files: the upstream, paths, one clear line for every bad file, and what is written again."""

from __future__ import annotations

import json

import pytest

from reports.experiment_file import departures, load
from tests.paths import ROOT
from tests.reports.command_line import run_quietly
from tests.reports.experiments import REST, UPSTREAM
from theory.errors import InvalidInput


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
        (
            "[upstrem]\n",
            "upstrem = {}: is not a table of an experiment; did you mean 'upstream'? There are upstream, treatment",
        ),
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
    status, out, err = run_quietly(capfd, "transfer", file(text))
    assert (status, out) == (2, "")
    assert err.startswith(f"eigenalign: bad input: {line}")
    assert err.count("\n") == 1


def test_a_missing_file(capfd, tmp_path):
    status, _, err = run_quietly(capfd, "transfer", str(tmp_path / "none.toml"))
    assert (status, err.count("\n")) == (2, 1)
    assert "no such file" in err


def test_the_example_is_read():
    example = ROOT / "reports" / "examples" / "transfer_digits.toml"
    names = [treatment.name for treatment in load(example).treatment.each]
    assert names == ["scratch", "pretrained", "rescaled", "first-layers 1 rescaled", "covariance", "spectrum"]


def test_the_whole_experiment_follows_from_its_departures(file):
    """The departures, written as a file, give the same experiment; values left at their defaults are not among them."""
    text = UPSTREAM + "[upstream.until]\naccuracy = 0.9\n" + REST.replace(', { kind = "first-layers", layers = 1 }', "")
    experiment = load(file(text))
    written = departures(experiment)
    assert load(file("\n".join(written))) == experiment
    assert not any(line.startswith("upstream.data.fixed") for line in written)
    assert 'treatment.kinds = ["scratch", "pretrained", "covariance"]' in written
    named = {"kind": "first-layers", "layers": 1}
    assert any(json.dumps(named) in line for line in departures(load(file())))
