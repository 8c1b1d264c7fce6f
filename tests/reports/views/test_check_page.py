"""The page of `eigenalign check`: it opens anywhere, and draws what there is."""

import json
import re
from html.parser import HTMLParser

import numpy as np

from reports.check import check
from reports.views.check_page import figure, html, table
from tests.reports.command_line import run


class Page(HTMLParser):
    """Tags, ids, and what the page would load."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.loaded = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "srcset", "data") or (name in ("href", "xlink:href") and not value.startswith("#")):
                self.loaded.append(value)


def test_the_page_opens_anywhere(capfd, files):
    path = files / "deep" / "page.html"
    source = f"{files / 'w0.npy'}"
    status, out, _ = run(capfd, "check", "--weights", source, "--data", files / "x.npy", "--html", path, "--json")
    assert status == 0
    assert json.loads(out)["verdict"] == "aligned"
    text = path.read_text()
    page = Page(text)
    assert page.loaded == []
    assert "script" not in page.tags
    assert not re.search(r"@import|url\((?!#)", text)
    assert len(set(page.ids)) == len(page.ids)
    assert {"svg", "table", "title", "h1"} <= set(page.tags)
    assert re.search(r'<svg role="img" aria-label="The transfer function', text)
    assert source in text
    assert len(text) < 150_000
    assert page.tags.count("tr") == 1 + 4


def test_names_are_escaped_on_the_page(files):
    text = html(check(np.load(files / "w0.npy"), np.load(files / "x.npy")), ["<script>alert(1)</script>:a\x1b"])
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "\x1b" not in text


def test_the_page_of_singular_weights_draws_what_there_is(files):
    found = check(np.load(files / "few.npy")[:1], np.load(files / "x.npy"))
    assert np.isnan(found.transfer_function.low).all()
    assert [row[3] for row in table(found).rows] == [None] * 4
    assert "undecided" in figure(found).caption
    assert "<svg" in html(found)


def test_a_page_that_cannot_be_written_is_one_line(capfd, files):
    (files / "file").write_text("")
    status, out, err = run(
        capfd,
        "check",
        "--weights",
        files / "w0.npy",
        "--data",
        files / "x.npy",
        "--html",
        files / "file" / "page.html",
        "--json",
    )
    assert status == 2
    assert len(err.splitlines()) == 1
    assert json.loads(out)["error"] == "bad usage"
