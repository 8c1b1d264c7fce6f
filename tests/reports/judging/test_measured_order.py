"""The limit of many directions with its error measured at fractions of the size: the algebra, and networks."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

import simulate
from reports.judging import measured_order
from reports.judging.changes import from_start, movements
from reports.judging.fewer_directions import fewer_directions
from reports.judging.measured_order import MeasuredOrder, measure_order, smoothing, smoothing_of, weights_of
from reports.judging.verify import verify
from reports.views.verification import view
from simulate.results import Simulation
from tests.theory.network.dmft.problems import problem, setting, spiked
from theory.errors import NoClosedForm
from theory.network.dmft.average import Average
from theory.network.dmft.form import BIAS, Solved
from theory.network.dmft.levels import levels_of
from theory.network.dmft.problem import problem_of
from theory.setting import Ensemble, Setting

TWO = (0.5,) * 20 + (1.5,) * 20


def test_what_is_refused() -> None:
    with pytest.raises(NoClosedForm, match="half as many tell the order"):
        measure_order(setting(24, 80, 2))
    given = setting(40, 80, 2)
    adam = msgspec.structs.replace(given, training=msgspec.structs.replace(given.training, optimizer="adam"))
    with pytest.raises(NoClosedForm, match=r"training\.optimizer"):
        measure_order(adam)


def test_smoothing_is_a_polynomial_without_a_constant() -> None:
    small, large = np.linspace(1.0, 3.0, 6), np.linspace(0.9, 3.2, 9)
    matrix = smoothing(small, np.array([1, 2, 1, 1, 3, 1]), large)
    np.testing.assert_allclose(matrix @ (small - 0.5 * small**3), large - 0.5 * large**3, rtol=1e-10)
    np.testing.assert_allclose(smoothing(np.array([1.0, 3.0]), np.ones(2), np.array([1.0, 3.0])), np.eye(2), atol=1e-12)
    np.testing.assert_allclose(smoothing(np.array([2.0]), np.ones(1), np.array([1.0, 3.0])), [[0.5], [1.5]])


def test_explicit_directions_keep_their_own_gap() -> None:
    small, full = (replace(problem(d, 4 * d, 3, spectrum=spiked(d, 0.3)), explicit=1) for d in (21, 41))
    matrix = smoothing_of(small, full)
    np.testing.assert_allclose(matrix[:-1, :-1] @ small.eigenvalues[:-1], full.eigenvalues[:-1])
    np.testing.assert_array_equal(matrix[-1], np.eye(21)[-1])
    np.testing.assert_array_equal(matrix[:, -1], np.eye(41)[-1])


@pytest.mark.parametrize("ratios", [[2.0], [2.0, 4.0], [2.0, 3.75], [15 / 7, 5.0]])
def test_weights_take_off_as_many_orders_as_there_are_sizes(ratios: list[float]) -> None:
    """D_p = p x + p² y + p³ z: x from one size, x + y from two; of the next term (p − 1)(q − 1) is left."""
    for order in range(1, 4):
        found = sum(weight * p**order for weight, p in zip(weights_of(ratios), ratios, strict=True))
        if order <= len(ratios):
            assert found == pytest.approx(1)
        elif order == len(ratios) + 1:
            assert abs(found - 1) == pytest.approx(np.prod([p - 1 for p in ratios]))


def by_hand(monkeypatch: pytest.MonkeyPatch, shares: dict[int, float], draws: dict[int, int] | None = None) -> None:
    """Limits put in by hand: 1 + share, in units of the initial variance, by the number of rows."""

    def found(asked: Setting, explicit: int | None = None) -> Solved:
        given = problem_of(asked)
        given = given if explicit is None else replace(given, explicit=explicit)
        ones, count = given.s0 * np.ones((2, len(given.eigenvalues))), (draws or {}).get(given.samples, 4)
        deviations = 0.01 * np.array([1.0, 2.0])[:, None] * np.repeat(ones[None], count, axis=0) / np.sqrt(count)
        error = np.linalg.norm(deviations, axis=0)
        average = Average(ones, shares[given.samples] * ones, error, count, ones, past=0.2, deviations=deviations)
        return Solved(given, levels_of(given.eigenvalues, given.multiplicity, 99), average)

    monkeypatch.setattr(measured_order, "solved", found)


def test_three_quarters_of_one_gap_less_an_eighth_of_the_other_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    given = setting(40, 80, 2, spectrum=TWO, rate=40.0, steps=(2, 4))

    def found(full: float, half: float, quarter: float) -> MeasuredOrder:
        by_hand(monkeypatch, {80: full, 40: half, 20: quarter})
        return measure_order(given, replicas=600)

    plain, other = found(0.3, 0.0, 0.0), found(0.3, 0.2, 0.4)
    assert (plain.order, plain.replicas) == (2, 1200)
    np.testing.assert_allclose(plain.limit, 1.3)
    np.testing.assert_allclose(plain.correction - other.correction, 0.75 * 0.2 - 0.4 / 8)
    # what all sizes share cancels: 1 - 3/4 + 1/8 of it is left
    np.testing.assert_allclose(plain.limit_error, 0.375 * np.array([[0.01, 0.01], [0.02, 0.02]]))
    np.testing.assert_allclose(plain.limit_bias, 0.375 * BIAS * 0.2**2 * 0.3)
    ensemble = Ensemble(replicas=1200, seed=77)
    moved = []
    for parts in (2, 4):
        fewer = fewer_directions(given, parts).setting
        *_, last = movements(simulate.run(from_start(msgspec.structs.replace(fewer, ensemble=ensemble))))
        moved.append((last.change / parts, last.change_se / parts))
    (half, half_se), (quarter, quarter_se) = moved
    error = np.hypot(plain.correction_error[-1], np.hypot(0.75 * half_se, quarter_se / 8))
    assert np.all(np.abs(plain.correction[-1] - 0.75 * half + quarter / 8) < 6 * error)
    assert np.all(np.abs(plain.correction[-1]) > 12 * error)


def test_draws_that_sizes_do_not_share_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand(monkeypatch, {80: 0.3, 40: 0.0, 20: 0.0}, draws={20: 8})
    found = measure_order(setting(40, 80, 2, spectrum=TWO, steps=(2, 4)), replicas=20)
    np.testing.assert_allclose(found.limit_error, 1.875 * np.array([[0.01, 0.01], [0.02, 0.02]]))


def test_one_order_where_a_quarter_is_too_small_or_diverges(monkeypatch: pytest.MonkeyPatch) -> None:
    """29 directions leave 7 of a quarter; 30 leave 8, two orders, unless one of its networks diverges."""
    few = setting(29, 80, 2, spectrum=(1.0,) * 29, steps=(2, 4))
    by_hand(monkeypatch, {80: 0.3, 40: 0.0, 39: 0.0, 21: 0.0})
    one = measure_order(few, replicas=20)
    assert (one.order, one.replicas) == (1, 20)
    assert measure_order(setting(30, 80, 2, spectrum=(1.0,) * 30, steps=(2, 4)), replicas=20).order == 2
    run = measured_order.simulate.run

    def diverging(asked: Setting, **keys: object) -> Simulation:
        return replace(run(asked, **keys), diverged=3 if len(asked.data.spectrum) == 8 else 0)

    monkeypatch.setattr(measured_order.simulate, "run", diverging)
    assert measure_order(setting(30, 80, 2, spectrum=(1.0,) * 30, steps=(2, 4)), replicas=20).order == 1


def test_where_directions_dominate_one_order_is_measured_and_all_of_it_declared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """41 directions, of which one dominates: 20 and that one are measured, each against its own limit."""
    still = setting(41, 80, 2, spectrum=spiked(41, 0.3), rate=1e-9, steps=(2, 4))
    by_hand(monkeypatch, {80: 0.3, 40: -0.2})
    found = measure_order(still, replicas=20)
    assert found.order == 1
    np.testing.assert_allclose(found.correction[:, -1], 0.1, atol=1e-6)
    np.testing.assert_allclose(found.remainder, np.abs(found.correction).max(axis=1, keepdims=True))


@pytest.mark.parametrize(("rows", "order"), [(256, 2), (260, 1)])
def test_a_quarter_has_no_more_rows_than_its_directions_squared(
    rows: int, order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """32 directions: 8² = 64 rows, and 65."""
    by_hand(monkeypatch, {rows: 0.3, rows // 2: 0.0, rows // 4: 0.0})
    assert measure_order(setting(32, rows, 2, spectrum=(1.0,) * 32, steps=(2, 4)), replicas=20).order == order


@pytest.mark.parametrize(("x", "y"), [(0.04, 0.002), (0.04, -0.03), (-0.01, 0.0), (0.01, 0.03)])
def test_what_is_declared_of_the_terms_that_are_left_out(x: float, y: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that hardly move, and limits off by p x + p² y: 3 ρ max(|y|, ρ |x|), ρ = 4 · 1.5/40 or |y/x| ≤ 1."""
    still = setting(40, 80, 2, spectrum=TWO, rate=1e-9, steps=(2, 4))
    by_hand(monkeypatch, {80: 0.3, 40: -2 * x - 4 * y, 20: -4 * x - 16 * y})
    found = measure_order(still, replicas=20)
    np.testing.assert_allclose(found.correction, x + y, atol=1e-6)
    rate = max(0.15, min(abs(y / x), 1.0))
    np.testing.assert_allclose(found.remainder, 3 * rate * max(abs(y), rate * abs(x)), atol=1e-6)


