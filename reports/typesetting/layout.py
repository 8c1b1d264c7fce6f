"""How wide a table is, before anything sets it: cells with their widths, columns that wrap, heads that break.

Widths are in em of the table's font, estimated from the letters; they decide which columns wrap and how wide the others
are, never whether something fits to the point.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from reports.findings import Column, Table
from reports.typesetting.markup import pieces
from reports.typesetting.numbers import UNRESOLVED, Number, error_digits, is_number, is_pair, plain, rounded, rounded_p

ARTICLE = 33.0  # the text width of a bare article, in em
REPORT = 56.5  # the text width of report.tex in small print, in em
GAP = 1.2  # the gap between two columns, in em: two \tabcolsep
_NARROWEST = 4.0
_SLACK = 1.08  # the width of a word of broad letters over its estimate
_NARROW, _WIDE, _CAPITAL = set("iljtfrI.,;:'!|()[]/- "), set("mwMW—%@+−="), set("ABCDEFGHJKLNOPQRSTUVXYZ&")


@dataclass(frozen=True)
class SetCell:
    """One cell: a rounded number, or text (empty where there is nothing)."""

    text: str = ""
    number: Number | None = None


@dataclass(frozen=True)
class ColumnLayout:
    """A column ready to be set.

    Attributes
    ----------
    column : Column
    cells : tuple of SetCell
    heading : tuple of str
        The lines of the heading.
    width : float
        The width in em of its longest cell.
    wrap : (float, float) or None
        The widths in em of a text column that may wrap, on a line of ARTICLE and on one of REPORT.
    table_format : str
        siunitx's table-format, empty for text.
    """

    column: Column
    cells: tuple[SetCell, ...]
    heading: tuple[str, ...]
    width: float = 0.0
    wrap: tuple[float, float] | None = None
    table_format: str = ""

    @property
    def numeric(self) -> bool:
        return self.column.kind == "number"

    @property
    def integer_width(self) -> int:
        """Characters before the decimal point."""
        return max((len(cell.number.sign + cell.number.integer) for cell in self.cells if cell.number), default=0)

    @property
    def signed(self) -> bool:
        """Whether a number of the column has a minus."""
        return any(cell.number.sign for cell in self.cells if cell.number)

    @property
    def fraction_width(self) -> int:
        """Characters from the decimal point on, powers of ten included."""
        return max((len(_tail(cell.number)) for cell in self.cells if cell.number), default=0)


@dataclass(frozen=True)
class Layout:
    """All columns of a table, and its rows cell by cell."""

    columns: tuple[ColumnLayout, ...]
    rows: tuple[tuple[SetCell, ...], ...] = field(repr=False)

    @property
    def wraps(self) -> bool:
        """Whether some text column may wrap."""
        return any(column.wrap for column in self.columns)

    @property
    def width(self) -> float:
        """The width in em that the table takes in the report."""
        return sum(c.wrap[1] if c.wrap else c.width for c in self.columns) + GAP * (len(self.columns) - 1)

    @property
    def lines(self) -> int:
        """How many lines of text the rows take in the report, roughly."""
        return sum(
            max(
                math.ceil(text_width(cell.text) / column.wrap[1]) if column.wrap and cell.text else 1
                for cell, column in zip(row, self.columns, strict=True)
            )
            for row in self.rows
        )


def lay_out(table: Table) -> Layout:
    """Round every number, break long heads, and let the widest texts wrap where a bare article is too narrow."""
    cells = [_cells(column, [row[i] for row in table.rows]) for i, column in enumerate(table.columns)]
    natural = [_natural(column, tuple(found)) for column, found in zip(table.columns, cells, strict=True)]
    widths = [_shared(natural, page - GAP * (len(natural) - 1)) for page in (ARTICLE, REPORT)]
    columns = tuple(
        replace(column, wrap=(min(narrow, wide), wide)) if narrow < column.width else column
        for column, narrow, wide in zip(natural, *widths, strict=True)
    )
    rows = tuple(tuple(column[i] for column in cells) for i in range(len(table.rows)))
    return Layout(columns, rows)


def _shared(columns: Sequence[ColumnLayout], room: float) -> list[float]:
    """Widths of all columns that fill no more than `room`: the text columns above a common bound share what is left.

    No column falls below its longest word: where these need more than `room`, so does the table.
    """
    widths = [column.width for column in columns]
    if sum(widths) <= room:
        return widths
    wrapped = _wrapped(widths, [not column.numeric for column in columns], room)
    if not wrapped:
        return widths
    room = max(room - sum(width for i, width in enumerate(widths) if i not in wrapped), _NARROWEST * len(wrapped))
    least = {i: min(_least(columns[i]), widths[i]) for i in wrapped}
    if sum(least.values()) >= room:
        return [least.get(i, width) for i, width in enumerate(widths)]
    # Widths w_i proportional to (Σ_rows n_i³)^(1/4) minimise Σ_rows Σ_i (n_i / w_i)³, a smooth stand-in for the height
    # of the table (n_i: a cell's natural width); those that leave [least_i, natural_i] are set to that bound in turn.
    weight = {i: sum(text_width(cell.text) ** 3 for cell in columns[i].cells) ** 0.25 + 1e-9 for i in wrapped}
    free = dict(weight)
    while free:
        share = {i: room * free[i] / sum(free.values()) for i in free}
        low = {i: least[i] for i in free if share[i] < least[i]}
        high = {i: widths[i] for i in free if share[i] > widths[i]}
        fixed = low or high or share
        for i, width in fixed.items():
            widths[i] = width
            room -= width
            del free[i]
    return widths


@lru_cache(maxsize=65536)
def text_width(text: str) -> float:
    """The width of a line of text in em, roughly; a math command counts as one letter."""
    width = 0.0
    for kind, piece in pieces(text):
        if kind == "math":
            piece = re.sub(r"\\(?:mathrm|text|operatorname|mathbf)\b|\\[,;!]|[{}$^_]", "", piece)
            width += sum(
                0.33 if char in "[]().,|" else 0.56 for char in re.sub(r"\\[A-Za-z]+\s*", "x", piece).replace(" ", "")
            )
        else:
            width += sum(_letter(char) for char in piece) * (1.1 if kind == "code" else 1.0)
    return width


def _letter(char: str) -> float:
    if char in _NARROW:
        return 0.33
    if char in _WIDE:
        return 0.85
    return 0.72 if char in _CAPITAL else 0.5


def _cells(column: Column, values: Sequence[Any]) -> list[SetCell]:
    """One digit rule a column: the same number of digits on all errors, `column.digits` on numbers without one."""
    values = [plain(value) for value in values]
    digits = error_digits(value[1] for value in values if is_pair(value) and math.isfinite(value[0]))
    return [_cell(column, value, digits) for value in values]


def _cell(column: Column, value: Any, digits: int) -> SetCell:
    if value is None:
        return SetCell()
    if is_pair(value):
        value, error = plain(value[0]), None if value[1] is None else float(value[1])
    else:
        error = None
    if not is_number(value):
        return SetCell(str(value))
    if value != value:  # NaN
        return SetCell()
    if value in (float("inf"), float("-inf")):
        return SetCell(r"$\infty$" if value > 0 else r"$-\infty$")
    if column.unit == "p":
        resolved = rounded_p(value)
        return SetCell(UNRESOLVED) if resolved is None else SetCell(number=resolved)
    number = rounded(value, error, digits=column.digits, error_digits=digits)
    return SetCell(number=number) if column.kind == "number" else SetCell(f"${number.math()}$")


def _natural(column: Column, cells: tuple[SetCell, ...]) -> ColumnLayout:
    """A column at the width of its longest cell, its head broken where it is wider than that."""
    if column.kind != "number":
        mark = 1.2 if column.kind == "verdict" else 0.2  # a document may put a mark before the word
        body = max((text_width(cell.text) for cell in cells), default=0.0) + mark
        return ColumnLayout(column, cells, (column.title,), width=max(body, text_width(column.title)))
    numbers = [cell.number for cell in cells if cell.number]
    table_format = _table_format(numbers)
    body = max([_digits_width(numbers), *(text_width(cell.text) for cell in cells)])
    heading = _broken(column.title, max(body, 3.0))
    return ColumnLayout(column, cells, heading, width=max(body, *map(text_width, heading)), table_format=table_format)


def _table_format(numbers: Sequence[Number]) -> str:
    """siunitx's table-format of a column: the most digits of every part that any of its numbers has."""
    if not numbers:
        return "1.0"
    sign = "-" if any(number.sign for number in numbers) else ""
    integer = max(len(number.integer) for number in numbers)
    fraction = max(len(number.fraction) for number in numbers)
    error = max(len(number.error) for number in numbers)
    exponents = [str(number.exponent) for number in numbers if number.exponent is not None]
    power = ""
    if exponents:
        power = (
            f"e{'-' if any(e.startswith('-') for e in exponents) else ''}{max(len(e.lstrip('-')) for e in exponents)}"
        )
    return f"{sign}{integer}{f'.{fraction}' if fraction else ''}{f'({error})' if error else ''}{power}"


