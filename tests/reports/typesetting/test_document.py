"""The report on disk: complete, strict, the same bytes each time, nothing half written."""

from __future__ import annotations

import csv
import json
import logging
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from reports.files import file_name, write_atomically
from reports.provenance import provenance
from reports.record import to_builtins
from reports.typesetting import latex
from reports.typesetting.document import duration, settings, write
from reports.typesetting.figures import inline_svg
from tests.processes import python
from tests.reports.typesetting.samples import PROVENANCE, sample_report


def test_settings_follow_from_what_cases_have_in_common_and_their_own():
    given = {"a": ("k = [1, 2]", "s = 1"), "b": ("s = 2", "k = [1, 2]", "t = 3"), "c": ("k = [1, 2]", "s = 1", "t = 4")}
    assert settings(given) == ("all cases: k = [1, 2]", "a: s = 1", "b: s = 2, t = 3", "c: s = 1, t = 4")
    assert settings({"a": given["a"]}) == ("a: k = [1, 2], s = 1",)
    assert settings({"a": ("s = 1",), "b": ("s = 2",)}) == ("a: s = 1", "b: s = 2")
    assert settings({}) == ()


def test_all_files_are_there_and_no_others(written):
    found = sorted(path.relative_to(written).as_posix() for path in written.rglob("*") if path.is_file())
    figures = [
        f"figures/{name}.{kind}" for name in ("A3-eigenvectors", "A3-transfer", "B2-decay") for kind in ("pdf", "svg")
    ]
    names = ["A3-readings", "A4-many-rows", "B2-wide", "claims", "headlines", "summary", "outside", "outside-A3"]
    names += ["findings-A3", "findings-A4", "findings-B2"]
    tables = [f"tables/{name}.{kind}" for name in names for kind in ("tex", "csv")]
    assert found == sorted(["results.json", "results.csv", "report.tex", "report.html", *figures, *tables])


def test_floats_have_caption_and_label_and_hold_the_table(with_floats):
    floats = {path.name: path.read_text() for path in (with_floats / "floats").iterdir()}
    tables = {path.name: path.read_text() for path in (with_floats / "tables").glob("*.tex")}
    assert set(floats) == set(tables)
    for name, text in floats.items():
        pieces = re.split(r"(?m)^(?=\\begin\{tabular\}\{)|(?<=^\\end\{tabular\})\n", tables[name])
        assert [piece for piece in pieces if piece not in text] == []
        assert len(re.findall(r"\\begin\{(table\*?)\}.*\\caption\{.*\\end\{\1\}\n\Z", text, re.DOTALL)) == 1
        assert rf"\label{{tab:{name.removesuffix('.tex')}}}" in text


def test_every_mark_in_a_table_has_its_note_below_and_every_note_its_mark(written):
    found = set()
    for path in (written / "tables").glob("*.tex"):
        rows, _, notes = path.read_text().partition(r"\eigenaligntablenotes{%")
        marks = set(re.findall(r"\$\^\{\\mathrm\{(\w+)\}\}\$", rows))
        assert marks == set(re.findall(r"\\textsuperscript\{(\w+)\}", notes)), path.name
        assert ("one standard error" in notes) == path.name.startswith(("findings-", "outside-"))
        found |= marks
    assert found


def test_the_same_record_gives_the_same_bytes(written, tmp_path):
    write(sample_report(), tmp_path, provenance=PROVENANCE, pdf=False)
    for path in written.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / path.relative_to(written)).read_bytes(), path


def test_who_draws_the_figures_changes_no_byte(written, tmp_path, monkeypatch):
    monkeypatch.setattr("reports.typesetting.document.FIGURES", 1)  # three figures are enough for two processes
    write(sample_report(), tmp_path, provenance=PROVENANCE, pdf=False, processes=2)
    for path in written.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / path.relative_to(written)).read_bytes(), path


def test_json_is_strict_and_complete(written):
    def refuse(word):
        raise AssertionError(word)

    content = json.loads((written / "results.json").read_text(), parse_constant=refuse)
    assert content["counts"] == {"holds": 11, "refuted": 1, "undecided": 2, "outside the hypotheses": 2}
    assert content["provenance"] == PROVENANCE
    claim, sample = content["claims"][0], sample_report().claims[0]
    assert claim["verdict"] == "refuted"
    assert claim["findings"][0]["measurement"] == sample.findings[0].measurement
    assert claim["findings"][7]["interval"] == [0.2402, 0.3021]
    series = claim["figures"][0]["panels"][0]["series"][2]
    assert series["y"] == sample.figures[0].panels[0].series[2].y.tolist()
    assert content["claims"][2]["figures"][0]["panels"][0]["series"][2]["y"][6] is None  # NaN
    assert claim["settings"]["data"]["spectrum"] == [0.1, 0.2, 0.4]


