r"""LaTeX math as MathML, which browsers draw without scripts, fonts or a network.

Covers what sentences and table heads about second moments need: letters, numbers, scripts, fractions, roots, accents,
named operators, fences, spaces. Anything else raises `UnknownMath`, and the caller shows the source instead of a guess.
"""

from __future__ import annotations

import re
from html import escape

_GREEK = dict(
    zip(
        [
            "alpha",
            "beta",
            "gamma",
            "delta",
            "epsilon",
            "varepsilon",
            "zeta",
            "eta",
            "theta",
            "vartheta",
            "iota",
            "kappa",
            "lambda",
            "mu",
            "nu",
            "xi",
            "pi",
            "rho",
            "sigma",
            "tau",
            "upsilon",
            "phi",
            "varphi",
            "chi",
            "psi",
            "omega",
            "Gamma",
            "Delta",
            "Theta",
            "Lambda",
            "Xi",
            "Pi",
            "Sigma",
            "Upsilon",
            "Phi",
            "Psi",
            "Omega",
            "ell",
        ],
        "αβγδϵεζηθϑικλμνξπρστυϕφχψωΓΔΘΛΞΠΣΥΦΨΩℓ",
        strict=True,
    )
)
SYMBOLS = {
    **{"le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠", "neq": "≠", "approx": "≈", "sim": "∼", "equiv": "≡"},
    **{"ll": "≪", "gg": "≫", "propto": "∝", "in": "∈", "notin": "∉", "subset": "⊂", "subseteq": "⊆", "perp": "⊥"},
    **{"times": "×", "cdot": "·", "pm": "±", "mp": "∓", "otimes": "⊗", "oplus": "⊕", "circ": "∘", "ast": "∗"},
    **{"to": "→", "rightarrow": "→", "leftarrow": "←", "mapsto": "↦", "Rightarrow": "⇒", "infty": "∞", "partial": "∂"},
    **{"nabla": "∇", "sum": "∑", "prod": "∏", "int": "∫", "dots": "…", "ldots": "…", "cdots": "⋯", "prime": "′"},
    **{"top": "⊤", "succ": "≻", "succeq": "⪰", "prec": "≺", "preceq": "⪯", "cup": "∪", "cap": "∩", "forall": "∀"},
    **{"exists": "∃", "emptyset": "∅", "odot": "⊙", "parallel": "∥", "mid": "∣", "star": "⋆", "hbar": "ℏ", "neg": "¬"},
}
_FENCES = {
    **{"langle": "⟨", "rangle": "⟩", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "{": "{", "}": "}"},
    **{"|": "‖", "Vert": "‖", "lVert": "‖", "rVert": "‖", "vert": "|", "lvert": "|", "rvert": "|"},
}
_FUNCTIONS = {"log", "ln", "exp", "sin", "cos", "tan", "tanh", "arcsin", "max", "min", "sup", "inf", "lim", "det", "Pr"}
_FUNCTIONS |= {"arg", "dim", "ker", "erf", "tr", "diag"}
_SPACES = {",": ".17em", ":": ".22em", ";": ".28em", " ": ".25em", "quad": "1em", "qquad": "2em", "!": "-.17em"}
_ACCENTS = {
    "hat": "^",
    "widehat": "^",
    "bar": "¯",
    "overline": "¯",
    "tilde": "~",
    "widetilde": "~",
    "vec": "→",
    "dot": "˙",
}
_STYLES = {"mathbf": "bold", "boldsymbol": "bold", "bm": "bold", "mathcal": "script", "mathbb": "double-struck"}
_UPRIGHT = {"text", "textrm", "mathrm", "operatorname", "mbox", "mathsf", "texttt", "mathit"}
_DOUBLE_STRUCK = {"C": "ℂ", "H": "ℍ", "N": "ℕ", "P": "ℙ", "Q": "ℚ", "R": "ℝ", "Z": "ℤ"}
_SCRIPT = {"B": "ℬ", "E": "ℰ", "F": "ℱ", "H": "ℋ", "I": "ℐ", "L": "ℒ", "M": "ℳ", "R": "ℛ"}
_SIZES = {f"{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r")}
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_TOKEN = re.compile(r"\\(?:[A-Za-z]+|.)|\d+(?:\.\d+)?|\s+|.", re.DOTALL)


