"""Every column of numbers that a claim declares names its quantity and its unit, and prints it.

The columns are read in the sources, so that no claim has to run, and none of its tables is left out at some budget.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import pytest

from reports.findings import CONTINUED, Column, Unit, number, table_of, text
from reports.typesetting.layout import lay_out
from tests.paths import ROOT

SOURCES = sorted((ROOT / "reports" / "claims").rglob("*.py"))
P_VALUES = {"$p$", "shuffled"}
COUNTS = {"step", "replicas", "settings", "networks", "updates", "epochs", "width", "dimension", "right", "decided"}


@dataclass(frozen=True)
class Declared:
    """A column of numbers as its claim writes it."""

    place: str
    heading: str
    unit: str
    read: str

    @property
    def in_per_cent(self) -> bool:
        """Whether the number in its cells is a share times 100."""
        return bool(re.search(r"\b100 \*|percent", self.read))


def declared(source: str, name: str = "") -> Iterator[Declared]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "number":
            heading, unit, read = node.args[:3]
            yield Declared(
                f"{name}:{node.lineno}", ast.unparse(heading).strip("rf'\""), ast.literal_eval(unit), ast.unparse(read)
            )


COLUMNS = [column for path in SOURCES for column in declared(path.read_text(), f"{path.relative_to(ROOT)}")]


def faults(column: Declared) -> list[str]:
    heading = column.heading
    found = []
    if column.unit not in get_args(Unit):
        found.append("has an unknown unit")
    if not re.search("[A-Za-z]", heading):
        found.append("does not name its quantity")
    if (column.unit == "%") != column.in_per_cent:
        found.append("is in per cent, or is not, other than its unit says")
    if (column.unit == "p") != (heading in P_VALUES):
        found.append("is a p-value, or is not, other than its unit says")
    if heading in COUNTS and column.unit not in ("count", "steps", "epochs"):
        found.append("counts something, and its unit does not say so")
    if re.search("%|per cent|degrees|decades|per task", heading):
        found.append("spells its unit in the heading, beside the typed one")
    return [f"{column.place}: {heading!r} {fault}" for fault in found]


def test_every_number_has_its_unit() -> None:
    assert len(COLUMNS) > 150
    assert not [fault for column in COLUMNS for fault in faults(column)]


def test_two_columns_of_a_table_are_told_apart() -> None:
    """No table has two columns of numbers of one name: "measured" twice says nothing of which is which."""
    same = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {heading}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "table_of"
        for headings in [[each.heading for each in declared(ast.unparse(node)) if each.heading not in P_VALUES]]
        for heading in sorted({each for each in headings if headings.count(each) > 1})
    ]
    assert not same


@pytest.mark.parametrize(
    "column",
    [
        'number("outside", "1", lambda row: 100 * row.outside)',
        'number("outside", "%", lambda row: row.outside)',
        'number("outside, %", "%", lambda row: _percent(row.outside))',
        'number("$p$", "1", lambda row: row.pvalue)',
        'number("slope", "p", lambda row: row.slope)',
        'number("step", "1", lambda row: row.step)',
        'number("", "1", lambda row: row.step)',
        'number("angle", "radians", lambda row: row.angle)',
    ],
)
def test_a_wrong_unit_is_seen(column: str) -> None:
    (found,) = declared(column)
    assert faults(found)


def test_a_unit_is_printed_after_the_heading_and_p_no_smaller_than_is_resolved() -> None:
    table = table_of(
        "t",
        "",
        [("a", 12.5, 3e-65), ("a", 1.0, 0.0412), ("b", 0.5, 0.5)],
        text("case", lambda row: row[0], once=True),
        number("moved", "%", lambda row: row[1]),
        number("$p$", "p", lambda row: row[2]),
    )
    assert [column.title for column in table.columns] == ["case", "moved, %", "$p$"]
    layout = lay_out(table)
    assert " ".join(layout.columns[1].heading) == "moved, %"
    shown = [cell.number.siunitx() if cell.number else cell.text for cell in layout.columns[2].cells]
    assert shown == ["$<10^{-16}$", "0.041", "0.50"]
    assert [row[0] for row in table.rows] == ["a", CONTINUED, "b"]
    assert Column("steps", unit="count").title == "steps"