def test_builtins_of_everything():
    value = {
        "a": np.float32(0.5),
        1: (np.nan, np.inf, np.array([[1, 2]])),
        "p": Path("x"),
        "b": np.bool_(True),
        "n": None,
    }
    assert to_builtins(value) == {"a": 0.5, "1": [None, None, [[1, 2]]], "p": "x", "b": True, "n": None}


def test_csv_has_a_line_a_finding(written):
    with (written / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    assert rows[0]["measurement"] == "0.0043187"
    assert (rows[7]["interval_low"], rows[7]["interval_high"], rows[7]["pvalue"]) == ("0.2402", "0.3021", "")


class _Page(HTMLParser):
    """Checks that elements nest, collects ids and everything that would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids += [found["id"]] if "id" in found else []
        self.fetched += [
            v for k, v in attributes if k in {"src", "href", "xlink:href"} and not v.startswith(("#", "data:"))
        ]
        if tag not in {"meta", "link", "img", "br", "hr"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if self.open and self.open[-1] == tag:
            self.open.pop()


def test_html_is_one_file_that_fetches_nothing(written):
    text = (written / "report.html").read_text()
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert page.fetched == []
    assert not re.search(r"url\((?!#)|@import|<script", text)
    assert len(page.ids) == len(set(page.ids))
    for word in (
        "✓ holds",
        "✗ refuted",
        "? undecided",
        "Outside the hypotheses",
        "Where the theory stops",
        "Provenance",
    ):
        assert word in re.sub(r"<[^>]+>", "", text).replace("&nbsp;", " ")
    assert text.count("<svg") == 3
    assert 'class="tex"' not in text  # a formula that is shown as its source


def test_tex_refers_only_to_files_that_exist(written):
    text = (written / "report.tex").read_text()
    assert text.isascii()
    for path in re.findall(r"\\(?:input|includegraphics)\{([^}]+)\}", text):
        assert (written / path).is_file(), path
    assert "((" not in re.sub(r"\$[^$]*\$", "", text)
    assert text.count(r"\begin{longtable}") == 3  # the findings on A3, all findings, and many rows


def test_no_engine_is_said_loudly_and_the_rest_is_written(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(latex.shutil, "which", lambda name: None)
    with caplog.at_level(logging.WARNING, logger="reports"):
        paths = write(replace(sample_report(), claims=()), tmp_path, provenance=PROVENANCE)
    assert "report.pdf" not in paths
    assert (tmp_path / "report.html").exists()
    assert "NO LATEX ENGINE FOUND" in caplog.text


def test_a_failed_write_leaves_the_old_file_and_no_debris(tmp_path, monkeypatch):
    path = write_atomically(tmp_path / "a" / "file.txt", "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [item.name for item in path.parent.iterdir()] == ["file.txt"]


def test_files_are_as_readable_as_any_other(tmp_path):
    (tmp_path / "usual").write_text("")
    assert write_atomically(tmp_path / "ours", "").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_names_become_safe_file_names():
    assert file_name("A4_many rows/σ: 50%") == "A4-many-rows-50"
    assert file_name("../..") == "unnamed"


def test_ids_of_inlined_drawings_are_their_own():
    svg = b'<?xml version="1.0"?>\n<svg width="1pt"><g id="a"/><use href="#a" clip-path="url(#a)"/></svg>'
    shown = inline_svg(svg, "f", 'x < "y" & $\\sigma$')
    assert ElementTree.fromstring(shown).get("aria-label") == 'x < "y" & σ'
    assert '<g id="f-a"/><use href="#f-a" clip-path="url(#f-a)"/>' in shown


def test_provenance_names_versions_and_needs_no_torch():
    found = provenance("cpu")
    assert found["python"].count(".") == 2
    assert found["numpy"] == np.__version__
    assert {"torch", "scipy", "eigenalign", "platform"} <= found.keys()


@pytest.mark.parametrize(("seconds", "shown"), [(3.21, "3.2 s"), (59.4, "59.4 s"), (61, "1 min"), (7261, "2 h 1 min")])
def test_durations(seconds, shown):
    assert duration(seconds) == shown


def test_importing_the_renderers_loads_neither_matplotlib_nor_jinja2_nor_torch():
    code = (
        "import sys, reports, reports.typesetting.document, reports.typesetting.figures, reports.typesetting.tables;"
        "assert not {'matplotlib', 'jinja2', 'torch'} & sys.modules.keys()"
    )
    python(code, check=True)
