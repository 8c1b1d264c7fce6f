"""What a report is made of: findings, tables and figures as frozen records, before anything is drawn or typeset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

CONTINUED = " "  # the first cell of a row that belongs to the one above

Verdict = Literal["holds", "refuted", "undecided", "outside the hypotheses"]


@dataclass(frozen=True)
class Finding:
    """One prediction held against one measurement.

    Attributes
    ----------
    claim : str
        The claim's id, such as "A3".
    case : str
        What was trained, in a few words.
    kind : "exact", "asymptotic", "control" or "outside"
        By which rule the verdict was reached.
    quantity : str
        What is measured, in words; LaTeX math between dollar signs is allowed.
    prediction : float or str
        A number, or what is predicted in words ("rejected", "rises, then falls").
    measurement : float or str
    standard_error : float or None
    interval : (float, float) or None
        A 95 % confidence interval, unless `note` says otherwise.
    pvalue : float or None
        Of the hypothesis that the prediction holds; for a control, of the hypothesis that alignment is not broken.
    power : str
        What would have been detected, with which probability.
    verdict : Verdict
    note : str
    replicas, diverged : int
    """

    claim: str
    case: str
    kind: Literal["exact", "asymptotic", "control", "outside"]
    quantity: str
    prediction: float | str
    measurement: float | str
    verdict: Verdict
    standard_error: float | None = None
    interval: tuple[float, float] | None = None
    pvalue: float | None = None
    power: str = ""
    note: str = ""
    replicas: int = 0
    diverged: int = 0


@dataclass(frozen=True)
class Column:
    """A column of a table: a heading (LaTeX math between dollar signs), and whether it holds text or numbers.

    A numeric cell is a number, a pair (value, standard error), or None where there is nothing to say.
    `digits` is the number of significant digits of a number without an error.
    """

    heading: str
    kind: Literal["text", "number"] = "number"
    digits: int = 3


@dataclass(frozen=True)
class Table:
    """A table of one claim; `name` is its file name, `caption` may hold LaTeX math between dollar signs."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, eq=False)
class Series:
    """One curve, or one set of points: x, y, and half-widths of 95 % intervals where there are any. All shape (k,)."""

    label: str
    x: np.ndarray
    y: np.ndarray
    error: np.ndarray | None = None
    style: Literal["line", "points", "both", "dashed", "band"] = "points"


@dataclass(frozen=True, eq=False)
class Picture:
    """A matrix shown as an image, (a, b); the signs of `marks`, of that shape, stand in its cells, parted by lines."""

    label: str
    values: np.ndarray
    marks: np.ndarray | None = None


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