def _digits_width(numbers: Sequence[Number]) -> float:
    if not numbers:
        return 1.0
    signs = 0.8 if any(number.sign for number in numbers) else 0.0
    before = max(0.5 * len(number.integer) for number in numbers)
    after = max(
        0.5 * len(n.fraction) + 0.3 * bool(n.fraction) + (0.5 * len(n.error) + 0.78 if n.error else 0) for n in numbers
    )
    power = max((2.5 + 0.4 * len(str(n.exponent)) for n in numbers if n.exponent is not None), default=0.0)
    return signs + before + after + power


def _tail(number: Number) -> str:
    fraction = f".{number.fraction}" if number.fraction else ""
    error = f"({number.error})" if number.error else ""
    power = "" if number.exponent is None else "×10" + "x" * round(0.8 * len(str(number.exponent)) + 0.3)
    return fraction + error + power


def _broken(heading: str, width: float) -> tuple[str, ...]:
    """A heading in lines of about `width` em, broken at spaces outside math."""
    lines: list[str] = []
    for word in _split(heading):
        if lines and text_width(f"{lines[-1]} {word}") <= max(width, 4.0):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return tuple(lines) or ("",)


def _split(text: str) -> list[str]:
    """Words, with math and code whole."""
    spaced = re.sub(r"(?<!\\)\$(?:\\.|[^$\\])+\$|`[^`]+`", lambda found: found[0].replace(" ", "\0"), text)
    return [word.replace("\0", " ") for word in spaced.split()]


def _words(column: ColumnLayout) -> list[str]:
    texts = (*column.heading, *(cell.text for cell in column.cells))
    return [word for text in texts for word in _split(text)] or [""]


def _least(column: ColumnLayout) -> float:
    """The width of the longest word, a formula being one; of a verdict, with the mark before it."""
    if column.column.kind == "verdict":
        return column.width
    return _SLACK * max(text_width(word) for word in _words(column))


def _wrapped(widths: Sequence[float], text: Sequence[bool], room: float) -> list[int]:
    """The text columns that must wrap: the widest, as long as the others leave them no fair share of the room."""
    if sum(widths) <= room:
        return []
    wrapped = [i for i, is_text in enumerate(text) if is_text]
    while wrapped:
        left = room - sum(width for i, width in enumerate(widths) if i not in wrapped)
        slim = [i for i in wrapped if widths[i] <= left / len(wrapped)]
        if not slim or len(slim) == len(wrapped):
            return wrapped
        wrapped = [i for i in wrapped if i not in slim]
    return wrapped
