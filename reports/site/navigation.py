"""What the site consists of, in the order in which a newcomer meets it: start, guides, theory, gallery, reference."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """A Markdown file of the checkout, the page it becomes, and its name in the navigation."""

    source: str
    target: str
    label: str


@dataclass(frozen=True)
class Entry:
    """A line of the navigation."""

    label: str
    target: str


@dataclass(frozen=True)
class Group:
    """A heading of the navigation, and what is below it."""

    title: str
    entries: tuple[Page | Entry, ...]


def _guide(name: str, label: str) -> Page:
    return Page(f"reports/site/guides/{name}.md", f"{name}.html", label)


HOME, DERIVATIONS = "index.html", "derivations.html"
GALLERY, PAPER, SEARCH = "gallery.html", "statements.html", "search.html"
NAMES, MODULES = "reference/index.html", "reference/modules.html"

NAVIGATION = (
    Group(
        "Start",
        (
            Page("README.md", HOME, "Overview and first steps"),
            Page("reports/published/README.md", "published.html", "The published report"),
            _guide("claims", "What is claimed"),
            _guide("glossary", "Glossary"),
        ),
    ),
    Group(
        "Guides",
        (
            _guide("settings", "A setting, key by key"),
            _guide("network", "Check your network"),
            _guide("models", "Check a whole model"),
            _guide("pretrained", "What public networks show"),
            _guide("transfer", "Does it transfer?"),
            _guide("init", "Aligned initial weights"),
            _guide("equivariance", "Rotations and your training"),
            _guide("testing", "Test your own library"),
            _guide("json", "JSON output"),
            _guide("ci", "Use it in CI"),
            _guide("cluster", "Run on a cluster"),
            _guide("formula", "Add a formula"),
            _guide("claim", "Add a claim"),
            Page("CONTRIBUTING.md", "contributing.html", "Contributing"),
        ),
    ),
    Group(
        "Theory",
        (
            Page("theory/derivations.md", DERIVATIONS, "Derivations"),
            Entry("The paper's statements", PAPER),
            _guide("calibration", "Audit of tests and intervals"),
        ),
    ),
    Group("Gallery", (Entry("All figures", GALLERY),)),
    Group("Reference", (Entry("Public names", NAMES), Entry("All modules", MODULES))),
    Group("Changelog", (Page("CHANGELOG.md", "changelog.html", "Changes"),)),
)

ENTRIES = tuple(entry for group in NAVIGATION for entry in group.entries)
PAGES = tuple(entry for entry in ENTRIES if isinstance(entry, Page))