@pytest.mark.parametrize("y", [0.25, 0.0])
def test_a_second_order_without_a_first_one_is_declared_whole(y: float) -> None:
    """Where x is 0 the ratio |y/x| is 1, its bound: 3 |y| is declared, without a division by 0."""
    gaps = [SimpleNamespace(ratio=p, mean=np.full((1, 3), p * p * y)) for p in (2.0, 4.0)]
    still = SimpleNamespace(explicit=0, largest_share=0.01)
    np.testing.assert_array_equal(measured_order._remainder(still, gaps), [[3 * y]])


def test_three_quarters_of_a_single_correction_are_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    still = setting(28, 80, 2, spectrum=(0.5,) * 14 + (1.5,) * 14, rate=1e-9, steps=(2, 4))
    by_hand(monkeypatch, {80: 0.3, 40: -0.2})
    found = measure_order(still, replicas=20)
    assert found.order == 1
    np.testing.assert_allclose(found.correction, 0.1, atol=1e-6)
    np.testing.assert_allclose(found.remainder, 0.075, atol=1e-6)


def test_the_declared_error() -> None:
    """The remainder, the bias, and three standard errors, of each τ."""
    found = MeasuredOrder(
        limit=np.array([[1.0, 2.0]]),
        limit_error=np.array([[0.03, 0.0]]),
        limit_bias=np.array([[0.02]]),
        correction=np.array([[0.1, -0.2]]),
        correction_error=np.array([[0.04, 0.01]]),
        remainder=np.array([[0.15]]),
        order=2,
        replicas=8,
    )
    assert found.error_budget == pytest.approx((0.15 + 0.02 + 0.15) / 1.1)
    np.testing.assert_allclose(found.tau, [[1.1, 1.8]])
    assert replace(found, correction=-found.correction).error_budget > found.error_budget


