"""What is predicted, trained and compared for a setting, and how it is shown that this takes long."""

from __future__ import annotations

import inspect
from types import TracebackType
from typing import Any

import numpy as np
import pytest

import simulate
import theory
from reports.judging import measured_order, scaling
from reports.judging import verify as module
from reports.judging.changes import from_start
from reports.judging.verify import fixed_rows, population_mean, predict, verify
from theory.announce import tell
from theory.setting import Data, Ensemble, Network, Setting, Training

SETTING = Setting(
    data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=12, fixed=True),
    network=Network(init_variance=0.1),
    training=Training(learning_rate=0.1, steps=(2, 8)),
    ensemble=Ensemble(replicas=40, seed=11),
)
MEAN = (1.0, 0.0, 2.0)


def on(**data: Any) -> Setting:
    return Setting(data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), **data), training=SETTING.training)


def test_rows_are_those_that_replicas_share() -> None:
    np.testing.assert_array_equal(fixed_rows(SETTING), simulate.rows(SETTING))
    assert fixed_rows(on(samples=12)) is None


def test_a_mean_is_fixed_where_rows_are_drawn_from_a_law_that_has_one() -> None:
    np.testing.assert_array_equal(population_mean(on(samples=12, mean=MEAN)), simulate.population(on(mean=MEAN)).mean)
    assert population_mean(on(samples=12)) is None
    assert population_mean(SETTING) is None
    assert population_mean(on(samples=12, mean=MEAN, fixed=True)) is None


def test_a_setting_is_predicted_on_the_rows_that_are_trained_on() -> None:
    found, predicted = verify(SETTING), theory.predict(SETTING, rows=simulate.rows(SETTING))
    assert found.prediction.formula == predicted.formula
    for one, other in zip(found.prediction.readings, predicted.readings, strict=True):
        np.testing.assert_array_equal(one.tau, other.tau)
    simulation = simulate.run(SETTING)
    for one, other in zip(found.simulation.readings, simulation.readings, strict=True):
        np.testing.assert_array_equal(one.second_moments, other.second_moments)
    assert predict(SETTING, formula="linear-full-batch").formula == "linear-full-batch"


class Bar:
    """What is asked of a progress bar."""

    made: list[Bar]

    def __init__(self, **options: Any) -> None:
        self.options, self.n = options, 0
        self.total: int | None = None
        self.made.append(self)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def update(self, more: int) -> None:
        self.n += more


@pytest.mark.parametrize("progress", [False, True])
def test_the_runs_of_a_long_prediction_are_shown_after_a_second_where_that_is_asked_for(
    progress: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predicted(*_: Any, **__: Any) -> str:
        for done, most in ((1, 8), (3, 32)):
            tell(done, most)
            seen.append((Bar.made[0].n, Bar.made[0].total))
        return "prediction"

    seen: list[tuple[int, int | None]] = []
    Bar.made = []
    monkeypatch.setattr(module, "tqdm", Bar)
    monkeypatch.setattr(theory, "predict", predicted)
    assert predict(SETTING, progress=progress) == "prediction"
    assert seen == [(1, 8), (3, 32)]
    (bar,) = Bar.made
    assert bar.options == {"unit": " runs", "disable": None if progress else True, "leave": False, "delay": 1}


def test_nothing_is_shown_unless_it_is_asked_for() -> None:
    for each in (verify, predict, scaling.surrogate, measured_order.measure_order, measured_order.predict):
        assert inspect.signature(each).parameters["progress"].default is False


def test_options_reach_what_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    """The surrogate and its full size, the measured order, and the ensemble of a closed form."""
    seen: list[tuple[str, Any, dict[str, Any]]] = []

    def keep(name: str, result: Any = None) -> Any:
        def called(asked: Any, *_: Any, **options: Any) -> Any:
            seen.append((name, asked, options))
            return result

        return called

    monkeypatch.setattr(scaling, "surrogate", keep("surrogate"))
    monkeypatch.setattr(scaling, "compare", keep("compare"))
    monkeypatch.setattr(module.simulate, "run", keep("run"))
    setting = on(samples=12, mean=MEAN)
    verify(setting, formula="scaling", device="meta", progress=True)
    assert [name for name, _, _ in seen] == ["surrogate", "run", "compare"]
    assert [asked for _, asked, _ in seen[:2]] == [setting, from_start(setting)]
    assert [options for _, _, options in seen[:2]] == [{"device": "meta", "progress": True}] * 2
    np.testing.assert_array_equal(seen[2][2]["mean"], population_mean(setting))
    seen.clear()
    monkeypatch.setattr(measured_order, "predict", keep("measured"))
    predict(SETTING, formula="dmft-measured", progress=True)
    assert seen == [("measured", SETTING, {"progress": True})]


def test_a_measured_order_is_told_by_eigenspace(monkeypatch: pytest.MonkeyPatch) -> None:
    """τ ascends with the eigenvalue, whatever the order of the spectrum, and errors are shares of τ."""
    given = Setting(data=Data(kind="gaussian", spectrum=(2.0, 1.0, 3.0, 1.0), samples=12), training=SETTING.training)
    limit, correction = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([[0.0, 0.1, -0.2], [0.0, 0.0, 0.5]])
    remainder, bias = np.array([[0.15], [0.36]]), np.array([[0.01], [0.04]])
    found = measured_order.MeasuredOrder(limit, 0 * limit, bias, correction, 0 * limit, remainder, 2, 77)
    monkeypatch.setattr(measured_order, "measure_order", lambda *_, **__: found)
    predicted = measured_order.predict(given)
    for reading, tau, step in zip(predicted.readings, limit + correction, (2, 8), strict=True):
        np.testing.assert_allclose(reading.tau, tau)
        assert (reading.step, reading.multiplicity) == (step, (2, 1, 1))
    # what is declared of a reading, over its smallest τ
    budget, largest = max(0.16 / 1.0, 0.4 / 4.0), 0.5 / 6.5
    assert predicted.error_budget == found.error_budget == pytest.approx(budget)
    words = f"up to {budget:.1%} of τ, the declared error of a correction of up to {largest:.1%}"
    assert predicted.neglected[1] == words
    assert "in 77 replicas" in predicted.assumptions[1]
