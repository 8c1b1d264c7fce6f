"""`eigenalign init`: the law of what is drawn, where it comes from, and the command as a user meets it."""

import json
import re

import numpy as np
import pytest
import torch
from safetensors import safe_open
from scipy.linalg import expm, solve
from scipy.stats import norm as normal

import simulate
import theory
from reports import cli
from reports.check import check
from reports.init import WeightLaw, _law, draw, frobenius, law_of_data, law_of_setting, law_of_store, vectors_of
from reports.setting_file import load
from simulate.aligned_draws import draw_weights
from tests.oracles.statistics import assert_second_moment, second_moment_test
from tests.paths import ROOT
from theory.errors import InvalidInput, NoClosedForm
from theory.linear.shape import flow_peak
from theory.misalignment import misalignment_squared, null_floor

FALSE_ALARM = 1e-7  # of one statistical test
FIXED = """
[data]
kind = "gaussian"
spectrum = [0.5, 1.0, 2.0]
samples = 12
fixed = true
[training]
learning_rate = 0.1
steps = [0, 8]
"""
ONLINE = """
[data]
kind = "gaussian"
spectrum = [2.0, 0.5, 0.5]
samples = "online"
[training]
learning_rate = 0.1
batch_size = 4
sampling = "fresh"
steps = 30
"""
NETWORK = """
[data]
kind = "gaussian"
spectrum = [0.5, 1.0, 2.0]
samples = 16
[network]
kind = "mlp"
hidden = [8]
activation = "tanh"
[training]
learning_rate = 0.2
steps = 4
[ensemble]
replicas = 30
"""


@pytest.fixture
def rows():
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    return rng.standard_normal((300, 4)) * [0.3, 1.0, 2.0, 3.0] @ basis


@pytest.fixture
def files(tmp_path, rows):
    np.save(tmp_path / "x.npy", rows)
    np.save(tmp_path / "images.npy", np.random.default_rng(2).integers(0, 256, (20, 6, 7, 3), dtype=np.uint8))
    np.save(tmp_path / "constant.npy", np.ones((20, 4)))
    np.save(tmp_path / "nan.npy", np.full((20, 4), np.nan))
    for name, text in (("fixed", FIXED), ("online", ONLINE), ("network", NETWORK)):
        (tmp_path / f"{name}.toml").write_text(text)
    (tmp_path / "zero.toml").write_text(FIXED.replace("[0, 8]", "0") + "[network]\ninit_variance = 0.0\n")
    diverging = NETWORK.replace('"tanh"', '"identity"').replace("0.2", "1e30").replace("steps = 4", "steps = 40")
    (tmp_path / "diverging.toml").write_text(diverging)
    return tmp_path


def run(capfd, *arguments):
    status = cli.main(["init", *map(str, arguments)])
    out, err = capfd.readouterr()
    return status, out, err


# What is drawn.


@pytest.mark.parametrize("rank", [4, 2])
def test_vectors_have_the_covariance_of_their_law(rows, rank):
    seen = rows if rank == 4 else rows[:, :2] @ [[1.0, 0.0, 1.0, 2.0], [0.0, 1.0, -1.0, 1.0]]
    law = law_of_data(seen, (1, 4))
    w = draw_weights(law.covariance, 60_000, np.random.default_rng(3))
    assert_second_moment(w, law.covariance, alpha=FALSE_ALARM)
    values, basis = np.linalg.eigh(law.covariance)
    values[-1] *= 1.07
    assert second_moment_test(w, (basis * values) @ basis.T).pvalue < FALSE_ALARM  # one τ that is 7 % off is seen
    turn = np.eye(4)
    turn[-2:, -2:] = [[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]]
    turn = basis @ turn @ basis.T
    assert second_moment_test(w, turn @ law.covariance @ turn.T).pvalue < FALSE_ALARM


def test_weights_are_those_vectors_scaled_to_the_norm(rows):
    law = law_of_data(rows, (50, 4))
    w = draw_weights(law.covariance, 50, np.random.default_rng(7))
    expected = w * 3.5 / np.sqrt((w**2).sum())
    np.testing.assert_allclose(draw(law, (50, 4), norm=3.5, seed=7), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 4), (37, 4), (5, 1, 2, 2), (5, 2, 2), (3, 4, 1, 1)])
@pytest.mark.parametrize("norm", [None, 1e-20, 12.0, 1e20])
def test_shapes_and_norms(shape, norm):
    w = draw(WeightLaw(np.diag([1e-300, 1.0, 2.0, 1e200]), "", ""), shape, norm=norm)
    assert (w.shape, w.dtype) == (shape, np.float32)
    np.testing.assert_allclose(np.linalg.norm(w.astype(float)), norm or np.sqrt(shape[0] / 3), rtol=1e-7)


