r"""What plain LaTeX calls the characters of Unicode: letters and signs of math, letters and marks of text, scripts.

Symbols that need a package are left out: a table must compile without amssymb.
"""

from __future__ import annotations

import re
import unicodedata

_COMMANDS = """
α alpha  β beta  γ gamma  δ delta  ϵ epsilon  ε varepsilon  ζ zeta  η eta  θ theta  ϑ vartheta  ι iota  κ kappa
λ lambda  μ mu  ν nu  ξ xi  π pi  ρ rho  σ sigma  τ tau  υ upsilon  ϕ phi  φ varphi  χ chi  ψ psi  ω omega
Γ Gamma  Δ Delta  Θ Theta  Λ Lambda  Ξ Xi  Π Pi  Σ Sigma  Υ Upsilon  Φ Phi  Ψ Psi  Ω Omega  ℓ ell  µ mu
≤ leq  ≥ geq  ≠ neq  ≈ approx  ∼ sim  ≡ equiv  ≪ ll  ≫ gg  ∝ propto  ∈ in  ∉ notin  ⊂ subset  ⊆ subseteq  ⊥ perp
× times  · cdot  ± pm  ∓ mp  ⊗ otimes  ⊕ oplus  ∘ circ  ∗ ast  → to  ← leftarrow  ↦ mapsto  ⇒ Rightarrow
↔ leftrightarrow  ∞ infty  ∂ partial  ∇ nabla  ∑ sum  ∏ prod  ∫ int  … dots  ⋯ cdots  ⊤ top  ≻ succ  ⪰ succeq
≺ prec  ⪯ preceq  ∪ cup  ∩ cap  ∀ forall  ∃ exists  ∅ emptyset  ⊙ odot  ∥ parallel  ‖ |  ∣ mid  ⟨ langle
⟩ rangle  √ surd  ⋆ star  ¬ neg  ≃ simeq  ≅ cong  ÷ div
"""
_WORDS = _COMMANDS.split()
MATH = {char: f"\\{name}" for char, name in zip(_WORDS[::2], _WORDS[1::2], strict=True)}
MATH |= {"′": "{}'", "−": "-", "°": r"{}^{\circ}"}
MATH |= {"ℝ": r"\mathbf{R}", "ℕ": r"\mathbf{N}", "ℤ": r"\mathbf{Z}", "ℂ": r"\mathbf{C}", "𝔼": r"\mathbf{E}"}
MATH |= {"½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "⅓": r"\frac{1}{3}"}

_TEXT = {"–": "--", "—": "---", "“": "``", "”": "''", "„": ",,", "‘": "`", "’": "'", "\u2011": "-"}
_TEXT |= {"\u00a0": "~", "\u2009": r"\,", "\u202f": r"\,", "\u200b": "", "\u200c": "{}", "§": r"\S{}", "†": r"\dag{}"}
_TEXT |= {"•": r"\textbullet{}"}
_TEXT |= {"ß": r"{\ss}", "ø": r"{\o}", "Ø": r"{\O}", "æ": r"{\ae}", "œ": r"{\oe}", "å": r"{\aa}", "Å": r"{\AA}"}
_TEXT |= {"ł": r"{\l}", "Ł": r"{\L}", "ı": r"{\i}", "✓": r"\ensuremath{\surd}", "☓": r"\ensuremath{\times}"}
_TEXT |= {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "%": r"\%", "&": r"\&", "#": r"\#", "_": r"\_"}
_TEXT |= {"^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
_TEXT |= {"<": r"\ensuremath{<}", ">": r"\ensuremath{>}", "|": r"\ensuremath{|}"}
_ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u0304": "=", "\u0307": "."}
_ACCENTS |= {"\u030c": "v", "\u0306": "u", "\u030b": "H", "\u0327": "c", "\u030a": "r", "\u0328": "k"}

RAISED, LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵀᵗ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓᵢⱼₖₗₘₙₚₛₜ"
_RUNS = re.compile(f"([{RAISED}]+)|[{LOWERED}]+")
_ASCII = str.maketrans(RAISED + LOWERED, "0123456789+-=()niTt" + "0123456789+-=()aeoxijklmnpst")


def ascii_scripts(math: str) -> str:
    """LaTeX math with its Unicode super- and subscripts spelled out.

    >>> ascii_scripts("x₁²")
    'x_{1}^{2}'
    """
    return _RUNS.sub(lambda run: f"{'^' if run[1] else '_'}{{{run[0].translate(_ASCII)}}}", math)


def in_text(char: str) -> str:
    """A character of text as ASCII LaTeX that needs no package; what LaTeX cannot set is named by its code point."""
    if char in _TEXT:
        return _TEXT[char]
    if char in "\t\n\v\f\r":
        return " "
    if char.isascii():
        return char if char.isprintable() else rf"\texttt{{U+{ord(char):04X}}}"
    if char in MATH:
        return rf"\ensuremath{{{MATH[char]}}}"
    decomposed = unicodedata.normalize("NFD", char)
    base, marks = decomposed[0], decomposed[1:]
    if base.isascii() and len(marks) == 1 and marks[0] in _ACCENTS:
        return rf"\{_ACCENTS[marks[0]]}{{{base}}}"
    compatible = unicodedata.normalize("NFKD", char)
    return compatible if compatible.isascii() else rf"\texttt{{U+{ord(char):04X}}}"


def in_math(char: str) -> str:
    """A character of math mode as ASCII LaTeX that needs no package."""
    if char.isascii():
        return char
    return f"{MATH[char]} " if char in MATH else rf"\mathrm{{{in_text(char)}}}"
