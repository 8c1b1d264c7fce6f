"""What a command prints: a JSON value, and the same as text for a terminal, made of facts, grids and notes."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.foreign_text import visible
from reports.record import to_builtins

WIDTH = 120  # the width of a line of words, in characters


@dataclass(frozen=True)
class Facts:
    """Labels and their texts, in two columns."""

    items: tuple[tuple[str, str], ...]

    def lines(self) -> list[str]:
        width = max((len(label) for label, _ in self.items), default=0) + 2
        return [f"  {label:<{width}}{text}" for label, text in self.items]


@dataclass(frozen=True)
class Grid:
    """A table: rows of numbers and words in aligned columns, below a line of heads."""

    head: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def lines(self) -> list[str]:
        cells = [list(self.head)] + [[shown(value) for value in row] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]


@dataclass(frozen=True)
class Notes:
    """Caveats, one per line."""

    texts: tuple[str, ...]

    def lines(self) -> list[str]:
        return [line for text in self.texts for line in wrapped(f"note: {text}")]


Part = str | Facts | Grid | Notes
Section = Sequence[Part]  # the parts that are printed without a gap; an empty line separates sections


@dataclass(frozen=True)
class View:
    """What a command prints.

    Attributes
    ----------
    value : JSON value
        What `--json` prints: dictionaries, lists, strings, finite numbers, null. Its keys are a public contract.
    sections : sequence of Section
        The text for a terminal.
    """

    value: Any
    sections: Sequence[Section]

    def as_json(self) -> str:
        """The JSON value, on one line."""
        return json.dumps(self.value, allow_nan=False)

    def as_text(self) -> str:
        """The sections as text."""
        return as_lines(self.sections)


def as_lines(sections: Iterable[Section]) -> str:
    """Sections as lines of text, an empty line between them; control characters are shown, not sent to the terminal.

    >>> facts, numbers = Facts((("a", "1"), ("bcd", "2"))), Grid(("x", "y"), ((0.5, None),))
    >>> print(as_lines([["one fact", facts], [Notes(())], [numbers]]))
    one fact
      a    1
      bcd  2
    <BLANKLINE>
      x  y
    0.5  -
    """
    blocks = ([line for part in section for line in _lines(part)] for section in sections)
    return visible("\n\n".join("\n".join(block) for block in blocks if block))


def grid(columns: Mapping[str, Any], heads: Mapping[str, str] | None = None) -> Grid:
    """A table from columns; a column's head is its key, or the name that `heads` gives for it."""
    head = tuple((heads or {}).get(name, name) for name in columns)
    return Grid(head, tuple(zip(*map(to_builtins, columns.values()), strict=True)))


def wrapped(sentence: str) -> list[str]:
    """A long sentence, wrapped; all lines but the first are indented.

    >>> wrapped("word " * 30)[1]
    '  word word word word word word'
    """
    return textwrap.wrap(sentence, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def shown(value: object) -> str:
    """A number with four significant digits, `-` for a missing or infinite one (null in JSON).

    >>> shown(2 / 3), shown(float("nan")), shown(None), shown(12)
    ('0.6667', '-', '-', '12')
    """
    value = to_builtins(value)
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _lines(part: Part) -> list[str]:
    return [part] if isinstance(part, str) else part.lines()