@pytest.mark.parametrize("layer", [torch.nn.Linear(12, 3000), torch.nn.Conv2d(3, 3000, 2)])
def test_the_default_norm_is_that_of_torch(layer):
    """E‖W‖²/m = d b²/3 for entries uniform on [−b, b], b = d^(−½), and Var x² = (1/5 − 1/9) b⁴."""
    w = layer.weight.detach()
    error = np.sqrt(4 / 45 / w.numel())
    z = (w.square().sum().item() / len(w) - frobenius(None, w.shape) ** 2 / len(w)) / error
    assert abs(z) < normal.isf(FALSE_ALARM / 2)


def test_a_seed_is_all_the_randomness(rows):
    law = law_of_data(rows, (8, 4))
    assert np.array_equal(draw(law, (8, 4), seed=5), draw(law, (8, 4), seed=5))
    assert not np.array_equal(draw(law, (8, 4), seed=5), draw(law, (8, 4), seed=6))


def test_misalignment_of_draws_is_that_of_noise_alone_and_falls_as_one_over_their_number(rows):
    """M² of N vectors has the mean `null_floor`, ~ [d(d+1) − 2d]/(2N); where it is not aligned, it does not fall."""
    spaces = theory.eigenspaces(rows.T @ rows / len(rows))
    aligned, other = (
        law.covariance for law in (law_of_data(rows, (1, 4)), law_of_data(rows @ np.diag([1.0, 1.0, 1.0, 2.0]), (1, 4)))
    )
    rng, means = np.random.default_rng(11), []
    for vectors in (40, 320):
        floor = null_floor([1] * 4, vectors).value
        z = []
        for covariance in (aligned, other):
            w = draw_weights(covariance, 500 * vectors, rng).reshape(500, vectors, 4)
            squares = misalignment_squared(spaces, w.mT @ w / vectors)
            z.append((squares.mean() - floor) / (squares.std(ddof=1) / np.sqrt(500)))
            means.append(squares.mean())
        bound = normal.isf(FALSE_ALARM / 2)
        assert abs(z[0]) < bound < z[1]
    np.testing.assert_allclose(means[0] / means[2], null_floor([1] * 4, 40).value / null_floor([1] * 4, 320).value, 0.2)
    assert means[3] > 10 * means[2]


# Where the covariance comes from.


@pytest.mark.parametrize(("time", "initial"), [(None, 0.0), (0.3, 0.0), (2.5, 0.4), (40.0, 3.0)])
@pytest.mark.parametrize("center", [False, True])
def test_the_law_of_data_is_that_of_gradient_flow(rows, time, initial, center):
    """Literally: w_T = P w_0 + A⁻¹(1 − P) X'y/n with P = exp(−AT), by the exponential of a matrix and a solve."""
    x = rows + np.array([1.0, 0.0, 0.0, -2.0])
    law = law_of_data(x, (9, 4), time=time, initial=initial, center=center)
    x = x - x.mean(axis=0) if center else x
    a = x.T @ x / len(x)
    length = (1.2564312086261697 if time is None else time) / np.linalg.eigvalsh(a)[-1]
    p = expm(-a * length)
    taught = solve(a, np.eye(4) - p)
    sigma_y2 = 0.7
    sigma_02 = initial * sigma_y2 * length / len(x)
    expected = sigma_02 * p @ p + sigma_y2 / len(x) * taught @ a @ taught.T
    np.testing.assert_allclose(
        law.covariance / np.trace(law.covariance), expected / np.trace(expected), atol=1e-12, rtol=1e-9
    )
    assert law.formula == "linear-flow"
    assert any("--center" in text for text in law.warnings) is not center


def test_the_default_is_the_longest_time_at_which_f_rises(rows):
    peak = flow_peak(0.0)
    assert law_of_data(rows, (9, 4)).explanation.endswith("c = 0: rises")
    assert law_of_data(rows, (9, 4), time=1.001 * peak).explanation.endswith("c = 0: rises, then falls")
    assert law_of_data(rows, (9, 4), initial=0.5).explanation.endswith("c = 0.5: falls")
    spaces = theory.eigenspaces(rows.T @ rows)
    f = theory.transfer_function(spaces, law_of_data(rows, (9, 4)).covariance)
    assert (np.diff(f) > 0).all()


def test_scale_and_rotation_of_the_data_do_what_they_should(rows):
    base = law_of_data(rows, (9, 4), initial=0.2).covariance
    np.testing.assert_allclose(law_of_data(1e6 * rows, (9, 4), initial=0.2).covariance, base, rtol=1e-9, atol=1e-15)
    turn = np.linalg.qr(np.random.default_rng(4).standard_normal((4, 4)))[0]
    turned = law_of_data(rows @ turn.T, (9, 4), initial=0.2).covariance
    np.testing.assert_allclose(turned, turn @ base @ turn.T, atol=1e-12)


