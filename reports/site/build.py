"""The whole site: pages, gallery, reference and search written, then every link followed."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

import jinja2
from markupsafe import Markup

from reports.files import write_atomically
from reports.site import statements
from reports.site.gallery import PUBLISHED, hang
from reports.site.links import faults
from reports.site.markdown import cited, to_article
from reports.site.navigation import DERIVATIONS, GALLERY, MODULES, NAMES, NAVIGATION, PAGES, PAPER, SEARCH, Page
from reports.site.reference import described, listed_modules, public_names, write_reference
from reports.site.search import SCRIPT, PageSection, page_sections, write_index
from reports.statements.paper import STATEMENTS
from reports.statements.statement import answered, findings_of
from reports.statements.words import TITLE
from reports.typesetting.environments import html_environment

ROOT = Path(__file__).resolve().parents[2]
_TEMPLATES = Path(__file__).resolve().parent / "templates"
_SECTION = re.compile(r"(?<!\w)section\s+(\d+(?:\.\d+)?)")


class DeadLinks(ValueError):
    """Links that lead nowhere; the message has a line for each."""


def build(out: Path, *, report: Path | None = None, reference: bool = True) -> Path:
    """Write the site of this checkout into `out`; its gallery and its page of the paper show a report.

    The report is the one in the folder `report`, or the published one.
    Without `reference` the pages of the API are left out, and links to them are not followed.

    Raises
    ------
    UnreadableFormula
        If a formula cannot be drawn.
    DeadLinks
        If a link leads nowhere, or a page would fetch something from a network.
    """
    out.mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        write_atomically(out / page.target, _page(page, out))
    write_atomically(out / PAPER, _paper(report, out))
    _render("gallery", out, GALLERY, title="Gallery", walls=hang(out, report))
    _render("find", out, SEARCH, title="Search")
    write_atomically(out / SCRIPT, (_TEMPLATES / SCRIPT).read_bytes())
    found = [section for page in sorted(out.glob("*.html")) for section in page_sections(page.read_text(), page.name)]
    if reference:
        found += _reference(out)
    write_index(out, found)
    wrong = [fault for fault in faults(out) if reference or " reference/" not in fault]
    if wrong:
        raise DeadLinks("\n".join(wrong))
    return out


def _reference(out: Path) -> list[PageSection]:
    """The pages of the API; what the search is to find in them."""
    modules = write_reference(out / "reference", out / DERIVATIONS)
    _render("names", out, NAMES, title="Public names", groups=public_names(modules))
    _render("modules", out, MODULES, title="All modules", packages=listed_modules(modules))
    return described(modules)


def _page(page: Page, out: Path) -> str:
    return _article((ROOT / page.source).read_text(), page, out)


def _paper(report: Path | None, out: Path) -> str:
    """The statements of the paper by the findings of a report."""
    source = f"the report in `{report.name}`" if report else "the [published report](../published/README.md)"
    findings = findings_of((report or PUBLISHED) / "results.json")
    text = statements.markdown(answered(STATEMENTS, findings), findings, source)
    return _article(text, Page("reports/site/statements.py", PAPER, TITLE), out)


def _article(text: str, page: Page, out: Path) -> str:
    found = to_article(text, lambda target: place(page, target, out))
    html = cited(found.html, _SECTION if page.target == DERIVATIONS else None)
    return (
        _environment()
        .get_template("page.html.jinja2")
        .render(
            title=found.title,
            navigation=NAVIGATION,
            here=page.target,
            headings=found.headings if len(found.headings) > 3 else (),
            content=Markup(html),
        )
    )


def place(page: Page, target: str, out: Path) -> str:
    """Where a link of `page` to a file of the checkout leads in the site; pictures are copied into it.

    A Markdown file leads to its page, a module or package to its reference, any other file to a copy.
    """
    path, _, fragment = target.partition("#")
    file = os.path.normpath(PurePosixPath(page.source).parent / path)
    after = f"#{fragment}" if fragment else ""
    for known in PAGES:
        if known.source == file:
            return known.target + after
    if file.endswith(".py"):
        return f"reference/{file.removesuffix('.py').removesuffix('/__init__')}.html{after}"
    if (ROOT / file).is_file():
        copy = f"files/{PurePosixPath(file).name}"
        write_atomically(out / copy, (ROOT / file).read_bytes())
        return copy
    return file + after  # not there: the links are followed at the end


def _render(template: str, out: Path, target: str, **values: object) -> None:
    """Write one of the pages that are no Markdown file."""
    page = _environment().get_template(f"{template}.html.jinja2")
    write_atomically(out / target, page.render(navigation=NAVIGATION, here=target, **values))


def _environment() -> jinja2.Environment:
    return html_environment(_TEMPLATES)
