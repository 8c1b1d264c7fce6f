"""From TOML to a setting: the contract's defaults, and one clear line for every bad file."""

import tomllib

import numpy as np
import pytest

from reports.experiment_file import load as load_experiment
from reports.setting_file import load
from tests.paths import ROOT
from tests.reports.command_line import write
from theory.errors import InvalidInput
from theory.setting import Data, Setting, Training

GAUSSIAN = '[data]\nkind = "gaussian"\nspectrum = [0.1, 0.2, 0.4]\n'


def test_a_file_and_python_build_the_same_setting(tmp_path):
    text = GAUSSIAN + "samples = 32\n[training]\nsteps = [0, 5]\ndrops = [[3, 0.5]]\n"
    expected = Setting(
        data=Data(kind="gaussian", spectrum=(0.1, 0.2, 0.4), samples=32),
        training=Training(steps=(0, 5), drops=((3, 0.5),)),
    )
    assert load(write(tmp_path, text)) == expected
    assert hash(load(write(tmp_path, text))) == hash(expected)


def test_paths_are_relative_to_the_file(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    np.save(tmp_path / "deep" / "x.npy", np.eye(3))
    path = write(tmp_path / "deep", '[data]\nkind = "array"\npath = "x.npy"\nsamples = 2\n')
    monkeypatch.chdir("/")
    assert load(path).data.path == str(tmp_path / "deep" / "x.npy")


@pytest.mark.parametrize("shape", [(40, 3), (300, 3), (7, 1, 4, 4)])
def test_of_an_array_all_rows_are_taken(tmp_path, shape):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal(shape))
    text = '[data]\nkind = "array"\npath = "x.npy"\n'
    assert load(write(tmp_path, text)).data.samples == shape[0]
    assert load(write(tmp_path, text + "samples = 5\n")).data.samples == 5
    with pytest.raises(InvalidInput, match=r"data\.path.*no such file"):
        load(write(tmp_path, text.replace("x.npy", "absent.npy")))


@pytest.mark.parametrize(
    ("text", "key", "rule"),
    [
        ("", "setting file", "is empty"),
        ("# nothing\n", "setting file", "is empty"),
        ("data = [", "setting file", "must be TOML"),
        ("data = 3\n", "data", "must be a table"),
        ("[dta]\n", "dta", "is not a table of a setting"),
        ("[labels]\n", "data", "is missing"),
        ("[data]\n", "data.kind", "is missing"),
        (GAUSSIAN + "spektrum = 1\n", "data.spektrum", "is not a key"),
        (GAUSSIAN + 'samples = "7"\n', "data.samples", "must be an integer or 'online'"),
        (GAUSSIAN + "samples = 2.0\n", "data.samples", "must be an integer"),
        (GAUSSIAN + "rotate = 1\n", "data.rotate", "must be true or false"),
        (GAUSSIAN + "[training]\nlearning_rate = nan\n", "training.learning_rate", "finite"),
        (GAUSSIAN + "[training]\nlearning_rate = inf\n", "training.learning_rate", "finite"),
        (GAUSSIAN + "[training]\nbatch_size = 257\n", "training.batch_size", "must not exceed data.samples"),
        (GAUSSIAN + 'samples = "online"\n', "training.batch_size", "must be a number"),
        ('[data]\nkind = "gaussian"\nspectrum = [1.0, -2.0]\n', "data.spectrum[1]", "not negative"),
        ('[data]\nkind = "gaussian"\n', "data.spectrum", "is needed"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path, text, key, rule):
    with pytest.raises(InvalidInput) as caught:
        load(write(tmp_path, text))
    assert caught.value.key == key
    assert rule in caught.value.rule
    assert "\n" not in str(caught.value)


def test_a_missing_file_a_folder_and_bytes(tmp_path):
    with pytest.raises(InvalidInput, match="no such file"):
        load(tmp_path / "absent.toml")
    with pytest.raises(InvalidInput, match="is a directory"):
        load(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="UTF-8"):
        load(tmp_path / "bytes.toml")


@pytest.mark.parametrize("path", sorted((ROOT / "reports" / "examples").glob("*.toml")), ids=lambda p: p.name)
def test_the_examples_are_settings_or_experiments(path):
    tables = tomllib.loads(path.read_text())
    found = load_experiment(path).upstream.data if "upstream" in tables else load(path).data
    assert found.kind == tables.get("upstream", tables)["data"]["kind"]
