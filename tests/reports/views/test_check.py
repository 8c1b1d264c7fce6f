"""`eigenalign check` as a user meets it: the contract, the text, the page."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from reports import cli
from reports.check import check, check_files
from reports.views.check import view
from reports.views.check_page import figure, html, table

VARIANCES = np.array([1.0, 2.0, 4.0, 8.0])
KEYS = [
    "dimension", "filters", "networks", "rank", "misalignment", "misalignment_squared", "null_floor", "random_basis",
    "aligned", "transfer_function", "verdict", "warnings", "details",
]  # fmt: skip


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.standard_normal((3000, 4)) * np.sqrt(VARIANCES))
    for r in range(5):
        np.save(tmp_path / f"w{r}.npy", rng.standard_normal((200, 4)) / np.sqrt(VARIANCES))
    np.save(tmp_path / "few.npy", rng.standard_normal((2, 4)))
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (30, 6, 7, 3), dtype=np.uint8))
    np.save(tmp_path / "filters.npy", rng.standard_normal((2, 3, 3, 64)))
    return tmp_path


def run(capfd, *arguments):
    status = cli.main(["check", *map(str, arguments)])
    out, err = capfd.readouterr()
    return status, out, err


def test_one_network_gives_the_contract(capfd, files):
    status, out, err = run(capfd, "--weights", files / "w0.npy", "--data", files / "x.npy", "--json")
    record = json.loads(out)
    assert (status, err) == (0, "")
    assert list(record) == KEYS
    assert (record["dimension"], record["filters"], record["networks"], record["rank"]) == (4, 200, 1, 4)
    assert record["misalignment_squared"] == pytest.approx(record["misalignment"] ** 2)
    assert list(record["random_basis"]) == ["pvalue", "effect"]
    assert record["aligned"]["method"] == "parametric-null"
    assert [set(entry) for entry in record["transfer_function"]] == [{"sigma", "f", "multiplicity"}] * 4
    sigma = [entry["sigma"] for entry in record["transfer_function"]]
    assert sigma == sorted(sigma)
    assert record["verdict"] == "aligned"
    assert all(isinstance(text, str) for text in record["warnings"])


def test_several_networks_and_python_agree(capfd, files):
    sources = [str(files / f"w{r}.npy") for r in range(5)]
    arguments = [part for source in sources for part in ("--weights", source)]
    record = json.loads(run(capfd, *arguments, "--data", files / "x.npy", "--json", "--seed", "2")[1])
    assert record["networks"] == 5
    assert record["aligned"]["method"] == "randomization"
    assert record == view(check_files(sources, str(files / "x.npy"), seed=2)).value
    assert record == view(check([np.load(source) for source in sources], np.load(files / "x.npy"), seed=2)).value


def test_what_is_infinite_is_null(capfd, files):
    record = json.loads(run(capfd, "--weights", files / "few.npy", "--data", files / "x.npy", "--json")[1])
    assert record["misalignment"] is None
    assert record["null_floor"] is None
    assert record["details"]["misalignment_interval"] is None


def test_layouts_from_the_command_line(capfd, files):
    arguments = ["--weights", files / "filters.npy", "--data", files / "images.npy", "--channels-last", "--json"]
    assert run(capfd, *arguments)[0] == 2  # read as two filters of 3 × 64
    record = json.loads(run(capfd, *arguments, "--transposed")[1])
    assert (record["dimension"], record["filters"]) == (18, 64)
    assert record["details"]["vectors"] == 30 * 5 * 5
    dilated = json.loads(run(capfd, *arguments, "--transposed", "--dilation", "3")[1])
    assert dilated["details"]["vectors"] == 30 * 3 * 1


def test_the_text_has_the_verdict_the_numbers_and_the_notes(capfd, files):
    status, out, err = run(capfd, "--weights", files / "w0.npy", "--data", files / "x.npy", "--quiet")
    assert (status, err) == (0, "")
    assert out.startswith("aligned: ")
    for word in ("misalignment M", "M of noise alone", "nearer than random", "exactly aligned", "sigma", "note: "):
        assert word in out
    few = view(check(np.eye(4)[:2], np.load(files / "x.npy"))).as_text()
    assert "infinite" in few
    assert "for a sharper answer" in few
    assert (
        max(map(len, view(check(np.load(files / "w1.npy"), np.load(files / "x.npy"))).as_text().split("\n")[2:14]))
        < 120
    )


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
    status, out, _ = run(capfd, "--weights", source, "--data", files / "x.npy", "--html", path, "--json")
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
