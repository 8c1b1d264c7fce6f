"""The form in the catalogue: what it refuses, what comes before it, what it declares, and the limits that it meets."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch

import simulate
import theory
from tests.theory.network.dmft.problems import problem, setting, spectrum
from theory.catalogue import candidates
from theory.errors import NoClosedForm
from theory.network import lazy
from theory.network.dmft import FORM
from theory.network.dmft import form as module
from theory.network.dmft.average import Average, average, rounds, rows_needed, work_of
from theory.network.dmft.form import accuracy, cost, error_budget, refusal, stepping
from theory.network.dmft.solver import solve, traced
from theory.setting import Data, Ensemble, Network, Setting

SIGNS = np.array([[1.0], [-1.0], [1.0], [-1.0]])


def changed(**tables: dict) -> Setting:
    """The plain setting with keys of its tables replaced."""
    plain = setting()
    return msgspec.structs.replace(
        plain, **{table: msgspec.structs.replace(getattr(plain, table), **keys) for table, keys in tables.items()}
    )


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        ({"network": {"kind": "linear", "hidden": (), "init_variance": (1.0,)}}, "network.kind"),
        ({"network": {"hidden": (4, 4), "init_variance": 1.0}}, r"network.hidden = \[4, 4\]: this form is for one"),
        ({"network": {"init_spectrum": tuple(range(1, 21))}}, "network.init_spectrum"),
        ({"network": {"init_variance": (0.0, 1.0)}}, "network.init_variance"),
        ({"data": {"kind": "elliptical"}}, "data.kind = 'elliptical'"),
        ({"data": {"fixed": True}}, "data.fixed"),
        ({"data": {"mean": (1.0,) * 20}}, "data.mean"),
        ({"data": {"spectrum": (1.0,) * 10}}, "data.spectrum: only 10 effective directions"),
        ({"data": {"spectrum": (100.0, *(1.0,) * 10)}}, "data.spectrum: only 10 effective .* beside 1 that dominate"),
        (
            {"data": {"spectrum": (55.0, 44.0, 35.0, 28.0, 22.5, 18.0, 12.0, *(1.0,) * 60)}},
            "data.spectrum: one direction has 17% .* beside 6 that dominate",
        ),
        ({"data": {"samples": 10}}, "data.samples: only 10 rows"),
        ({"data": {"samples": 300}}, "data.samples: 300 rows for .* levels of degree 2 are learnt"),
        ({"network": {"hidden": (30,), "train": "all"}}, "network.hidden: 30 neurons for 80 rows"),
        ({"training": {"optimizer": "adam"}}, "training.optimizer"),
        ({"training": {"l1": 0.1}}, "training.l1"),
        (
            {"training": {"steps": 4000}},
            "training.steps: 4000 updates .* minutes of a core.* even if 16 are taken as one",
        ),
        ({"labels": {"kind": "teacher", "variance": 1.0}}, "labels.kind"),
    ],
)
def test_what_is_refused(tables: dict, why: str) -> None:
    with pytest.raises(NoClosedForm, match=why):
        theory.predict(changed(**tables), formula="network-dmft")


def test_other_forms_come_first() -> None:
    """Exact ones; those of linear networks and of the kernel limit; the form is chosen where none of them applies."""

    def first(given: Setting) -> str:
        return candidates(given)[0].name

    assert first(setting()) == "network-dmft"
    assert first(setting(steps=1, activation="relu")) == "network-first-step-averaged"
    assert first(setting(steps=(0, 1), activation="erf")) == "network-dmft"
    assert first(setting(fixed=True)) == "network-lazy"
    linear = msgspec.structs.replace(setting(), network=Network(parametrization="ntk"))
    assert "network-dmft" not in [form.name for form in candidates(linear)]


def test_a_prediction_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    given = setting(24, 60, 2, rate=2.0, steps=(0, 3))
    prediction, again = theory.predict(given), theory.predict(given)
    assert (prediction.formula, prediction.status, prediction.order) == ("network-dmft", "asymptotic", "1/d")
    start, moved = prediction.readings
    assert start.tau.tolist() == pytest.approx([1.0] * 24)
    np.testing.assert_array_equal(moved.tau, again.readings[1].tau)
    np.testing.assert_allclose(np.diag(moved.second_moment), moved.tau)
    np.testing.assert_allclose(moved.sigma**2, spectrum(24))
    turned = msgspec.structs.replace(
        given, data=Data(kind="gaussian", spectrum=spectrum(24)[::-1], samples=60, rotate=False)
    )
    reversed_ = theory.predict(turned).readings[1]
    np.testing.assert_allclose(reversed_.tau, moved.tau, rtol=1e-9)
    np.testing.assert_allclose(np.diag(reversed_.second_moment), moved.tau[::-1], rtol=1e-9)
    assert 0 < prediction.error_budget < 0.2
    monkeypatch.setattr(module, "LARGEST_SCATTER", 1e-6)
    with pytest.raises(NoClosedForm, match="to the draws of weights, more than"):
        theory.predict(given)


def test_the_budget_is_of_sizes_and_of_chance() -> None:
    """c max(λ_max/tr Σ, 1/n) of the largest |s_0² − remembered| + written, and three standard errors, over each τ."""
    found = Average(np.array([[0.9, 0.5]]), np.array([[0.1, 0.7]]), np.array([[0.01, 0.0]]), 32, np.ones((1, 2)))
    given = problem(20, 80, 4)
    share = 4.0 * max(spectrum(20)) / sum(spectrum(20))
    assert error_budget(given, found) == pytest.approx(max((share * 1.2 + 0.03) / 1.0, share * 1.2 / 1.2))
    few = replace(given, samples=5)
    assert error_budget(few, found) == pytest.approx(4.0 / 5 * 1.2 + 0.03)


def test_a_prediction_says_how_accurate_it_is() -> None:
    """The declared error, chance apart; with few directions, that small changes are less well known."""
    found = Average(np.array([[0.9, 0.5]]), np.array([[0.1, 0.7]]), np.array([[0.01, 0.0]]), 32, np.ones((1, 2)))
    few, many = accuracy(problem(20, 80, 4), found), accuracy(problem(80, 320, 4), found)
    assert few.startswith("in all up to 47.6% of τ (declared), including 3.0% for Monte Carlo noise; with 15.")
    assert "a quarter off" in few
    assert many.endswith("3.0% for Monte Carlo noise")


def test_what_a_prediction_costs() -> None:
    short, long = (problem(steps=steps) for steps in (10, 20))
    assert 4 < cost(long)[0] / cost(short)[0] < 9
    assert cost(problem(m=16, steps=40))[0] < module.LARGEST_WORK
    assert refusal(setting(m=16, steps=40)) is None
    assert traced(problem(batch_size=20)) == 4 * traced(problem())


@pytest.mark.parametrize("train", ["first", "all"])
def test_the_first_step_is_that_of_the_exact_form(train: str) -> None:
    """ReLU, averaged over output weights: within the budget, and within twice its share of chance of the change."""
    given = setting(60, 240, 4, rate=12.0, steps=(0, 1), activation="relu", train=train)
    exact = theory.predict(given)
    assert exact.formula == "network-first-step-averaged"
    found = theory.predict(given, formula="network-dmft")
    change, expected = (p.readings[1].tau - 1 for p in (found, exact))
    assert np.all(np.abs(change - expected) <= found.error_budget * (1 + expected))
    assert np.linalg.norm(change - expected) < 0.1 * np.linalg.norm(expected)


@pytest.mark.slow
def test_wide_networks_near_the_kernel_limit() -> None:
    """The form given the rows, averaged over draws of them: the relative difference falls with the width."""
    gaps = []
    for width in (4, 32):
        given = setting(40, 60, width, rate=3.0, steps=8, fixed=True, variance=1.0)
        draws = (msgspec.structs.replace(given, ensemble=Ensemble(replicas=1, seed=seed)) for seed in range(40))
        moments = [lazy.predict(draw, simulate.rows(draw)).readings[0].second_moment for draw in draws]
        limit = np.diag(np.mean(moments, axis=0)) - 1
        found = average(problem(40, 60, width, rate=3.0, steps=8, variance=1.0), (8,), seed=0).tau[0] - 1
        gaps.append(np.linalg.norm(found - limit) / np.linalg.norm(limit))
    assert gaps[0] > 1.5 * gaps[1], gaps
    assert gaps[1] < 0.1, gaps


def measured_change(given: Setting, replicas: int, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Δτ of trained networks of given output weights (m, C), and its standard error."""
    changes = []
    for start in range(0, replicas, 500):
        inputs = simulate.replica_inputs(given, range(start, start + 500))
        first, second = inputs.parameters
        inputs = replace(inputs, parameters=(first, torch.tensor(weights.T).expand_as(second).clone()))
        after = simulate.train(given, inputs)[given.training.readings[-1]][0]
        changes.append((after**2 - first**2).mean(dim=1).numpy())
    found = np.concatenate(changes)
    return found.mean(axis=0), found.std(axis=0) / np.sqrt(len(found))


