"""`python -m reports.equivariance FILE.svg` prints the tables of the guide, in minutes, and draws its picture."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from reports.campaign.settle import judge_claim
from reports.claims.alignment.a8_ingredients import CLAIM
from reports.claims.claim import Context
from reports.files import write_atomically
from reports.findings import Cell, Table
from reports.judging.intervals import bars
from reports.typesetting.figures import render

HEADS = {
    "yes": ("training", "misses by", "p", "would be seen"),
    "no": ("training", "misses by", "outside", "p", "along the axes"),
}
READ = {
    "training": "ingredient",
    "misses by": "float64",
    "outside": "outside, %",
    "p": "$p$",
    "would be seen": "would be seen, %",
    "along the axes": "along the axes, %",
}


def markdown(table: Table, commutes: str) -> list[str]:
    """The table of the report for readers of the guide: trainings that commute, or those that do not."""
    places = {column.title: i for i, column in enumerate(table.columns)}
    heads = HEADS[commutes]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    rows = (row for row in table.rows if row[places["commutes"]] == commutes)
    return lines + [f"| {' | '.join(_cell(head, row[places[READ[head]]]) for head in heads)} |" for row in rows]


def _cell(head: str, value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        share, error = value
        return f"{share:.0f} %" if error is None else f"{share:.0f} ± {bars(error):.0f} %"
    if isinstance(value, str):
        return value.replace("|", "\\|")
    return f"{value:.1f} %" if READ[head].endswith("%") else f"{value:.1g}" if head == "p" else f"{value:.1e}"


def main(arguments: Sequence[str]) -> None:
    """Judge claim A8 at the full budget; print both tables, and draw."""
    report = judge_claim(CLAIM, Context(budget="full"))
    (table,), (figure,) = report.tables, report.figures
    for commutes in ("no", "yes"):
        print("\n".join(markdown(table, commutes)), end="\n\n")
    write_atomically(Path(arguments[0]), render(figure).svg)


if __name__ == "__main__":
    main(sys.argv[1:])
