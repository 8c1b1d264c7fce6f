"""`eigenalign claims`: every claim with its reference and what is checked."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import fill

from reports.claims.claim import Claim
from reports.typesetting.markup import to_plain
from reports.views.view import Section, View


def view(claims: Iterable[Claim]) -> View:
    """The view of claims: math is LaTeX in JSON, and Unicode in text."""
    listed = [
        {"id": c.id, "title": c.title, "statement": c.statement, "reference": c.reference, "checked": c.method}
        for c in claims
    ]
    sections: list[Section] = [
        [
            to_plain(f"{claim['id']}  {claim['title']} ({claim['reference']})"),
            _paragraph(claim["statement"]),
            _paragraph(f"checked: {claim['checked']}"),
        ]
        for claim in listed
    ]
    return View(listed, sections)


def _paragraph(text: str) -> str:
    return fill(to_plain(text), 100, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