@pytest.mark.slow
def test_the_error_falls_as_one_over_d() -> None:
    """erf, signs for output weights, n = 4d, t = 30, against networks: relative L2 error of Δτ at d = 10, 20 and 40.

    Without the noise of both: what the squares of the errors of the ensembles explain is taken off.
    """
    errors = []
    for d, replicas in ((10, 4000), (20, 4000), (40, 2500)):
        given = setting(d, 4 * d, 4, rate=0.15 * 4 * d, steps=30)
        found = replace(problem(d, 4 * d, 4, rate=0.15 * 4 * d, steps=30), explicit=0)  # its few directions at d = 10
        runs = np.array([solve(found, SIGNS, 30, count=4096, seed=seed).tau[-1] for seed in range(6)])
        change, error = measured_change(given, replicas, SIGNS)
        noise = np.sum(error**2) + np.sum(runs.var(axis=0, ddof=1) / 6)
        gap = np.sum((runs.mean(axis=0) - 1 - change) ** 2) - noise
        errors.append(np.sqrt(max(gap, 0.0)) / np.linalg.norm(change))
    scaled = np.array(errors) * [10, 20, 40]
    assert np.all((scaled > 0.8) & (scaled < 2.4)), scaled
    assert scaled.max() < 2 * scaled.min(), scaled


