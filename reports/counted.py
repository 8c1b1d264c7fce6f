"""Counts in sentences."""

from __future__ import annotations


def counted(count: int, one: str, several: str | None = None) -> str:
    """A count and what is counted, in the singular for one.

    >>> counted(1, "layer"), counted(2500, "layer"), counted(0, "branch", "branches")
    ('1 layer', '2,500 layers', '0 branches')
    """
    return f"{count:,} {one if count == 1 else several or one + 's'}"
