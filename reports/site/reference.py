"""The reference: the names of `eigenalign`, then all of the packages, drawn by pdoc from Markdown docstrings.

Formulas that stand alone, indented by four, become MathML; sections of the derivations and arXiv ids that docstrings
cite become links. What the names are for is read from the docstring of `eigenalign`, which groups them.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import eigenalign
import reports
import simulate
import theory
from reports.files import write_atomically
from reports.site import docstrings
from reports.site.comments import take_comments
from reports.site.markdown import anchor, cited
from reports.site.search import PageSection
from reports.site.signatures import with_breaks
from reports.site.unicode_formulas import with_formulas

if TYPE_CHECKING:
    import pdoc.doc

_OWN = __name__.rpartition(".")[0]  # the pages' own builder is no part of what is installed
_SAME_PAGE = re.compile(r'<a href="#([^"]+)">(.*?)</a>', re.DOTALL)
_SECTION = re.compile(r"theory/derivations\.md,\s+(?:section\s+)?(\d+(?:\.\d+)?)")
_USE = re.compile(r"^- ([^:]+): (.*?)(?=^- |^$)", re.DOTALL | re.MULTILINE)
_ANCHOR_OF_PART = re.compile(r'(<h6) id="[^"]*"')  # "attributes" of every class of a page
_CODE = re.compile(r"`(\w+)`")
_UNDERLINED = re.compile(r"^(\w+)\n-{3,}$", re.MULTILINE)
_EMPHASIS = re.compile(r"(?<!\S)\*([^*\s][^*]*)\*(?!\w)")
_RESULTS, _ERRORS = "What they return", "Errors"


@dataclass(frozen=True)
class Listed:
    """A name, where it is described, and the first sentence that is said of it."""

    name: str
    url: str
    summary: str


@dataclass(frozen=True)
class Purpose:
    """Something that one may want to do, and the public names that serve it."""

    title: str
    names: tuple[Listed, ...]

    @property
    def anchor(self) -> str:
        return anchor(self.title)


@dataclass(frozen=True)
class Package:
    """A package or the packages below it, and their modules."""

    name: str
    url: str
    summary: str
    modules: tuple[Listed, ...]


def modules() -> list[str]:
    """`eigenalign` and every module of the packages, by name; those that an __all__ does not name are public, too."""
    found = [eigenalign.__name__]
    for package in (theory, simulate, reports):
        below = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        found += [package.__name__, *(module.name for module in below)]
    return [name for name in found if not f"{name}.".startswith(f"{_OWN}.")]


def uses() -> dict[str, tuple[str, ...]]:
    """The public names by what one wants to do, as the docstring of `eigenalign` has them; results and errors last."""
    found: dict[str, tuple[str, ...]] = {}
    seen: set[str] = set()
    for title, text in _USE.findall(eigenalign.__doc__ or ""):
        names = tuple(dict.fromkeys(n for n in _CODE.findall(text) if n in eigenalign.__all__ and n not in seen))
        seen.update(names)
        found[title] = names
    others = [(name, getattr(eigenalign, name)) for name in eigenalign.__all__ if name not in seen]
    errors = tuple(name for name, value in others if isinstance(value, type) and issubclass(value, Exception))
    return found | {_RESULTS: tuple(name for name, _ in others if name not in errors), _ERRORS: errors}


def public_names(modules: Mapping[str, pdoc.doc.Module]) -> tuple[Purpose, ...]:
    """The public names as the page of them lists them."""
    members = modules[eigenalign.__name__].members
    said = {name: members[name].docstring for name in eigenalign.__all__}
    for module in modules.values():  # the docstring of a variable is only where the variable is
        said |= {name: module.members[name].docstring for name in said if not said[name] and name in module.members}
    return tuple(
        Purpose(title, tuple(Listed(name, f"eigenalign.html#{name}", _summary(said[name])) for name in names))
        for title, names in uses().items()
    )


def listed_modules(modules: Mapping[str, pdoc.doc.Module]) -> tuple[Package, ...]:
    """The packages, each with all modules below it."""
    return tuple(
        Package(
            top,
            _page(top),
            _summary(modules[top].docstring),
            tuple(
                Listed(name, _page(name), _summary(module.docstring))
                for name, module in modules.items()
                if name.startswith(f"{top}.")
            ),
        )
        for top in (package.__name__ for package in (theory, simulate, reports))
    )


def described(modules: Mapping[str, pdoc.doc.Module]) -> list[PageSection]:
    """What a search finds: all docstrings, each once, at the public name where it has one."""
    found: dict[tuple[str, str], PageSection] = {}
    for name, module in modules.items():
        for url, heading, text in _docstrings(name, module):
            found.setdefault((heading, text), PageSection(f"reference/{url}", name, heading, text))
    return list(found.values())


def _docstrings(name: str, module: pdoc.doc.Module) -> Iterator[tuple[str, str, str]]:
    yield _page(name), "", _plain(module.docstring)
    for member in module.flattened_own_members:
        if member.docstring and not member.name.startswith("_"):
            yield f"{_page(name)}#{member.qualname}", member.qualname, _plain(member.docstring)


def write_reference(folder: Path, derivations: Path, names: Sequence[str] | None = None) -> dict[str, pdoc.doc.Module]:
    """Write a page for every module, or for those in `names`, into `folder`; what pdoc knows of them, by name.

    `derivations` is the page to which cited sections lead.
    """
    import pdoc.doc
    import pdoc.render

    pdoc.render.configure(
        docformat="numpy",
        template_directory=Path(__file__).resolve().parent / "templates",
        footer_text="eigenalign",
        search=False,  # the site's own finds these pages, too
        show_source=False,  # three quarters of the bytes
    )
    pdoc.render.env.globals["uses"] = uses()
    pdoc.render.env.filters |= {
        "kept_lines": docstrings.kept_lines,
        "hold_signs": docstrings.hold_signs,
        "release_signs": docstrings.release_signs,
        "short_value": docstrings.short_value,
        "summary": _summary,
    }
    for name in eigenalign.__all__:
        getattr(eigenalign, name)  # pdoc sees what a module holds, not what it would import when asked
    chosen = {name: pdoc.doc.Module(importlib.import_module(name)) for name in names or modules()}
    for module in chosen.values():
        docstrings.forget_foreign(module)
        take_comments(module)
    with warnings.catch_warnings():
        # annotations that an inherited __init__ has from another module stay text: nothing to click, nothing lost
        warnings.filterwarnings("ignore", "Error parsing type annotation", UserWarning)
        for name, module in chosen.items():
            page = folder / _page(name)
            html = _ANCHOR_OF_PART.sub(r"\1", pdoc.render.html_module(module, chosen))
            html = with_formulas(with_breaks(docstrings.without_colons(_without_loose_ends(html))))
            write_atomically(page, cited(html, _SECTION, Path(os.path.relpath(derivations, page.parent)).as_posix()))
    return chosen


def _page(name: str) -> str:
    return f"{name.replace('.', '/')}.html"


def _plain(docstring: str) -> str:
    docstring = _UNDERLINED.sub(r"\1:", docstring)
    return " ".join(docstring.replace("`", "").replace("\b", "").split())


def _summary(docstring: str) -> str:
    """The first paragraph's first sentence."""
    first = _plain(docstring.split("\n\n")[0])
    return re.split(r"(?<=\.)\s+(?=[A-Z])", _EMPHASIS.sub(r"\1", first))[0].rstrip(":")


def _without_loose_ends(html: str) -> str:
    """Links to anchors that the page has; pdoc also links attributes that a class inherits and does not list."""
    return _SAME_PAGE.sub(lambda link: link[0] if f'id="{link[1]}"' in html else link[2], html)