SMALL = {
    "both layers": (32, 128, 4, {"rate": 0.6, "steps": 40, "train": "all", "init_variance": (0.5, 1.0)}),
    "cross-entropy, shuffled, momentum": (
        32,
        128,
        4,
        {"rate": 12.0, "steps": 16, "loss": "cross-entropy", "activation": "relu", "momentum": 0.5, "batch_size": 32},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_networks_are_within_the_budget(name: str) -> None:
    d, n, m, keys = SMALL[name]
    given = setting(d, n, m, **keys)
    prediction = theory.predict(given)
    (reading,) = simulate.run(given, replicas=1500).readings
    tau, blocks = np.diag(reading.second_moment), np.array([np.diag(block) for block in reading.second_moments])
    error = blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks))
    excess = np.abs(tau - prediction.readings[0].tau) - prediction.error_budget * tau
    assert np.all(excess < 6 * error)


def test_the_form_is_in_the_catalogue() -> None:
    assert FORM in theory.FORMS


DOMINATED = (*(1.0,) * 40, 20.0)


@pytest.mark.parametrize(
    ("keys", "by"),
    [
        ({}, 1),
        ({"batch_size": 20}, 1),
        ({"train": "all"}, 1),
        ({"loss": "cross-entropy", "train": "all"}, 1),
        ({"samples": "online", "batch_size": 20, "sampling": "fresh"}, 1),
        ({"spectrum": DOMINATED}, 1),
        ({"spectrum": DOMINATED, "batch_size": 20}, 4),
    ],
)
def test_a_cost_is_the_sum_of_its_products(keys: dict, by: int) -> None:
    """Solves of k triangular systems, products with all rows, and of a trained output layer; what is kept of each.

    Once with all rows and once with half of them.
    """
    given = problem(41 if "spectrum" in keys else 20, 80, 3, steps=40, **keys)
    t, m, c = 40 // by, 3, 3 if keys.get("loss") else 1
    k = 2 if "spectrum" in keys else 16
    rows, fresh = rows_needed(given, t), keys.get("samples") == "online"
    work = 2 * 4 * k * (t * m) ** 3 / 3 + 1.5 * 4 * rows * (t * m) * (t * m)
    memory = 16 * rows * t * m + 8 * k * (t * m) ** 2
    if keys.get("train") == "all":
        work += 1.5 * 2 * rows * t * m * c * m * c
    if not fresh:
        work += 1.5 * min(rows, traced(given)) * (t * m) ** 2 * t
        memory += 4 * traced(given) * t * m * t
    runs = rounds(given)[-1] * (1 if by == 1 else 1.125) * (2 if "spectrum" in keys else 1)
    assert cost(given, by) == pytest.approx((runs * work, memory))


