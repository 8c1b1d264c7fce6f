"""Formulas in MathML: details, what is refused, and every one of the report."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from reports.claims import CLAIMS
from reports.typesetting.formulas import UnreadableFormula, mathml
from reports.typesetting.markup import pieces, to_html, to_label
from tests.paths import ROOT


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


def texts(value):
    """Every string in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def test_every_formula_of_the_report_is_drawn():
    """Formulas of the published results and of the claims become XML, with no command and no source text left."""
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
