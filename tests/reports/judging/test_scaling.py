"""The surrogate: its errors by a literal loop and by Welch's test, its own check, its verdicts, and its command."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from scipy import stats

import simulate
from reports.judging.changes import Moved, from_start, movements, relative
from reports.judging.rules import within_budget
from reports.judging.scaling import (
    ERROR_BUDGET,
    compare,
    predict,
    surrogate,
    warnings,
)
from reports.judging.verify import verify
from reports.views.verification import view
from tests.reports.command_line import run_quietly, write
from theory.setting import Data, Ensemble, InvalidInput, Labels, Network, Setting, Training

SETTING = Setting(
    data=Data(kind="gaussian", spectrum=(0.2, 0.2, 1.0, 1.0, 3.0, 3.0), samples=320),
    labels=Labels(kind="classes"),
    network=Network(kind="mlp", hidden=(64, 32), bias=True),
    training=Training(loss="cross-entropy", learning_rate=0.01, momentum=0.9, batch_size=20, steps=64),
    ensemble=Ensemble(replicas=8, dtype="float32"),
)


@pytest.fixture(scope="module")
def found():
    return surrogate(SETTING, factors=(2, 4))


@pytest.fixture(scope="module")
def full():
    return simulate.run(from_start(SETTING))


def moved(change, error, blocks=40, step=1):
    return Moved(step, 1.0, np.asarray(change, dtype=float), np.asarray(error, dtype=float), blocks)


def test_what_moved_is_a_loop_over_replicas():
    setting = msgspec.structs.replace(SETTING, ensemble=Ensemble(replicas=5, seed=3))
    simulation = simulate.run(from_start(setting))
    values, vectors = np.linalg.eigh(simulate.population(setting).second_moment)
    changes = []
    for replica in range(5):
        inputs = simulate.replica_inputs(setting, [replica])
        before, after = (w[0].numpy() @ vectors for w in (inputs.parameters[0], simulate.train(setting, inputs)[64][0]))
        each = (after**2).mean(axis=0) - (before**2).mean(axis=0)
        changes.append([each[np.isclose(values, s)].mean() for s in (0.2, 1.0, 3.0)])
    start, last = movements(simulation)
    assert not start.change.any()
    np.testing.assert_allclose(last.change, np.mean(changes, axis=0), rtol=1e-8)
    np.testing.assert_allclose(last.change_se, stats.sem(changes, axis=0), rtol=1e-8)
    np.testing.assert_allclose(last.tau, 1 / 6 + last.change)
    ntk = msgspec.structs.replace(setting.network, parametrization="ntk", init_variance=0.7)
    start = movements(simulate.run(from_start(msgspec.structs.replace(setting, network=ntk)), replicas=2))[0]
    assert start.initial == 0.7


def test_intervals_are_those_of_welch():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.3, 0.2, 7), rng.normal(0.1, 0.5, 12)
    error, half = relative(*(moved([x.mean()], [stats.sem(x)], len(x)) for x in (a, b)))
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    unit = 1 + b.mean()
    np.testing.assert_allclose([error[0] - half[0], error[0] + half[0]], np.array(interval) / unit)


def test_intervals_hold_simultaneously():
    """The intervals cover all of five directions in at least 95 % of 1000 draws, less six standard errors."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.0, 0.05, (2, 1000, 12, 5))
    covered = 0
    for x, y in zip(a, b, strict=True):
        error, half = relative(*(moved(z.mean(axis=0), stats.sem(z, axis=0), 12) for z in (x, y)))
        covered += bool(np.all(np.abs(error) <= half))
    assert covered / 1000 > 0.95 - 6 * np.sqrt(0.05 * 0.95 / 1000)


@pytest.mark.parametrize(
    ("error", "half", "diverged", "verdict"),
    [
        ([0.01, -0.02], [0.02, 0.02], 0, "holds"),
        ([0.01, -0.02], [0.02, 0.02], 1, "undecided"),
        ([0.01, -0.2], [0.02, 0.02], 0, "refuted"),
        ([0.01, 0.09], [0.02, 0.02], 0, "undecided"),
        ([0.0, np.nan], [0.02, 0.02], 0, "undecided"),
        ([0.0, 0.0], [0.02, np.nan], 0, "undecided"),
        ([0.0, 0.0], [0.0, 0.0], 0, "holds"),
    ],
)
def test_the_rule(error, half, diverged, verdict):
    assert within_budget(np.array(error), np.array(half), 0.1, diverged) == verdict


def test_one_replica_has_no_error_and_decides_nothing(full):
    lone = movements(simulate.run(from_start(SETTING), replicas=1))[-1]
    error, half = relative(lone, movements(full)[-1])
    assert within_budget(error, half, 10.0, 0) == "undecided"


