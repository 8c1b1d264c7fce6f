"""The verdict at the level and at the margin themselves."""

import pytest

from reports.check.verdict import Evidence, by_misalignment, by_orientation, verdict_on
from tests.reports.check.test_judge import AGAINST, BY_EFFECT, BY_M


@pytest.mark.parametrize(
    ("base", "changes", "verdict", "measure"),
    [
        (BY_M, {"isotropic": 0.01}, "aligned", "misalignment"),
        (BY_EFFECT, {"isotropic": 0.01}, "aligned", "orientation"),
        (BY_M, {"oriented": 0.01}, "aligned", "misalignment"),
        (BY_M, {**AGAINST, "oriented": 0.01}, "partly aligned", "misalignment"),
        (BY_M, {**AGAINST, "oriented": 0.011}, "not aligned", "misalignment"),
        (BY_EFFECT, {"turned": 0.01}, "aligned", "orientation"),
        (BY_EFFECT, {"effect": (0.1, 0.5), "aligned": 0.01, "turned": 0.01}, "partly aligned", "orientation"),
        (BY_EFFECT, {"eigenspaces": 2}, "aligned", "orientation"),
    ],
)
def test_a_p_value_of_one_percent_is_small(base, changes, verdict, measure):
    found = verdict_on(Evidence(**{**base, **changes}))
    assert (found.verdict, found.measure) == (verdict, measure)


@pytest.mark.parametrize(
    ("changes", "decided"),
    [({}, True), ({"isotropic": 0.01}, True), ({"isotropic": 0.011}, False), ({"eigenspaces": 2}, True),
     ({"eigenspaces": 1}, False)],
)  # fmt: skip
def test_neither_measure_decides_isotropic_weights_or_data_of_one_eigenspace(changes, decided):
    assert by_misalignment(Evidence(**{**BY_M, **changes})) == ("aligned" if decided else "undecided")
    assert by_orientation(Evidence(**{**BY_EFFECT, **changes})) == ("aligned" if decided else "undecided")


def test_m_cannot_decide_without_an_interval_or_a_reference():
    for changes in ({"interval": None}, {"reference": None}, {"reference": 0.0}):
        assert by_misalignment(Evidence(**{**BY_M, **changes})) == "undecided"
    assert by_orientation(Evidence(**{**BY_EFFECT, "effect": None})) == "undecided"
