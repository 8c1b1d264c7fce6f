"""The criterion of the linear model for the paper's panels: at which time it is read, and what it cannot explain."""

from __future__ import annotations

import pytest

from reports.claims.shape.f2_criterion import CLAIM
from reports.claims.shape.panel_criterion import most_suitable_time, suitable_times
from reports.claims.shape.panel_networks import MOMENTUM, RATE
from reports.claims.shape.read_panels import LEFT_STOP, STOP
from theory.errors import InvalidInput
from theory.linear.paper_panels import PAPER_PANELS, READINGS, panel_criteria
from theory.shape import FALLS


def test_at_the_time_that_suits_it_all_panels_agree_as_variances() -> None:
    first, last = suitable_times("variance")
    assert first < most_suitable_time() < last
    assert most_suitable_time() ** 2 == pytest.approx(first * last)
    agree = {reading: [] for reading in READINGS}
    for found in panel_criteria(most_suitable_time()):
        agree[found.reading].append(found.agrees)
    assert all(agree["variance"])
    assert not all(agree["deviation"])


def test_as_deviations_no_time_suits() -> None:
    with pytest.raises(InvalidInput, match="lets the criterion agree with all three panels at no time"):
        suitable_times("deviation")


def test_the_linear_criterion_only_falls_with_the_init_of_the_paper() -> None:
    """The times are those of this training: heavy ball at rate η goes as far as descent at η/(1 − β)."""
    for updates in (STOP, LEFT_STOP):
        found = panel_criteria(RATE / (1 - MOMENTUM) * updates, init_factor=1.0)
        assert {each.shape for each in found} == {FALLS}


def test_the_table_of_panels_depends_on_no_case() -> None:
    (table,) = CLAIM.background()
    assert len(table.rows) == len(READINGS) * len(PAPER_PANELS)
    assert [row[0] for row in table.rows] == ["diagonal as variance", " ", " ", "diagonal as deviation", " ", " "]
    assert [row[-1] for row in table.rows][:3] == ["yes"] * 3
    assert "does not explain the figure" in table.caption