def test_the_surrogate_is_labelled_and_says_what_it_leaves_out(found):
    prediction = predict(found)
    assert (prediction.formula, prediction.status, prediction.error_budget) == ("scaling", "asymptotic", ERROR_BUDGET)
    assert "not a closed form" in prediction.assumptions[0]
    assert any(found.agreement in text for text in prediction.assumptions)
    assert [reading.step for reading in prediction.readings] == [64]
    np.testing.assert_array_equal(prediction.readings[0].tau, found.readings[0].sizes[0].tau)
    assert found.replicas == (16, 32)
    # twice the replicas of half the rows, half the widths: the first layer is a quarter, the second an eighth
    weights, halved, quartered = 6 * 64 + 64 * 32 + 320, 6 * 32 + 32 * 16 + 160, 6 * 16 + 16 * 8 + 80
    assert found.saving == pytest.approx(weights * 64 / (2 * halved * 32 + 4 * quartered * 16))


def test_a_converged_surrogate_is_held_to_its_budget(found, full):
    reading = found.readings[0]
    assert found.agreement == "converged"
    assert compare(found, full).comparison[0].verdict == "holds"
    off = replace(reading.sizes[0], change=reading.sizes[0].change + 0.5 * reading.sizes[0].tau)
    planted = replace(found, readings=(replace(reading, sizes=(off, reading.sizes[1])),))
    wrong = compare(planted, full)
    assert wrong.comparison[0].verdict == "refuted"
    assert not wrong.convinced
    assert wrong.errors[0].interval[1] < -ERROR_BUDGET
    # its own check said no: it asserts nothing, right or wrong
    for agreement in ("not converged", "undecided"):
        withheld = replace(found, readings=(replace(reading, agreement=agreement),))
        assert withheld.agreement == agreement
        assert compare(withheld, full).comparison[0].verdict == "undecided"
    assert compare(replace(found, diverged=(0, 1)), full).comparison[0].verdict == "undecided"


def test_errors_of_both_sizes(found, full):
    verified = compare(found, full)
    measured = movements(full)[-1]
    assert [error.b for error in verified.errors] == [2, 4]
    for error, size in zip(verified.errors_at(64), found.readings[0].sizes, strict=True):
        off = (1 / 6 + measured.change) / (1 / 6 + size.change) - 1
        assert error.worst == pytest.approx(off[np.argmax(np.abs(off))])
        assert error.moved == pytest.approx(np.max(np.abs(measured.change)) * 6)
        assert error.rms == pytest.approx(np.sqrt(np.mean(off**2)))
        assert error.change == pytest.approx(
            np.linalg.norm(measured.change - size.change) / np.linalg.norm(measured.change)
        )
        assert error.interval[0] < error.worst < error.interval[1]
    assert len(verified.simulation.readings) == len(verified.estimates) == 1


def test_sizes_that_differ_do_not_converge():
    """The rates of one size planted wrong: far more updates than proportions allow must be seen by the check."""
    longer = msgspec.structs.replace(SETTING.training, steps=1600)
    later = surrogate(msgspec.structs.replace(SETTING, training=longer), factors=(2, 8))
    assert later.agreement == "not converged"
    assert np.max(np.abs(later.readings[0].difference)) > 0.2


@pytest.mark.parametrize(
    ("setting", "b", "words"),
    [
        (SETTING, 2, ()),
        (SETTING, 4, ("a layer has only 8 neurons",)),
        (SETTING, 16, ("a layer has only 2 neurons", "a batch of 20 holds most of the 20 rows")),
        (
            msgspec.structs.replace(SETTING, data=msgspec.structs.replace(SETTING.data, samples=640)),
            2,
            ("n = 640 exceeds 12 d² = 432",),
        ),
        (msgspec.structs.replace(SETTING, data=msgspec.structs.replace(SETTING.data, samples=432)), 2, ()),
        (
            msgspec.structs.replace(SETTING, network=msgspec.structs.replace(SETTING.network, hidden=(64, 30))),
            2,
            ("a layer has only 15 neurons",),
        ),
    ],
)
def test_warnings(setting, b, words):
    given = warnings(setting, 6, b)
    assert len(given) == len(words)
    assert all(text.startswith(word) for text, word in zip(given, words, strict=True))


def test_diverged_replicas_warn():
    assert warnings(SETTING, 6, 2, diverged=3) == ("3 of the smaller networks diverged",)


@pytest.mark.parametrize("factors", [(4,), (4, 4), (8, 4), (1, 4), (2, 4, 8)])
def test_factors_are_two_and_ascend(factors):
    with pytest.raises(InvalidInput, match="factors"):
        surrogate(SETTING, factors=factors)


def test_nothing_is_trained_where_a_size_does_not_fit(monkeypatch):
    monkeypatch.setattr("reports.judging.scaling.run_shrunken", lambda *a, **k: pytest.fail("trained"))
    with pytest.raises(InvalidInput, match=r"training.steps = 64: must be divisible by b = 3"):
        surrogate(SETTING, factors=(2, 3))
    with pytest.raises(InvalidInput, match="replicas = 0"):
        surrogate(SETTING, replicas=0)


