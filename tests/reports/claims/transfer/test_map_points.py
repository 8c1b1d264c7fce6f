"""The points of claim C3: few first, and never twice."""

from __future__ import annotations

from reports.claims.claim import Context
from reports.claims.transfer.map_points import LARGE, LINE, SMALL, grid_of, points_of


def test_points_are_few_first_and_never_twice():
    few, many = (points_of(grid) for grid in (SMALL, LARGE))
    assert few[: len(LINE)] == LINE
    assert many[: len(few)] == few
    assert len(set(many)) == len(many)
    assert {point for row in (*LARGE.scale, *LARGE.length) for point in row} <= set(many)
    assert len({point.name for point in many}) == len(many)
    assert [grid_of(Context(budget=budget)) for budget in ("quick", "full", "paper")] == [SMALL, LARGE, LARGE]
