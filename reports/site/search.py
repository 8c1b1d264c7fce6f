"""A search over all pages that needs no server: a list of sections, which a script of the page looks through.

Browsers do not let a page that is opened as a file fetch another one, but they load scripts. The list is therefore a
script, and the whole of it is read: it has some thousand sections.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from reports.files import write_atomically

SCRIPT, INDEX = "search.js", "search-index.js"
_SKIPPED = ("nav", "script", "style", "details", "form")
_BETWEEN = {"mfrac": ("", "/"), "msub": ("", "_"), "msup": ("", "^"), "msubsup": ("", "_", "^")}
_BREAKS = ("p", "li", "td", "th", "tr", "pre", "div", "figcaption", "br")


@dataclass(frozen=True)
class PageSection:
    """A part of a page: where it is, the page's title, its own heading ("" for what precedes the first), its text."""

    url: str
    page: str
    heading: str
    text: str


@dataclass(frozen=True)
class _Part:
    """What was read of a section: pieces of its heading and of its text."""

    anchor: str
    heading: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    """Collects the text of a page's <main>, cut at headings that have an anchor."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = [_Part("")]
        self.main, self.skipped = 0, 0
        self.in_heading = False
        self.formula: list[list[str]] = []  # what is open of a formula, with the signs before its next parts

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.formula and self.formula[-1]:
            self._write(self.formula[-1].pop(0))
        if self.formula or tag == "math":
            self.formula.append(list(_BETWEEN.get(tag, ())))
        self.main += tag == "main"
        if tag in _SKIPPED:
            self._write(" ")
            self.skipped += 1
        if tag in ("h1", "h2", "h3"):
            self.in_heading = True
            self.parts.append(_Part(dict(attrs).get("id") or ""))
        elif tag in _BREAKS:
            self._write(" ")

    def handle_endtag(self, tag: str) -> None:
        if self.formula:
            self.formula.pop()
        self.main -= tag == "main"
        self.skipped -= tag in _SKIPPED
        if tag in ("h1", "h2", "h3"):
            self.in_heading = False
        elif tag in _BREAKS:
            self._write(" ")

    def handle_data(self, data: str) -> None:
        self._write(data)

    def _write(self, data: str) -> None:
        if self.main and not self.skipped:
            part = self.parts[-1]
            (part.heading if self.in_heading else part.text).append(data)


def page_sections(html: str, url: str) -> list[PageSection]:
    """The sections of the page `html`, which is at `url`; those without text and heading are left out.

    >>> page_sections('<main><h1>Theory</h1><p>Two.</p><h2 id="ball">Heavy ball</h2><p>v ← μv + g</p></main>', "t.html")
    ... # doctest: +NORMALIZE_WHITESPACE
    [PageSection(url='t.html', page='Theory', heading='', text='Two.'),
     PageSection(url='t.html#ball', page='Theory', heading='Heavy ball', text='v ← μv + g')]
    """
    reader = _Reader()
    reader.feed(html)
    found, title = [], ""
    for part in reader.parts:
        name, said = (" ".join("".join(pieces).split()) for pieces in (part.heading, part.text))
        if name and not title:
            title, name = name, ""
        if name or said:
            found.append(PageSection(url + (f"#{part.anchor}" if part.anchor and name else ""), title, name, said))
    return found


def write_index(out: Path, found: Iterable[PageSection]) -> None:
    """Write the list of sections as a script into the folder `out`."""
    rows = json.dumps([astuple(section) for section in found], ensure_ascii=False, separators=(",", ":"))
    write_atomically(out / INDEX, f"const SECTIONS = {rows};\n")