def test_it_is_a_formula_of_its_own() -> None:
    given = setting(40, 80, 1, spectrum=TWO, rate=10.0, steps=2)
    given = msgspec.structs.replace(given, ensemble=Ensemble(replicas=60))
    verified = verify(given, formula="dmft-measured")
    prediction = verified.prediction
    assert (prediction.formula, prediction.status) == ("dmft-measured", "asymptotic")
    assert prediction.assumptions[0].startswith("a surrogate, not a closed form")
    assert 0 < prediction.error_budget < 0.1
    assert verified.comparison[0].verdict != "refuted"
    assert "a surrogate" in view(verified).as_text()
    assert json.loads(view(verified).as_json())["prediction"]["formula"] == "dmft-measured"


@pytest.mark.slow
def test_it_is_nearer_to_networks_than_the_limit() -> None:
    """tanh, three classes, shuffled batches, d = 32: the error of Δτ is halved at least, within what is declared."""
    given = setting(
        32,
        128,
        3,
        rate=25.6,
        steps=16,
        activation="tanh",
        loss="cross-entropy",
        momentum=0.5,
        batch_size=32,
        spectrum=tuple(np.repeat((0.4, 0.8, 1.2, 1.6), 8)),
    )
    found = measure_order(given)
    full = msgspec.structs.replace(given, ensemble=Ensemble(replicas=6000, seed=5))
    *_, last = movements(simulate.run(from_start(full)))
    gaps = [np.linalg.norm(tau[-1] - last.tau) for tau in (found.limit, found.tau)]
    assert gaps[1] < 0.6 * gaps[0], gaps
    assert np.all(np.abs(found.tau[-1] - last.tau) < found.error_budget * last.tau + 6 * last.change_se)


