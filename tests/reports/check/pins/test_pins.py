"""Every number of a check is what it was; what pins are for is told in `tests/theory/pins/test_pins.py`."""

from __future__ import annotations

import pytest

from tests.pinning.kept import pinned
from tests.pinning.table import WITHIN, agree, leaves
from tests.reports.check.pins.rows import FILE, LOOSE, ROWS

PINNED = pinned(FILE)


def test_every_row_is_pinned() -> None:
    assert set(PINNED) == set(ROWS)
    assert set(LOOSE) <= set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_numbers_are_what_they_were(name: str) -> None:
    assert not agree(leaves(ROWS[name]()), PINNED[name], LOOSE.get(name, WITHIN))
