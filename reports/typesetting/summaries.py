"""Findings as tables: of one claim, of the whole report, and of what lies outside the hypotheses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from reports.counted import counted
from reports.findings import CONTINUED, OUTSIDE, ClaimReport, Column, Finding, Table
from reports.record import ReportRecord, count, verdict_of
from reports.typesetting.numbers import Number, error_digits, is_number, plain, pvalue, rounded, rounded_as, to_decimals

_VERDICT = Column("Verdict", "verdict")
_JUDGED = (*(Column(head, "text") for head in ("Claim", "Case", "Quantity", "Predicted", "Measured", "$p$")), _VERDICT)
_NOTATION = (
    "An error in parentheses is one standard error, in units of the last digit; brackets hold a 95 % confidence "
    "interval unless a note says otherwise."
)
_ERROR_DETECTED = (
    "Error detected: had the predicted number been wrong by this share or more, the finding would not hold."
)


@dataclass(frozen=True)
class Annotated:
    """A table, and the notes that its superscript letters point to."""

    table: Table
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def alone(self) -> tuple[Table, tuple[tuple[str, str], ...]]:
        """A table of findings outside the report, where its notes, not its caption, explain how numbers are written."""
        caption, _, explained = self.table.caption.partition(f" {_ERROR_DETECTED}")
        how = _NOTATION if caption == self.table.caption else f"{_NOTATION} {_ERROR_DETECTED}"
        return replace(self.table, caption=caption + explained), (("", how), *self.notes)


def with_verdict(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that have a verdict."""
    return tuple(finding for finding in findings if finding.verdict != OUTSIDE)


