r"""LaTeX math for readers without LaTeX: as MathML, which browsers draw without scripts, and as a line of Unicode.

latex2mathml reads the LaTeX. What it gets wrong for formulas of ours is put right here, before it or in its tree.
"""

from __future__ import annotations

import re
import unicodedata
from html import unescape
from xml.etree.ElementTree import Element, tostring

from latex2mathml.converter import Converter
from latex2mathml.symbols_parser import convert_symbol

from reports.typesetting.signs import MATH, ascii_scripts

_RESPELLED = [
    # latex2mathml has styled letters for braced arguments only: \mathbb E
    (re.compile(r"\\(mathbb|mathcal|mathbf)\s*([A-Za-z0-9])"), r"\\\1{\2}"),
    # it sets \mathrm{d} in italics, and \mathrm{tr} as two symbols
    (re.compile(r"\\mathrm\s*(?:\{([A-Za-z0-9]+)\}|([A-Za-z0-9]))"), r"\\text{\1\2}"),
    # it knows neither \bm nor these operators; browsers draw no bold italics
    (re.compile(r"\\(?:boldsymbol|bm)(?![A-Za-z])"), r"\\mathbf"),
    (re.compile(r"\\(tr|diag|erf)(?![A-Za-z])"), r"\\operatorname{\1}"),
]
_ACCENTS = "^~¯―˙→"
_ARGUMENTS = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "mover": 2, "munder": 2, "msubsup": 3, "munderover": 3}
_SCRIPTED = _ARGUMENTS.keys() - {"mfrac", "mroot"}
_ROWS = ("math", "mrow", "mstyle", "mtd")
_NO_OPERATORS = "⊤∞…"  # browsers would put the space of an operator around them

_TOKEN = re.compile(r"\\(?:[A-Za-z]+|.)|\s+|.", re.DOTALL)
_SPACES = {",", ":", ";", " ", "quad", "qquad"}
# Commands that leave their argument.
_TRANSPARENT = {"text", "textrm", "mathrm", "operatorname", "mbox", "mathsf", "texttt", "mathit", "left", "right", "!"}
_TRANSPARENT |= {"mathbf", "boldsymbol", "bm", "mathcal", "mathbb", "hat", "widehat", "bar", "overline", "tilde"}
_TRANSPARENT |= {"widetilde", "vec", "dot"}
_TRANSPARENT |= {f"{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r")}
# The commands of which a formula may be made: none that reads, writes, defines or changes anything.
_FUNCTIONS = "log ln exp max min sup inf lim det dim arg sin cos tan tanh erf tr diag Pr frac tfrac dfrac sqrt le ge ne"
_FUNCTIONS += " lVert rVert lvert rvert binom overbrace underbrace top mid"
_FORMULA = {f"\\{name}" for name in [*_TRANSPARENT, *_FUNCTIONS.split(), "quad", "qquad"]}
_FORMULA |= {f"\\{mark}" for mark in ",:;! |{}%#&$_"} | {sign for sign in MATH.values() if sign.startswith("\\")}
_SIGNS = {"sim": "∼", "perp": "⊥", "ast": "∗"}  # latex2mathml has ~ ⟂ *
_TO_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


class UnreadableFormula(ValueError):
    """A formula that is no LaTeX math, or uses a command that is not known."""


def mathml(source: str, *, block: bool = False) -> str:
    r"""`source` (LaTeX math without its dollars) as a <math> element, on a line of its own if `block`.

    Raises
    ------
    UnreadableFormula
        If latex2mathml cannot read it, or leaves a command as it is.

    Examples
    --------
    >>> mathml(r"\sigma^2")
    '<math><mrow><msup><mi>σ</mi><mn>2</mn></msup></mrow></math>'
    """
    _check(source)
    prepared = ascii_scripts(source)
    for command, known in _RESPELLED:
        prepared = command.sub(known, prepared)
    display = "block" if block else "inline"
    try:
        root = Converter(display=display).convert_to_element(prepared)
    except Exception as error:  # its errors have no common class
        raise UnreadableFormula(f"{source!r}: {type(error).__name__}") from error
    for element in root.iter():
        element.text = unescape(element.text or "")
        if "\\" in element.text:
            raise UnreadableFormula(f"{source!r}: unknown command {element.text!r}")
        if len(element) != _ARGUMENTS.get(element.tag, len(element)):
            raise UnreadableFormula(f"{source!r}: an argument is missing")
        _correct(element)
    for element in root.iter():
        if element.tag in _ROWS:
            _space_words(element)
    root.attrib = {"display": "block"} if block else {}
    return tostring(root, encoding="unicode", short_empty_elements=False)


