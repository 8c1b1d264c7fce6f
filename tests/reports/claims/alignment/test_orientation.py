"""Networks that are nearer to the data's eigenvectors than random bases: called, counted, judged and shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from scipy.stats import t as student

from reports.claims.alignment.orientation import (
    DRAWS,
    RATE,
    OrientedNetworks,
    judge_distance,
    judge_nearer,
    judge_networks,
    judge_rate,
    orient,
    orientation_panel,
    orientation_rows,
    orientation_table,
)
from reports.judging.counts import binomial_tail, decisive_count, detectable_rate
from tests.reports.claims.alignment.ensembles import turned
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput
from theory.misalignment import misalignment_squared, null_floor
from theory.testing import random_basis_test


def test_the_rate_is_one_that_ranks_attain():
    assert abs(RATE * (DRAWS + 1) - 2) < 1e-12


def test_weights_that_know_nothing_of_the_data_are_called_at_the_rate():
    """400 networks of isotropic weights: at most 17 are called nearer but with probability 3e-7."""
    spaces = eigenspaces(np.diag([1.0, 2.0, 3.0, 4.0]))
    w = np.random.default_rng(1).standard_normal((400, 20, 4))
    found = orient((0,), [[(spaces, m) for m in w.mT @ w / 20]], 20, seed=3)
    assert binomial_tail(18, 400, RATE) < 1e-6
    assert found.nearer[0] <= 17
    assert judge_rate(found, 0).verdict == "holds"
    always = replace(found, pvalues=np.where(np.arange(400) < 40, 0.005, found.pvalues))
    assert judge_rate(always, 0).verdict == "refuted"
    with pytest.raises(InvalidInput, match="networks = 1: at least two"):
        orient((0,), [[(spaces, np.eye(4))]], 20, seed=3)
    few = replace(found, pvalues=np.ones((1, 20)), squared=found.squared[:, :20])
    assert judge_rate(few, 0).verdict == "undecided"


@pytest.fixture(scope="module")
def found():
    """Eight aligned networks, and the same in another basis."""
    spaces = eigenspaces(np.diag([1.0, 2.0, 3.0, 4.0, 5.0]))
    w = np.random.default_rng(2).standard_normal((8, 30, 5)) * [1.0, 3.0, 9.0, 2.0, 5.0]
    moments = w.mT @ w / 30
    both = [[(spaces, m) for m in moments], [(spaces, m) for m in turned(moments)]]
    found = orient((0, 7), both, 30, seed=0)
    for t, matrices in enumerate((moments, turned(moments))):
        np.testing.assert_allclose(found.squared[t], misalignment_squared(spaces, matrices), rtol=1e-10)
    assert found.floor == null_floor([1] * 5, 30).value
    return found


def test_orientation_is_misalignment_network_by_network(found):
    """Aligned weights are called nearer, the same in another basis are not, which nobody could tell from spectra."""
    assert found.nearer[0] == 8
    assert found.nearer[1] < decisive_count(8, RATE)
    aligned = replace(found, pvalues=found.pvalues[::-1])
    assert judge_nearer(aligned, 0).verdict == "holds"
    assert judge_nearer(found, 0).verdict == "undecided"
    assert judge_nearer(aligned, 1).verdict == "undecided"


def test_trained_networks_are_asked_other_questions_than_untrained_ones(found):
    measured = OrientedNetworks(found, 8, 0)
    assert [each.kind for each in judge_networks("outside", measured, "$M^2$")] == ["outside", "control"]
    assert [each.kind for each in judge_networks("exact", measured, "$M^2$")] == ["exact"]


def test_every_network_has_random_bases_of_its_own(found):
    """Network g of seed 0 is compared with the bases of seed g: p is its rank among them, `random` their median."""
    spaces = eigenspaces(np.diag([1.0, 2.0, 3.0, 4.0, 5.0]))
    w = np.random.default_rng(2).standard_normal((8, 30, 5)) * [1.0, 3.0, 9.0, 2.0, 5.0]
    moments = w.mT @ w / 30
    again = orient((0,), [[(spaces, m) for m in moments]], 30, seed=7)
    for of, seed in ((found, 0), (again, 7)):
        for g, moment in enumerate(moments):
            test = random_basis_test(spaces, moment, draws=DRAWS, seed=1000 * seed + g)
            assert of.pvalues[0, g] == test.pvalue
            assert of.random[0, g] == pytest.approx(np.median(test.null_distribution) ** 2)
    assert not np.array_equal(found.random[0], again.random[0])


def test_the_last_reading_is_judged_and_of_untrained_networks_the_first(found):
    counts = [int(np.sum(values <= RATE)) for values in found.pvalues]
    assert counts[0] != counts[1]
    last, first = judge_nearer(found, 0, unit="groups"), judge_rate(found, 0)
    assert last.measurement == f"{counts[1]} of 8"
    assert last.pvalue == pytest.approx(binom.sf(counts[1] - 1, 8, 0.01))
    assert last.power == f"{decisive_count(8, RATE)} of 8 would be enough"
    assert last.quantity == "groups closer to the data eigenvectors than 99% of random bases"
    assert last.note.startswith(f"{np.mean(1 - np.sqrt(found.squared[1] / found.random[1])):.0%} below")
    assert first.measurement == counts[0] / 8
    assert first.pvalue == pytest.approx(binom.sf(counts[0] - 1, 8, 0.01))
    assert first.prediction == 0.01
    assert first.power == f"detects a rate of {detectable_rate(8, 0.01):.1%} with 90% power"
    few = replace(found, pvalues=found.pvalues[:, :2], squared=found.squared[:, :2], random=found.random[:, :2])
    assert judge_rate(few, 0).power == "detects no rate"
    assert judge_nearer(few, 0).power == "too few networks to decide"


def test_the_distance_has_the_interval_of_the_mean_over_networks(found):
    judgement = judge_distance(found, "$M^2$")
    values = found.squared[-1]
    half = student.ppf(0.975, 7) * values.std(ddof=1) / np.sqrt(8)
    assert judgement.interval == pytest.approx((values.mean() - half, values.mean() + half))
    assert judgement.measurement == pytest.approx(values.mean())
    assert judgement.power == f"sampling alone gives {found.floor:.3g}"
    before, at_random = found.squared[0].mean(), found.random[-1].mean()
    assert judgement.note == f"before training {before:.3g}; random bases {at_random:.3g}"
    assert (judgement.kind, judgement.verdict) == ("outside", "outside the hypotheses")


def test_of_three_readings_the_last_is_judged_beside_the_first(found):
    """The one between them, which is unlike both, is not told."""
    three = replace(
        found,
        steps=(0, 3, 7),
        squared=np.stack([found.squared[0], 5 + found.squared[0], found.squared[1]]),
        random=np.stack([found.random[0], 7 + found.random[0], 2 * found.random[1]]),
        pvalues=np.stack([found.pvalues[0], np.where(np.arange(8) < 3, 0.0, 1.0), found.pvalues[1]]),
    )
    last = replace(three, steps=(7,), **{name: getattr(three, name)[-1:] for name in ("squared", "random", "pvalues")})
    first = replace(three, steps=(0,), **{name: getattr(three, name)[:1] for name in ("squared", "random", "pvalues")})
    assert judge_nearer(three, 0) == judge_nearer(last, 0)
    assert judge_rate(three, 0) == judge_rate(first, 0)
    told = judge_distance(three, "$M^2$")
    assert replace(told, note="") == replace(judge_distance(last, "$M^2$"), note="")
    assert told.note == f"before training {found.squared[0].mean():.3g}; random bases {2 * found.random[1].mean():.3g}"


def test_orientation_is_shown(found):
    rows = orientation_rows("eight networks", found)
    assert rows[0].misalignment == pytest.approx(np.sqrt(found.squared[0]).mean())
    assert rows[0].effect == pytest.approx(np.mean(1 - np.sqrt(found.squared[0] / found.random[0])))
    table = orientation_table("name", "caption", rows)
    assert [row[:2] for row in table.rows] == [("eight networks", 0), (" ", 7)]
    assert [series.label for series in orientation_panel("title", found).series] == [
        "data eigenvectors",
        "random bases",
        "sampling alone",
    ]
