"""The site: formulas drawn, citations that lead somewhere, links that are followed, nothing fetched from a network."""

import json
import re

import pytest

import eigenalign
from reports.files import write_atomically
from reports.site import build as site
from reports.site.gallery import hang
from reports.site.links import faults
from reports.site.markdown import anchor, cited, formula, to_article
from reports.site.reference import modules, write_reference
from reports.typesetting.formulas import UnreadableFormula
from tests.paths import ROOT


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The site without its reference, which takes half a minute and which `make docs` builds."""
    return site.build(tmp_path_factory.mktemp("site"), reference=False)


def test_every_page_is_written_and_names_every_other(pages):
    for name in (*(page.target for page in site.PAGES), site.GALLERY):
        text = (pages / name).read_text()
        assert all(f'href="{target}"' in text for _, target in site.NAVIGATION)
        assert text.count('aria-current="page"') == 1


def test_derivations_are_drawn(pages):
    """As many formulas as the source has, no dollar left over, no paragraph that a block would break."""
    source = (ROOT / "theory" / "derivations.md").read_text()
    text = (pages / site.DERIVATIONS).read_text()
    dollars = len(re.findall(r"(?<!\\)\$\$|(?<!\\)\$", re.sub(r"`[^`]*`", "", source)))
    assert text.count("<math ") == dollars / 2 > 500
    assert "$" not in re.sub(r'title="[^"]*"', "", text)
    assert '<math title="\\frac1n' in text or "<mfrac>" in text
    assert not re.search(r"<p>(?:(?!</p>).)*<div", text, flags=re.DOTALL)


def test_pages_load_nothing(pages):
    assert not [fault for fault in faults(pages) if "loads" in fault]
    assert "@import" not in "".join(path.read_text() for path in pages.rglob("*.html"))


def test_pictures_come_along(pages):
    assert 'src="files/b2-panels.svg"' in (pages / "index.html").read_text()
    assert (pages / "files" / "b2-panels.svg").read_bytes() == (
        ROOT / "reports/published/figures/b2-panels.svg"
    ).read_bytes()


@pytest.mark.parametrize(
    ("latex", "drawn"),
    [
        (r"\mathbb E x", "<mi>𝔼</mi>"),
        (r"\Sigma", '<mi mathvariant="normal">Σ</mi>'),
        (r"\oint\frac{dz}z", "<mfrac>"),
        (r"\begin{pmatrix}a&b\\c&d\end{pmatrix}", "<mtable"),
    ],
)
def test_formulas(latex, drawn):
    assert drawn in formula(latex)


@pytest.mark.parametrize("latex", [r"\nosuchcommand x", r"\frac{1}{", r"\left( x", "a_b_c"])
def test_a_formula_that_cannot_be_drawn_is_an_error(latex):
    with pytest.raises(UnreadableFormula):
        formula(latex)
    with pytest.raises(UnreadableFormula):
        to_article(f"A sentence with ${latex}$.", str)


def test_anchors_outlive_words():
    found = to_article("# Theory\n\n## 1. Models\n\n### 1.5 Average\n\n### How so?\n", str)
    assert found.title == "Theory"
    assert [heading.anchor for heading in found.headings] == ["section-1", "section-1.5", "how-so"]
    assert all(f'id="{heading.anchor}"' in found.html for heading in found.headings)
    assert anchor("1.5 Another title") == "section-1.5"


def test_citations_become_links_in_text_only():
    pattern = re.compile(r"section (\d\.\d)")
    html = (
        '<p title="section 1.1">section 1.1, arXiv:2006.10455 <a href="x">section 1.2</a></p><title>section 1.3</title>'
    )
    assert cited(html, pattern, "d.html") == (
        '<p title="section 1.1"><a href="d.html#section-1.1">section 1.1</a>, '
        '<a href="https://arxiv.org/abs/2006.10455">arXiv:2006.10455</a> <a href="x">section 1.2</a></p>'
        "<title>section 1.3</title>"
    )


def test_sections_that_docstrings_cite_exist():
    headings = {heading.anchor for heading in to_article((ROOT / "theory/derivations.md").read_text(), str).headings}
    citation = re.compile(r"theory/derivations\.md,\s+(?:section\s+)?(\d+(?:\.\d+)?)")
    cited_from = {
        (str(path.relative_to(ROOT)), f"section-{number}")
        for package in ("theory", "simulate", "reports")
        for path in (ROOT / package).rglob("*.py")
        for number in citation.findall(path.read_text())
    }
    assert len(cited_from) > 30
    assert not {(path, section) for path, section in cited_from if section not in headings}


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ('<a href="gone.html">x</a>', "gone.html is not there"),
        ('<a href="#gone">x</a>', "#gone has no such anchor"),
        ('<a href="other.html#gone">x</a>', "other.html#gone has no such anchor"),
        ('<a href="../../etc/hosts">x</a>', "leaves the site"),
        ('<script src="https://cdn.example/mathjax.js"></script>', "loads https://cdn.example/mathjax.js"),
        ('<img src="//example/x.png">', "loads //example/x.png"),
        ('<link href="http://example/x.css">', "loads http://example/x.css"),
    ],
)
def test_a_dead_link_is_seen(tmp_path, page, fault):
    (tmp_path / "other.html").write_text('<p id="here">x</p><a href="page.html">back</a>')
    (tmp_path / "page.html").write_text('<a href="other.html#here">fine</a> <a href="https://arxiv.org">fine</a>')
    assert faults(tmp_path) == []
    (tmp_path / "page.html").write_text(page)
    (found,) = faults(tmp_path)
    assert fault in found


def test_a_dead_link_stops_the_build(tmp_path, monkeypatch):
    (tmp_path / "page.md").write_text("# A page\n\n[nowhere](nowhere.md)\n")
    monkeypatch.setattr(site, "PAGES", (site.Page(str(tmp_path / "page.md"), "page.html", "page"),))
    monkeypatch.setattr(site, "NAVIGATION", (("page", "page.html"),))
    with pytest.raises(site.DeadLinks, match=r"nowhere\.md"):
        site.build(tmp_path / "out", reference=False)


def test_the_gallery_hangs_every_figure_of_a_report(tmp_path):
    figures = [{"name": "a1 steps", "caption": "$f$ & 95 % intervals"}, {"name": "a1-last", "caption": "<end>"}]
    claims = [
        {"id": "A1", "title": "Equivariance", "verdict": "holds", "figures": figures},
        {"id": "A2", "title": "Averaging", "verdict": None, "figures": []},
    ]
    report, out = tmp_path / "report", tmp_path / "out"
    for name in ("a1-steps", "a1-last"):
        write_atomically(report / "figures" / f"{name}.svg", f"<svg>{name}</svg>")
    write_atomically(report / "results.json", json.dumps({"claims": claims}))
    (wall,) = hang(out, report)
    assert (wall.id, wall.verdict) == ("A1", "holds")
    assert [(out / figure.file).read_text() for figure in wall.figures] == ["<svg>a1-steps</svg>", "<svg>a1-last</svg>"]
    assert [figure.caption for figure in wall.figures] == ["$f$ & 95 % intervals", "<end>"]


def test_captions_in_the_gallery_are_typeset_and_escaped(pages):
    text = (pages / site.GALLERY).read_text()
    assert '<img src="figures/' in text
    assert not re.search(r"<figcaption>[^<]*\$", text)


def test_reference_of_some_modules(tmp_path):
    (tmp_path / "derivations.html").write_text('<h3 id="section-3.4">Containment</h3>')
    names = ("theory.errors", "theory.containment", "theory.eigenspaces")
    write_reference(tmp_path / "reference", tmp_path / "derivations.html", names)
    text = (tmp_path / "reference" / "theory" / "containment.html").read_text()
    assert 'href="../../derivations.html#section-3.4"' in text
    assert "Parameters" in text
    assert (tmp_path / "reference" / "search.js").stat().st_size > 1000
    known = {"index.html is not there", "theory.html is not there"}  # pages that were not asked for
    assert {fault.split("/")[-1] for fault in faults(tmp_path)} <= known


def test_the_reference_begins_with_the_door(tmp_path):
    """Names that are imported when they are asked for are all on its page, and lead to each other."""
    assert modules()[0] == "eigenalign"
    write_reference(tmp_path, tmp_path / "derivations.html", ("eigenalign",))
    text = (tmp_path / "eigenalign.html").read_text()
    assert {name for name in eigenalign.__all__ if f'id="{name}"' not in text} == set()
    assert '<a href="#verify">verify</a>' in text
    assert "What was trained is the study" in text  # the docstring of a function from elsewhere


def test_the_reference_has_every_public_module():
    listed = set(modules()) - {"eigenalign"}
    files = {
        str(path.relative_to(ROOT)).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for package in ("theory", "simulate", "reports")
        for path in (ROOT / package).rglob("*.py")
    }
    assert listed == {name for name in files if not name.startswith("reports.site")}
