"""Text in LaTeX, HTML and labels."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.typesetting.markup import pieces, to_html, to_label, to_latex


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
    assert "<" not in re.sub(r"</?(?:math|m[a-z]+|code|sup|span)\b[^<>]*>", "", shown)


def test_math_is_mathml_numbers_are_text_and_the_unknown_is_its_source():
    assert to_html(r"$3\times10^{-7}$ < 1 & $\sigma_i^2$") == (
        "3×10<sup>−7</sup> &lt; 1 &amp; <math><mrow><msubsup><mi>σ</mi><mi>i</mi><mn>2</mn></msubsup></mrow></math>"
    )
    assert to_html(r"$\unknown{1} < 2$") == r'<code class="tex">\unknown{1} &lt; 2</code>'


def test_labels_never_fail_to_parse():
    assert to_label("costs $5 and 3 %") == "costs \\$5 and 3\u00a0%"
    assert "$" not in to_label(r"$\begin{cases}1\end{cases}$")
    assert pieces("Σ_w my_report") == [("math", "Σ_w"), ("text", " my_report")]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (r"from ($\Sigma_w$), less", r"\(<math>.*</math>\),"),
        (r"of order $\eta$.", r"<math>.*</math>\."),
        ("`--budget paper --cifar10 DIR`", "--cifar10"),
    ],
)
def test_a_line_does_not_end_before_a_comma_or_within_an_option(text, kept):
    assert re.search(f'<span class="word">{kept}</span>', to_html(text))


def test_a_line_does_not_end_before_the_mark_of_a_note():
    assert to_html(r"case$^{\mathrm{ab}}$") == "case<sup>ab</sup>"
    assert "<sup>" not in to_html(r"$x^{\mathrm{ab}}$ and $\tau$")
    assert "word" not in to_html(r"$x^{\mathrm{ab}}$ and $\tau$")
