"""Data times 1e±200: the numbers of the data themselves where they are scaled, a word where they cannot be had."""

import json

import numpy as np
import pytest

import simulate
from simulate.datasets import load
from tests.reports.command_line import run_quietly, write
from theory.errors import InvalidInput
from theory.setting import Data, Ensemble, Network, Setting

ROWS = np.random.default_rng(60701).standard_normal((30, 4)) * np.arange(1, 5)
IMAGES = np.random.default_rng(60702).standard_normal((6, 1, 4, 4))
FACTORS = (1e200, 1e-200, 1e300, 1e-300)


def kept(folder, array):
    path = folder / "x.npy"
    np.save(path, array)
    return str(path)


@pytest.mark.parametrize("factor", FACTORS)
def test_rows_that_are_scaled_are_those_of_the_data(tmp_path, factor):
    plain = load(Data(kind="array", path=kept(tmp_path, ROWS)), False)[0]
    found = load(Data(kind="array", path=kept(tmp_path, ROWS * factor)), False)[0]
    np.testing.assert_allclose(found, plain, rtol=1e-12)


@pytest.mark.parametrize("factor", FACTORS)
def test_images_that_are_scaled_are_those_of_the_data(tmp_path, factor):
    def moment(images):
        data = Data(kind="array", path=kept(tmp_path, images), samples=3)
        return simulate.population(Setting(data=data, network=Network(kind="conv", kernel=(2, 2)))).second_moment

    np.testing.assert_allclose(moment(IMAGES * factor), moment(IMAGES), rtol=1e-12)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize(("array", "kind"), [(ROWS, "linear"), (IMAGES, "conv")])
def test_data_that_are_not_scaled_are_refused(tmp_path, array, kind, factor):
    data = Data(kind="array", path=kept(tmp_path, array * factor), scale=False, samples=3)
    network = Network(kind=kind, **({"kernel": (2, 2)} if kind == "conv" else {}))
    setting = Setting(data=data, network=network, ensemble=Ensemble(replicas=2))
    with pytest.raises(InvalidInput, match=r"between 1e-70 and 1e\+70, or data\.scale must be true"):
        simulate.run(setting)


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")  # NumPy's, of numbers that leave the doubles
@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("command", ["predict", "simulate"])
@pytest.mark.parametrize("rate", [0.05, None])
def test_spectra_give_numbers_or_a_word(capfd, tmp_path, factor, command, rate):
    rate = rate or 0.05 / factor
    text = f"""
        [data]
        kind = "gaussian"
        spectrum = [{factor!r}, {2 * factor!r}]
        samples = 20
        [training]
        learning_rate = {rate!r}
        [ensemble]
        replicas = 20
    """
    status, out, err = run_quietly(capfd, command, write(tmp_path, text), "--json")
    assert status in (0, 2), err
    if status == 0 and command == "predict":
        assert all(tau > 0 for reading in json.loads(out)["readings"] for tau in reading["tau"])


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("command", ["check", "init"])
def test_check_and_init_refuse_what_has_no_squares(capfd, tmp_path, factor, command):
    data = kept(tmp_path, ROWS * factor)
    np.save(tmp_path / "w.npy", np.ones((3, 4)))
    weights = str(tmp_path / "w.npy")
    rest = ["--weights", weights] if command == "check" else ["--shape", "3,4", "--out", str(tmp_path / "out.npy")]
    status, _, err = run_quietly(capfd, command, "--data", data, *rest)
    assert status == 2
    assert "has squares that" in err
