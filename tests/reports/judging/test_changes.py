"""Changes of the weights from their start, and two ensembles held against each other: by plain loops."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_ind_from_stats

import simulate
from reports.judging.changes import Moved, from_start, movements, over, relative
from theory.errors import InvalidInput
from theory.setting import Data, Network, Setting, Training


def setting_of(parametrization: str = "standard", **training: object) -> Setting:
    return Setting(
        data=Data(kind="gaussian", spectrum=(1.0, 2.0, 2.0), samples=5, rotate=False),
        network=Network(init_variance=0.6, parametrization=parametrization),
        training=Training(**{"learning_rate": 0.1, "steps": (3, 7), **training}),
    )


def test_a_setting_is_read_from_the_start() -> None:
    assert from_start(setting_of()).training.readings == (0, 3, 7)
    assert from_start(setting_of(steps=(0, 2))).training.readings == (0, 2)
    assert from_start(setting_of(steps=0)).training.readings == (0,)


@pytest.mark.parametrize(("parametrization", "initial"), [("standard", 0.2), ("ntk", 0.6)])
def test_each_replica_is_held_against_its_own_start(parametrization: str, initial: float) -> None:
    """Changes along the axes, their mean and error, come from the blocks' second moments, weighted by counts."""
    simulation = simulate.run(from_start(setting_of(parametrization)), replicas=50)
    start, *later = simulation.readings
    found = movements(simulation)
    assert [moved.step for moved in found] == [0, 3, 7]
    np.testing.assert_array_equal(found[0].change, 0.0)
    np.testing.assert_array_equal(found[0].change_se, 0.0)
    for moved, reading in zip(found[1:], later, strict=True):
        blocks = []
        for before, after in zip(start.second_moments, reading.second_moments, strict=True):
            change = np.diag(np.asarray(after) - np.asarray(before))
            blocks.append([change[0], (change[1] + change[2]) / 2])
        counts, values = np.asarray(reading.counts), np.array(blocks)
        mean = counts @ values / 50
        variance = sum(c * (v - mean) ** 2 for c, v in zip(counts, values, strict=True)) / (len(counts) - 1)
        np.testing.assert_allclose(moved.change, mean, rtol=1e-9)
        np.testing.assert_allclose(moved.change_se, np.sqrt(variance / 50), rtol=1e-9)
        assert moved.initial == pytest.approx(initial, rel=1e-15)
        assert moved.blocks == len(counts)
        np.testing.assert_allclose(moved.tau, initial + mean, rtol=1e-9)


def test_a_simulation_without_its_start_is_refused() -> None:
    simulation = simulate.run(setting_of(), replicas=4)
    with pytest.raises(InvalidInput, match=r"simulation.readings = 3: must begin with step 0"):
        movements(simulation)


def moved(change: list[float], error: list[float], blocks: int, initial: float = 0.5) -> Moved:
    return Moved(3, initial, np.array(change), np.array(error), blocks)


def test_two_ensembles_by_welchs_interval() -> None:
    """The half-width is where the p-value of scipy's unequal-variance test falls to 5 % over the eigenspaces."""
    one, two = moved([0.3, -0.1], [0.02, 0.05], 12), moved([0.1, 0.4], [0.04, 0.01], 7)
    error, half = relative(one, two)
    for k, divisor in enumerate((0.6, 0.9)):
        assert error[k] == pytest.approx((one.change[k] - two.change[k]) / divisor, rel=1e-12)
        answer = ttest_ind_from_stats(
            half[k] * divisor, one.change_se[k] * 12**0.5, 12, 0.0, two.change_se[k] * 7**0.5, 7, equal_var=False
        )
        assert answer.pvalue == pytest.approx(0.05 / 2, rel=1e-9)


def test_one_ensemble_that_is_exact_leaves_students_interval_of_the_other() -> None:
    one, two = moved([0.3], [0.02], 9), moved([0.1], [0.0], 1000)
    _, half = relative(one, two)
    assert half[0] == pytest.approx(student.isf(0.025, 8) * 0.02 / 0.6, rel=1e-12)


def test_what_does_not_move_has_no_discrepancy_and_no_interval() -> None:
    error, half = relative(moved([0.0, 0.2], [0.0, 0.0], 5), moved([0.0, 0.1], [0.0, 0.0], 5))
    np.testing.assert_allclose(error, [0.0, 0.1 / 0.6], rtol=1e-12)
    assert half.tolist() == [0.0, 0.0]


def test_a_single_block_leaves_nothing_to_judge_by() -> None:
    _, half = relative(replace(moved([0.3], [np.nan], 1)), moved([0.1], [0.01], 5))
    assert np.isnan(half).all()


def test_over() -> None:
    np.testing.assert_array_equal(
        over(np.array([0.0, 1.0, -3.0, 2.0]), np.array([0.0, 4.0, 2.0, 0.0])), [0, 0.25, -1.5, np.inf]
    )
    np.testing.assert_array_equal(over(np.array([0.0, 1.0]), 2.0), [0.0, 0.5])


def test_the_setting_of_a_movement_is_as_it_was() -> None:
    """The setting of a movement differs in its training alone, which is also read at the start."""
    setting = setting_of(momentum=0.3)
    assert msgspec.structs.replace(from_start(setting), training=setting.training) == setting


def test_it_is_the_first_layer_that_moves() -> None:
    setting = msgspec.structs.replace(setting_of(), network=Network(kind="mlp", hidden=(4,), init_variance=(0.6, 1.8)))
    start, *_ = movements(simulate.run(from_start(setting), replicas=3))
    assert start.initial == pytest.approx(0.2, rel=1e-15)