@pytest.mark.parametrize(("name", "place"), [("LARGEST_WORK", 0), ("LARGEST_MEMORY", 1)])
def test_updates_are_joined_where_single_ones_cost_too_much(
    name: str, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = problem(steps=40)
    assert (module.LARGEST_WORK, module.LARGEST_MEMORY, module.MOST_AS_ONE) == (4e12, 2**31, 16)
    for most, by in (
        (cost(given)[place], 1),
        (cost(given, 3)[place], 3),
        (cost(given, 3)[place] * 0.999, 4),
        (0.0, 16),
    ):
        monkeypatch.setattr(module, name, most)
        assert stepping(given) == by
    drawn = problem(steps=40, batch_size=20, sampling="fresh")  # a quarter of the rows: two batches are half of them
    assert stepping(drawn) == 2
    assert stepping(problem(steps=40, batch_size=20)) == 16
    assert refusal(setting(steps=40, batch_size=20, sampling="fresh")).endswith("even if 2 are taken as one")


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"spectrum": (1.0,) * 15}, None),
        ({"spectrum": (1.0,) * 14}, "data.spectrum: only 14 effective directions"),
        ({"spectrum": (1.0,) * 20, "samples": 15}, None),
        ({"spectrum": (1.0,) * 20, "samples": 14}, "data.samples: only 14 rows"),
        ({"spectrum": (1.0,) * 20, "samples": 400}, None),
        ({"spectrum": (1.0,) * 20, "samples": 401}, "data.samples: 401 rows for 20 effective directions"),
        ({"train": "all", "hidden": (20,)}, None),
        ({"train": "all", "hidden": (21,)}, "network.hidden: 21 neurons for 80 rows"),
    ],
)
def test_limits_of_the_form_themselves_are_inside(keys: dict, key: str | None) -> None:
    why = refusal(setting(len(keys.get("spectrum", (1.0,) * 20)), 80, 4, steps=1, **keys))
    assert why is None if key is None else str(why).startswith(key)


def test_directions_are_few_below_fifty() -> None:
    found = Average(np.array([[0.9]]), np.array([[0.1]]), np.array([[0.01]]), 32, np.ones((1, 1)))
    for count, few in ((49, True), (50, False)):
        assert ("a quarter off" in accuracy(problem(count, 80, 4, spectrum=(1.0,) * count), found)) == few


@pytest.mark.parametrize(("updates", "rows"), [(1, 1024), (25, 1024), (26, 2048), (51, 2048), (52, 4096)])
def test_rows_are_ten_times_the_past(updates: int, rows: int) -> None:
    """10 × 4 neurons × updates, and one output: a power of two that is not less."""
    assert rows_needed(problem(m=4), updates) == rows


def test_rows_are_fewer_where_a_run_would_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 updates of 4 neurons: 10, 5 or 2.5 times 400 and one, in powers of two."""
    given = problem(m=4)
    works = [work_of(given, 100, rows) for rows in (4096, 2048, 1024)]
    assert works == sorted(works, reverse=True)
    for affordable, rows in ((works[0], 4096), (works[0] - 1, 2048), (works[1], 2048), (works[1] - 1, 1024), (0, 1024)):
        monkeypatch.setattr("theory.network.dmft.average.AFFORDABLE", affordable)
        assert rows_needed(given, 100) == rows
