"""The reference: the names of `eigenalign`, then all of the packages, drawn by pdoc from Markdown docstrings.

pdoc reads them as they are (formulas indented by four are set as they stand); sections of the derivations and arXiv
ids that they cite become links.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import eigenalign
import reports
import simulate
import theory
from reports.files import write_atomically
from reports.site.markdown import cited

_OWN = __name__.rpartition(".")[0]  # the pages' own builder is no part of what is installed
_SAME_PAGE = re.compile(r'<a href="#([^"]+)">(.*?)</a>', re.DOTALL)
_SECTION = re.compile(r"theory/derivations\.md,\s+(?:section\s+)?(\d+(?:\.\d+)?)")


def modules() -> list[str]:
    """`eigenalign` and every module of the packages, by name; those that an __all__ does not name are public, too."""
    found = [eigenalign.__name__]
    for package in (theory, simulate, reports):
        below = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        found += [package.__name__, *(module.name for module in below)]
    return [name for name in found if not f"{name}.".startswith(f"{_OWN}.")]


def write_reference(folder: Path, derivations: Path, names: Sequence[str] | None = None) -> None:
    """Write a page for every module, or for those in `names`, into `folder`, with an index and a search.

    `derivations` is the page to which cited sections lead.
    """
    import pdoc.doc
    import pdoc.render

    pdoc.render.configure(
        docformat="numpy",
        template_directory=Path(__file__).resolve().parent / "templates",
        footer_text="eigenalign",
        show_source=False,  # three quarters of the bytes
    )
    for name in eigenalign.__all__:
        getattr(eigenalign, name)  # pdoc sees what a module holds, not what it would import when asked
    chosen = {name: pdoc.doc.Module(importlib.import_module(name)) for name in names or modules()}
    with warnings.catch_warnings():
        # annotations that an inherited __init__ has from another module stay text: nothing to click, nothing lost
        warnings.filterwarnings("ignore", "Error parsing type annotation", UserWarning)
        for name, module in chosen.items():
            page = folder / f"{name.replace('.', '/')}.html"
            html = _without_loose_ends(pdoc.render.html_module(module, chosen))
            write_atomically(page, cited(html, _SECTION, Path(os.path.relpath(derivations, page.parent)).as_posix()))
        write_atomically(folder / "index.html", pdoc.render.html_index(chosen))
        write_atomically(folder / "search.js", pdoc.render.search_index(chosen))


def _without_loose_ends(html: str) -> str:
    """Links to anchors that the page has; pdoc also links attributes that a class inherits and does not list."""
    return _SAME_PAGE.sub(lambda link: link[0] if f'id="{link[1]}"' in html else link[2], html)
