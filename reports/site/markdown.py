r"""Markdown as HTML: formulas between dollars as MathML, which browsers draw without scripts; headings with anchors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from mdit_py_plugins.anchors import anchors_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

from reports.typesetting.formulas import UnreadableFormula, mathml

_NUMBERED = re.compile(r"(\d+(?:\.\d+)*)\.?\s")
_TAG = re.compile(r"(<[^>]*>)")
_ARXIV = re.compile(r"\barXiv:([a-z-]+/\d{7}|\d{4}\.\d{4,5})")
_BESIDE = re.compile(r"([(\[]*)(<span class=\"math inline\">.*?</math></span>)([\w,.;:!?)\]’]*)", re.DOTALL)
_PART = re.compile(r".{3,}?[/_.=(,]+(?=\w\w\w)|.+")
_LONG_WORD = 16
_ALIGNED = re.compile(r"\{aligned\}")  # a table to latex2mathml under its other name only
_STRAY = "<mi>&amp;</mi>"
_INTERVAL = re.compile(r"(?<=<td>)([^<]*\d) … ([^<]*)(?=</td>)")
_LEFT_ALONE = ("a", "math", "script", "style", "title")


@dataclass(frozen=True)
class Heading:
    """A heading of a page: its level (2 is a section), its text, the anchor that leads there."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True)
class Article:
    """A page's title, its HTML, and its sections."""

    title: str
    html: str
    headings: tuple[Heading, ...]


def to_article(text: str, place: Callable[[str], str]) -> Article:
    """Markdown `text` as HTML; `place` says where a link or picture leads, for everything but http and anchors.

    Raises
    ------
    UnreadableFormula
        If a formula is not LaTeX mathematics, or uses a command that is not known.
    """
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.use(dollarmath_plugin, double_inline=True, allow_digits=False, renderer=_math)
    reader.add_render_rule("math_inline_double", _display)
    reader.add_render_rule("code_inline", lambda _, tokens, number, *__: code(tokens[number].content))
    reader.add_render_rule("table_open", lambda *_: '<div class="wide"><table>\n')
    reader.add_render_rule("table_close", lambda *_: "</table></div>\n")
    reader.use(anchors_plugin, max_level=3, slug_func=anchor)
    environment: dict[str, Any] = {}
    tokens = reader.parse(text, environment)
    headings = []
    for number, token in enumerate(tokens):
        for child in token.children or ():
            for name in ("href", "src"):
                target = child.attrs.get(name)
                if isinstance(target, str) and not target.startswith(("http:", "https:", "#")):
                    child.attrSet(name, place(target))
        if token.type == "heading_open" and token.tag in ("h1", "h2", "h3"):
            shown = "".join(child.content for child in tokens[number + 1].children or ())
            headings.append(Heading(int(token.tag[1]), shown, str(token.attrs["id"])))
    html = _BESIDE.sub(_unbroken, reader.renderer.render(tokens, reader.options, environment))
    html = _INTERVAL.sub(r"\1&nbsp;…&nbsp;\2", html)
    return Article(headings[0].text if headings else "", html, tuple(h for h in headings if h.level > 1))


def anchor(heading: str) -> str:
    """A heading's anchor: its number where it has one, so that it outlives its words.

    >>> anchor("1.7 The shape of f"), anchor("Add a formula")
    ('section-1.7', 'add-a-formula')
    """
    if numbered := _NUMBERED.match(heading):
        return f"section-{numbered[1]}"
    return "-".join(re.findall(r"[^\W_]+", heading.lower()))


def formula(latex: str, *, block: bool = False) -> str:
    r"""LaTeX mathematics as a <math> element, its source kept as a tooltip for those who want to copy it.

    >>> formula(r"\mathbb E x").startswith('<math title="\\mathbb E x"')
    True

    Raises
    ------
    UnreadableFormula
        If it is not LaTeX mathematics, or uses a command that is not known.
    """
    title = escape(" ".join(latex.split()))
    drawn = mathml(_ALIGNED.sub("{split}", latex), block=block)
    if _STRAY in drawn:
        raise UnreadableFormula(f"{latex}: an & outside a table")
    return drawn.replace("<math", f'<math title="{title}"', 1)


def code(text: str) -> str:
    """Code within a line: long names and paths may be broken between their parts, options may not.

    >>> code("check --model weights/layer_1.npy")
    '<code>check <span class="unbroken">--model</span> weights/<wbr>layer_1.<wbr>npy</code>'
    """
    words = (
        f'<span class="unbroken">{escape(word)}</span>'
        if word.startswith("-")
        else "<wbr>".join(escape(part) for part in (_PART.findall(word) if len(word) > _LONG_WORD else [word]))
        for word in text.split(" ")
    )
    return f"<code>{' '.join(words)}</code>"


def cited(html: str, sections: re.Pattern[str] | None = None, derivations: str = "") -> str:
    """Sections and arXiv ids that the text of `html` names become links; text of links, scripts, styles stays.

    `sections` matches a mention, its group 1 the number; `derivations` is the page that has them, "" for this one.
    """
    shown, inside = [], dict.fromkeys(_LEFT_ALONE, 0)
    for number, piece in enumerate(_TAG.split(html)):
        if number % 2:
            name = re.match(r"</?(\w+)", piece)
            if name and name[1] in inside:
                inside[name[1]] += -1 if piece.startswith("</") else 1
        elif not any(inside.values()):
            if sections is not None:
                piece = sections.sub(rf'<a href="{derivations}#section-\1">\g<0></a>', piece)
            piece = _ARXIV.sub(r'<a href="https://arxiv.org/abs/\1">\g<0></a>', piece)
        shown.append(piece)
    return "".join(shown)


def _math(content: str, options: Mapping[str, Any]) -> str:
    return formula(content, block=bool(options["display_mode"]))


def _unbroken(found: re.Match[str]) -> str:
    """A formula and what touches it: browsers would begin a line with the comma after a formula."""
    return f'<span class="unbroken">{found[0]}</span>' if found[1] or found[3] else found[0]


def _display(renderer: RendererHTML, tokens: Sequence[Token], number: int, options: object, env: object) -> str:
    """A displayed formula within a paragraph, which must not hold a <div>."""
    return f'<span class="display">{formula(tokens[number].content, block=True)}</span>'
