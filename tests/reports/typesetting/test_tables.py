"""Tables in LaTeX, HTML and CSV."""

from __future__ import annotations

import csv
import io
import math
import re
from html.parser import HTMLParser

from reports.findings import CONTINUED, Column, Table
from reports.typesetting.layout import ARTICLE, GAP, REPORT, lay_out
from reports.typesetting.tables import to_csv, to_html_table, to_latex_float, to_latex_table

TABLE = Table(
    "t",
    "50 % of $x$",
    (Column("What", "text"), Column(r"$\tau$"), Column("p", digits=2), Column("Verdict", "verdict")),
    (
        ("Σ & co", (-1.234, 0.021), 3e-12, "holds"),
        ("", (10.5, 0.2), 0.25, "refuted"),
        ("[a]", None, "n/a", "undecided"),
        (None, (math.nan, 0.1), math.inf, "who knows"),
    ),
)


def test_latex_fragment():
    lines = to_latex_table(TABLE).splitlines()
    formats = [found[1] for line in lines if (found := re.search(r"table-format=([^,\]]+)", line))]
    assert formats == ["-2.2(1)", "1.2e-2"]
    rows = lines[lines.index(r"  \midrule") + 1 : lines.index(r"  \bottomrule")]
    assert rows == [
        r"  \ensuremath{\Sigma} \& co & -1.23(2) & 3.0e-12 & \eigenalignverdict{holds}{holds} \\",
        r"  -- & 10.5(2) & 0.25 & \eigenalignverdict{refuted}{refuted} \\",
        r"  {}[a] & {--} & {n/a} & \eigenalignverdict{undecided}{undecided} \\",
        r"  -- & {--} & {$\infty$} & who knows \\",
    ]


def test_html_table_has_all_cells_and_aligned_numbers():
    class Cells(HTMLParser):
        def __init__(self):
            super().__init__()
            self.opened, self.rows = [], []

        def handle_starttag(self, tag, attributes):
            self.opened.append(tag)
            if tag == "tr":
                self.rows.append([])
            if tag in {"td", "th"}:
                self.rows[-1].append("")

        def handle_endtag(self, tag):
            assert self.opened.pop() == tag

        def handle_data(self, data):
            if "td" in self.opened or "th" in self.opened:
                self.rows[-1][-1] += data

    html = to_html_table(TABLE)
    parser = Cells()
    parser.feed(html)
    assert parser.opened == []
    assert parser.rows[1:] == [
        ["Σ & co", "−1.23(2)", "3.0×10−12", "✓ holds"],
        ["–", "10.5(2)", "0.25", "✗ refuted"],
        ["[a]", "–", "n/a", "? undecided"],
        ["–", "–", "∞", "who knows"],
    ]
    boxes = re.findall(r'class="([if])" style="width:([\d.]+)ch"', html)
    assert boxes[:2] == [("i", "2.4"), ("f", "6")]  # −1, 10 and .23(2); a minus is wider than a digit
    assert boxes[:4] == boxes[4:]


def test_rows_of_wrapping_texts_say_what_their_cells_are():
    """On a narrow screen cells are stacked, and each names its column; a table of short texts stays a table."""
    long = "a text that is longer than the line of an article, so that its column wraps, and is wrapped a second time"
    columns = (Column("Claim", "text"), Column('Case "$x$"', "text"), Column("p"))
    html = to_html_table(Table("t", "", columns, (("A1", long, 0.5), (CONTINUED, long, None))))
    assert html.startswith('<table class="rows"><thead>')
    assert re.findall(r"<td[^>]*>", html) == [
        '<td class="txt" data-head="Claim">',
        '<td class="txt" data-head="Case &quot;x&quot;">',
        '<td class="num" data-head="p">',
        '<td class="txt none" data-head="Claim">',
        '<td class="txt" data-head="Case &quot;x&quot;">',
        '<td class="num none" data-head="p">',
    ]
    assert "data-head" not in to_html_table(TABLE)


def test_heads_have_the_classes_and_widths_of_their_columns():
    long = "a text that is longer than the line of an article, so that its column wraps, and is wrapped a second time"
    columns = (Column("Claim", "text"), Column("Case", "text"), Column("p"))
    table = Table("t", "", columns, (("A1", long, 0.5),))
    wrapped = lay_out(table).columns[1].wrap
    assert wrapped is not None
    assert wrapped[0] < wrapped[1]
    assert re.findall(r'<th scope="col" ([^>]*)>', to_html_table(table)) == [
        'class="txt"',
        f'class="txt" style="min-width:{wrapped[0]:.1f}em"',
        'class="num"',
    ]
    unsigned = Table("t", "", (Column("p"),), ((0.5,), (12.25,)))
    assert 'class="i" style="width:2ch"' in to_html_table(unsigned)


def test_ten_columns_stand_closer_to_each_other_and_nine_do_not():
    kinds = [
        to_html_table(Table("t", "", (Column("p"),) * columns, ((0.5,) * columns,))).partition(">")[0]
        for columns in (9, 10)
    ]
    assert kinds == ["<table", '<table class="tight"']


def test_a_head_of_one_line_is_a_cell_and_one_of_several_a_stack():
    table = Table("t", "", (Column("p"), Column("accuracy of the very first task")), ((0.5, 0.25),))
    (head,) = (line for line in to_latex_table(table).splitlines() if line.endswith(r"\\") and "accuracy" in line)
    one, _, several = head.partition(" & ")
    assert one.strip() == "{p}"
    assert several.startswith(r"{\begin{tabular}[b]{@{}c@{}}accuracy")


def test_a_column_wraps_to_a_width_that_grows_with_the_line():
    """It has its width in a bare article on a line of that width, and that in the report on the report's."""
    long = "a text that is longer than the line of an article, so that its column wraps, and is wrapped a second time"
    table = Table("t", "", (Column("Claim", "text"), Column("Case", "text"), Column("p")), (("A1", long, 0.5),))
    column = lay_out(table).columns[1]
    number = r"([-+]?[\d.]+)"
    (found,) = re.findall(rf"\\dimexpr{number}\\linewidth{number}\\tabcolsep{number}em\\relax", to_latex_table(table))
    of_line, of_gap, rest = map(float, found)
    for line, width in zip((ARTICLE, REPORT), column.wrap, strict=True):
        assert math.isclose(of_line * line + of_gap * GAP / 2 + rest, width, abs_tol=0.06)  # of two digits each
    assert math.isclose(of_gap, -2 * 2 * of_line, abs_tol=0.01)  # two gaps of two \tabcolsep each


def test_csv_keeps_every_digit():
    rows = list(csv.reader(io.StringIO(to_csv(TABLE))))
    assert rows[0] == ["What", r"$\tau$", r"standard error of $\tau$", "p", "Verdict"]
    assert rows[1] == ["Σ & co", "-1.234", "0.021", "3e-12", "holds"]
    assert rows[3] == ["[a]", "", "", "n/a", "undecided"]
    assert rows[4] == ["", "", "0.1", "inf", "who knows"]


def test_a_table_of_many_numbers_spans_both_columns():
    def starred(columns):
        table = Table("t", "", (Column("accuracy of the first task"),) * columns, ((0.12345,) * columns,))
        return to_latex_float(table).startswith(r"\begin{table*}")

    assert [starred(columns) for columns in (2, 4, 14)] == [False, False, True]