def test_filters_see_patches():
    images = np.random.default_rng(5).standard_normal((6, 2, 5, 4))
    patches = [image[:, i : i + 2, j : j + 3].ravel() for image in images for i in range(5 - 1) for j in range(4 - 2)]
    by_rows = law_of_data(np.array(patches), (7, 12))
    np.testing.assert_allclose(law_of_data(images, (7, 2, 2, 3)).covariance, by_rows.covariance, atol=1e-12)
    last = law_of_data(images.transpose(0, 2, 3, 1), (7, 2, 2, 3), channels_last=True)
    np.testing.assert_allclose(last.covariance, by_rows.covariance, atol=1e-12)
    wide = np.array([image[:, i : i + 4 : 3, j : j + 4 : 3].ravel() for image in images for i in (0, 1) for j in (0,)])
    dilated = law_of_data(images, (7, 2, 2, 2), dilation=3)
    np.testing.assert_allclose(dilated.covariance, law_of_data(wide, (7, 8)).covariance, atol=1e-12)


def test_coordinates_that_never_vary_keep_initial_weights_alone(rows):
    wider = np.insert(rows, 2, 0.0, axis=1)
    nothing = law_of_data(wider, (9, 5))
    assert not nothing.covariance[2].any()
    assert nothing.warnings[0].startswith("1 coordinates never vary")
    assert nothing.warnings[-1] == "1 of 5 directions get no weight"
    some = law_of_data(wider, (9, 5), initial=0.3)
    np.testing.assert_allclose(some.covariance[2], 0.3 * np.eye(5)[2], atol=1e-12)  # F_c(0) = c
    without = law_of_data(rows, (9, 4), initial=0.3)
    np.testing.assert_allclose(np.delete(np.delete(some.covariance, 2, 0), 2, 1), without.covariance, atol=1e-12)


def test_a_closed_form_gives_the_whole_matrix(files):
    setting = load(files / "fixed.toml")
    law = law_of_setting(setting, (9, 3))
    reading = theory.predict(setting, rows=simulate.rows(setting)).readings[-1]
    np.testing.assert_array_equal(law.covariance, reading.second_moment)
    assert (law.formula, law.explanation) == ("linear-full-batch", "closed form (exact) after step 8")


def test_a_closed_form_of_variances_is_put_into_the_eigenspaces_of_the_data(files):
    """Σ_i τ_i P_i, the eigenspaces being those of the population, in the basis that the seed has drawn."""
    setting = load(files / "online.toml")
    law = law_of_setting(setting, (9, 3))
    reading = theory.predict(setting).readings[-1]
    assert reading.second_moment is None
    assert reading.multiplicity == (2, 1)
    moment = simulate.population(setting).second_moment
    spaces = theory.eigenspaces(moment)
    expected = sum(tau * p for tau, p in zip(reading.tau, spaces.projectors, strict=True))
    np.testing.assert_allclose(law.covariance, expected, atol=1e-13)
    assert np.abs(moment - np.diag(np.diag(moment))).max() > 0.1


def test_without_a_closed_form_an_ensemble_is_simulated(files):
    setting = load(files / "network.toml")
    law = law_of_setting(setting, (9, 3), replicas=10)
    reading = simulate.run(setting, replicas=10).readings[-1]
    np.testing.assert_array_equal(law.covariance, reading.second_moment)
    assert law.formula == "simulated"
    assert law.explanation == "no closed form applies: Σ_w of 10 simulated networks after step 4"
    with pytest.raises(NoClosedForm):
        law_of_setting(setting, (9, 3), formula="linear-full-batch")


def test_a_store_gives_its_ensemble(files):
    setting = load(files / "network.toml")
    simulation = simulate.run(setting, replicas=20, store=files / "runs")
    law = law_of_store(files / "runs", (9, 3))
    np.testing.assert_array_equal(law.covariance, simulation.readings[-1].second_moment)
    assert law.explanation == "Σ_w of 20 simulated networks after step 4"


# The command.


def test_the_contract(capfd, files):
    out = files / "deep" / "w.safetensors"
    arguments = ("--data", files / "x.npy", "--shape", "300,4", "--norm", "2.5", "--seed", "3", "--out", out)
    status, printed, err = run(capfd, *arguments, "--json")
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
        weights, draw(law_of_data(np.load(files / "x.npy"), (300, 4)), (300, 4), norm=2.5, seed=3)
    )
    assert about == record["details"]
    assert (about["formula"], about["seed"], about["source"]) == ("linear-flow", 3, f"data: {files / 'x.npy'}")
    assert check(weights, np.load(files / "x.npy")).verdict == "aligned"
    first = out.read_bytes()
    assert run(capfd, *arguments)[0] == 0
    assert out.read_bytes() == first
    assert list(out.parent.iterdir()) == [out]  # nothing half-written beside it


