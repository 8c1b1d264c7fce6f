"""Formulas of docstrings, which are written in Unicode, as MathML, which browsers draw without scripts.

A line is read as it is meant: `_i`, `_{ij}`, `^t` and ² are indices and powers, √(…) is a root, single letters are
quantities, longer words are text or functions, and two spaces are a gap. Fractions stay on their line.
"""

from __future__ import annotations

import re
import unicodedata
from html import escape, unescape

_BLOCK = re.compile(r"<pre><code>(.*?)</code></pre>", re.DOTALL)
_LINKS = re.compile(r"</?a\b[^>]*>")
_CODE = re.compile(r"[\"#]|<\w[\w ]*>|\w\(\w+=")  # strings, comments, <folders>, keywords: no formula
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵀᵗᵏⁿ", "0123456789+−⊤tkn", strict=True))
_FRACTIONS = {"½": ("1", "2"), "¼": ("1", "4"), "¾": ("3", "4"), "⅓": ("1", "3")}
_FUNCTION = re.compile(
    "Im|arcsin|argmin|artanh|atan2|cos|det|diag|exp|log|max|mean|min|sgn|sign|sin|sqrt|sup|tan|tanh|tr"
)
_ACCENTS = {"\u0302": "^", "\u0303": "~", "\u0304": "¯", "\u0307": "˙"}
_INDEX = re.compile(r"−?(?:\d+[a-z]*|[a-z]+|[A-Z]+|[α-ωΑ-Ωϱ𝓚])")
_WORDS = frozenset(  # of two letters, which are not two quantities
    ("an", "as", "at", "by", "if", "in", "is", "it", "no", "of", "on", "or", "so", "to", "up")
)
_TOKEN = re.compile(
    r"(?P<gap> {2,})|(?P<space> )|(?P<code>`[^`]*`)|(?P<number>\d+(?:\.\d+)?|\.\d+)"
    r"|(?P<word>[A-Za-z]{2,}(?:'s|s')?(?: [a-z]{2,}(?:'s|s')?(?![A-Za-z_^(]))*)"
    r"|(?P<raised>[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵀᵗᵏⁿ]+)|(?P<fraction>[½¼¾⅓])|(?P<letter>[^\W\d_])(?P<accent>[\u0300-\u036f])?|(?P<other>.)"
)


def with_formulas(html: str) -> str:
    """A page whose preformatted blocks, where they are formulas, are drawn; code and folders stay as they are."""
    return _BLOCK.sub(_drawn, html)


def _drawn(block: re.Match[str]) -> str:
    text = unescape(_LINKS.sub("", block[1])).rstrip("\n")
    return block[0] if _CODE.search(text) else f'<div class="formulas">{formulas(text)}</div>'


def formulas(text: str) -> str:
    """Lines of formulas as one <math> element; a first column that names them stays a column."""
    lines = text.split("\n")
    cells = [re.split(r" {2,}", line, maxsplit=1) for line in lines]
    named = len(lines) > 1 and all(len(cell) == 2 for cell in cells)
    rows = cells if named else [[line.strip()] for line in lines]
    drawn = "".join(f"<mtr>{''.join(f'<mtd>{formula(cell)}</mtd>' for cell in row)}</mtr>" for row in rows)
    return f'<math display="block" title="{escape(" ".join(text.split()))}"><mtable>{drawn}</mtable></math>'


def formula(line: str) -> str:
    """One line as the inside of a <math> element.

    >>> formula("τ_i = x²/√n")
    '<msub><mi>τ</mi><mi>i</mi></msub><mo>=</mo><msup><mi>x</mi><mn>2</mn></msup><mo>/</mo><msqrt><mi>n</mi></msqrt>'
    """
    return _Line("".join(map(_decomposed, line.strip()))).row()


