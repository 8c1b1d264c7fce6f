"""Numbers, text and tables: what is printed, digit by digit."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.claims import CLAIMS
from reports.findings import Column, Finding, Table
from reports.record import verdict_of
from reports.typesetting.formulas import UnreadableFormula, mathml
from reports.typesetting.layout import ARTICLE, GAP, lay_out
from reports.typesetting.markup import pieces, to_html, to_label, to_latex
from reports.typesetting.numbers import error_digits, pvalue, rounded
from reports.typesetting.summaries import (
    findings_table,
    headlines,
    judged_summary,
    measured,
    outside_summary,
    predicted,
    scoreboard,
    sentence,
)
from reports.typesetting.tables import to_csv, to_html_table, to_latex_table
from tests.paths import ROOT
from tests.reports.typesetting.samples import sample_report


@pytest.mark.parametrize(
    ("value", "error", "digits", "expected"),
    [
        (0.12345, 0.0041, 1, "0.123(4)"),
        (0.12345, 0.0096, 1, "0.12(1)"),
        (0.12345, 0.0131, 2, "0.123(13)"),
        (-1.5, 12.0, 2, "-2(12)"),
        (12345.0, 43.0, 1, "12340(40)"),
        (12.34, 1.23, 2, "12.3(12)"),
        (1.2309e8, 4.1e5, 1, "1.231(4)e8"),
        (-2.4e-7, 3e-8, 1, "-2.4(3)e-7"),
        (1e-9, 2e-5, 1, "0(2)e-5"),
        (-1e-9, 0.02, 1, "0.00(2)"),
        (0.99996, 0.001, 1, "1.000(1)"),
    ],
)
def test_a_value_is_rounded_to_the_digits_of_its_error(value, error, digits, expected):
    assert rounded(value, error, error_digits=digits).siunitx() == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[(0.0, "0"), (5, "5"), (2000000, "2000000"), (0.0012345, "0.00123"), (99.96, "100"), (12345.6, "12346")],
        *[(123456.0, "1.23e5"), (99999.9, "1.00e5"), (0.000999999, "0.00100"), (-3.2e-15, "-3.20e-15")],
        (5e-324, "5.00e-324"),
    ],
)
def test_a_number_without_error_keeps_its_significant_digits(value, expected):
    assert rounded(value).siunitx() == expected


@given(st.floats(1e-12, 1e12), st.floats(1e-12, 1e12), st.integers(1, 2), st.booleans())
def test_what_is_printed_is_within_half_a_unit_of_the_last_digit(value, error, digits, negative):
    value = -value if negative else value
    number = rounded(value, error, error_digits=digits)
    unit = 10.0 ** ((number.exponent or 0) - len(number.fraction))
    shown = float(f"{number.sign}{number.integer}.{number.fraction or 0}e{number.exponent or 0}")
    place = max(unit, 10.0 ** (math.floor(math.log10(int(number.error) * unit)) - digits + 1))
    assert abs(shown - value) <= 0.51 * place + 1e-9 * abs(value)
    assert abs(int(number.error) * unit - error) <= 0.51 * place + 1e-9 * error


def test_one_digit_rule_a_column():
    assert error_digits([0.02, None, math.nan, 0.0, 0.3]) == 1
    assert error_digits([0.02, 0.0149]) == 2
    assert error_digits([0.0996]) == 2
    table = Table("t", "", (Column("x"),), (((1.234567, 0.0021),), ((0.5, 0.0131),), ((2, None),)))
    assert [cell.number.siunitx() for cell in lay_out(table).columns[0].cells] == ["1.2346(21)", "0.500(13)", "2"]


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        *[(0.4321, "$0.43$"), (1.0, "$1.00$"), (0.0431, "$0.043$"), (0.0012, "$0.0012$"), (None, ""), (math.nan, "")],
        *[(3.2e-7, r"$3\times10^{-7}$"), (0.0, "$<10^{-300}$")],
    ],
)
def test_pvalues(p, expected):
    assert pvalue(p) == expected


def test_latex_escapes_text_keeps_math_and_spells_unicode():
    assert to_latex("5 % & #1_2 {a} ~ ^ \\") == (
        r"5~\% \& \#1\_2 \{a\} \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )
    assert to_latex(r"$\tau_i\le 3\%$ costs \$5") == r"$\tau_i\le 3\%$ costs \$5"
    assert to_latex("$5") == r"\$5"
    assert to_latex("10⁻⁷ − σ") == r"10\ensuremath{^{-7}} \ensuremath{-} \ensuremath{\sigma}"
    assert to_latex("$Σ_w ≥ σ²$") == r"$\Sigma _w \geq  \sigma ^{2}$"
    assert to_latex("Σ_w of τ_i²") == r"$\Sigma _w$ of $\tau _i^{2}$"
    assert to_latex("a “b” – é ß 日") == r"a ``b'' -- \'{e} {\ss} \texttt{U+65E5}"
    assert to_latex("run `my_report --x`") == r"run \texttt{my\_report -{}-x}"
    assert to_latex(r"$\mathbb{R}^d, \operatorname{tr}\tfrac12$") == r"$\mathbf{R}^d, \mathrm{tr}\frac12$"
    assert to_latex("a < b | c --out") == r"a \ensuremath{<} b \ensuremath{|} c -{}-out"


@given(st.text(max_size=40))
def test_any_text_becomes_ascii_latex_with_balanced_braces_and_no_bare_specials(text):
    shown = to_latex("".join(char for char in text if char not in "$`"))
    assert shown.isascii()
    bare = re.sub(r"\\.", "", shown)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"[#&%]", bare)


@given(st.text(max_size=40))
def test_any_text_becomes_html_without_markup_of_its_own(text):
    shown = to_html(text)
    assert "<" not in re.sub(r"</?(?:math|m[a-z]+|code|sup)\b[^<>]*>", "", shown)


def test_math_is_mathml_numbers_are_text_and_the_unknown_is_its_source():
    assert to_html(r"$3\times10^{-7}$ < 1 & $\sigma_i^2$") == (
        "3×10<sup>−7</sup> &lt; 1 &amp; <math><mrow><msubsup><mi>σ</mi><mi>i</mi><mn>2</mn></msubsup></mrow></math>"
    )
    assert to_html(r"$\unknown{1} < 2$") == r'<code class="tex">\unknown{1} &lt; 2</code>'


@pytest.mark.parametrize(
    ("source", "drawn"),
    [
        (r"\frac{a}2", "<mfrac><mrow><mi>a</mi></mrow><mn>2</mn></mfrac>"),
        (r"\mathbb R^d", "<msup><mi>ℝ</mi><mi>d</mi></msup>"),
        (r"\text{Tr of}", "<mtext>Tr\u00a0of</mtext>"),
        (r"\mathrm{E}\,\mathrm{tr} A", '<mi mathvariant="normal">E</mi>'),
        (r"\mathrm{tr}(A)", '<mtext>tr</mtext><mo stretchy="false">(</mo>'),
        (r"n\log n", '<mi>n</mi><mspace width="0.167em"></mspace><mi>log</mi><mspace width="0.167em"></mspace>'),
        (r"\max_i x_i", '</msub><mspace width="0.167em"></mspace><msub><mi>x</mi>'),
        (r"\max(a, b)", '<mi>max</mi><mo stretchy="false">(</mo>'),
        (r"v^\top", "<msup><mi>v</mi><mi>⊤</mi></msup>"),
        (r"\langle a\rangle", '<mo stretchy="false">⟨</mo><mi>a</mi><mo stretchy="false">⟩</mo>'),
        (r"a \pm b \sim c", "<mo>±</mo><mi>b</mi><mo>∼</mo>"),
        (
            r"\hat{\Sigma}",
            '<mover accent="true"><mrow><mi mathvariant="normal">Σ</mi></mrow><mo stretchy="false">^</mo>',
        ),
        ("Σ_w ≥ σ²", '<msub><mi mathvariant="normal">Σ</mi><mi>w</mi></msub><mo>≥</mo><msup><mi>σ</mi>'),
        (".5", "<mn>.5</mn>"),
        (r"\text{<b>}", "<mtext>&lt;b&gt;</mtext>"),
    ],
)
def test_details_of_formulas(source, drawn):
    assert drawn in mathml(source)


@pytest.mark.parametrize("source", [r"\frac{1}", "{a", "a}", r"\unknown", r"\left( a", "a_b_c", "a & b", "a_"])
def test_math_that_is_not_covered_is_refused(source):
    with pytest.raises(UnreadableFormula):
        mathml(source)


MATH = [
    r"\tau_i(t) = s_0^2(1-\eta\sigma_i^2)^{2t} + \frac{\sigma_y^2}{n}\left(1-(1-\eta\sigma_i^2)^t\right)^2",
    r"M^2 = \sum_i \sqrt{\operatorname{tr}(P_i B)\,\mathrm{tr}(P_i B^{-1})} - d",
    r"\|\hat{\Sigma}_w - g(\Sigma_x)\|_F \le \varepsilon, \quad x \in \mathbb{R}^d",
    r"v_i^\top \Sigma_w v_i, f'(0), \sqrt[3]{x}, \log n, \bar x, \mathbf{w}, \{a\}, \mathcal{N}(0, \Sigma)",
]


@pytest.mark.parametrize("source", MATH)
def test_formulas_of_the_field_are_covered_and_well_formed(source):
    assert ElementTree.fromstring(mathml(source)).tag == "math"
    assert to_label(f"${source}$").startswith("$")


def test_labels_never_fail_to_parse():
    assert to_label("costs $5 and 3 %") == "costs \\$5 and 3\u00a0%"
    assert "$" not in to_label(r"$\begin{cases}1\end{cases}$")
    assert pieces("Σ_w my_report") == [("math", "Σ_w"), ("text", " my_report")]


def texts(value):
    """Every string in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def test_every_formula_of_the_report_is_drawn():
    """Of what is published, and of the claims as they stand: XML, no command left over, nothing as its source."""
    published = json.loads((ROOT / "reports/published/results.json").read_text())
    claims = [text for c in CLAIMS for text in (c.title, c.statement, c.reference, c.method)]
    formulas = {piece for text in {*texts(published), *claims} for kind, piece in pieces(text) if kind == "math"}
    assert len(formulas) > 100
    for source in formulas:
        drawn = mathml(source)
        assert ElementTree.fromstring(drawn).tag == "math"
        assert "\\" not in drawn
        assert "merror" not in drawn
        assert 'class="tex"' not in to_html(f"${source}$")