def test_smoothing_is_a_cubic_at_most_and_eigenvalues_count_by_their_multiplicity() -> None:
    small, sizes = np.linspace(1.0, 3.0, 6), np.array([1, 2, 1, 1, 3, 1])
    values, at = small * np.exp(small), np.linspace(0.9, 3.2, 9)
    fitted = at * np.polyval(np.polyfit(small, values / small, 2, w=np.sqrt(sizes) * small), at)
    np.testing.assert_allclose(smoothing(small, sizes, at) @ values, fitted, rtol=1e-9)


class Trained(Exception):
    """The ensemble that was to be trained."""


def trained(given: Setting, monkeypatch: pytest.MonkeyPatch, **options: int) -> Setting:
    def run(asked: Setting, **_: object) -> None:
        raise Trained(asked)

    monkeypatch.setattr(measured_order.simulate, "run", run)
    with pytest.raises(Trained) as found:
        measure_order(given, **options)
    asked = found.value.args[0]
    assert isinstance(asked, Setting)
    return asked


def test_networks_of_half_the_size_with_another_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    given = setting(40, 80, 2, spectrum=TWO, steps=(2, 4))
    for options, replicas in (({}, 10_000), ({"replicas": 7}, 7)):
        asked = trained(given, monkeypatch, **options)
        assert asked.ensemble.replicas == replicas
        assert asked.ensemble.seed != given.ensemble.seed
        assert asked.training.readings == (0, 2, 4)
        assert asked.data == fewer_directions(given, 2).setting.data


def test_twenty_directions_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    flat = setting(20, 80, 2, spectrum=(1.0,) * 20)
    assert len(trained(flat, monkeypatch).data.spectrum) == 10
    with pytest.raises(NoClosedForm, match="only 18 effective directions; half as many tell the order 1/d from 20 on"):
        measure_order(setting(18, 80, 2, spectrum=(1.0,) * 18))


def test_updates_that_are_joined_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured_order, "stepping", lambda problem: 2)
    with pytest.raises(NoClosedForm, match="is too long: updates are compared one by one"):
        measure_order(setting(40, 80, 2, spectrum=TWO))


def test_networks_of_half_the_size_that_diverge_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    run = measured_order.simulate.run
    monkeypatch.setattr(measured_order.simulate, "run", lambda *a, **k: replace(run(*a, **k), diverged=3))
    with pytest.raises(NoClosedForm, match="is too large: 3 of 5 networks of half the size have diverged"):
        measure_order(setting(40, 80, 1, spectrum=TWO, steps=1), replicas=5)
