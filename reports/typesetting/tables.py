"""A `Table` as a LaTeX fragment, as HTML, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from html import escape
from typing import Any, get_args

from reports.files import file_name
from reports.findings import CONTINUED, Table, Verdict
from reports.foreign_text import inert
from reports.typesetting.layout import ARTICLE, GAP, REPORT, ColumnLayout, Layout, SetCell, lay_out
from reports.typesetting.markup import pieces, to_html, to_latex, to_plain
from reports.typesetting.numbers import Number, is_number, is_pair, plain

MARKS: dict[str, str] = {"holds": "✓", "refuted": "✗", "undecided": "?", "outside the hypotheses": "○"}
_NOTES = (
    r"\providecommand{\eigenaligntablenotes}[1]"
    r"{\par\nobreak\smallskip\noindent\begin{minipage}{\linewidth}\footnotesize\raggedright #1\end{minipage}}%"
)
_ROW_NOTE = r"""\providecommand{\eigenalignrownote}[2]{\makebox[0pt][l]{\parbox[t]{\linewidth}{\footnotesize\raggedright
  \hangindent=1.2em\hangafter=1\makebox[1.2em][l]{\textsuperscript{#1}}#2\strut}}}%"""
# A note as a paragraph of its own: its letter and its text.
NOTE = r"""\providecommand{\eigenalignnote}[2]{\par{\parskip=0pt\noindent\footnotesize\raggedright
  \hangindent=1.2em\hangafter=1\makebox[1.2em][l]{\textsuperscript{#1}}#2\par}}%"""
# A table that is wider than the line is set in smaller print, and shrunk if it still is.
_FITTING = r"""\providecommand{\eigenaligntable}[1]{\begingroup\sbox0{#1}%
  \ifdim\wd0>\linewidth\ifdim\csname f@size\endcsname pt>8pt\footnotesize\tabcolsep=4pt\sbox0{#1}\fi\fi
  \ifdim\wd0>\linewidth\ifdim\csname f@size\endcsname pt>7pt\scriptsize\tabcolsep=3pt\sbox0{#1}\fi\fi
  \ifdim\wd0>\linewidth\ifdefined\resizebox\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi\else\usebox0\fi
  \endgroup}%"""
KEPT = 3  # the number of notes that stay on the page of a table's last rows
MANY = 9  # the most columns at the usual distance: more stand closer to each other
WIDER_MINUS = 0.4  # by how much a minus is wider than a digit, in digits
_COMMANDS = {"holds": "holds", "refuted": "refuted", "undecided": "undecided", "outside the hypotheses": "outside"}


def to_latex_table(table: Table, *, notes: Sequence[tuple[str, str]] = (), long: bool = False) -> str:
    r"""A `tabular` that compiles in a bare article with booktabs and siunitx, to be \input.

    It fits the line: a table that is too wide is set in smaller print, and with graphicx shrunk if it still is.

    Numbers stand in S columns as 0.123(4), `table-format` is computed from them, missing cells are {--}. Where the
    table is wider than an article's text, its widest text columns wrap, to widths that grow with \linewidth.
    A row whose first cell is a blank continues the one above; a little space parts such groups.
    Verdicts go through \eigenalignverdict{kind}{word}, which prints the word unless a document defines it otherwise.

    Parameters
    ----------
    notes : sequence of (str, str)
        Letters and texts, set below the table by \eigenaligntablenotes, which a document may define otherwise.
    long : bool
        A `longtable` instead, which breaks over pages and repeats its head (needs longtable). Its last two rows and
        the first three notes, rows as well, stay on one page; further notes follow as paragraphs, so that no page has
        the head above notes alone. \eigenalignrownote and \eigenalignnote set them.
    """
    layout = lay_out(table)
    environment = "longtable" if long else "tabular"
    further = notes[KEPT:] if long else ()
    specification = "\n".join(f"  {_specification(column, layout)}" for column in layout.columns)
    lines = [
        f"% {file_name(table.name)}: {' '.join(to_latex(table.caption).split())}",
        "% needs booktabs and siunitx, " + ("longtable" if long else "and graphicx where it is wider than the line"),
        r"\providecommand*{\eigenalignverdict}[2]{#2}%",
        *([_ROW_NOTE if long else _NOTES] if notes else []),
        *([NOTE, r"\begingroup\setlength{\LTpost}{0pt}%"] if further else []),
        *([] if long else [_FITTING, r"\eigenaligntable{%"]),
        rf"\begin{{{environment}}}{{@{{}}",
        specification,
        "@{}}",
        r"  \toprule",
        "  " + " & ".join(_latex_heading(column) for column in layout.columns) + r" \\",
        r"  \midrule",
        *([r"  \endhead", *_latex_end(layout, notes[:KEPT])] if long else [*_latex_rows(layout), r"  \bottomrule"]),
        rf"\end{{{environment}}}" + ("" if long else "}%"),
        # a longtable counts itself, and its caption does too
        *([r"\addtocounter{table}{-1}"] if long else _latex_notes(notes)),
        *([paragraph_note(*note) for note in further] + [r"\endgroup\addvspace{\LTpost}"] if further else []),
    ]
    return "\n".join(lines) + "\n"


def to_latex_float(table: Table, *, notes: Sequence[tuple[str, str]] = ()) -> str:
    r"""The table as a float with its caption and the label tab:NAME, to be \input.

    A table whose columns wrap, or whose numbers would have to be shrunk, spans both columns of an article that has two.
    """
    layout = lay_out(table)
    wide = layout.wraps or layout.width > ARTICLE
    environment = "table*" if wide else "table"
    head = [
        rf"\begin{{{environment}}}",
        r"\centering",
        rf"\caption{{{' '.join(to_latex(table.caption).split())}}}",
        rf"\label{{tab:{file_name(table.name)}}}",
        *([r"\footnotesize\setlength{\tabcolsep}{4pt}"] if wide else []),
    ]
    body = to_latex_table(table, notes=notes)
    return "\n".join(head) + f"\n{body}\\end{{{environment}}}\n"


def to_html_table(table: Table) -> str:
    """A <table> without caption; classes and widths of style.css align its numbers at their decimal points.

    Where texts wrap, style.css sets rows below each other on a narrow screen, each cell after the head of its column.
    """
    layout = lay_out(table)
    kinds = [*(["rows"] if layout.wraps else []), *(["tight"] if len(layout.columns) > MANY else [])]
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    head = "".join(
        f'<th scope="col" {_html_class(column)}>{to_html(column.column.title)}</th>' for column in layout.columns
    )
    body = "\n".join(
        f"<tr{start}>"
        + "".join(_html_cell(cell, column, layout) for cell, column in zip(row, layout.columns, strict=True))
        + "</tr>"
        for row, start in _grouped(layout, ' class="group"')
    )
    return f"<table{kind}><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def to_csv(table: Table) -> str:
    """One number per cell at full precision, errors in separate columns, missing cells empty, heads as written.

    Text that a spreadsheet would take for a formula is quoted.
    """
    columns = []
    for i, column in enumerate(table.columns):
        cells = [plain(row[i]) for row in table.rows]
        paired = any(is_pair(cell) for cell in cells)
        columns.append([column.title, *(_plain_cell(cell[0] if is_pair(cell) else cell) for cell in cells)])
        if paired:
            errors = [_plain_cell(cell[1]) if is_pair(cell) else "" for cell in cells]
            columns.append([f"standard error of {column.title}", *errors])
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(map(inert, row) for row in zip(*columns, strict=True))
    return out.getvalue()


def verdict_html(verdict: str) -> str:
    """The coloured word with its mark."""
    mark = f'<span class="mark">{MARKS[verdict]}</span>'
    return f'<span class="verdict {_COMMANDS[verdict]}">{mark} {escape(verdict)}</span>'


def verdict_latex(verdict: str) -> str:
    """The word through the command that a document may colour."""
    return rf"\eigenalignverdict{{{_COMMANDS[verdict]}}}{{{verdict}}}"


def _plain_cell(value: Any) -> str:
    value = plain(value)
    if value is None or value != value:
        return ""
    return repr(value) if is_number(value) else str(value)


def _specification(column: ColumnLayout, layout: Layout) -> str:
    if column.numeric:
        options = f"table-format={column.table_format}, table-align-exponent=false, group-digits=integer"
        return f"S[{options}]"
    if column.wrap is None:
        return "l"
    # The width on a line of any length: linear between a bare article's and the report's, gaps taken off.
    gaps = len(layout.columns) - 1
    slope = (column.wrap[1] - column.wrap[0]) / (REPORT - ARTICLE)
    rest = column.wrap[0] - slope * (ARTICLE - GAP * gaps)
    width = rf"{slope:.3f}\linewidth{-2 * gaps * slope:+.2f}\tabcolsep{rest:+.2f}em"
    return rf">{{\raggedright\arraybackslash\hspace{{0pt}}}}p{{\dimexpr{width}\relax}}"


def _latex_heading(column: ColumnLayout) -> str:
    lines = [to_latex(line) for line in column.heading]
    if not column.numeric:
        return " ".join(lines)
    if len(lines) == 1:
        return f"{{{lines[0]}}}"
    stacked = r" \\ ".join(lines)
    return rf"{{\begin{{tabular}}[b]{{@{{}}c@{{}}}}{stacked}\end{{tabular}}}}"


def _grouped(layout: Layout, mark: str) -> list[tuple[tuple[SetCell, ...], str]]:
    """Rows, each with `mark` where a group starts (and not the first): where some first cells are blank."""
    grouped = any(row[0].text == CONTINUED for row in layout.rows)
    return [(row, mark if grouped and i and row[0].text != CONTINUED else "") for i, row in enumerate(layout.rows)]


def _latex_rows(layout: Layout) -> list[str]:
    air = [r"  \addlinespace[2pt]"] if layout.wraps else []  # rows of several lines need it between them
    lines: list[str] = []
    for row, group in _grouped(layout, r"  \addlinespace"):
        lines += ([group] if group else air if lines else []) + [f"  {_latex_row(row, layout)} \\\\"]
    return lines


def _latex_end(layout: Layout, notes: Sequence[tuple[str, str]]) -> list[str]:
    r"""The rows of a longtable, its last rule and its notes; no page break from the last row but one to the last note.

    The rule is written out, because \bottomrule allows a break before and after it.
    """
    lines, width = _latex_rows(layout), len(layout.columns)
    last = [i for i, line in enumerate(lines) if line.endswith(r"\\")][-2:]
    lines = [f"{line}*" if i in last else line for i, line in enumerate(lines)]
    lines += [
        r"  \noalign{\nobreak\vskip\aboverulesep}",
        rf"  \multispan{{{width}}}\unskip\leaders\hrule height\heavyrulewidth\hfill\cr",
        r"  \noalign{\nobreak\smallskip\nobreak}",
    ]
    for number, (letter, text) in enumerate(notes, 1):
        note = rf"\eigenalignrownote{{{letter}}}{{{' '.join(to_latex(text).split())}}}"
        lines.append(rf"  \multicolumn{{{width}}}{{@{{}}l@{{}}}}{{{note}}} \\" + ("*" if number < len(notes) else ""))
    return lines


def paragraph_note(letter: str, text: str) -> str:
    """A note below a table as a paragraph, by the command that `NOTE` defines."""
    return rf"\eigenalignnote{{{letter}}}{{{' '.join(to_latex(text).split())}}}"


def _latex_notes(notes: Sequence[tuple[str, str]]) -> list[str]:
    if not notes:
        return []
    lines = [
        (rf"\textsuperscript{{{letter}}}~" if letter else "") + " ".join(to_latex(text).split()) + r"\par"
        for letter, text in notes
    ]
    return [r"\eigenaligntablenotes{%", *(f"  {line}" for line in lines), "}"]


def _latex_row(row: tuple[SetCell, ...], layout: Layout) -> str:
    return " & ".join(_latex_cell(cell, column) for cell, column in zip(row, layout.columns, strict=True))


def _latex_cell(cell: SetCell, column: ColumnLayout) -> str:
    if cell.number is not None:
        return cell.number.siunitx()
    text = verdict_latex(cell.text) if _is_verdict(cell, column) else to_latex(cell.text)
    if column.numeric:
        return f"{{{text or '--'}}}"
    # A row that begins with a bracket would be read as the argument of the \\ before it.
    return f"{{}}{text}" if text.startswith(("[", "*")) else text or "--"  # CONTINUED stays blank


def _html_class(column: ColumnLayout) -> str:
    if column.numeric:
        return 'class="num"'
    # On a narrow screen the table scrolls before its columns become slimmer than on a printed page.
    return f'class="txt" style="min-width:{column.wrap[0]:.1f}em"' if column.wrap else 'class="txt"'


def _html_cell(cell: SetCell, column: ColumnLayout, layout: Layout) -> str:
    head = f' data-head="{escape(to_plain(column.column.title))}"' if layout.wraps else ""
    if cell.number is not None:
        return f'<td class="num"{head}>{_html_number(cell.number, column)}</td>'
    kind = "num" if column.numeric else "txt"
    if _is_verdict(cell, column):
        return f'<td class="{kind}"{head}>{verdict_html(cell.text)}</td>'
    if [piece for piece, _ in pieces(cell.text)] == ["math"]:
        kind += " whole"
    elif not cell.text.strip():
        kind += " none"
    return f'<td class="{kind}"{head}>{to_html(cell.text) or "–"}</td>'


def _html_number(number: Number, column: ColumnLayout) -> str:
    """Two boxes that meet at the decimal point, as wide in all cells of the column."""
    before = (number.sign + number.integer).replace("-", "−")
    after = (f".{number.fraction}" if number.fraction else "") + (f"({number.error})" if number.error else "")
    power = "" if number.exponent is None else f"×10<sup>{str(number.exponent).replace('-', '−')}</sup>"
    width = column.integer_width + (WIDER_MINUS if column.signed else 0)
    return (
        f'<span class="i" style="width:{width:g}ch">{before}</span>'
        f'<span class="f" style="width:{column.fraction_width}ch">{after}{power}</span>'
    )


def _is_verdict(cell: SetCell, column: ColumnLayout) -> bool:
    return column.column.kind == "verdict" and cell.text in get_args(Verdict)
