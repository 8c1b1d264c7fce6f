"""Weights drawn from a law: the law of what is drawn, and where it comes from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.linalg import expm, solve
from scipy.stats import norm as normal

import simulate
import theory
from reports.init import WeightLaw, draw_layer, frobenius, law_of_data, law_of_setting, law_of_store, vectors_of
from reports.setting_file import load
from simulate.aligned_draws import draw_weights
from tests.oracles.statistics import FALSE_ALARM, assert_second_moment, second_moment_test
from theory.errors import InvalidInput, NoClosedForm
from theory.linear.shape import flow_peak
from theory.misalignment import misalignment_squared, null_floor

# ---- what is drawn


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
    np.testing.assert_allclose(draw_layer(law, (50, 4), norm=3.5, seed=7), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 4), (37, 4), (5, 1, 2, 2), (5, 2, 2), (3, 4, 1, 1)])
@pytest.mark.parametrize("norm", [None, 1e-20, 12.0, 1e20])
def test_shapes_and_norms(shape, norm):
    w = draw_layer(WeightLaw(np.diag([1e-300, 1.0, 2.0, 1e200]), "", ""), shape, norm=norm)
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
    assert np.array_equal(draw_layer(law, (8, 4), seed=5), draw_layer(law, (8, 4), seed=5))
    assert not np.array_equal(draw_layer(law, (8, 4), seed=5), draw_layer(law, (8, 4), seed=6))


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


# ---- where the covariance comes from


@pytest.mark.parametrize(("time", "initial"), [(None, 0.0), (0.3, 0.0), (2.5, 0.4), (40.0, 3.0)])
@pytest.mark.parametrize("center", [False, True])
def test_the_law_of_data_is_that_of_gradient_flow(rows, time, initial, center):
    """The law is that of w_T = P w_0 + A⁻¹(1 − P) X'y/n with P = exp(−AT).

    P is the exponential of a matrix, and the rest a linear solve.
    """
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


def test_a_closed_form_gives_the_whole_matrix(sources):
    setting = load(sources / "fixed.toml")
    law = law_of_setting(setting, (9, 3))
    reading = theory.predict(setting, rows=simulate.rows(setting)).readings[-1]
    np.testing.assert_array_equal(law.covariance, reading.second_moment)
    assert (law.formula, law.explanation) == ("linear-full-batch", "closed form (exact) after step 8")


def test_a_closed_form_of_variances_is_put_into_the_eigenspaces_of_the_data(sources):
    """Σ_i τ_i P_i, the eigenspaces being those of the population, in the basis that the seed has drawn."""
    setting = load(sources / "online.toml")
    law = law_of_setting(setting, (9, 3))
    reading = theory.predict(setting).readings[-1]
    assert reading.second_moment is None
    assert reading.multiplicity == (2, 1)
    moment = simulate.population(setting).second_moment
    spaces = theory.eigenspaces(moment)
    expected = sum(tau * p for tau, p in zip(reading.tau, spaces.projectors, strict=True))
    np.testing.assert_allclose(law.covariance, expected, atol=1e-13)
    assert np.abs(moment - np.diag(np.diag(moment))).max() > 0.1


def test_without_a_closed_form_an_ensemble_is_simulated(sources):
    setting = load(sources / "network.toml")
    law = law_of_setting(setting, (9, 3), replicas=10)
    reading = simulate.run(setting, replicas=10).readings[-1]
    np.testing.assert_array_equal(law.covariance, reading.second_moment)
    assert law.formula == "simulated"
    assert law.explanation == "no closed form applies: Σ_w of 10 simulated networks after step 4"
    with pytest.raises(NoClosedForm):
        law_of_setting(setting, (9, 3), formula="linear-full-batch")


def test_a_store_gives_its_ensemble(sources):
    setting = load(sources / "network.toml")
    simulation = simulate.run(setting, replicas=20, store=sources / "runs")
    law = law_of_store(sources / "runs", (9, 3))
    np.testing.assert_array_equal(law.covariance, simulation.readings[-1].second_moment)
    assert law.explanation == "Σ_w of 20 simulated networks after step 4"


@pytest.mark.parametrize(
    ("covariance", "why"),
    [(np.diag([1.0, 1.0, -0.1]), "negative variance"), (np.full((3, 3), np.nan), "must be finite")],
)
def test_predictions_that_are_no_law(sources, monkeypatch, covariance, why):
    setting = load(sources / "fixed.toml")
    prediction = theory.predict(setting, rows=simulate.rows(setting))
    wrong = replace(prediction.readings[-1], second_moment=covariance)
    monkeypatch.setattr(theory, "predict", lambda *_, **__: replace(prediction, readings=(wrong,)))
    with pytest.raises(InvalidInput, match=why):
        law_of_setting(setting, (9, 3))


def test_draws_that_are_refused():
    with pytest.raises(InvalidInput, match="must have 4 numbers a vector"):
        draw_layer(WeightLaw(np.eye(4), "", ""), (3, 2))
    with pytest.raises(InvalidInput, match="seed = -1"):
        draw_layer(WeightLaw(np.eye(4), "", ""), (3, 4), seed=-1)
    assert vectors_of((5, 2, 3, 4)) == (5, 24)
