"""The whole site: pages, gallery and reference written, then every link followed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import jinja2
from markupsafe import Markup

from reports.files import write_atomically
from reports.site import statements
from reports.site.gallery import PUBLISHED, hang
from reports.site.links import faults
from reports.site.markdown import cited, to_article
from reports.site.reference import write_reference
from reports.statements.paper import STATEMENTS
from reports.statements.statement import answered, findings_of
from reports.statements.words import TITLE
from reports.typesetting.environments import html_environment

ROOT = Path(__file__).resolve().parents[2]
REFERENCE, GALLERY, DERIVATIONS = "reference/index.html", "gallery.html", "derivations.html"
PAPER = "statements.html"
_SECTION = re.compile(r"(?<!\w)section\s+(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Page:
    """A Markdown file of the checkout, the page it becomes, and its name in the navigation."""

    source: str
    target: str
    label: str


GUIDES = tuple(
    Page(f"reports/site/guides/{name}.md", f"{name}.html", label)
    for name, label in (
        ("settings", "settings"),
        ("network", "check your network"),
        ("models", "check a whole model"),
        ("pretrained", "what public networks show"),
        ("transfer", "transfer"),
        ("init", "initial weights"),
        ("equivariance", "rotations and your training"),
        ("json", "JSON output"),
        ("ci", "use it in CI"),
        ("cluster", "run on a cluster"),
        ("glossary", "glossary"),
        ("claims", "claims"),
        ("calibration", "calibration"),
        ("formula", "add a formula"),
        ("claim", "add a claim"),
    )
)
PAGES = (
    Page("README.md", "index.html", "eigenalign"),
    *GUIDES,
    Page("theory/derivations.md", DERIVATIONS, "derivations"),
    Page("reports/published/README.md", "published.html", "published results"),
    Page("CONTRIBUTING.md", "contributing.html", "contributing"),
    Page("CHANGELOG.md", "changelog.html", "changes"),
)
NAVIGATION = (
    *((page.label, page.target) for page in PAGES[:-2]),
    ("the paper", PAPER),
    ("gallery", GALLERY),
    ("reference", REFERENCE),
    *((page.label, page.target) for page in PAGES[-2:]),
)


class DeadLinks(ValueError):
    """Links that lead nowhere; the message has a line for each."""


def build(out: Path, *, report: Path | None = None, reference: bool = True) -> Path:
    """Write the site of this checkout into `out`; its gallery and its page of the paper show a report.

    The report is the one in the folder `report`, or the published one.
    Without `reference` the pages of the API are left out, and links to them are not followed.

    Raises
    ------
    UnreadableFormula
        Where a formula cannot be drawn.
    DeadLinks
        Where a link leads nowhere, or a page would fetch something from a network.
    """
    out.mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        write_atomically(out / page.target, _page(page, out))
    write_atomically(out / PAPER, _paper(report, out))
    gallery = _template("gallery").render(title="Gallery", navigation=NAVIGATION, here=GALLERY, walls=hang(out, report))
    write_atomically(out / GALLERY, gallery)
    if reference:
        write_reference(out / "reference", out / DERIVATIONS)
    wrong = [fault for fault in faults(out) if reference or " reference/" not in fault]
    if wrong:
        raise DeadLinks("\n".join(wrong))
    return out


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
    return _template("page").render(
        title=found.title,
        navigation=NAVIGATION,
        here=page.target,
        headings=found.headings if len(found.headings) > 3 else (),
        content=Markup(html),
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


def _template(name: str) -> jinja2.Template:
    return html_environment(Path(__file__).resolve().parent / "templates").get_template(f"{name}.html.jinja2")
