"""The site: every page, derivations drawn, no dead link, nothing fetched from a network."""

import re
from pathlib import Path

import pytest

from reports.site import build as site
from reports.site.links import faults
from reports.site.navigation import DERIVATIONS, ENTRIES, GALLERY, NAVIGATION, PAGES, PAPER, Page
from tests.paths import ROOT


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The site without its reference, which takes half a minute and which `make docs` builds."""
    return site.build(tmp_path_factory.mktemp("site"), reference=False)


def test_every_page_is_written_and_names_every_other(pages):
    for name in (*(page.target for page in PAGES), GALLERY, PAPER):
        text = (pages / name).read_text()
        assert all(f'href="{entry.target}"' in text for entry in ENTRIES)
        assert text.count('aria-current="page"') == 1


def test_the_navigation_begins_at_the_start_and_ends_with_the_changes():
    assert [group.title for group in NAVIGATION] == ["Start", "Guides", "Theory", "Gallery", "Reference", "Changelog"]
    targets = [entry.target for entry in ENTRIES]
    assert len(set(targets)) == len(targets)


def test_every_guide_is_a_page():
    there = {path.stem for path in (ROOT / "reports" / "site" / "guides").glob("*.md")}
    assert {Path(page.source).stem for page in PAGES if "guides" in page.source} == there


def test_derivations_are_drawn(pages):
    """The page has as many formulas as the source, no dollar left over, and no paragraph that a block would break."""
    source = (ROOT / "theory" / "derivations.md").read_text()
    text = (pages / DERIVATIONS).read_text()
    dollars = len(re.findall(r"(?<!\\)\$\$|(?<!\\)\$", re.sub(r"`[^`]*`", "", source)))
    assert text.count("<math ") == dollars / 2 > 500
    assert "$" not in re.sub(r'title="[^"]*"', "", text)
    assert '<math title="\\frac1n' in text or "<mfrac>" in text
    assert not re.search(r"<p>(?:(?!</p>).)*<div", text, flags=re.DOTALL)


def test_the_search_has_every_page(pages):
    index = (pages / "search-index.js").read_text()
    assert all(f'"{page.target}' in index for page in PAGES)
    assert all(word in index for word in ("heavy ball", "Fieller", "torchrun"))


def test_pages_load_nothing(pages):
    assert not [fault for fault in faults(pages) if "loads" in fault]
    assert "@import" not in "".join(path.read_text() for path in pages.rglob("*.html"))


def test_pictures_come_along(pages):
    assert 'src="files/b2-panels.svg"' in (pages / "index.html").read_text()
    assert (pages / "files" / "b2-panels.svg").read_bytes() == (
        ROOT / "reports/published/figures/b2-panels.svg"
    ).read_bytes()


def test_a_dead_link_stops_the_build(tmp_path, monkeypatch):
    (tmp_path / "page.md").write_text("# A page\n\n[nowhere](nowhere.md)\n")
    monkeypatch.setattr(site, "PAGES", (Page(str(tmp_path / "page.md"), "page.html", "page"),))
    monkeypatch.setattr(site, "NAVIGATION", ())
    with pytest.raises(site.DeadLinks, match=r"nowhere\.md"):
        site.build(tmp_path / "out", reference=False)


def test_captions_in_the_gallery_are_typeset_and_escaped(pages):
    text = (pages / GALLERY).read_text()
    assert '<img src="figures/' in text
    assert not re.search(r"<figcaption>[^<]*\$", text)