TABLE = Table(
    "t",
    "50 % of $x$",
    (Column("What", "text"), Column(r"$\tau$"), Column("p", digits=2), Column("Verdict", "text")),
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
    boxes = re.findall(r'class="([if])" style="width:(\d+)ch"', html)
    assert boxes[:2] == [("i", "2"), ("f", "6")]  # −1, 10 and .23(2)
    assert boxes[:4] == boxes[4:]


def test_csv_keeps_every_digit():
    rows = list(csv.reader(io.StringIO(to_csv(TABLE))))
    assert rows[0] == ["What", r"$\tau$", r"standard error of $\tau$", "p", "Verdict"]
    assert rows[1] == ["Σ & co", "-1.234", "0.021", "3e-12", "holds"]
    assert rows[3] == ["[a]", "", "", "n/a", "undecided"]
    assert rows[4] == ["", "", "0.1", "inf", "who knows"]


@given(st.lists(st.text("abc ", min_size=1, max_size=120), min_size=1, max_size=6))
def test_columns_fill_no_more_than_an_article(texts):
    layout = lay_out(Table("t", "", tuple(Column("h", "text") for _ in texts), (tuple(texts),)))
    total = sum(c.wrap[0] if c.wrap else c.width for c in layout.columns) + GAP * (len(texts) - 1)
    longest = max(len(word) for text in texts for word in [*text.split(), ""])
    if longest < 8:
        assert total <= ARTICLE + 1e-6
    assert all(column.wrap is None or column.wrap[0] <= column.wrap[1] for column in layout.columns)


def test_numpy_scalars_are_numbers():
    table = Table("t", "", (Column("x"),), ((np.float64(0.5),), ((np.float32(0.25), np.float64(0.1)),), (np.int64(7),)))
    assert [cell.number.siunitx() for cell in lay_out(table).columns[0].cells] == ["0.500", "0.25(10)", "7"]


def _finding(**changes):
    fields = {"claim": "A3", "case": "c", "kind": "exact", "quantity": "q", "prediction": 1.0, "measurement": 1.0}
    return Finding(**(fields | {"verdict": "holds"} | changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"prediction": 0.123456, "measurement": 0.12401, "standard_error": 0.0021}, ("$0.123$", "$0.124(2)$")),
        ({"prediction": 0.0, "measurement": 3.2e-4, "standard_error": 1.1e-4}, ("$0$", r"$3.2(11)\times10^{-4}$")),
        ({"prediction": 1e-9, "measurement": 0.1, "standard_error": 0.02}, (r"$1.00\times10^{-9}$", "$0.10(2)$")),
        ({"prediction": "none", "measurement": 0.27, "interval": (0.24, 0.302)}, ("none", "$0.270$ $[0.240, 0.302]$")),
        ({"prediction": 0.5, "measurement": "rises", "interval": None}, ("$0.500$", "rises")),
        ({"prediction": 0.5, "measurement": math.nan}, ("$0.500$", "not finite")),
        ({"measurement": 2.0, "interval": (1.0, math.inf)}, ("$1.00$", r"$2.0$ $[1.0, \infty]$")),
        ({"measurement": 2, "standard_error": 0.0}, ("$1.00$", "$2$")),
        (
            {"prediction": np.float64(2.5e8), "measurement": 2.51e8, "standard_error": 3e6},
            (r"$2.50\times10^{8}$", r"$2.51(3)\times10^{8}$"),
        ),
    ],
)
def test_prediction_and_measurement_are_printed_alike(changes, expected):
    finding = _finding(**changes)
    assert (predicted(finding), measured(finding)) == expected