def outside(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings outside the hypotheses."""
    return tuple(finding for finding in findings if finding.verdict == OUTSIDE)


def scoreboard(report: ReportRecord) -> Table:
    """One row per claim: its title, its verdict, and the number of findings by verdict."""
    columns = (
        Column("Claim", "text"),
        Column("", "text"),
        _VERDICT,  # before the numbers: seen on a narrow screen, too
        Column("holds"),
        Column("refuted"),
        Column("undecided"),
        Column("outside"),
    )
    rows = tuple(
        (claim.id, claim.title, verdict_of(claim) or "", *(number or None for number in count(claim.findings).values()))
        for claim in report.claims
    )
    caption = (
        "Number of findings by claim and verdict. A claim is refuted if any of its findings is, otherwise undecided if "
        "any is, and otherwise it holds; one without findings has no verdict."
    )
    return Table("claims", caption, columns, rows)


def headlines(report: ReportRecord) -> Table:
    """One row per claim: the finding that decides its verdict, that is the first with the worst verdict."""
    rows = []
    for claim in report.claims:
        deciding = next((f for f in with_verdict(claim.findings) if f.verdict == verdict_of(claim)), None)
        if deciding is not None:
            cells = (deciding.case, deciding.quantity, predicted(deciding), measured(deciding))
            rows.append((claim.id, *cells, pvalue(deciding.pvalue), deciding.verdict))
    caption = (
        "One finding of each claim: the first refuted one, otherwise the first undecided one, otherwise the first. "
        f"{_NOTATION} All findings are listed at the end."
    )
    return Table("headlines", caption, _JUDGED, tuple(rows))


def judged_summary(report: ReportRecord) -> Table:
    """One row per judged finding, of all claims."""
    rows = []
    for claim in report.claims:
        for i, finding in enumerate(with_verdict(claim.findings)):
            cells = (finding.case, finding.quantity, predicted(finding), measured(finding), pvalue(finding.pvalue))
            rows.append((claim.id if i == 0 else CONTINUED, *cells, finding.verdict))
    caption = f"All judged findings. {_NOTATION}"
    return Table("summary", caption, _JUDGED, tuple(rows))


def outside_summary(report: ReportRecord) -> Table:
    """One row per finding outside the hypotheses: effect sizes, no verdict."""
    columns = tuple(Column(head, "text") for head in ("Claim", "Case", "Quantity", "Theory, if it applied", "Measured"))
    rows = []
    for claim in report.claims:
        for i, finding in enumerate(outside(claim.findings)):
            cells = (finding.case, finding.quantity, predicted(finding), measured(finding))
            rows.append((claim.id if i == 0 else CONTINUED, *cells))
    return Table(
        "outside", "Outside the hypotheses of the theory: effect sizes and intervals, no verdict.", columns, tuple(rows)
    )


def findings_table(claim: ClaimReport) -> Annotated:
    """The judged findings of a claim, with their power and notes."""
    findings = with_verdict(claim.findings)
    notes = _Notes()
    every = (*_JUDGED[1:-1], Column("Power", "text"), Column("Error detected", "text"), _VERDICT)
    rows = [
        [
            finding.case + notes.mark(_note(finding)),
            finding.quantity,
            predicted(finding),
            measured(finding),
            pvalue(finding.pvalue),
            finding.power,
            error_found(finding),
            finding.verdict,
        ]
        for finding in findings
    ]
    kept = [i for i in range(len(every)) if i < 4 or any(row[i] for row in rows)]  # p and power where there are any
    columns = [every[i] for i in kept]
    cells: list[list[str | int | None]] = [[row[i] for i in kept] for row in rows]
    caption = f"Findings on {claim.id}."
    if any(finding.smallest_error is not None for finding in findings):
        caption += f" {_ERROR_DETECTED}"
    replicas = {finding.replicas for finding in findings}
    if len(replicas) > 1:
        columns.insert(-1, Column("Replicas"))
        for row, finding in zip(cells, findings, strict=True):
            row.insert(-1, finding.replicas or None)
    elif replicas - {0}:
        caption = caption.replace(".", f", {replicas.pop()} replicas each.", 1)
    return Annotated(Table(f"findings-{claim.id}", caption, tuple(columns), tuple(map(tuple, cells))), notes.found)


def outside_table(claim: ClaimReport) -> Annotated:
    """The findings of a claim outside the hypotheses, and notes."""
    notes = _Notes()
    findings = outside(claim.findings)
    columns = [Column(head, "text") for head in ("Case", "Quantity", "Theory, if it applied", "Measured")]
    rows: list[tuple[str | int | None, ...]] = [
        (f.case + notes.mark(_note(f)), f.quantity, predicted(f), measured(f)) for f in findings
    ]
    if any(finding.replicas for finding in findings):
        columns.append(Column("Replicas"))
        rows = [(*row, finding.replicas or None) for row, finding in zip(rows, findings, strict=True)]
    caption = f"{claim.id} outside the hypotheses: effect sizes and intervals, no verdict."
    return Annotated(Table(f"outside-{claim.id}", caption, tuple(columns), tuple(rows)), notes.found)


def measured(finding: Finding) -> str:
    """The measurement with its standard error in parentheses, or with its interval, as text with math."""
    value = plain(finding.measurement)
    if not is_number(value):
        text = str(value)
        return f"{text} {_interval(finding.interval)}" if finding.interval else text
    if not math.isfinite(value):
        return "not finite"
    if _has_error(finding):
        return f"${_measured_number(finding).math()}$"
    if finding.interval is None:
        return f"${rounded(value).math()}$"
    return f"${_alike(value, *finding.interval)[0]}$ {_interval(finding.interval, value)}"


def predicted(finding: Finding) -> str:
    """The prediction, to the decimals of the measurement where that has an error."""
    value = plain(finding.prediction)
    if not is_number(value):
        return str(value)
    if not math.isfinite(value):
        return "not finite"
    if value != 0 and _has_error(finding) and is_number(finding.measurement):
        number = rounded_as(value, _measured_number(finding))
        if any(digit in "123456789" for digit in number.integer + number.fraction):
            return f"${number.math()}$"
    return f"${rounded(value, digits=3).math()}$"


def error_found(finding: Finding) -> str:
    """The smallest error of the prediction that would have been detected, as text with math; empty if there is none."""
    if finding.smallest_error is None:
        return ""
    if math.isinf(finding.smallest_error):
        return "none"
    return f"{100 * finding.smallest_error:.2g} %"


def sentence(report: ReportRecord) -> str:
    """A sentence with the number of findings by verdict."""
    counts = report.counts
    total = sum(counts.values()) - counts["outside the hypotheses"]
    claims = sum(bool(with_verdict(claim.findings)) for claim in report.claims)
    hold, refuted, undecided = counts["holds"], counts["refuted"], counts["undecided"]
    text = (
        f"Of {counted(total, 'judged finding')} on {counted(claims, 'claim')}, "
        f"{hold} {_plural(hold, 'holds', 'hold')}, {refuted} {_plural(refuted, 'is', 'are')} refuted and "
        f"{undecided} {_plural(undecided, 'is', 'are')} undecided."
    )
    if extra := counts["outside the hypotheses"]:
        text += f" {extra} more {_plural(extra, 'lies', 'lie')} outside the hypotheses of the theory."
    return text


class _Notes:
    """Notes with letters, each text once."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def mark(self, text: str) -> str:
        if not text:
            return ""
        letter = self._letters.setdefault(text, _letter(len(self._letters)))
        return rf"$^{{\mathrm{{{letter}}}}}$"

    @property
    def found(self) -> tuple[tuple[str, str], ...]:
        return tuple((letter, text) for text, letter in self._letters.items())


def _letter(i: int) -> str:
    return (_letter(i // 26 - 1) if i >= 26 else "") + chr(ord("a") + i % 26)


def _note(finding: Finding) -> str:
    parts = [finding.note]
    if finding.diverged:
        parts.append(f"{finding.diverged} of {finding.replicas} replicas diverged and are omitted")
    return "; ".join(part for part in parts if part)


def _has_error(finding: Finding) -> bool:
    return finding.standard_error is not None and math.isfinite(finding.standard_error) and finding.standard_error > 0


def _measured_number(finding: Finding) -> Number:
    error = finding.standard_error
    return rounded(float(finding.measurement), error, error_digits=error_digits([error]))


def _interval(interval: Sequence[float] | None, value: float | None = None) -> str:
    if interval is None:
        return ""
    ends = _alike(*interval) if value is None else _alike(value, *interval)[1:]
    return f"$[{ends[0]}, {ends[1]}]$"


def _alike(*values: float) -> list[str]:
    """Numbers to the same decimals, with at least two significant digits of their spread."""
    finite = [value for value in values if math.isfinite(value)]
    spread = max(finite, default=0.0) - min(finite, default=0.0)
    shown = []
    for value in values:
        if not math.isfinite(value):
            shown.append(r"\infty" if value > 0 else r"-\infty")
            continue
        place = 1 - math.floor(math.log10(spread)) if spread > 0 else None
        if place is None or max(map(abs, finite)) >= 1e5 or place > 5:
            shown.append(rounded(value, digits=3).math())
        else:
            shown.append(to_decimals(value, max(place, 0)).math())
    return shown


def _plural(number: int, one: str, many: str) -> str:
    return one if number == 1 else many
