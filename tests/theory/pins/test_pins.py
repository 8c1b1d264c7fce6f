"""Every number of `theory` is what it was.

A pin says nothing of what is right: that is for the oracles, which compute the same numbers by other routes, and the
tables of bounds. It says that a number has changed, on arguments without symmetries and on both sides of every bound.
A change that is meant is explained in the commit that pins it anew (`python -m tests.theory.pins`).
"""

from __future__ import annotations

import pytest

from tests.pinning.kept import pinned
from tests.pinning.table import WITHIN, agree, leaves
from tests.theory.pins.rows import FILE, LOOSE, ROWS

PINNED = pinned(FILE)


def test_every_row_is_pinned() -> None:
    assert set(PINNED) == set(ROWS)
    assert set(LOOSE) <= set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_numbers_are_what_they_were(name: str) -> None:
    assert not agree(leaves(ROWS[name]()), PINNED[name], LOOSE.get(name, WITHIN))