class _Line:
    """Reads a line from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def row(self, end: str = "") -> str:
        """All that follows, up to `end`, which is passed over."""
        parts: list[str] = []
        while self.at < len(self.text):
            if end and self.text[self.at] == end:
                self.at += 1
                break
            atom = self.atom()
            parts.append(self.scripted(atom))
            if _FUNCTION.fullmatch(atom.removeprefix("<mi>").removesuffix("</mi>")):
                parts.append('<mspace width=".17em"/>')
        return "".join(parts)

    def scripted(self, base: str) -> str:
        """An atom with the indices and powers that follow it."""
        below = above = ""
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "_" and not below and self._has_script():
                self.at += 1
                below = self.script()
            elif char == "^" and not above and self._has_script():
                self.at += 1
                above = self.script()
            elif char in _RAISED and not above:
                above = self.atom()
            elif char == "'" and not above:
                count = len(self.text[self.at :]) - len(self.text[self.at :].lstrip("'"))
                self.at += count
                above = f"<mo>{'′' * count}</mo>"
                if self.text[self.at : self.at + 1] in tuple(_RAISED):
                    above = f"<mrow>{above}{self.atom()}</mrow>"
            else:
                break
        if below and above:
            return f"<msubsup>{base}{below}{above}</msubsup>"
        if below:
            return f"<msub>{base}{below}</msub>"
        return f"<msup>{base}{above}</msup>" if above else base

    def _has_script(self) -> bool:
        return self.at + 1 < len(self.text) and self.text[self.at + 1] != " "

    def script(self) -> str:
        """What stands after _ or ^: a group in braces, a run of letters and digits, or one sign."""
        if self.text[self.at] == "{":
            self.at += 1
            return f"<mrow>{self.row('}')}</mrow>"
        if run := _INDEX.match(self.text, self.at):
            self.at = run.end()
            return _number_or_name(run[0])
        self.at += 1
        return f"<mo>{escape(self.text[self.at - 1])}</mo>"

    def atom(self) -> str:
        """The next thing without its scripts."""
        token = _TOKEN.match(self.text, self.at)
        if token is None:
            raise ValueError(f"{self.text!r} must be one line")
        before, self.at = self.at, token.end()
        kind, text = token.lastgroup, token[0]
        if kind == "gap":
            return '<mspace width="1.6em"/>'
        if kind == "space":
            return ""
        if kind == "number":
            return f"<mn>{text}</mn>"
        if kind == "raised":
            return _number_or_name("".join(_RAISED[char] for char in text))
        if kind == "fraction":
            over, under = _FRACTIONS[text]
            return f"<mfrac><mn>{over}</mn><mn>{under}</mn></mfrac>"
        if kind == "code":
            return f"<mtext>&nbsp;{escape(text.strip('`'))}</mtext>"
        if kind == "word":
            return self.word(text, before)
        if kind == "accent":
            return f'<mover accent="true">{_quantity(text[0])}<mo>{_ACCENTS.get(text[1], text[1])}</mo></mover>'
        if kind == "letter":
            return _quantity(text)
        return self.sign(text)

    def word(self, text: str, start: int) -> str:
        """A run of letters that began at `start`: text, a function, or two quantities."""
        first, _, rest = text.partition(" ")
        if _FUNCTION.fullmatch(first):
            self.at -= len(text) - len(first)
            if first == "sqrt":
                return self.root()
            return f"<mi>{first}</mi>"
        if not rest and len(first) <= 2 and first.lower() not in _WORDS:
            self.at -= len(first) - 1  # two quantities; the second may have an index of its own
            return _quantity(first[0])
        left = "&nbsp;" if start and self.text[start - 1] == " " else ""
        right = "&nbsp;" if self.text[self.at : self.at + 1] == " " else ""
        return f"<mtext>{left}{text}{right}</mtext>"

    def sign(self, text: str) -> str:
        if text == "√":
            return self.root()
        if text in "<>" and self.text[self.at : self.at + 1] == "=":
            self.at += 1
            return f"<mo>{'≤' if text == '<' else '≥'}</mo>"
        if text in "()[]{}|‖⟨⟩":
            return f'<mo stretchy="false">{text}</mo>'
        return f"<mo>{escape(text)}</mo>"

    def root(self) -> str:
        """The root of a group in parentheses, or of one atom."""
        if self.text[self.at : self.at + 1] != "(":
            return f"<msqrt>{self.scripted(self.atom())}</msqrt>"
        depth, start = 0, self.at + 1
        for place in range(self.at, len(self.text)):
            depth += (self.text[place] == "(") - (self.text[place] == ")")
            if depth == 0:
                self.at = place + 1
                return f"<msqrt>{_Line(self.text[start:place]).row()}</msqrt>"
        return "<mo>√</mo>"


def _decomposed(char: str) -> str:
    """A letter apart from its accent; ≠ stays one sign."""
    return unicodedata.normalize("NFD", char) if char.isalpha() else char


def _quantity(letter: str) -> str:
    """Capital Greek letters stand upright, as in LaTeX."""
    upright = ' mathvariant="normal"' if "Α" <= letter <= "Ω" else ""
    return f"<mi{upright}>{letter}</mi>"


def _number_or_name(text: str) -> str:
    """An index: a number, a name, or up to two letters that are indices of their own."""
    if text.isdigit():
        return f"<mn>{text}</mn>"
    if text.isalpha() and (len(text) > 2 or text.isupper()) and len(text) > 1:
        return f"<mi>{text}</mi>"
    letters = re.findall(r"\d+|.", text)
    drawn = "".join(
        f"<mn>{x}</mn>" if x.isdigit() else _quantity(x) if x.isalpha() else f"<mo>{x}</mo>" for x in letters
    )
    return drawn if len(letters) == 1 else f"<mrow>{drawn}</mrow>"
