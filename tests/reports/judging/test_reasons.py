"""Verdicts from few replicas and heavy tails: nothing true is refuted, and what is undecided says what is missing."""

import re
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from scipy.stats import norm

import simulate
import theory
from reports.judging import sufficient
from reports.judging.compare import compare
from reports.judging.sufficient import ExactTest, asymptotic_reason, exact_reason, gaussian_vectors
from reports.views import verification as views
from theory.setting import Data, Ensemble, Labels, Setting, Training
from theory.testing import variances_test
from theory.testing.estimated import estimated_means, replicas_to_find
from theory.testing.whole_matrix import detectable_variance

ONLINE = Setting(
    data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples="online"),
    training=Training(learning_rate=0.1, batch_size=4, sampling="fresh", steps=10),
)
FIXED = Setting(
    data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=12, fixed=True),
    training=Training(learning_rate=0.1, steps=8),
)


def verified(setting, replicas, factor=1.0):
    chosen = msgspec.structs.replace(setting, ensemble=Ensemble(replicas=replicas, seed=3))
    prediction = theory.predict(chosen, rows=simulate.rows(chosen) if chosen.data.fixed else None)
    readings = tuple(
        replace(
            reading,
            tau=reading.tau * factor,
            second_moment=None if reading.second_moment is None else reading.second_moment * factor,
        )
        for reading in prediction.readings
    )
    return compare(replace(prediction, readings=readings), simulate.run(chosen))


def last(setting, replicas, factor=1.0):
    return verified(setting, replicas, factor).comparison[-1]


def named(reason):
    return int(re.search(r"needs (?:some )?([\d,]+) replicas", reason)[1].replace(",", ""))


@pytest.mark.parametrize("setting", [ONLINE, FIXED, msgspec.structs.replace(FIXED, labels=Labels(kind="rademacher"))])
@pytest.mark.parametrize("replicas", [2, 3, 10, 100])
def test_few_replicas_decide_nothing_and_say_how_many_would(setting, replicas):
    found = last(setting, replicas)
    assert found.verdict == "undecided"
    assert named(found.reason) > 20_000


@pytest.mark.parametrize("setting", [pytest.param(ONLINE, marks=pytest.mark.slow), FIXED])
def test_as_many_as_are_named_decide(setting):
    needed = named(last(setting, 30).reason)
    found = last(setting, needed)
    assert (found.verdict, found.reason) == ("holds", None)
    fewer = last(setting, int(0.6 * needed))
    assert fewer.verdict == "undecided"
    assert "an error of 5% in one tau would too often be missed" in fewer.reason


def test_a_gross_error_is_refuted_from_few_replicas():
    """With a predicted variance between replicas, 40 refute a prediction 20 times too small, 200 one too large."""
    assert last(ONLINE, 40, factor=0.05).verdict == "refuted"
    assert last(ONLINE, 200, factor=20.0).verdict == "refuted"
    assert last(ONLINE, 200, factor=20.0).detectable is None


def test_rare_replicas_that_carry_the_mean_are_named():
    heavy = Setting(
        data=Data(kind="gaussian", spectrum=(0.5, 1.0), samples="online"),
        training=Training(learning_rate=0.6, batch_size=1, sampling="fresh", steps=60),
    )
    found = last(heavy, 2000)
    assert found.verdict == "undecided"
    assert found.reason.startswith(
        "no practicable number of replicas decides this: a few rare replicas dominate the mean"
    )
    assert "8.02e+44 tau^2" in found.reason


def test_one_replica_and_fewer_vectors_than_dimensions():
    assert last(ONLINE, 1).reason == "needs more than one replica"
    found = last(FIXED, 3)
    assert found.reason.endswith("fewer vectors than dimensions")
    assert named(found.reason) == gaussian_vectors(3)
    outputs = msgspec.structs.replace(FIXED, labels=Labels(outputs=4))
    assert last(outputs, 1).pvalue is not None  # four vectors of three dimensions
    assert named(last(outputs, 1).reason) == -(-gaussian_vectors(3) // 4)


def test_needed_gaussian_vectors_are_the_fewest():
    for rank in (1, 3, 50):
        needed = gaussian_vectors(rank)
        assert detectable_variance(needed, rank, 1e-6, 0.9) <= 0.05 < detectable_variance(needed - 1, rank, 1e-6, 0.9)


def test_a_diverged_replica_is_the_reason():
    chosen = msgspec.structs.replace(ONLINE, ensemble=Ensemble(replicas=100))
    simulation = replace(simulate.run(chosen), diverged=2)
    (found,) = compare(theory.predict(chosen), simulation).comparison
    assert (found.verdict, found.reason) == ("undecided", "2 replicas diverged, so nothing can hold")


@pytest.mark.parametrize("replicas", [1, 3, 30])
def test_an_asymptotic_form_is_not_refuted_by_few_replicas(replicas):
    averaged = Setting(
        data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=40),
        training=Training(learning_rate=0.1, steps=20),
    )
    found = last(averaged, replicas)
    assert found.verdict == "undecided"
    assert "more than one" in found.reason if replicas == 1 else named(found.reason) > 10_000


