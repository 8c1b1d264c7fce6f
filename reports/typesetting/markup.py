r"""Text with LaTeX math between dollars and `code` between backticks, as LaTeX, as HTML, and as matplotlib's labels.

Everything a report prints passes here: the math is kept, the rest is escaped, and Unicode (σ, Σ, ≥, ², −) becomes LaTeX
that pdfLaTeX sets with the fonts of a bare article. A letter with a subscript, such as Σ_w, is math without dollars.
A dollar without a partner, and `\$`, are dollars.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from html import escape
from typing import Literal

from reports.typesetting.mathml import UnknownMath, in_line, mathml

_PIECE = re.compile(r"(?<!\\)\$((?:\\.|[^$\\])+)\$|`([^`]+)`")
_NUMBER_PERCENT = re.compile(r"(?<=\d)[ \u00a0]?(?=%)")
_SYMBOL = re.compile(r"(?<![\w\\])[A-Za-zΑ-Ωα-ωϵϕ](?:_[A-Za-z0-9]{1,2}(?![A-Za-z0-9_])[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵀ]*)")
_POWER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]?\d+)(?!\w)")
_MINUS = re.compile(r"(?<![\w-])-(?=\.?\d)")
_TIMES = re.compile(r"(?<=\d)(?<!\b0)x(?=\d)")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵀᵗ", "0123456789+-=()niTt")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓᵢⱼₖₗₘₙₚₛₜ", "0123456789+-=()aeoxijklmnpst")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵀᵗ]+")
_LOWERED = re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓᵢⱼₖₗₘₙₚₛₜ]+")

_LETTERS = dict(
    zip(
        "αβγδϵεζηθϑικλμνξπρστυϕφχψωΓΔΘΛΞΠΣΥΦΨΩℓµ",
        [
            r"\alpha",
            r"\beta",
            r"\gamma",
            r"\delta",
            r"\epsilon",
            r"\varepsilon",
            r"\zeta",
            r"\eta",
            r"\theta",
            r"\vartheta",
            r"\iota",
            r"\kappa",
            r"\lambda",
            r"\mu",
            r"\nu",
            r"\xi",
            r"\pi",
            r"\rho",
            r"\sigma",
            r"\tau",
            r"\upsilon",
            r"\phi",
            r"\varphi",
            r"\chi",
            r"\psi",
            r"\omega",
            r"\Gamma",
            r"\Delta",
            r"\Theta",
            r"\Lambda",
            r"\Xi",
            r"\Pi",
            r"\Sigma",
            r"\Upsilon",
            r"\Phi",
            r"\Psi",
            r"\Omega",
            r"\ell",
            r"\mu",
        ],
        strict=True,
    )
)
# Symbols of plain LaTeX only: a table must compile without amssymb.
_SIGNS = dict(
    zip(
        "≤≥≠≈∼≡≪≫∝∈∉⊂⊆⊥×·±∓⊗⊕∘∗→←↦⇒↔∞∂∇∑∏∫…⋯′⊤≻⪰≺⪯∪∩∀∃∅⊙∥‖∣⟨⟩√−⋆¬≃≅÷",
        [
            r"\leq",
            r"\geq",
            r"\neq",
            r"\approx",
            r"\sim",
            r"\equiv",
            r"\ll",
            r"\gg",
            r"\propto",
            r"\in",
            r"\notin",
            r"\subset",
            r"\subseteq",
            r"\perp",
            r"\times",
            r"\cdot",
            r"\pm",
            r"\mp",
            r"\otimes",
            r"\oplus",
            r"\circ",
            r"\ast",
            r"\to",
            r"\leftarrow",
            r"\mapsto",
            r"\Rightarrow",
            r"\leftrightarrow",
            r"\infty",
            r"\partial",
            r"\nabla",
            r"\sum",
            r"\prod",
            r"\int",
            r"\dots",
            r"\cdots",
            r"{}'",
            r"\top",
            r"\succ",
            r"\succeq",
            r"\prec",
            r"\preceq",
            r"\cup",
            r"\cap",
            r"\forall",
            r"\exists",
            r"\emptyset",
            r"\odot",
            r"\parallel",
            r"\|",
            r"\mid",
            r"\langle",
            r"\rangle",
            r"\surd",
            r"-",
            r"\star",
            r"\neg",
            r"\simeq",
            r"\cong",
            r"\div",
        ],
        strict=True,
    )
)
_MATH_LETTERS = {"ℝ": r"\mathbf{R}", "ℕ": r"\mathbf{N}", "ℤ": r"\mathbf{Z}", "ℂ": r"\mathbf{C}", "𝔼": r"\mathbf{E}"}
_MATH_LETTERS |= {
    "½": r"\frac{1}{2}",
    "¼": r"\frac{1}{4}",
    "¾": r"\frac{3}{4}",
    "⅓": r"\frac{1}{3}",
    "°": r"{}^{\circ}",
}
MATH = _LETTERS | _SIGNS | _MATH_LETTERS

_TEXT = {"–": "--", "—": "---", "“": "``", "”": "''", "„": ",,", "‘": "`", "’": "'", "\u00a0": "~", "\u2009": r"\,"}
_TEXT |= {"\u202f": r"\,", "\u2011": "-", "\u2013": "--", "ß": r"{\ss}", "ø": r"{\o}", "Ø": r"{\O}", "æ": r"{\ae}"}
_TEXT |= {
    "œ": r"{\oe}",
    "å": r"{\aa}",
    "Å": r"{\AA}",
    "ł": r"{\l}",
    "Ł": r"{\L}",
    "ı": r"{\i}",
    "§": r"\S{}",
    "†": r"\dag{}",
}
_TEXT |= {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "%": r"\%", "&": r"\&", "#": r"\#", "_": r"\_"}
_TEXT |= {"^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\ensuremath{<}", ">": r"\ensuremath{>}"}
_TEXT |= {
    "|": r"\ensuremath{|}",
    "\u200b": "",
    "•": r"\textbullet{}",
    "✓": r"\ensuremath{\surd}",
    "☓": r"\ensuremath{\times}",
}
_ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u0304": "=", "\u0307": "."}
_ACCENTS |= {"\u030c": "v", "\u0306": "u", "\u030b": "H", "\u0327": "c", "\u030a": "r", "\u0328": "k"}
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

Kind = Literal["text", "math", "code"]


def pieces(text: str) -> list[tuple[Kind, str]]:
    r"""`text` cut into text, math and code, without their marks.

    >>> pieces(r"at $\sigma_1$, run `a_b`")
    [('text', 'at '), ('math', '\\sigma_1'), ('text', ', run '), ('code', 'a_b')]
    """
    found: list[tuple[Kind, str]] = []
    end = 0
    for match in _PIECE.finditer(text):
        found += _symbols(text[end : match.start()])
        found.append(("math", match[1]) if match[1] is not None else ("code", match[2]))
        end = match.end()
    return found + _symbols(text[end:])


def _symbols(text: str) -> list[tuple[Kind, str]]:
    """Text without math, but for what is math without dollars: letters with a subscript (Σ_w, τ_i²), 2e-10."""
    found: list[tuple[Kind, str]] = []
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
    shown: dict[Kind, Callable[[str], str]] = {
        "text": _latex_text,
        "math": lambda piece: f"${latex_math(piece)}$",
        "code": latex_code,
    }
    return "".join(shown[kind](piece) for kind, piece in pieces(text))


def latex_math(source: str) -> str:
    """LaTeX math with its Unicode spelled out, and amsmath's commands in plain LaTeX's."""
    for command, plain in _PLAIN_COMMANDS:
        source = command.sub(plain, source)
    source = _RAISED.sub(lambda run: f"^{{{run[0].translate(_SUPERSCRIPTS)}}}", source)
    source = _LOWERED.sub(lambda run: f"_{{{run[0].translate(_SUBSCRIPTS)}}}", source)
    return "".join(char if char.isascii() else _latex_sign(char) for char in source)


def to_html(text: str) -> str:
    r"""`text` as HTML: math as MathML (bare numbers as text), and as its source in <code> where it is not covered.

    >>> to_html(r"p < 1: $3\times10^{-7}$")
    'p &lt; 1: 3×10<sup>−7</sup>'
    """
    shown: dict[Kind, Callable[[str], str]] = {
        "text": escape,
        "math": _html_math,
        "code": lambda piece: f"<code>{escape(piece)}</code>",
    }
    return "".join(shown[kind](piece) for kind, piece in pieces(text))


def to_plain(text: str) -> str:
    r"""`text` without its marks, for terminals, titles of windows and what is read aloud: math as a line of Unicode.

    >>> to_plain(r"part of $\Sigma_w$, $p < 10^{-6}$")
    'part of Σ_w, p < 10⁻⁶'
    """
    return "".join(in_line(piece) if kind == "math" else piece for kind, piece in pieces(text))


def to_label(text: str) -> str:
    """`text` as matplotlib reads it: math in dollars, all other dollars escaped, math it cannot parse as text."""
    shown = []
    for kind, piece in pieces(text):
        if kind == "math" and _parses(piece):
            shown.append(f"${_label_math(piece)}$")
        else:
            shown.append(piece.replace("\\", "\\\\" if kind == "text" else "").replace("$", r"\$"))
    return "".join(shown)


def _latex_text(text: str) -> str:
    text = re.sub(r'"([^"]*)"', "“\\1”", text)
    text = text.replace("--", "-\u200c-")
    shown, at = [], 0
    text = unicodedata.normalize("NFC", text)
    while at < len(text):
        if run := _RAISED.match(text, at):
            shown.append(rf"\ensuremath{{^{{{run[0].translate(_SUPERSCRIPTS)}}}}}")
        elif run := _LOWERED.match(text, at):
            shown.append(rf"\ensuremath{{_{{{run[0].translate(_SUBSCRIPTS)}}}}}")
        else:
            shown.append(_latex_char(text[at]))
            at += 1
            continue
        at = run.end()
    return "".join(shown)


def _latex_char(char: str) -> str:
    if char in _TEXT:
        return _TEXT[char]
    if char == "\u200c":
        return "{}"
    if char.isascii():
        return char
    if char in MATH:
        return rf"\ensuremath{{{MATH[char]}}}"
    decomposed = unicodedata.normalize("NFD", char)
    base, marks = decomposed[0], decomposed[1:]
    if base.isascii() and len(marks) == 1 and marks[0] in _ACCENTS:
        return rf"\{_ACCENTS[marks[0]]}{{{base}}}"
    compatible = unicodedata.normalize("NFKD", char)
    return compatible if compatible.isascii() else rf"\texttt{{U+{ord(char):04X}}}"


def _latex_sign(char: str) -> str:
    """A Unicode character in math mode."""
    return f"{MATH[char]} " if char in MATH else rf"\mathrm{{{_latex_char(char)}}}"


def latex_code(code: str) -> str:
    """`code` in typewriter letters, no mark in it read as math."""
    shown = _latex_text(code.replace('"', "\u02ee")).replace(r"\texttt{U+02EE}", r"\char34{}")
    return rf"\texttt{{{shown}}}"


def _html_math(source: str) -> str:
    if _SIMPLE_NUMBER.fullmatch(source):
        return _html_number(source)
    try:
        return mathml(_ascii_math(source))
    except UnknownMath:
        return f'<code class="tex">{escape(source)}</code>'


def _html_number(source: str) -> str:
    text = re.sub(r"\\times\s*", "×", source)
    for command, sign in ((r"\pm", " ± "), (r"\cdot", "·"), (r"\leq", "≤ "), (r"\geq", "≥ "), (r"\le", "≤ ")):
        text = text.replace(command, sign)
    text = re.sub(r"\\ge", "≥ ", text).replace(r"\,", "\u2009").replace(r"\;", " ")
    text = re.sub(r"([<>=])\s*", "\\1 ", text).replace("-", "−")
    return re.sub(r"\^\{(−?\d+)\}", r"<sup>\1</sup>", escape(text))


def _ascii_math(source: str) -> str:
    """Unicode super- and subscripts as ^{} and _{}; other characters are MathML's own business."""
    source = _RAISED.sub(lambda run: f"^{{{run[0].translate(_SUPERSCRIPTS)}}}", source)
    return _LOWERED.sub(lambda run: f"_{{{run[0].translate(_SUBSCRIPTS)}}}", source)


def _label_math(source: str) -> str:
    source = _ascii_math(source)
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