def test_summaries_hold_every_finding_once():
    report = sample_report()
    judged = [f for f in report.findings if f.verdict != "outside the hypotheses"]
    assert [row[1] for row in judged_summary(report).rows] == [finding.case for finding in judged]
    assert len(outside_summary(report).rows) == len(report.findings) - len(judged)
    assert [(row[0], row[-1]) for row in headlines(report).rows] == [
        (claim.id, verdict_of(claim)) for claim in report.claims if verdict_of(claim)
    ]
    assert [row[2] for row in scoreboard(report).rows] == ["refuted", "undecided", "holds", ""]
    assert scoreboard(report).rows[0][3:7] == (5, 1, 1, 2)
    assert sentence(report).startswith(
        "Of 14 judged findings on 4 claims, 11 hold, 1 is refuted and 2 are undecided. 2 more lie"
    )


def test_notes_are_lettered_and_name_diverged_replicas():
    annotated = findings_table(sample_report().claims[0])
    assert [letter for letter, _ in annotated.notes] == ["a", "b", "c"]
    assert annotated.notes[-1][1] == "3 of 2000 replicas diverged and are left out"
    assert annotated.table.rows[4][0].endswith(r"$^{\mathrm{c}}$")


def test_the_verdict_on_a_claim_is_its_worst():
    claims = {claim.id: verdict_of(claim) for claim in sample_report().claims}
    assert claims == {"A3": "refuted", "A4": "undecided", "B2": "holds", "C9": None}