def test_what_asymptotic_forms_want_narrows_their_intervals_into_the_budget():
    rng, budget = np.random.default_rng(1), 0.1
    means = estimated_means(rng.gamma(2.0, 0.5, (500, 2)), np.ones(500))
    needed = named(asymptotic_reason(means, budget))
    low, high = estimated_means(
        rng.gamma(2.0 * needed / 500, 500 / 2 / needed, (500, 2)), np.full(500, needed / 500)
    ).interval(0.95)
    assert np.all(low > 1 - budget)
    assert np.all(high < 1 + budget)
    assert "no practicable number" in asymptotic_reason(means, 0.0)


def test_reasons_name_what_is_missing():
    few = ExactTest(1.0, np.inf, sharp=False, count_needed=lambda: 5000, variance=2.0)
    assert exact_reason(few, 30) == "needs 5,000 replicas: 30 are too few for a test at level 1e-06"
    rare = exact_reason(replace(few, variance=20.5), 30)
    assert rare.endswith(
        "too few for a test at level 1e-06; "
        "a few rare replicas dominate the mean (the variance of tau over replicas is 20.5 tau^2)"
    )
    assert "rare" in exact_reason(replace(few, variance=np.nextafter(20.0, 21.0)), 30)
    assert "rare" not in exact_reason(replace(few, variance=20.0), 30)
    assert "would too often be missed" in exact_reason(replace(few, sharp=True), 30)
    assert "no practicable" in exact_reason(replace(few, count_needed=lambda: None), 30)


def test_views_show_the_reason():
    shown = views.view(verified(ONLINE, 30))
    assert named(shown.value["comparison"][0]["reason"]) > 20_000
    assert any(isinstance(part, str) and part.startswith("needs ") for section in shown.sections for part in section)


@pytest.mark.parametrize("shift", [1.0, 0.95, 1.08])
@pytest.mark.parametrize("budget", [0.02, 0.1, 0.3])
def test_what_asymptotic_forms_want_by_hand(shift, budget):
    """The interval, with its power, within half of the budget, or what the least possible error leaves of it."""
    means = estimated_means(shift * np.random.default_rng(2).gamma(2.0, 0.5, (500, 3)), np.ones(500))
    low, high = means.interval(0.95)
    off = max(0, *(low - 1), *(1 - high))
    gap = min(max(budget - off, budget / 4), budget / 2)
    quantile = norm.isf(0.025 / 3) + norm.ppf(0.9)
    wanted = max(int(np.ceil(means.variance_bound * (quantile / gap) ** 2)), 501)
    assert named(asymptotic_reason(means, budget)) == wanted


@pytest.mark.parametrize(
    ("predicted", "kept"),
    [
        (None, np.inf),
        ([0.01, 0.02], 0.02),
        ([5.0, 3.0], 5.0),
        ([15.0, 3.0], 15.0),
        ([19.0, 3.0], 19.0),
        ([21.0, 3.0], 21.0),
    ],
)
def test_replicas_are_reckoned_from_the_variance_that_is_known(predicted, kept):
    """The sample's variance is used where it is smaller than the predicted one, except for rare replicas.

    The number has a margin for the errors that the errors of blocks have.
    """
    values = np.random.default_rng(3).gamma(2.0, 0.5, (64, 2))
    spread = None if predicted is None else np.array(predicted)
    test = variances_test(np.ones(2), values, counts=np.full(64, 5), variance=spread)
    found, bound = sufficient.of_variances(test, spread, 64), test.means.variance_bound
    variance = kept if kept > 20 and predicted is not None else min(kept, bound)
    assert found.variance == pytest.approx(variance)
    enough = replicas_to_find(0.05, variance, 64, 1e-6, 0.9, 2)
    margin = 1 + 2.5 * np.sqrt(2 / min(64, enough))
    assert found.count_needed() == max(int(np.ceil(margin * enough)), test.means.needed)
    assert (found.pvalue, found.detectable, found.sharp) == (test.pvalue, test.detectable, test.means.sharp)


@pytest.mark.parametrize(("share", "practicable"), [(0.99, False), (1.01, True)])
def test_a_million_million_replicas_are_practicable(share, practicable):
    """With so small a budget the intervals must resolve a quarter of it, which takes about 10¹² replicas."""
    means = estimated_means(1.5 * np.random.default_rng(2).gamma(2.0, 0.5, (500, 3)), np.ones(500))
    budget = share * 4 * (norm.isf(0.025 / 3) + norm.ppf(0.9)) * np.sqrt(means.variance_bound / 1e12)
    found = asymptotic_reason(means, budget)
    assert ("no practicable number" in found) != practicable
    assert not practicable or 0.95e12 < named(found) <= 1e12
