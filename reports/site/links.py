"""Dead links of a folder of HTML pages, and whatever a page would fetch from a network."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name == "id":
                self.ids.add(value)
            elif name in ("href", "src"):
                self.links.append(value)
                if (tag, name) in _LOADED:
                    self.loads.append(value)


def faults(folder: Path) -> list[str]:
    """What is wrong with the links of the pages in `folder`: a line each, none where all is well.

    Links to files or anchors that are not there, links that leave the folder, and scripts, pictures or styles from a
    network. Links *to* the network are not followed.
    """
    pages = {path.resolve(): _read(path) for path in sorted(folder.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        name = path.relative_to(folder.resolve())
        found += [f"{name}: loads {url}" for url in page.loads if urlsplit(url).scheme in ("http", "https")]
        found += [f"{name}: loads {url}" for url in page.loads if url.startswith("//")]
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_relative_to(folder.resolve()):
                found.append(f"{name}: {link} leaves the site")
            elif not target.is_file():
                found.append(f"{name}: {link} is not there")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                found.append(f"{name}: {link} has no such anchor")
    return found


def _read(path: Path) -> _Anchors:
    parser = _Anchors()
    parser.feed(path.read_text())
    return parser