def test_filters_of_images_and_the_text(capfd, files):
    out = files / "w.npy"
    arguments = ("--data", files / "images.npy", "--channels-last", "--shape", "16,3,3,3", "--out", out, "--quiet")
    status, printed, err = run(capfd, *arguments, "--time", "2", "--initial", "0.1", "--center")
    assert (status, err) == (0, "")
    assert np.load(out).shape == (16, 3, 3, 3)
    assert printed.startswith(f"16 × 3 × 3 × 3 weights of norm 2.3094: {out}\n")
    for words in ("linear-flow: ", "c = 0.1: ", "drawn with seed 0", "images.npy"):
        assert words in printed


def test_setting_and_store_from_the_command_line(capfd, files):
    out = files / "w.npy"
    record = json.loads(run(capfd, "--setting", files / "fixed.toml", "--shape", "9,3", "--out", out, "--json")[1])
    assert record["details"]["formula"] == "linear-full-batch"
    assert simulate.run(load(files / "network.toml"), replicas=5, store=files / "runs").replicas == 5
    for source in (("--setting", files / "network.toml", "--replicas", "5"), ("--store", files / "runs")):
        status, printed, _ = run(capfd, *source, "--shape", "9,3", "--out", out, "--json", "--quiet")
        assert status == 0
        assert json.loads(printed)["details"]["formula"] == "simulated"
    law = law_of_store(files / "runs", (9, 3))
    np.testing.assert_array_equal(np.load(out), draw(law, (9, 3)))


DATA = ("--data", "x.npy")
REFUSALS = [
    ((*DATA, "--shape", "9,3"), "must have 3 numbers a sample"),
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
    (("--setting", "fixed.toml", "--shape", "9,3", "--formula", "magic"), "is no closed form"),
    (("--setting", "network.toml", "--shape", "9,3", "--formula", "linear-full-batch"), "no closed form"),
    (("--setting", "zero.toml", "--shape", "9,3"), "predicts weights that are all zero"),
    (("--setting", "diverging.toml", "--shape", "9,3"), "lets every replica diverge"),
    (("--store", ".", "--shape", "9,3"), "holds no ensemble"),
]


@pytest.mark.parametrize(("arguments", "why"), REFUSALS, ids=[" ".join(arguments) for arguments, _ in REFUSALS])
def test_refusals_are_exit_2_one_line_and_no_file(capfd, files, monkeypatch, arguments, why):
    monkeypatch.chdir(files)
    before = sorted(files.rglob("*"))
    target = () if "--out" in arguments else ("--out", "w.npy")
    status, printed, err = run(capfd, *arguments, *target, "--json", "--quiet")
    assert status == 2
    assert len(err.splitlines()) == 1
    assert why.lower() in err.lower()
    assert set(json.loads(printed)) == {"error", "key", "value", "why"}
    assert sorted(files.rglob("*")) == before


def test_laws_that_are_none(files):
    for covariance, why in ((np.diag([1.0, -0.1]), "negative variance"), (np.full((2, 2), np.nan), "must be finite")):
        with pytest.raises(InvalidInput, match=why):
            _law(covariance, "a form", "", ())
    with pytest.raises(InvalidInput, match="must have 4 numbers a vector"):
        draw(WeightLaw(np.eye(4), "", ""), (3, 2))
    with pytest.raises(InvalidInput, match="seed = -1"):
        draw(WeightLaw(np.eye(4), "", ""), (3, 4), seed=-1)
    assert vectors_of((5, 2, 3, 4)) == (5, 24)


def test_the_readme_says_what_its_code_measures(capsys):
    """The same seeds on another machine give other last bits, not other conclusions."""
    text = (ROOT / "README.md").read_text()
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL) if "law_of_data" in block]
    said = re.findall(r"# (over [^:]+): (\S+) \((\S+) to (\S+)\)", code)
    exec(compile(code, "README.md", "exec"), {})
    found = re.findall(r"(over [^:]+): (\S+) \((\S+) to (\S+)\)", capsys.readouterr().out)
    assert [row[0] for row in found] == [row[0] for row in said] != []
    for (_, *measured), (_, *stated) in zip(found, said, strict=True):
        now, then = np.array(measured, dtype=float), np.array(stated, dtype=float)
        assert np.abs(now - then).max() < (then[2] - then[1]) / 2
