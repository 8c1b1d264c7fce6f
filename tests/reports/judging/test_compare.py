"""A comparison finds a planted error and passes the truth."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import simulate
import theory
from reports.judging.compare import Verification, compare
from reports.judging.estimate import data_eigenspaces, estimate, tau_with_error
from reports.judging.intervals import mean_with_error
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.testing.whole_matrix import detectable_variance


def setting(**changes) -> Setting:
    values = {
        "data": Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=12, fixed=True),
        "network": Network(init_variance=0.1),
        "training": Training(learning_rate=0.1, steps=(0, 8)),
        "ensemble": Ensemble(replicas=50000, seed=11),
    }
    return Setting(**{**values, **changes})


simulated = cache(simulate.run)  # most tests here look at the same ensemble


def compared(chosen: Setting, spoil=lambda reading: reading) -> Verification:
    prediction = theory.predict(chosen, rows=simulate.rows(chosen))
    prediction = replace(prediction, readings=tuple(spoil(reading) for reading in prediction.readings))
    return compare(prediction, simulated(chosen))


@pytest.mark.parametrize("labels", [Labels(), Labels(kind="rademacher"), Labels(outputs=2)])
def test_the_truth_holds(labels):
    verification = compared(setting(labels=labels))
    assert [reading.verdict for reading in verification.comparison] == ["holds", "holds"]
    assert verification.convinced


def test_what_was_detectable_is_what_the_test_says_at_the_level_and_power_of_the_rules():
    (_, last) = compared(setting()).comparison
    assert last.detectable == detectable_variance(50_000, 3, 1e-6, 0.9)


def test_the_largest_error_is_a_share_of_the_prediction():
    verification = compared(setting(), lambda reading: replace(reading, tau=reading.tau * np.array([1.0, 1.5, 1.0])))
    found = zip(verification.comparison, verification.prediction.readings, verification.estimates, strict=True)
    for reading, predicted, estimated in found:
        assert reading.max_relative_error == pytest.approx(np.abs(estimated.tau / predicted.tau - 1).max())
        assert reading.max_relative_error == pytest.approx(1 / 3, abs=0.05)


def test_a_planted_error_of_seven_percent_is_refuted():
    def spoil(reading):
        factor = np.sqrt(1.07) if reading.step else 1.0
        top = np.linalg.eigh(reading.second_moment)[1][:, -1:]
        stretch = np.eye(3) + (factor - 1) * top @ top.T
        return replace(reading, second_moment=stretch @ reading.second_moment @ stretch)

    verification = compared(setting(), spoil)
    assert [reading.verdict for reading in verification.comparison] == ["holds", "refuted"]
    assert not verification.convinced


def test_asymptotic_predictions_are_held_against_their_budget():
    chosen = setting()
    prediction = theory.predict(chosen, rows=simulate.rows(chosen))
    simulation = simulated(chosen)
    for factor, verdict in ((1.0, "holds"), (1.1, "undecided"), (1.2, "refuted")):
        readings = tuple(replace(reading, tau=reading.tau * factor) for reading in prediction.readings)
        shifted = replace(prediction, status="asymptotic", order="1/n", error_budget=0.1, readings=readings)
        assert {reading.verdict for reading in compare(shifted, simulation).comparison} <= {verdict, "undecided"}
        assert compare(shifted, simulation).comparison[0].verdict == verdict


def test_a_budget_of_zero_is_a_budget():
    """What is off by 20 % is refuted by it, and the truth is not within an interval of no width."""
    chosen = setting()
    prediction = theory.predict(chosen, rows=simulate.rows(chosen))
    simulation = simulated(chosen)
    for factor, verdict in ((1.0, "undecided"), (1.2, "refuted")):
        readings = tuple(replace(reading, tau=reading.tau * factor) for reading in prediction.readings)
        shifted = replace(prediction, status="asymptotic", order="1/n", error_budget=0.0, readings=readings)
        assert compare(shifted, simulation).comparison[0].verdict == verdict


def test_a_diverged_replica_forbids_holds():
    chosen = setting()
    simulation = replace(simulated(chosen), diverged=1)
    verification = compare(theory.predict(chosen, rows=simulate.rows(chosen)), simulation)
    assert {reading.verdict for reading in verification.comparison} == {"undecided"}


def test_standard_errors_between_uneven_blocks_are_those_of_single_replicas():
    """Block means of sizes c_b: SE² = σ²/N is unbiased, against the plain formula on the replicas themselves."""
    rng = np.random.default_rng(5)
    values = rng.standard_normal((4000, 3)) * [1.0, 2.0, 3.0]
    counts = np.bincount(np.arange(4000) % 300)
    means = np.stack([values[b::300].mean(axis=0) for b in range(300)])
    mean, error = mean_with_error(means, counts)
    np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-12)
    # 300 blocks: the estimated error has a relative error of 1/sqrt(600); 5.5 of these is a false alarm below 1e-7
    np.testing.assert_allclose(error, values.std(axis=0, ddof=1) / 4000**0.5, rtol=5.5 / 600**0.5)


def test_tau_is_the_mean_of_the_diagonal_in_an_eigenspace():
    simulation = simulate.run(setting(), replicas=30)
    spaces, reading = data_eigenspaces(simulation), simulation.readings[1]
    tau, _ = tau_with_error(reading, spaces)
    expected = [spaces.basis[:, i] @ reading.second_moment @ spaces.basis[:, i] for i in range(3)]
    np.testing.assert_allclose(tau, expected, rtol=1e-12)


def test_estimates_use_the_group_that_fixes_the_mean():
    chosen = Setting(
        data=Data(kind="gaussian", spectrum=(0.5, 0.5, 1.5, 1.5), mean=(1.0, 0.0, 1.0, 0.0), samples=12),
        network=Network(kind="mlp", hidden=(16,), init_variance=0.05),
        training=Training(learning_rate=0.3, steps=30),
        ensemble=Ensemble(replicas=3000, seed=3),
    )
    simulation = simulate.run(chosen)
    (kept,) = estimate(simulation, mean=simulate.population(chosen).mean)
    (forgotten,) = estimate(simulation)
    assert kept.alignment_pvalue > 0.001  # one in 1,000 of other seeds would fail
    assert forgotten.alignment_pvalue == 0.001  # the least p-value of 999 draws


@pytest.mark.parametrize(
    ("predicted", "left", "verdict"),
    [
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), "holds"),
        ((0.0, 1.0, 1.0), (0.0, 1.0, 1.0), "holds"),
        ((0.0, 1.0, 2.5), (0.0, 1.0, 1.0), "refuted"),
        ((0.0, 1.0, 1.0), (1.0, 1.0, 1.0), "undecided"),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), "undecided"),
    ],
)
def test_a_direction_in_which_no_weight_is_predicted_must_have_none(predicted, left, verdict):
    """Where both τ are 0, the other directions decide; the setting is along the axes, so that zeros are exact."""
    chosen = setting(
        data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=400, rotate=False),
        ensemble=Ensemble(replicas=3000, seed=2),
    )
    prediction, simulation = theory.predict(chosen), simulated(chosen)
    assert prediction.status == "asymptotic"
    shares = np.sqrt(np.array(left))
    readings = tuple(
        replace(each, second_moments=each.second_moments * np.outer(shares, shares)) for each in simulation.readings
    )
    asked = tuple(replace(each, tau=each.tau * np.array(predicted)) for each in prediction.readings)
    wide = replace(prediction, error_budget=0.3, readings=asked)
    *_, found = compare(wide, replace(simulation, readings=readings)).comparison
    assert found.verdict == verdict
    undefined = "a predicted tau is 0, so its relative error is undefined"
    assert found.reason == (undefined if verdict == "undecided" else None)


def test_what_is_compared_is_convincing_only_where_every_reading_holds():
    verification = compared(setting())
    first, last = verification.comparison
    assert verification.convinced
    for comparison in ((replace(first, verdict="undecided"), last), (first, replace(last, verdict="refuted"))):
        assert not replace(verification, comparison=comparison).convinced
