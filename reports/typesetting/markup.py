r"""Text with LaTeX math between dollars and `code` between backticks, as LaTeX, as HTML, and as matplotlib's labels.

Everything a report prints passes here: the math is kept, the rest is escaped, and Unicode (σ, Σ, ≥, ², −) becomes LaTeX
that pdfLaTeX sets with the fonts of a bare article. A letter with a subscript, such as Σ_w, is math without dollars.
A dollar without a partner, and `\$`, are dollars. Math that is more than a formula, such as \input, is shown as code.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from html import escape
from typing import Literal

from reports.foreign_text import visible
from reports.typesetting.formulas import UnreadableFormula, in_line, is_formula, mathml
from reports.typesetting.signs import LOWERED, RAISED, ascii_scripts, in_math, in_text

_PIECE = re.compile(r"(?<!\\)\$((?:\\.|[^$\\])+)\$|`([^`]+)`")
_NUMBER_PERCENT = re.compile(r"(?<=\d)[ \u00a0]?(?=%)")
_SYMBOL = re.compile(r"(?<![\w\\])[A-Za-zΑ-Ωα-ωϵϕ](?:_[A-Za-z0-9]{1,2}(?![A-Za-z0-9_])[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵀ]*)")
_POWER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]?\d+)(?!\w)")
_MINUS = re.compile(r"(?<![\w-])-(?=\.?\d)")
_TIMES = re.compile(r"(?<=\d)(?<!\b0)x(?=\d)")
_RUN = re.compile(f"[{RAISED}]+|[{LOWERED}]+|.", re.DOTALL)
# amsmath's spellings in those of plain LaTeX, so that a fragment asks for no package of its own.
_PLAIN_COMMANDS = [
    (re.compile(r"\\[dt]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\(?:operatorname\*?|text)(?=\s*\{)"), r"\\mathrm"),
    (re.compile(r"\\mathbb(?![A-Za-z])"), r"\\mathbf"),
    (re.compile(r"\\[lr]Vert(?![A-Za-z])"), r"\\|"),
    (re.compile(r"\\[lr]vert(?![A-Za-z])"), r"|"),
    (re.compile(r"\\(?:boldsymbol|bm)(?![A-Za-z])"), r"\\mathbf"),
    (re.compile(r"\\(tr|diag|erf)(?![A-Za-z])"), r"\\mathrm{\1}"),
]
# What matplotlib's mathtext lacks.
_LABEL_COMMANDS = [
    *_PLAIN_COMMANDS[:2],
    *_PLAIN_COMMANDS[3:],
    (re.compile(r"\\([lgn])e(?![A-Za-z])"), r"\\\1eq"),
    (re.compile(r"\\mbox(?=\s*\{)"), r"\\mathrm"),
]
_SIMPLE_NUMBER = re.compile(r"(?:\\(?:times|pm|cdot|,|;|leq?|geq?)(?![A-Za-z])|\^\{-?\d+\}|[-−\d.,()\[\]<>=\s])+")
_NOTE_MARK = re.compile(r"\^\{\\mathrm\{([a-z]+)\}\}")
_OPTION = re.compile(r"--[\w-]+")
_BESIDE_MATH = re.compile(r"(\(?)<math>.*?</math>([,.;:)]*)", re.DOTALL)

PieceKind = Literal["text", "math", "code"]


def pieces(text: str) -> list[tuple[PieceKind, str]]:
    r"""`text` cut into text, math and code, without their marks.

    >>> pieces(r"at $\sigma_1$, run `a_b`")
    [('text', 'at '), ('math', '\\sigma_1'), ('text', ', run '), ('code', 'a_b')]
    """
    found: list[tuple[PieceKind, str]] = []
    end = 0
    for match in _PIECE.finditer(text):
        found += _symbols(text[end : match.start()])
        found.append(("math", match[1]) if match[1] is not None else ("code", match[2]))
        end = match.end()
    return found + _symbols(text[end:])


def _symbols(text: str) -> list[tuple[PieceKind, str]]:
    """Text without math, but for what is math without dollars: letters with a subscript (Σ_w, τ_i²), 2e-10."""
    found: list[tuple[PieceKind, str]] = []
    end = 0
    for match in sorted([*_SYMBOL.finditer(text), *_POWER.finditer(text)], key=re.Match.start):
        math = _grouped_subscript(match[0]) if match.re is _SYMBOL else _power_of_ten(match[1], int(match[2]))
        found += [("text", text[end : match.start()]), ("math", math)]
        end = match.end()
    found.append(("text", text[end:]))
    return [(kind, _typed(piece) if kind == "text" else piece) for kind, piece in found if piece]


def _typed(text: str) -> str:
    r"""Minus and times for what keyboards have, a space that does not break between number and %, \$ as a dollar."""
    text = _TIMES.sub("×", _MINUS.sub("−", _NUMBER_PERCENT.sub("\u00a0", text)))
    return text.replace(r"\$", "$")


def _power_of_ten(factor: str, exponent: int) -> str:
    return rf"10^{{{exponent}}}" if factor == "1" else rf"{factor}\times10^{{{exponent}}}"


def _grouped_subscript(symbol: str) -> str:
    return re.sub(r"_([A-Za-z0-9]{2})", r"_{\1}", symbol)


def to_latex(text: str) -> str:
    r"""`text` as ASCII LaTeX that needs no package.

    >>> to_latex("50% of Σ ≥ σ², $\\tau_i$")
    '50~\\% of \\ensuremath{\\Sigma} \\ensuremath{\\geq} \\ensuremath{\\sigma}\\ensuremath{^{2}}, $\\tau_i$'
    """
    shown: dict[PieceKind, Callable[[str], str]] = {
        "text": latex_text,
        "math": lambda piece: f"${latex_math(piece)}$" if is_formula(piece) else latex_code(piece),
        "code": latex_code,
    }
    return "".join(shown[kind](piece) for kind, piece in pieces(text))


def latex_math(source: str) -> str:
    """LaTeX math with its Unicode spelled out, and amsmath's commands in plain LaTeX's."""
    for command, plain in _PLAIN_COMMANDS:
        source = command.sub(plain, source)
    return "".join(map(in_math, ascii_scripts(source)))


def to_html(text: str) -> str:
    r"""`text` as HTML: math as MathML (bare numbers as text), and as its source in <code> where it is not covered.

    >>> to_html(r"p < 1: $3\times10^{-7}$")
    'p &lt; 1: 3×10<sup>−7</sup>'
    """
    shown: dict[PieceKind, Callable[[str], str]] = {
        "text": lambda piece: escape(visible(piece)),
        "math": _html_math,
        "code": _html_code,
    }
    return _BESIDE_MATH.sub(_kept_together, "".join(shown[kind](piece) for kind, piece in pieces(text)))


def _kept_together(found: re.Match[str]) -> str:
    """A formula with the marks beside it: a browser may end the line between them."""
    return f'<span class="word">{found[0]}</span>' if found[1] or found[2] else found[0]


def to_plain(text: str) -> str:
    r"""`text` without its marks, for terminals, titles of windows and what is read aloud: math as a line of Unicode.

    >>> to_plain(r"part of $\Sigma_w$, $p < 10^{-6}$")
    'part of Σ_w, p < 10⁻⁶'
    """
    return visible("".join(in_line(piece) if kind == "math" else piece for kind, piece in pieces(text)))


def to_label(text: str) -> str:
    """`text` as matplotlib reads it: math in dollars, all other dollars escaped, math it cannot parse as text."""
    shown = []
    for kind, piece in pieces(text):
        if kind == "math" and _parses(piece):
            shown.append(f"${_label_math(piece)}$")
        else:
            shown.append(piece.replace("\\", "\\\\" if kind == "text" else "").replace("$", r"\$"))
    return "".join(shown)


def latex_text(text: str) -> str:
    """`text` as ASCII LaTeX, no mark in it read as math or code."""
    text = re.sub(r'"([^"]*)"', "“\\1”", text)
    text = unicodedata.normalize("NFC", text.replace("--", "-\u200c-"))
    return "".join(
        rf"\ensuremath{{{ascii_scripts(run)}}}" if run[0] in RAISED + LOWERED else in_text(run)
        for run in _RUN.findall(text)
    )


def latex_code(code: str) -> str:
    """`code` in typewriter letters, no mark in it read as math."""
    shown = latex_text(code.replace('"', "\u02ee")).replace(r"\texttt{U+02EE}", r"\char34{}")
    return rf"\texttt{{{shown}}}"


def _html_math(source: str) -> str:
    if _SIMPLE_NUMBER.fullmatch(source):
        return _html_number(source)
    if mark := _NOTE_MARK.fullmatch(source):  # a line may end before a formula, but not before the mark of a note
        return f"<sup>{mark[1]}</sup>"
    try:
        return mathml(source)
    except UnreadableFormula:
        return f'<code class="tex">{escape(visible(source))}</code>'


def _html_code(code: str) -> str:
    """No line ends within an option, behind its hyphens."""
    shown = _OPTION.sub(r'<span class="word">\g<0></span>', escape(visible(code)))
    return f"<code>{shown}</code>"


def _html_number(source: str) -> str:
    text = re.sub(r"\\times\s*", "×", source)
    for command, sign in ((r"\pm", " ± "), (r"\cdot", "·"), (r"\leq", "≤ "), (r"\geq", "≥ "), (r"\le", "≤ ")):
        text = text.replace(command, sign)
    text = re.sub(r"\\ge", "≥ ", text).replace(r"\,", "\u2009").replace(r"\;", " ")
    text = re.sub(r"([<>=])\s*", "\\1 ", text).replace("-", "−")
    return re.sub(r"\^\{(−?\d+)\}", r"<sup>\1</sup>", escape(text))


def _label_math(source: str) -> str:
    source = ascii_scripts(source)
    for command, plain in _LABEL_COMMANDS:
        source = command.sub(plain, source)
    return source


def _parses(source: str) -> bool:
    from matplotlib.mathtext import MathTextParser

    try:
        MathTextParser("path").parse(f"${_label_math(source)}$")
    except ValueError:
        return False
    return True
