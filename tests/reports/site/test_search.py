"""The search: every section of every page is in its list, and its script finds them."""

import json
import shutil
import subprocess

import pytest

from reports.site.search import INDEX, PageSection, page_sections, write_index
from tests.paths import ROOT

SCRIPT = ROOT / "reports" / "site" / "templates" / "search.js"
FOUND = (
    PageSection("cluster.html#ranks", "Clusters", "Ranks", "one process per device, by torchrun"),
    PageSection("derivations.html", "Theory", "", "descent, then a heavy ball that rolls"),
    PageSection("a.html#b", "Theory", "Heavy ball", "v ← μ v + g"),
    PageSection("c.html", "Intervals", "", "a ball; heavy; Fieller's interval <b>"),
    PageSection("d.html", "Expectations", "", "long " + "𝔼" * 120 + " and more"),
)


def search(query, folder):
    """What the script of the page answers, run by node."""
    if not (node := shutil.which("node")):
        pytest.skip("node is not installed: the search is not run")
    write_index(folder, FOUND)
    code = f"{(folder / INDEX).read_text()}{SCRIPT.read_text()}"
    code += f"const q = {json.dumps(query)}; const all = find(q, SECTIONS);"
    code += "console.log(JSON.stringify(all.map(each => [each.url, excerpt(each.text, q)])))"
    done = subprocess.run([node, "-e", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_headings_come_first_then_phrases_then_words(tmp_path):
    urls = [url for url, _ in search("Heavy  ball", tmp_path)]
    assert urls == ["a.html#b", "derivations.html", "c.html"]


@pytest.mark.parametrize(("query", "url"), [("fieller", "c.html"), ("torchrun", "cluster.html#ranks")])
def test_one_word(tmp_path, query, url):
    assert [found for found, _ in search(query, tmp_path)] == [url]


@pytest.mark.parametrize("query", ["", "  ", "torchrun ball", "nowhere"])
def test_nothing_is_found(tmp_path, query):
    assert search(query, tmp_path) == []


def test_an_excerpt_is_around_what_was_found(tmp_path):
    ((_, text),) = search("interval", tmp_path)
    assert text == "a ball; heavy; Fieller's interval <b>"


def test_an_excerpt_ends_between_words(tmp_path):
    ((_, text),) = search("long", tmp_path)
    assert text == "long " + "𝔼" * 120 + " …"


def test_sections_of_a_page():
    page = (
        "<nav>menu</nav><main><details><ul><li>contents</li></ul></details><h1 id='t'>Title</h1><p>First &amp;</p>"
        "<h2 id='two'>A <code>name</code></h2><table><tr><td>one</td><td>two</td></tr></table><script>var x</script>"
        "</main>after"
    )
    assert page_sections(page, "p.html") == [
        PageSection("p.html", "Title", "", "First &"),
        PageSection("p.html#two", "Title", "A name", "one two"),
    ]


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("<msub><mi>Σ</mi><mi>w</mi></msub>", "Σ_w"),
        ("<mrow><msup><mi>x</mi><mn>2</mn></msup><mo>+</mo><mi>y</mi></mrow>", "x^2+y"),
        ("<mfrac><mrow><mn>1</mn></mrow><mi>n</mi></mfrac><mspace/><mi>S</mi>", "1/nS"),
        ("<msubsup><mi>σ</mi><mi>y</mi><mn>2</mn></msubsup>", "σ_y^2"),
    ],
)
def test_formulas_are_read_as_one_writes_them_in_a_line(formula, text):
    page = f'<main><h1>T</h1><p>Here <math title="\\S">{formula}</math> is aligned.</p></main>'
    assert page_sections(page, "t.html") == [PageSection("t.html", "T", "", f"Here {text} is aligned.")]
