"""The content of a report: findings, tables and figures as frozen records, before anything is drawn or typeset."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from reports.judging.rules import Ruling

CONTINUED = " "  # the first cell of a table's row that belongs to the row above
OUTSIDE: Literal["outside the hypotheses"] = "outside the hypotheses"

Verdict = Literal[Ruling, "outside the hypotheses"]
Kind = Literal["exact", "asymptotic", "control", "outside"]
Unit = Literal["1", "count", "p", "%", "degrees", "decades", "steps", "epochs", "per task"]
_UNPRINTED = ("1", "count", "p")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Judgement:
    """One prediction compared with one measurement.

    Attributes
    ----------
    quantity : str
        What is measured, in words; LaTeX math between dollar signs is allowed.
    prediction : float or str
        A number, or what is predicted in words ("rejected", "rises, then falls").
    measurement : float or str
    verdict : Verdict
    standard_error : float or None
    interval : (float, float) or None
        A 95 % confidence interval, unless `note` says otherwise.
    pvalue : float or None
        The p-value of the hypothesis that the prediction holds; for a control, of the hypothesis that alignment is not
        broken.
    power : str
        The power of the test, in words.
    note : str
    kind : Kind or None
        The kind of rule for the verdict, if it is not that of the case.
    about : str or None
        What is judged, if it differs from the case.
    smallest_error : float or None
        The smallest share by which the predicted number of a finding that holds would have to be wrong, in either
        direction, for the finding not to hold. Infinite if it would hold even if next to nothing were predicted, or
        twice as much; None if no number is predicted.
    """

    quantity: str
    prediction: float | str
    measurement: float | str
    verdict: Verdict
    standard_error: float | None = None
    interval: tuple[float, float] | None = None
    pvalue: float | None = None
    power: str = ""
    note: str = ""
    kind: Kind | None = None
    about: str | None = None
    smallest_error: float | None = None


@dataclass(frozen=True)
class Finding:
    """A judgement with its claim, its case, and the number of networks.

    Attributes
    ----------
    claim : str
        The claim's id, such as "A3".
    case : str
        What was trained, in a few words.
    kind : "exact", "asymptotic", "control" or "outside"
        The kind of rule for the verdict.
    quantity, prediction, measurement, verdict, standard_error, interval, pvalue, power, note, smallest_error
        As for `Judgement`.
    replicas, diverged : int
    """

    claim: str
    case: str
    kind: Kind
    quantity: str
    prediction: float | str
    measurement: float | str
    verdict: Verdict
    standard_error: float | None = None
    interval: tuple[float, float] | None = None
    pvalue: float | None = None
    power: str = ""
    note: str = ""
    smallest_error: float | None = None
    replicas: int = 0
    diverged: int = 0


Cell = str | int | float | tuple[float, float | None] | None


@dataclass(frozen=True)
class Column:
    """A column of a table: a heading (LaTeX math between dollar signs), and whether it holds text, numbers or verdicts.

    A numeric cell is a number, a pair (value, standard error), or None for an empty cell. Verdicts are words that a
    document may mark.
    `digits` is the number of significant digits of a number without an error.
    `unit` is that of the numbers: "1" if they have no dimension, "count" of what the heading names, "p" for the
    p-value of a test, which is printed no smaller than tests resolve; any other is printed after the heading.
    """

    heading: str
    kind: Literal["text", "number", "verdict"] = "number"
    digits: int = 3
    unit: Unit = "1"

    @property
    def title(self) -> str:
        """The heading with its unit."""
        return self.heading if self.unit in _UNPRINTED else f"{self.heading}, {self.unit}"


@dataclass(frozen=True)
class Table:
    """A table of one claim; `name` is its file name, `caption` may hold LaTeX math between dollar signs."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Cells(Generic[Item]):
    """A column of a table beside the way in which its cell is read from an item.

    Where `once`, a text that the row above has already, along with the texts of all such columns before, is left out.
    """

    column: Column
    read: Callable[[Item], Cell]
    once: bool = False


def table_of(name: str, caption: str, items: Iterable[Item], *columns: Cells[Item]) -> Table:
    """A table with a row per item."""
    rows: list[tuple[Cell, ...]] = []
    above: list[Cell] = []
    for item in items:
        values: list[Cell] = [each.read(item) for each in columns]
        same, row = bool(rows), list(values)
        for i, each in enumerate(columns):
            if each.once:
                same = same and values[i] == above[i]
                row[i] = CONTINUED if same else values[i]
        rows.append(tuple(row))
        above = values
    return Table(name, caption, tuple(each.column for each in columns), tuple(rows))


def text(heading: str, read: Callable[[Item], Cell], *, once: bool = False) -> Cells[Item]:
    """A column of words."""
    return Cells(Column(heading, "text"), read, once)


def number(heading: str, unit: Unit, read: Callable[[Item], Cell], digits: int = 3) -> Cells[Item]:
    """A column of numbers, or of pairs (value, standard error), in a unit."""
    return Cells(Column(heading, digits=digits, unit=unit), read)


@dataclass(frozen=True, eq=False)
class Series:
    """One curve, or one set of points: x, y, and half-widths of 95 % intervals where there are any. All shape (k,).

    `xerror` is that of x, which points alone show.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    error: np.ndarray | None = None
    style: Literal["line", "points", "both", "dashed", "band"] = "points"
    xerror: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """A matrix drawn as an image; `marks` puts signs in its cells and lines between them.

    Attributes
    ----------
    label : str
    values : ndarray, shape (a, b)
    marks : ndarray, shape (a, b), or None
        Numbers whose signs are drawn in the cells, separated by lines, and ringed where they differ from the sign of
        the value.
    xlabel, ylabel : str
    xticks, yticks : tuple of str, length b and a
        What columns and rows are; without them the image has no axes.
    """

    label: str
    values: np.ndarray
    marks: np.ndarray | None = None
    xlabel: str = ""
    ylabel: str = ""
    xticks: tuple[str, ...] = ()
    yticks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Panel:
    """One pair of axes."""

    title: str
    xlabel: str = ""
    ylabel: str = ""
    series: tuple[Series, ...] = ()
    pictures: tuple[Picture, ...] = ()
    xlog: bool = False
    ylog: bool = False
    from_zero: bool = False  # the y axis starts at 0


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure of one claim, panels side by side."""

    name: str
    caption: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, eq=False)
class Exhibits:
    """The tables and figures of one claim."""

    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, eq=False)
class ClaimReport:
    """Everything the report says of one claim; `departures` says how the setting of each case departs from defaults."""

    id: str
    title: str
    statement: str
    reference: str
    method: str
    findings: tuple[Finding, ...]
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    departures: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seconds: float = 0.0
