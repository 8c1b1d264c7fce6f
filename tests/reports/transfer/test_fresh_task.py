"""The cheap condition for users: of one pair or several, in NumPy and torch, with how often it was right."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from reports.transfer import BEST, CheapScore, fresh_task
from tests.paths import ROOT
from tests.theory.small_networks import NETWORKS, draw
from theory.errors import InvalidInput
from theory.transfer import KernelChange, kernel_change_of

PUBLISHED = ROOT / "reports" / "published"


@pytest.mark.parametrize("name", ["tanh, bias", "conv"])
def test_several_pairs_one_pair_and_numpy_say_the_same(name):
    network = NETWORKS[name]
    (fresh, rows), (trained, _) = draw(network), draw(network, 9)
    shared = rows[0]
    found = fresh_task(network, fresh, trained, shared)
    expected = kernel_change_of(network, fresh, trained, torch.stack([shared] * len(fresh[0])))
    np.testing.assert_allclose(found.each, getattr(expected, BEST.name))
    one = fresh_task(network, [w[1] for w in fresh], [w[1] for w in trained], shared)
    np.testing.assert_allclose(one.each, found.each[1:2])
    arrays = fresh_task(network, [w.numpy() for w in fresh], [w.numpy() for w in trained], shared.numpy())
    np.testing.assert_allclose(arrays.each, found.each)


def test_the_other_way_round_it_says_the_other():
    network = NETWORKS["four relu"]
    (fresh, rows), (trained, _) = draw(network), draw(network, 9)
    there, back = fresh_task(network, fresh, trained, rows[0]), fresh_task(network, trained, fresh, rows[0])
    np.testing.assert_allclose(there.each, -back.each)
    assert there.faster != back.faster
    assert {"faster", "more slowly"} == {
        str(each).split(" than")[0].removeprefix("A fresh task would be learned ") for each in (there, back)
    }
    assert f"right in {BEST.right} of {BEST.decided}" in str(there)


def test_the_score_is_that_of_the_published_report():
    claims = {claim["id"]: claim for claim in json.loads((PUBLISHED / "results.json").read_text())["claims"]}
    (table,) = (each for each in claims["C5"]["tables"] if each["name"] == "c5-cheap")
    rows = [row[2:4] for row in table["rows"] if row[:2] == [BEST.epochs, BEST.words]]
    assert rows == [[BEST.decided, BEST.right]]


def test_the_score_is_of_a_number_there_is_and_better_than_even():
    assert BEST.name in KernelChange.__annotations__
    assert BEST.interval[0] > 0.5
    with pytest.raises(InvalidInput, match="decided"):
        _ = CheapScore("trace", "", 1, 0, 0).interval
