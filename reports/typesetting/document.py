"""The report on disk: data files, tables, figures, and the two documents that bind them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.files import write_atomically
from reports.findings import ClaimReport, Figure, Table
from reports.provenance import provenance as collect_provenance
from reports.record import ReportRecord, findings_csv, to_json, verdict_of
from reports.typesetting import figures, latex, summaries, tables
from reports.typesetting.layout import lay_out
from reports.typesetting.markup import latex_code, to_html, to_latex, to_plain

if TYPE_CHECKING:
    import jinja2

log = logging.getLogger(__name__)

TITLE = "Random labels align weights with data"
SUBTITLE = "A numerical validation of the theory of arXiv:2006.10455"
_UNBROKEN = 14  # lines of a table that stays on one page; longer ones break, so that none leaves half a page empty
_LINE = 484  # pt: the text width of report.tex


@dataclass(frozen=True)
class _Section:
    """A claim with its tables, each with its notes, as the templates walk through it."""

    claim: ClaimReport
    verdict: str | None
    findings: summaries.Annotated | None
    outside: summaries.Annotated | None
    settings: tuple[str, ...]


def write(
    report: ReportRecord, out_dir: Path | str, *, provenance: Mapping[str, Any] | None = None, pdf: bool = True
) -> dict[str, Path]:
    """Write the whole report into `out_dir`, every file whole or not at all.

    results.json and results.csv; tables/*.tex and *.csv; figures/*.pdf and *.svg; report.tex, report.html, and
    report.pdf where a LaTeX engine is found (the log says loudly where not). The same record and provenance give the
    same bytes, in report.pdf too as long as the engine is the same.

    Parameters
    ----------
    report : ReportRecord
    out_dir : path
        Created if need be; other files in it are left alone.
    provenance : mapping, optional
        What to print of versions and machine; collected here if not given.
    pdf : bool
        Whether to compile report.tex.

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
    for table in [*overview.values(), *(table for section in sections for table in _tables(section))]:
        write_atomically(out / "tables" / f"{file_name(table.name)}.tex", tables.to_latex_table(table))
        write_atomically(out / "tables" / f"{file_name(table.name)}.csv", tables.to_csv(table))
    drawings = {}
    for claim in report.claims:
        for figure in claim.figures:
            drawn = figures.render(figure)
            write_atomically(out / "figures" / f"{file_name(figure.name)}.pdf", drawn.pdf)
            write_atomically(out / "figures" / f"{file_name(figure.name)}.svg", drawn.svg)
            drawings[figure.name] = drawn.svg
    context = {
        "report": report,
        "title": TITLE,
        "subtitle": SUBTITLE,
        "sentence": summaries.sentence(report),
        "sections": sections,
        "overview": overview,
        "facts": _facts(report, origin),
        "marks": tables.MARKS,
        "counts": report.counts,
    }
    written["report.html"] = write_atomically(out / "report.html", _render_html(context, drawings))
    written["report.tex"] = write_atomically(out / "report.tex", _render_latex(context))
    if pdf and (compiled := latex.make_pdf(written["report.tex"])):
        written["report.pdf"] = compiled
    return written


def file_name(name: str) -> str:
    """A table's or figure's name as every file system and LaTeX take it."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.") or "unnamed"


def inline_svg(svg: bytes, prefix: str, caption: str) -> str:
    """An SVG as an element of an HTML page: no XML head, its ids made unique by `prefix`, described by `caption`."""
    text = svg.decode()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    label = to_plain(caption).replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).strip()


def _section(claim: ClaimReport) -> _Section:
    judged, outside = summaries.judged(claim.findings), summaries.outside(claim.findings)
    return _Section(
        claim,
        verdict_of(claim),
        summaries.findings_table(claim) if judged else None,
        summaries.outside_table(claim) if outside else None,
        settings(claim.departures),
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
        "summary": summaries.summary(report),
    }
    if summaries.outside(report.findings):
        found["outside"] = summaries.outside_summary(report)
    return found


def _tables(section: _Section) -> list[Table]:
    own = [annotated.table for annotated in (section.findings, section.outside) if annotated]
    return [*own, *section.claim.tables]


def _facts(report: ReportRecord, origin: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Provenance as label and text, in the order in which it is printed."""
    facts = [
        ("command", f"`{report.command}`"),
        ("budget", report.budget),
        ("seed", str(report.seed)),
        ("device", report.device),
        ("started", report.started),
        ("duration", duration(report.seconds)),
    ]
    return facts + [(str(key), str(value)) for key, value in origin.items()]


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(3725)
    '1 h 2 min'
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _render_html(context: Mapping[str, Any], drawings: Mapping[str, bytes]) -> str:
    from markupsafe import Markup

    environment = _environment(autoescape=True)

    def drawn(figure: Figure) -> Markup:
        return Markup(inline_svg(drawings[figure.name], file_name(figure.name), figure.caption))

    environment.filters |= {
        "rich": lambda text: Markup(to_html(text)),
        "plain": to_plain,
        "table": lambda table: Markup(tables.to_html_table(table, caption=False)),
        "verdict": lambda verdict: Markup(tables.verdict_html(verdict)),
        "drawn": drawn,
        "slug": file_name,
    }
    return environment.get_template("report.html.j2").render(context)


def _render_latex(context: Mapping[str, Any]) -> str:
    environment = _environment(
        block_start_string="((*",
        block_end_string="*))",
        variable_start_string="(((",
        variable_end_string=")))",
        comment_start_string="((#",
        comment_end_string="#))",
    )
    environment.filters |= {
        "rich": to_latex,
        "code": latex_code,
        "bookmark": lambda text: to_latex("".join(char for char in to_plain(text) if char.isascii())),
        "verdict": tables.verdict_latex,
        "table": _included,
        "slug": file_name,
    }
    return environment.get_template("report.tex.j2").render(context)


def _included(table: Table) -> str:
    r"""A table in the report: \input at a size at which it fits, or written out where it must break over pages."""
    layout = lay_out(table)
    sizes = [("small", 9), ("footnotesize", 8), ("scriptsize", 7)][1 if layout.wraps else 0 :]
    size = next((name for name, points in sizes if layout.width * points <= _LINE), "scriptsize")
    if layout.lines > _UNBROKEN:
        caption = rf"{{\captionof{{table}}{{{to_latex(table.caption)}}}}}\nopagebreak"  # its settings stay in a group
        return f"\\reserve{{8\\baselineskip}}\n{caption}\n{{\\{size}\n{tables.to_latex_table(table, long=True)}}}"
    path = rf"\input{{tables/{file_name(table.name)}.tex}}"
    if layout.width * 7 > _LINE:
        path = rf"\resizebox{{\linewidth}}{{!}}{{{path}}}"
    return f"\\begin{{reporttable}}{{{to_latex(table.caption)}}}\n\\{size}\n{path}\n\\end{{reporttable}}"


def _environment(**options: Any) -> jinja2.Environment:
    import jinja2

    folder = Path(__file__).resolve().parent / "templates"
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
