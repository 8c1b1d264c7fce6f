"""Formulas of docstrings as MathML: nothing is lost, and code is left alone."""

import ast
import re
from html import unescape
from xml.etree import ElementTree

import pytest

from reports.site.unicode_formulas import formula, formulas, with_formulas
from tests.paths import ROOT


def blocks():
    """Every block of a docstring that is indented by four."""
    for package in ("theory", "simulate", "reports"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    text = ast.get_docstring(node) or ""
                    yield from re.findall(r"(?<=\n\n)((?:    .*\n?)+)", text)


def text_of(mathml):
    return "".join(ElementTree.fromstring(mathml.replace("&nbsp;", " ")).itertext())


def plain(text):
    """Letters and digits alone, powers as digits, in any order: an index may stand before or behind a power."""
    powers = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹ᵀᵏⁿᵗ₀½¼", "0123456789⊤knt0ab")
    text = text.replace("sqrt", "").replace("½", "12").replace("¼", "14").translate(powers)
    return sorted(re.sub(r"[^\w⊤]|_", "", re.sub("[ĀāăḡḀ]", "a", text)))


def test_no_letter_of_any_formula_is_lost():
    drawn = 0
    for block in blocks():
        html = with_formulas(f"<pre><code>{block.replace('&', '&amp;').replace('<', '&lt;')}</code></pre>")
        if "<math" in html:
            drawn += 1
            assert plain(text_of(html)) == plain(block), block
    assert drawn > 90


@pytest.mark.parametrize(
    ("line", "drawn"),
    [
        ("σ_y²", "<msubsup><mi>σ</mi><mi>y</mi><mn>2</mn></msubsup>"),
        ("P_ii", "<msub><mi>P</mi><mrow><mi>i</mi><mi>i</mi></mrow></msub>"),
        ("T_own", "<msub><mi>T</mi><mi>own</mi></msub>"),
        ("Σ_{j<t}", '<msub><mi mathvariant="normal">Σ</mi><mrow><mi>j</mi><mo>&lt;</mo><mi>t</mi></mrow></msub>'),
        ("x_{j} + c", "<msub><mi>x</mi><mrow><mi>j</mi></mrow></msub><mo>+</mo><mi>c</mi>"),
        ("a _ b", "<mi>a</mi><mo>_</mo><mi>b</mi>"),
        ("a where b", "<mi>a</mi><mtext>&nbsp;where&nbsp;</mtext><mi>b</mi>"),
        ("Xᵀ", "<msup><mi>X</mi><mi>⊤</mi></msup>"),
        ("a >= b", "<mi>a</mi><mo>≥</mo><mi>b</mi>"),
        ("√(s)", "<msqrt><mi>s</mi></msqrt>"),
        ("dx", "<mi>d</mi><mi>x</mi>"),
        ("heavy ball", "<mtext>heavy ball</mtext>"),
        ("m̃", '<mover accent="true"><mi>m</mi><mo>~</mo></mover>'),
        ("tr S", '<mi>tr</mi><mspace width=".17em"/><mi>S</mi>'),
        ("r ≠ s", "<mi>r</mi><mo>≠</mo><mi>s</mi>"),
    ],
)
def test_a_line(line, drawn):
    assert formula(line).replace(' stretchy="false"', "").replace("<mo>⊤</mo>", "<mi>⊤</mi>") == drawn


def test_a_column_of_names_stays_a_column():
    drawn = formulas("heavy ball  v ← μ v\nNesterov    v ← μ (v + g)")
    assert drawn.count("<mtr>") == 2
    assert drawn.count("<mtd>") == 4
    assert formulas("a = b\nc = d").count("<mtd>") == 2


@pytest.mark.parametrize(
    "code", ["<store>/x.safetensors", 'result["a"]', "x = f(a=1)", "x  # a comment", "<digest of it>/x"]
)
def test_code_stays_code(code):
    html = f"<pre><code>{code.replace('<', '&lt;')}\n</code></pre>"
    assert with_formulas(html) == html
    assert unescape(html) != with_formulas("<pre><code>a_b\n</code></pre>")
