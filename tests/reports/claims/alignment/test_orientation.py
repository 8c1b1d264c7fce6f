"""Networks that are nearer to the data's eigenvectors than random bases: called, counted, judged and shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.claims.alignment.orientation import (
    DRAWS,
    RATE,
    OrientedNetworks,
    judge_nearer,
    judge_networks,
    judge_rate,
    orient,
    orientation_panel,
    orientation_rows,
    orientation_table,
)
from reports.judging.counts import binomial_tail, decisive_count
from tests.reports.claims.alignment.ensembles import turned
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput
from theory.misalignment import misalignment_squared, null_floor


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
