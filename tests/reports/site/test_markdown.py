"""Markdown of the site: formulas drawn, anchors, citations."""

import re
from html import unescape

import pytest

from reports.site.markdown import anchor, cited, code, formula, to_article
from reports.typesetting.formulas import UnreadableFormula
from tests.paths import ROOT


@pytest.mark.parametrize(
    ("latex", "drawn"),
    [
        (r"\mathbb E x", "<mi>𝔼</mi>"),
        (r"\Sigma", '<mi mathvariant="normal">Σ</mi>'),
        (r"\oint\frac{dz}z", "<mfrac>"),
        (r"\begin{pmatrix}a&b\\c&d\end{pmatrix}", "<mtable"),
        (r"\begin{aligned}a&=b\\c&=d\end{aligned}", "<mtable"),
    ],
)
def test_formulas(latex, drawn):
    assert drawn in formula(latex)


@pytest.mark.parametrize("latex", [r"\nosuchcommand x", r"\frac{1}{", r"\left( x", "a_b_c", "a & b"])
def test_a_formula_that_cannot_be_drawn_is_an_error(latex):
    with pytest.raises(UnreadableFormula):
        formula(latex)
    with pytest.raises(UnreadableFormula):
        to_article(f"A sentence with ${latex}$.", str)


def test_no_line_begins_with_the_comma_after_a_formula():
    html = to_article("A (where $x$), $y$ and $z$.\n\n$$w$$\n", str).html
    unbroken = re.findall(r'<span class="unbroken">(.*?</span>.*?)</span>', html)
    assert [re.sub(r"<span.*</span>", "M", piece) for piece in unbroken] == ["M),", "M."]
    assert html.count("<math") == 4


def test_cells_keep_bars_and_intervals_together():
    html = to_article("| a | b |\n|---|---|\n| \\|z\\| | 0.1 … 0.2 |\n", str).html
    assert "<td>|z|</td>" in html
    assert "<td>0.1&nbsp;…&nbsp;0.2</td>" in html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a.py", "a.py"),
        ("tests/theory/test_a.py", "tests/<wbr>theory/<wbr>test_a.py"),
        ("f(--a, b)", "f(--a, b)"),
        ("run -m 'a<b'", '<span class="unbroken">-m</span>'),
    ],
)
def test_code_is_broken_between_parts_of_names(text, html):
    assert html in code(text)
    assert unescape(re.sub(r"<[^>]+>", "", code(text))) == text


def test_anchors_outlive_words():
    found = to_article("# Theory\n\n## 1. Models\n\n### 1.5 Average\n\n### How so?\n", str)
    assert found.title == "Theory"
    assert [heading.anchor for heading in found.headings] == ["section-1", "section-1.5", "how-so"]
    assert all(f'id="{heading.anchor}"' in found.html for heading in found.headings)
    assert anchor("1.5 Another title") == "section-1.5"


def test_citations_become_links_in_text_only():
    pattern = re.compile(r"section (\d\.\d)")
    html = (
        '<p title="section 1.1">section 1.1, arXiv:2006.10455 <a href="x">section 1.2</a></p><title>section 1.3</title>'
    )
    assert cited(html, pattern, "d.html") == (
        '<p title="section 1.1"><a href="d.html#section-1.1">section 1.1</a>, '
        '<a href="https://arxiv.org/abs/2006.10455">arXiv:2006.10455</a> <a href="x">section 1.2</a></p>'
        "<title>section 1.3</title>"
    )


def test_sections_that_docstrings_cite_exist():
    headings = {heading.anchor for heading in to_article((ROOT / "theory/derivations.md").read_text(), str).headings}
    citation = re.compile(r"theory/derivations\.md,\s+(?:section\s+)?(\d+(?:\.\d+)?)")
    cited_from = {
        (str(path.relative_to(ROOT)), f"section-{number}")
        for package in ("theory", "simulate", "reports")
        for path in (ROOT / package).rglob("*.py")
        for number in citation.findall(path.read_text())
    }
    assert len(cited_from) > 30
    assert not {(path, section) for path, section in cited_from if section not in headings}