def is_formula(source: str) -> bool:
    r"""Whether `source` (no dollars) is nothing but a formula, which LaTeX may be given even from a stranger.

    Its commands are all known, its braces match, and no mark in it means anything outside of formulas.

    >>> is_formula(r"\sigma^2 \le 1"), is_formula(r"\input{x}"), is_formula("a}{b"), is_formula("^^5cinput x")
    (True, False, False, False)
    """
    bare = re.sub(r"\\(?:[A-Za-z]+|.)", "", source, flags=re.DOTALL)
    depth, least = 0, 0
    for char in bare:
        depth += (char == "{") - (char == "}")
        least = min(least, depth)
    plain = not any(mark in bare for mark in ("$", "#", "%", "&", "^^", "\\"))
    known = all(command in _FORMULA for command in re.findall(r"\\(?:[A-Za-z]+|.)", source, re.DOTALL))
    printed = all(char >= " " and char != "\x7f" for char in source)
    return plain and known and printed and depth == least == 0


def in_line(source: str) -> str:
    r"""`source` (no dollars) as a line of Unicode, for terminals and for what is read aloud.

    Anything is accepted: a command that is not a symbol leaves its name, or its argument where it has one.

    >>> in_line(r"\Sigma_w - s_0^2 I \le 10^{-6}\sqrt{m/n}")
    'Σ_w - s_0² I ≤ 10⁻⁶√(m/n)'
    """
    source = re.sub(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"\1/\2", source)
    source = re.sub(r"\\sqrt\s*\{((?:[^{}]|\{[^{}]*\})*)\}", r"√(\1)", source)
    source = re.sub(r"\^\{?\\top\}?", "ᵀ", source)
    source = re.sub(r"\^(?:\{(-?\d+)\}|(\d))", lambda found: (found[1] or found[2]).translate(_TO_RAISED), source)
    return "".join(_shown(token) for token in _TOKEN.findall(source))


def _shown(token: str) -> str:
    """One token of LaTeX math as Unicode."""
    if token[0] != "\\" or len(token) == 1:
        return "" if token in "{}" else token
    name = token[1:]
    if name in _SPACES:
        return "\u00a0"
    if name in _TRANSPARENT:
        return ""
    code = convert_symbol(token)
    return _SIGNS.get(name) or (chr(int(code, 16)) if code else name)


def _check(source: str) -> None:
    """Refuse what latex2mathml takes for letters: unmatched braces, marks that mean something else in LaTeX."""
    bare = re.sub(r"\\.", "", source, flags=re.DOTALL)
    marks = "$#%" if r"\begin" in source else "$#%&"
    if bare.count("{") != bare.count("}") or any(mark in bare for mark in marks):
        raise UnreadableFormula(f"{source!r}: unmatched brace or stray mark")


def _correct(element: Element) -> None:
    """Put right what latex2mathml says of one element."""
    text = element.text or ""
    if element.tag == "mi" and re.fullmatch(r"\.\d+", text):
        element.tag = "mn"
    elif element.tag == "mi" and text == "~":  # \sim
        element.tag, element.text = "mo", "∼"
    elif element.tag == "mi" and len(text) == 1:
        category = unicodedata.category(text)
        if category in ("Sm", "Ps", "Pe") and text not in _NO_OPERATORS:  # ± and ⟨ are no letters
            element.tag = "mo"
            element.attrib = {} if category == "Sm" else {"stretchy": "false"}
        elif "Α" <= text <= "Ω" and not element.attrib:  # upright in LaTeX
            element.set("mathvariant", "normal")
    elif element.tag == "mo" and (text in _NO_OPERATORS or _is_word(text)):
        element.tag, element.attrib = "mi", {}
    elif element.tag == "mtext" and len(text) == 1 and text.isalpha():
        element.tag, element.attrib = "mi", {"mathvariant": "normal"}
    elif element.tag == "mover" and (sign := element[1]).tag == "mo" and sign.text and unescape(sign.text) in _ACCENTS:
        element.set("accent", "true")
        if len(element[0]) < 2:  # over one letter it does not stretch
            sign.set("stretchy", "false")


def _is_word(text: str) -> bool:
    return len(text) > 1 and text.replace("\u2009", "").isalpha()


def _space_words(row: Element) -> None:
    """A thin space between log, max, … and what is neither operator nor fence, as LaTeX has it."""
    for at in reversed(range(1, len(row))):
        before, after = _core(row[at - 1]), _core(row[at])
        if "mo" not in (before.tag, after.tag) and "mspace" not in (before.tag, after.tag):
            words = [each.tag == "mi" and _is_word(each.text or "") for each in (before, after)]
            if any(words):
                row.insert(at, Element("mspace", {"width": "0.167em"}))


def _core(element: Element) -> Element:
    """What bears the scripts."""
    while element.tag in _SCRIPTED:
        element = element[0]
    return element