class UnknownMath(ValueError):
    """LaTeX math outside the covered part."""


def mathml(source: str) -> str:
    r"""`source` (no dollars) as one inline <math> element.

    Raises
    ------
    UnknownMath
        Where a command is not covered, or braces do not match.

    >>> mathml(r"\sigma^2")
    '<math><msup><mi>σ</mi><mn>2</mn></msup></math>'
    """
    parser = _Parser(source)
    row = parser.row()
    if parser.peek is not None:
        raise UnknownMath(f"unmatched {parser.peek!r} in {source!r}")
    return f"<math>{row}</math>"


def in_line(source: str) -> str:
    r"""`source` (no dollars) as a line of Unicode, for terminals and for what is read aloud.

    Anything is accepted: a command that is no symbol leaves its name, or its argument where it has one.

    >>> in_line(r"\Sigma_w - s_0^2 I \le 10^{-6}\sqrt{m/n}")
    'Σ_w - s_0² I ≤ 10⁻⁶√(m/n)'
    """
    source = re.sub(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"\1/\2", source)
    source = re.sub(r"\\sqrt\s*\{((?:[^{}]|\{[^{}]*\})*)\}", r"√(\1)", source)
    source = re.sub(r"\^\{?\\top\}?", "ᵀ", source)
    source = re.sub(r"\^(?:\{(-?\d+)\}|(\d))", lambda found: (found[1] or found[2]).translate(_RAISED), source)
    words = []
    for token in _TOKEN.findall(source):
        name = token[1:] if token[0] == "\\" else None
        if name is None:
            words.append("" if token in "{}" else token)
        elif name in _SPACES:
            words.append("" if name == "!" else "\u00a0")
        elif name not in _UPRIGHT | set(_STYLES) | set(_ACCENTS) | _SIZES | {"left", "right"}:
            words.append(_GREEK.get(name) or SYMBOLS.get(name) or _FENCES.get(name) or name)
    return "".join(words)


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens: list[str] = _TOKEN.findall(source)
        self.at = 0

    @property
    def peek(self) -> str | None:
        """The next token that is no space, None at the end."""
        while self.at < len(self.tokens) and self.tokens[self.at].isspace():
            self.at += 1
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def next(self) -> str:
        if self.peek is None:
            raise UnknownMath(f"{self.source!r} ends too early")
        self.at += 1
        return self.tokens[self.at - 1]

    def row(self, closing: str | None = None) -> str:
        """Atoms with their scripts, up to a closing brace or bracket, or the end."""
        parts = []
        while self.peek is not None and self.peek not in {closing, "}", "\\right"}:
            base, sub, sup = ("<mrow></mrow>" if self.peek in {"^", "_"} else self.atom()), "", ""
            while self.peek in {"^", "_", "'"}:
                mark = self.next()
                if mark == "'":
                    sup = sup + "<mo>′</mo>"
                elif mark == "_" and not sub:
                    sub = self.atom()
                elif mark == "^":
                    sup = sup + self.atom()
                else:
                    raise UnknownMath(f"double subscript in {self.source!r}")
            parts.append(_scripted(base, sub, f"<mrow>{sup}</mrow>" if sup.count("</m") > 1 else sup))
        return "".join(parts)

    def group(self) -> str:
        """A braced row as one element, or a single atom."""
        return self.atom()

    def raw(self) -> str:
        """The plain characters of a braced group, for words in math."""
        if self.next() != "{":
            raise UnknownMath(f"a brace is missing in {self.source!r}")
        start, depth = self.at, 1
        while depth:
            depth += {"{": 1, "}": -1}.get(self.next(), 0)
        return "".join(token.lstrip("\\") for token in self.tokens[start : self.at - 1] if token not in "{}")

    def atom(self) -> str:
        token = self.next()
        if token == "{":
            inner = self.row()
            if self.next() != "}":
                raise UnknownMath(f"a brace is missing in {self.source!r}")
            return f"<mrow>{inner}</mrow>"
        if token.startswith("\\"):
            return self.command(token[1:])
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token.isalpha():
            return f"<mi>{token}</mi>"
        if token in {"&", "~", "#", "$", "%", "}", "^", "_"}:
            raise UnknownMath(f"{token!r} in {self.source!r}")
        if token in "()[]|":
            return f'<mo stretchy="false">{token}</mo>'
        return f"<mo>{escape({'-': '−', '*': '∗'}.get(token, token))}</mo>"

    def command(self, name: str) -> str:
        if name in _GREEK:
            upright = ' mathvariant="normal"' if name[0].isupper() else ""
            return f"<mi{upright}>{_GREEK[name]}</mi>"
        if name in SYMBOLS:
            return (
                f"<mo>{SYMBOLS[name]}</mo>"
                if name not in {"infty", "top", "dots", "ldots"}
                else f"<mi>{SYMBOLS[name]}</mi>"
            )
        if name in _FENCES:
            return f'<mo stretchy="false">{_FENCES[name]}</mo>'
        if name in _FUNCTIONS:
            return f"<mi>{name}</mi>{self._gap()}"
        if name in _SPACES:
            return f'<mspace width="{_SPACES[name]}"></mspace>'
        if name in {"%", "_", "#", "&", "$"}:
            return f"<mo>{escape(name)}</mo>"
        if name in {"frac", "tfrac", "dfrac"}:
            return f"<mfrac>{self.group()}{self.group()}</mfrac>"
        if name == "sqrt":
            return self._root()
        if name in _ACCENTS:
            return f'<mover accent="true">{self.group()}<mo stretchy="false">{_ACCENTS[name]}</mo></mover>'
        if name in _UPRIGHT:
            word = self._word()
            return f'<mi mathvariant="normal">{word}</mi>' if len(word) == 1 else f"<mtext>{word}</mtext>"
        if name in _STYLES:
            return _styled(self._letters(), _STYLES[name])
        if name == "left":
            return self._fenced()
        if name in _SIZES or name in {"displaystyle", "textstyle", "limits", "nolimits"}:
            return self.atom()
        raise UnknownMath(f"\\{name} in {self.source!r}")

    def _gap(self) -> str:
        return (
            "" if self.peek in {None, "(", "[", "_", "^", "\\left", "}", "\\{"} else '<mspace width=".17em"></mspace>'
        )

    def _word(self) -> str:
        """Text in math; MathML drops spaces at the ends unless they are unbreakable."""
        return escape(self.raw()).replace(" ", "\u00a0")

    def _letters(self) -> str:
        if self.peek != "{":
            return self.next()
        self.at += 1
        inner = self.row()
        if self.next() != "}":
            raise UnknownMath(f"a brace is missing in {self.source!r}")
        return inner

    def _root(self) -> str:
        if self.peek != "[":
            return f"<msqrt>{self.group()}</msqrt>"
        self.next()
        index = self.row("]")
        self.next()
        return f"<mroot>{self.group()}<mrow>{index}</mrow></mroot>"

    def _fence(self) -> str:
        token = self.next()
        if token == ".":
            return ""
        sign = _FENCES.get(token[1:]) if token.startswith("\\") else token if token in "()[]|/" else None
        if sign is None:
            raise UnknownMath(f"fence {token!r} in {self.source!r}")
        return f"<mo>{sign}</mo>"

    def _fenced(self) -> str:
        opening = self._fence()
        inner = self.row()
        if self.next() != "\\right":
            raise UnknownMath(f"\\left without \\right in {self.source!r}")
        return f"<mrow>{opening}{inner}{self._fence()}</mrow>"


def _scripted(base: str, sub: str, sup: str) -> str:
    if sub and sup:
        return f"<msubsup>{base}{sub}{sup}</msubsup>"
    if sub:
        return f"<msub>{base}{sub}</msub>"
    return f"<msup>{base}{sup}</msup>" if sup else base


def _styled(inner: str, style: str) -> str:
    letters = re.sub(r"<[^>]+>", "", inner)
    if style == "bold":
        return (
            f'<mrow style="font-weight:bold">{inner if inner.startswith("<") else f"<mi>{escape(inner)}</mi>"}</mrow>'
        )
    table = _DOUBLE_STRUCK if style == "double-struck" else _SCRIPT
    offset = 0x1D538 if style == "double-struck" else 0x1D49C
    if not all("A" <= letter <= "Z" for letter in letters):
        raise UnknownMath(f"{style} {letters!r}")
    return "".join(f"<mi>{table.get(letter) or chr(offset + ord(letter) - 65)}</mi>" for letter in letters)
