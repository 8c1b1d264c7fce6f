"""What is measured of networks on successive tasks, and the networks that predictions are about."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from scipy import stats

import simulate
from reports.claims.claim import Case, Context
from reports.claims.transfer.plasticity_effects import measure_plasticity, predicted_gains, slopes
from reports.claims.transfer.plasticity_judging import mean_of_means
from reports.claims.transfer.plasticity_points import ANEW, COMPARED, NONE, READ, TaskPoint
from simulate.devices import one_thread
from theory.errors import Diverged, InvalidInput
from theory.testing import paired_mean
from theory.transfer import linearised_training
from theory.transfer.training_transfer import mean_over_steps

POINT = TaskPoint(16, 1.0, 0.02)


@pytest.fixture(autouse=True)
def _small_products():
    """Run on one thread, on which small products are fastest."""
    with one_thread():
        yield


def case_of(point: TaskPoint, replicas: int = 3, **training) -> Case[TaskPoint]:
    task = point.task(replicas)
    task = msgspec.structs.replace(task, training=msgspec.structs.replace(task.training, **training))
    return Case("tiny", task, point, "outside")


def test_it_is_about_the_networks_that_are_trained():
    """Every replica's own networks, rows, labels and batches, one after the other; others give other numbers."""
    case = case_of(POINT)
    sequence = POINT.sequence(case.setting)
    measured = measure_plasticity(case, Context())
    found, found_loss = measured.predicted, measured.predicted_loss
    result = simulate.run_sequence(sequence, keep_starts=True)
    assert found.shape == (len(READ), 3)
    network, training = case.setting.network, case.setting.training

    def means(remedy, task, replica, of):
        inputs = simulate.task_inputs(sequence, task, [replica]).to(torch.device("cpu"), torch.float32)
        start = [w[of : of + 1, task] for w in result[remedy.name].starts]
        curves = linearised_training(network, training, start, inputs.x, inputs.y, batches=inputs.orders)
        read = (curves.train_accuracy, curves.train_loss)
        return np.array([mean_over_steps(training.readings, each.numpy())[0] for each in read])

    for k, number in enumerate(READ):
        for replica in range(3):
            new = means(ANEW, number - 1, replica, replica)
            own, other = (means(NONE, number - 1, replica, of) for of in (replica, (replica + 1) % 3))
            assert found[k, replica] == pytest.approx((own - new)[0], abs=1e-3)
            assert found_loss[k, replica] == pytest.approx((new - own)[1], abs=1e-3)
            assert (own != other).all()


def test_effects_are_those_of_the_sequence():
    case = case_of(POINT)
    found, result = measure_plasticity(case, Context()), simulate.run_sequence(POINT.sequence(case.setting))
    for q, remedy in enumerate(("none", "anew")):
        np.testing.assert_array_equal(found.accuracy[q], result[remedy].end_accuracy)
        np.testing.assert_array_equal(found.mean_accuracy[q], result[remedy].mean_accuracy())
        np.testing.assert_array_equal(found.alive[q], result[remedy].alive[:, :, 1])
        for replica in range(3):
            line = np.polyfit(np.arange(10), result[remedy].end_accuracy[replica], 1)
            assert slopes(found.accuracy[q])[replica] == pytest.approx(line[0])
    expected = result["none"].mean_accuracy() - result["anew"].mean_accuracy()
    np.testing.assert_array_equal(found.gains, expected[:, [number - 1 for number in READ]].T)
    lost = np.trapezoid(result["anew"].loss - result["none"].loss, result["none"].steps, axis=2) / 30
    np.testing.assert_allclose(found.loss_gains, lost[:, [number - 1 for number in READ]].T, rtol=1e-12)
    helped = paired_mean((result["anew"].end_accuracy - result["none"].end_accuracy)[:, 1:].mean(1))
    assert found.help("anew", "none").mean == pytest.approx(helped.mean)


def test_where_all_remedies_are_compared_nothing_is_linearised():
    point = replace(COMPARED[0], width=8)
    found = measure_plasticity(case_of(point, 2), Context())
    assert found.remedies == ("none", "rescaled", "revived", "decay 0.03", "anew")
    assert found.predicted.shape == found.predicted_loss.shape == (0, 2)


def test_networks_in_which_everything_is_new_gain_nothing():
    """Training is so slow that nothing moves: the first and later networks are both inits; gains scatter about 0."""
    still = measure_plasticity(case_of(POINT, 8, learning_rate=1e-9), Context())
    assert np.ptp(still.accuracy[0], axis=1).max() < 0.5
    assert np.abs(still.predicted - still.gains).max() < 1e-6  # and are what they are


def test_what_diverges_is_named():
    with pytest.raises(Diverged, match="replicas finite"):
        measure_plasticity(case_of(POINT, learning_rate=1e30), Context())
    result = simulate.run_sequence(POINT.sequence(case_of(POINT).setting))
    with pytest.raises(InvalidInput, match="keep_starts"):
        predicted_gains(result, "cpu")


def test_two_means_are_compared_as_welch_does():
    one, two = np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.7, 0.1, 0.3, 0.6])
    found = mean_of_means([paired_mean(one), paired_mean(two)], [1, -1])
    welch = stats.ttest_ind(one, two, equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.pvalue == pytest.approx(welch.pvalue)
    assert mean_of_means([paired_mean(one)], [1]).low == pytest.approx(paired_mean(one).low)
    assert not mean_of_means([paired_mean([1.0, 1.0])], [1]).estimable
    together = mean_of_means([paired_mean(one)], [1], 3)
    assert together.high == pytest.approx(paired_mean(one, confidence=1 - 0.05 / 3).high)