TOML = """
[data]
kind = "gaussian"
spectrum = [0.5, 0.5, 2.0, 2.0]
samples = 160
[labels]
kind = "classes"
[network]
kind = "mlp"
hidden = [32]
[training]
loss = "cross-entropy"
learning_rate = 0.01
batch_size = 10
steps = {steps}
[ensemble]
replicas = 6
"""


def command(capfd, tmp_path, name, *arguments, steps=32):
    return run_quietly(capfd, name, write(tmp_path, TOML.format(steps=steps)), *arguments, "--formula", "scaling")


def test_verify_by_command_gives_the_contract(capfd, tmp_path):
    status, out, _ = command(capfd, tmp_path, "verify", "--json")
    record = json.loads(out)
    assert list(record) == ["prediction", "simulation", "comparison", "surrogate", "errors"]
    assert record["prediction"]["formula"] == "scaling"
    assert record["prediction"]["status"] == "asymptotic"
    assert record["prediction"]["neglected"]
    assert record["surrogate"]["factors"] == [4, 8]
    assert len(record["surrogate"]["readings"][0]["tau"]) == 2
    assert [error["b"] for error in record["errors"]] == [4, 8]
    assert {"worst", "change", "change_noise", "interval"} <= set(record["errors"][0])
    assert status == (0 if record["comparison"][0]["verdict"] == "holds" else 1)
    assert record["simulation"]["replicas"] == 6


def test_the_commands_say_that_it_is_a_surrogate(capfd, tmp_path):
    for name in ("predict", "verify"):
        _, out, _ = command(capfd, tmp_path, name)
        assert "a surrogate, not a closed form" in out
    assert "convergence check (both sizes within 5%)" in out


def test_bad_proportions_are_bad_input(capfd, tmp_path):
    status, out, err = command(capfd, tmp_path, "verify", "--json", steps=33)
    assert status == 2
    assert json.loads(out)["key"] == "training.steps"
    assert len(err.splitlines()) == 1


def test_nothing_is_decided_where_all_diverge_or_nothing_was_there():
    hot = Setting(
        data=Data(kind="gaussian", spectrum=(0.5, 2.0), samples=32),
        network=Network(kind="mlp", hidden=(32,), activation="identity"),
        training=Training(batch_size=4, learning_rate=1e9, steps=80),
        ensemble=Ensemble(replicas=1),
    )
    verified = verify(hot, formula="scaling")
    assert verified.diverged == 13
    assert verified.surrogate.agreement == verified.comparison[0].verdict == "undecided"
    assert json.loads(view(verified).as_json())["errors"][0]["worst"] is None
    assert "nothing can hold" in view(verified).as_text()
    dead = msgspec.structs.replace(
        hot,
        network=Network(kind="mlp", hidden=(32,), init_variance=(0.0, 1.0)),
        training=Training(batch_size=4, steps=8),
        ensemble=Ensemble(replicas=2),
    )
    still = verify(dead, formula="scaling")
    assert (still.comparison[0].verdict, still.errors[0].worst) == ("holds", 0.0)
    assert json.loads(view(still).as_json())["errors"][0]["moved"] == 0


def test_other_formulas_know_nothing_of_it():
    linear = Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=8, fixed=True))
    assert not hasattr(verify(linear), "surrogate")


def test_errors_have_the_noise_of_both_ensembles(found, full):
    verified = compare(found, full)
    measured = movements(full)[-1]
    for error, size in zip(verified.errors_at(64), found.readings[0].sizes, strict=True):
        noise = np.sqrt(measured.change_se**2 + size.change_se**2)
        off, half = relative(measured, size)
        worst = int(np.argmax(np.abs(off)))
        assert error.worst_se == pytest.approx(noise[worst] / size.tau[worst])
        assert error.noise == pytest.approx(np.sqrt(np.mean((noise / size.tau) ** 2)))
        assert error.change_noise == pytest.approx(np.linalg.norm(noise) / np.linalg.norm(measured.change))
        assert error.interval == pytest.approx((np.min(off - half), np.max(off + half)))
        parts = np.array([measured.change_se[worst], size.change_se[worst]]) ** 2
        degrees = parts.sum() ** 2 / np.sum(parts**2 / [measured.blocks - 1, size.blocks - 1])
        assert error.degrees == pytest.approx(degrees)
        assert error.largest == abs(error.worst)
    larger = found.readings[0].sizes[0]
    z = np.abs(measured.change - larger.change) / np.hypot(measured.change_se, larger.change_se)
    assert verified.comparison[0].max_abs_z == pytest.approx(z.max())
    assert verified.comparison[0].max_relative_error == verified.errors[0].largest


def test_two_batches_of_the_smallest_network_are_enough():
    assert [text.split(" at ")[0] for text in warnings(SETTING, 6, 8)] == ["a layer has only 4 neurons"]
