"""The report on disk: data files, tables, figures, and the two documents that bind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from markupsafe import Markup

from reports.files import file_name, write_atomically
from reports.findings import ClaimReport, Figure, Table
from reports.processes import results
from reports.provenance import provenance as collect_provenance
from reports.record import ReportRecord, findings_csv, to_json, verdict_of
from reports.statements import words
from reports.statements.paper import STATEMENTS
from reports.statements.statement import answered
from reports.typesetting import figures, latex, summaries, tables
from reports.typesetting.environments import html_environment, latex_environment
from reports.typesetting.layout import lay_out
from reports.typesetting.markup import to_latex

TITLE = "Random labels align weights with data"
SUBTITLE = "A numerical validation of the theory of arXiv:2006.10455"
_UNBROKEN = 14  # lines of a table that stays on one page; longer ones break, so that none leaves half a page empty
FIGURES = 4  # the number of figures that a process draws in the time that it takes to begin
_LINE = 484  # pt: the text width of report.tex


@dataclass(frozen=True)
class _Told:
    """A statement of the paper: its place and texts, the verdicts on the claims it asks, and its findings as lines."""

    place: str
    said: str
    done: str
    unknown: str
    totals: dict[str, str]
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Section:
    """A claim with its tables, each with its notes, as the templates walk through it."""

    claim: ClaimReport
    verdict: str | None
    findings: summaries.Annotated | None
    outside: summaries.Annotated | None
    settings: tuple[str, ...]


def write(
    report: ReportRecord,
    out_dir: Path | str,
    *,
    provenance: Mapping[str, Any] | None = None,
    pdf: bool = True,
    floats: bool = False,
    processes: int = 1,
) -> dict[str, Path]:
    """Write the whole report into `out_dir`, every file whole or not at all.

    results.json and results.csv; `tables/*.tex` and `*.csv`; `figures/*.pdf` and `*.svg`; report.tex, report.html, and
    report.pdf where a LaTeX engine is found (the log says loudly where not). The same record and provenance give the
    same bytes, in report.pdf too as long as the engine is the same.

    Parameters
    ----------
    report : ReportRecord
    out_dir : path
        The folder of the report, created if need be; other files in it are left alone.
    provenance : mapping, optional
        What to print of versions and machine; collected here if not given.
    pdf : bool
        Whether to compile report.tex.
    floats : bool
        Whether to write floats/*.tex, too: the tables with their captions and labels.
    processes : int
        How many processes draw figures, which is most of the time that this takes; with more than one, a script needs
        ``if __name__ == "__main__"``.

    Returns
    -------
    dict
        The files of the top level that were written, by name.
    """
    out = Path(out_dir)
    origin = dict(collect_provenance(report.device) if provenance is None else provenance)
    written = {
        "results.json": write_atomically(out / "results.json", to_json(report, origin)),
        "results.csv": write_atomically(out / "results.csv", findings_csv(report)),
    }
    sections = tuple(_section(claim) for claim in report.claims)
    overview = _overview(report)
    for table, notes in [*((table, ()) for table in overview.values()), *chain(*map(_tables, sections))]:
        name = file_name(table.name)
        write_atomically(out / "tables" / f"{name}.tex", tables.to_latex_table(table, notes=notes))
        write_atomically(out / "tables" / f"{name}.csv", tables.to_csv(table))
        if floats:
            write_atomically(out / "floats" / f"{name}.tex", tables.to_latex_float(table, notes=notes))
    drawings = {}
    for figure, drawn in _drawn([figure for claim in report.claims for figure in claim.figures], processes):
        name = file_name(figure.name)
        write_atomically(out / "figures" / f"{name}.pdf", drawn.pdf)
        write_atomically(out / "figures" / f"{name}.svg", drawn.svg)
        drawings[figure.name] = Markup(figures.inline_svg(drawn.svg, name, figure.caption))
    context = {
        "report": report,
        "title": TITLE,
        "subtitle": SUBTITLE,
        "sentence": summaries.sentence(report),
        "sections": sections,
        "overview": overview,
        "introduction": words.INTRODUCTION,
        "unmeasured": words.UNMEASURED,
        "statements": _statements(report),
        "facts": _facts(report, origin),
        "marks": tables.MARKS,
        "note": tables.NOTE,
        "counts": report.counts,
    }
    page = html_environment().get_template("report.html.jinja2").render(context, drawings=drawings)
    article = latex_environment()
    article.filters["table"] = _included
    written["report.html"] = write_atomically(out / "report.html", page)
    written["report.tex"] = write_atomically(
        out / "report.tex", article.get_template("report.tex.jinja2").render(context)
    )
    if pdf and (compiled := latex.make_pdf(written["report.tex"])):
        written["report.pdf"] = compiled
    return written


def _drawn(wanted: Sequence[Figure], processes: int) -> Iterator[tuple[Figure, figures.DrawnFigure]]:
    """Each figure with its drawing, in any order; those of many panels are begun first."""
    longest_first = sorted(wanted, key=lambda figure: len(figure.panels), reverse=True)
    processes = min(processes, len(wanted) // FIGURES)
    if processes <= 1:
        yield from ((figure, figures.render(figure)) for figure in longest_first)
        return
    with closing(results(figures.render, [(figure,) for figure in longest_first], processes)) as done:
        yield from ((longest_first[number], drawn) for number, drawn in done)


def _section(claim: ClaimReport) -> _Section:
    with_verdict, outside = summaries.with_verdict(claim.findings), summaries.outside(claim.findings)
    return _Section(
        claim,
        verdict_of(claim),
        summaries.findings_table(claim) if with_verdict else None,
        summaries.outside_table(claim) if outside else None,
        settings(claim.departures),
    )


def _statements(report: ReportRecord) -> tuple[_Told, ...]:
    """What is told of every statement of the paper; nothing in a report that leaves out claims which they ask."""
    findings = {claim.id: claim.findings for claim in report.claims}
    if not {claim for each in STATEMENTS for claim in each.claims} <= findings.keys():
        return ()
    return tuple(
        _Told(
            each.statement.place,
            each.statement.said,
            each.statement.done,
            each.statement.unknown,
            words.totals(each, findings),
            tuple((finding.claim, words.line(finding)) for finding in each.shown),
        )
        for each in answered(STATEMENTS, findings)
    )


def settings(departures: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Assignments of each case, a line each; those that all have in common stand once, in a line before.

    >>> settings({"a": ("data.kind = 1", "seed = 2"), "b": ("data.kind = 1", "seed = 3")})
    ('all cases: data.kind = 1', 'a: seed = 2', 'b: seed = 3')
    """
    common: tuple[str, ...] = ()
    if len(departures) > 1:
        first, *others = departures.values()
        common = tuple(each for each in first if all(each in other for other in others))
    lines = {"all cases": common} if common else {}
    lines |= {case: tuple(each for each in own if each not in common) for case, own in departures.items()}
    return tuple(f"{case}: {', '.join(own)}" for case, own in lines.items())


def _overview(report: ReportRecord) -> dict[str, Table]:
    found = {
        "claims": summaries.scoreboard(report),
        "headlines": summaries.headlines(report),
        "summary": summaries.judged_summary(report),
    }
    if summaries.outside(report.findings):
        found["outside"] = summaries.outside_summary(report)
    return found


def _tables(section: _Section) -> list[tuple[Table, tuple[tuple[str, str], ...]]]:
    """The tables of a claim, each with the notes that it needs outside the report."""
    own = [found.alone for found in (section.findings, section.outside) if found]
    return [*own, *((table, ()) for table in section.claim.tables)]


def _facts(report: ReportRecord, origin: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Provenance as label and text, in the order in which it is printed; none of it is markup."""
    facts = [
        ("command", report.command),
        ("budget", report.budget),
        ("seed", str(report.seed)),
        ("device", report.device),
        ("started", report.started),
        ("duration", duration(report.seconds)),
    ]
    return facts + [(str(key), str(value)) for key, value in origin.items()]


def duration(seconds: float) -> str:
    """A duration in words.

    >>> duration(3725)
    '1 h 2 min'
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _included(table: Table, notes: Sequence[tuple[str, str]] = ()) -> str:
    r"""A table in the report with its notes: \input at a size at which it fits, or written out where it breaks."""
    layout = lay_out(table)
    sizes = [("small", 9), ("footnotesize", 8), ("scriptsize", 7)][1 if layout.wraps else 0 :]
    size = next((name for name, points in sizes if layout.width * points <= _LINE), "scriptsize")
    if layout.lines > _UNBROKEN:
        caption = rf"{{\captionof{{table}}{{{to_latex(table.caption)}}}}}\nopagebreak"  # its settings stay in a group
        written = tables.to_latex_table(table, notes=notes, long=True)
        return f"\\reserve{{8\\baselineskip}}\n{caption}\n{{\\{size}\n{written}}}"
    path = rf"\input{{tables/{file_name(table.name)}.tex}}"
    if layout.width * 7 > _LINE:
        path = rf"\resizebox{{\linewidth}}{{!}}{{{path}}}"
    below = "".join(f"{tables.paragraph_note(*note)}\n" for note in notes)
    return f"\\begin{{reporttable}}{{{to_latex(table.caption)}}}\n\\{size}\n{path}\n{below}\\end{{reporttable}}"
