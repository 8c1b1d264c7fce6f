"""Names, arguments and records from outside: what a shell, LaTeX, HTML, a spreadsheet or a terminal would obey."""

import csv
import io
import json
import subprocess
from html import unescape

import numpy as np
import pytest

from reports.files import write_atomically
from reports.findings import ClaimReport, Column, Finding, Table
from reports.foreign_text import command_line, inert, visible
from reports.record import ReportRecord, findings_csv
from reports.typesetting.document import write
from reports.typesetting.formulas import is_formula
from reports.typesetting.latex import compile_document, find_engine
from reports.typesetting.markup import pieces, to_html, to_latex
from reports.typesetting.tables import to_csv, to_latex_table
from reports.views.view import Facts, as_lines
from tests.paths import ROOT
from tests.reports.command_line import run

HOSTILE = (
    r"`o` $\input{/etc/hostname}$ `x`",
    r"$\immediate\write18{id}$",
    r"\$\input{/etc/hostname}\$",
    r"$^^5cinput /etc/hostname$",
    r"$}\input{/etc/hostname}{$",
    r"$\csname input\endcsname{/etc/hostname}$",
    r"\input{/etc/hostname}",
    "<script>alert(1)</script>",
    "$<img src=x onerror=alert(1)>$",
    "`</code><script>alert(1)</script>`",
    "\x1b]0;owned\x07\x1b[31m",
    "a\x00b\x7fc\x9b31md",
    "right to left \u202e txt.exe",
    "a lone surrogate \udcff",
    "two\n\nparagraphs %",
    "two\u2028lines",
    "=cmd|' /C calc'!A0",
    "@SUM(1)",
    "{}}{\\",
)
LIVE = (r"\input", r"\immediate", r"\write", r"\csname", "^^", "\x1b", "\x00", "\x7f", "<script", "<img")


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_it_is_live(text):
    latex, html = to_latex(text), to_html(text)
    assert latex.isascii()
    assert not [order for order in LIVE if order in latex.replace("<script", "").replace("<img", "")]
    assert not [order for order in LIVE[5:] if order in html]
    shown = as_lines([[Facts((("name", text),)), text]])
    assert all(char.isprintable() or char == "\n" for char in shown.replace("\u202f", ""))
    json.loads(json.dumps({"name": text}))


@pytest.mark.parametrize(
    "formula",
    [r"\Sigma_w", r"\sigma^2 \ge \frac{1}{2}", r"\mathrm{tr}\,(a b^\top)", r"\{1, 2\}", r"Σ_w ≥ σ²", r"\sqrt{m/n}\%"],
)
def test_a_formula_stays_one(formula):
    assert is_formula(formula)
    assert to_latex(f"${formula}$").startswith("$")


@pytest.mark.slow
def test_all_formulas_that_were_published_are_formulas():
    content = json.loads((ROOT / "reports/published/results.json").read_text(encoding="utf-8"))
    texts, waiting = set(), [content]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            texts.add(each)
        elif isinstance(each, (dict, list)):
            waiting += each.values() if isinstance(each, dict) else each
    formulas = {piece for text in texts for kind, piece in pieces(text) if kind == "math"}
    assert len(formulas) > 50
    assert [formula for formula in formulas if not is_formula(formula)] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "--out", "my report"],
        ["report", "--out", "o` $\\input{/etc/hostname}$ `x"],
        ["check", "--data", "a'b\"c", "--weights", "$HOME;`id`"],
        ["check", "--data", "tab\tline\nescape\x1bdelete\x7f'\\"],
        ["report", "--out", "Zürich Σ", ""],
        ["report", "--out", "not a text \udcff"],
    ],
)
def test_the_recorded_command_repeats_the_run(arguments):
    line = command_line(arguments)
    assert all(char.isprintable() for char in line)
    printed = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    ).stdout
    assert printed == b"".join(argument.encode(errors="surrogateescape") + b"\0" for argument in arguments)


def hostile_report(text):
    """A report whose command, provenance and tables hold `text` wherever a record could have it."""
    table = Table(text, text, (Column(text, "text"), Column("number")), ((text, 1.5), ("plain", -2.5)))
    found = Finding("A1", text, "exact", text, text, 1.0, "holds", interval=(-1.0, 2.0), power=text, note=text)
    claim = ClaimReport(
        id="A1", title=text, statement=text, reference=text, method=text, findings=(found,),
        tables=(table,), departures={text: (text,)},
    )  # fmt: skip
    return ReportRecord(
        budget=text, seed=0, device=text, claims=(claim,), seconds=1.0, started=text, command=text, limits=(text,),
        provenance={text: text},
    )  # fmt: skip


@pytest.mark.parametrize("text", [HOSTILE[0], *(pytest.param(text, marks=pytest.mark.slow) for text in HOSTILE[1:])])
def test_a_report_of_it_is_written_without_anything_live(tmp_path, text):
    write(hostile_report(text), tmp_path, provenance={text: text}, pdf=False)
    tex = "".join(path.read_text("ascii") for path in [tmp_path / "report.tex", *(tmp_path / "tables").glob("*.tex")])
    _, _, body = tex.partition(r"\begin{document}")
    for order in (r"\immediate", r"\write", r"\csname input", "^^5c", r"\input{/etc", "\x1b", "\x00", "\x7f"):
        assert order not in body
    page = (tmp_path / "report.html").read_text("utf-8")
    for order in ("<script>alert", "<img src=x", "\x1b", "\x00", "\x07", "\x7f"):
        assert order not in page
    json.loads((tmp_path / "results.json").read_text("utf-8"))
    for path in tmp_path.rglob("*.csv"):
        for row in csv.reader(io.StringIO(path.read_text("utf-8"), newline="")):
            assert not [cell for cell in row if cell[:1] in tuple("=+@\t\r")], path
            assert all(cell[:1] != "-" or float(cell) < 0 for cell in row)


@pytest.mark.slow
@pytest.mark.latex
def test_a_report_of_it_compiles_and_reads_no_file(tmp_path):
    """All of them in one document, which names a file and must not read it."""
    engine = find_engine()
    assert engine is not None
    secret = tmp_path / "secret.tex"
    secret.write_text(r"\errmessage{it was read}")
    text = " ".join(HOSTILE).replace("/etc/hostname", str(secret))
    write(hostile_report(text), tmp_path / "out", provenance={"a": text}, pdf=False)
    done = compile_document(tmp_path / "out" / "report.tex", engine, passes=1)
    assert done.pdf is not None, done.errors


def test_csv_has_no_formulas_and_keeps_numbers():
    table = Table("t", "c", (Column("-a", "text"), Column("b")), (("=1+1", -1.5), ("-3", (-2.0, 0.5))))
    rows = list(csv.reader(io.StringIO(to_csv(table))))
    assert rows == [["'-a", "b", "standard error of b"], ["'=1+1", "-1.5", ""], ["-3", "-2.0", "0.5"]]
    assert [inert(cell) for cell in ("\t=1", "\n=1", "＝1+1")] == ["'\t=1", "'\n=1", "'＝1+1"]
    assert visible("two\u2028lines\u2029") == r"two\u2028lines\u2029"
    report = hostile_report("=1+1")
    assert "=1+1" not in [cell for row in csv.reader(io.StringIO(findings_csv(report))) for cell in row]


def test_a_table_s_comment_stays_one():
    lines = to_latex_table(Table("a\n\\input{x}", "b\nc", (Column("d", "text"),), (("e",),))).splitlines()
    assert lines[0].startswith("% a")
    assert lines[1].startswith("% needs")


def test_files_with_names_that_are_no_text(tmp_path):
    path = write_atomically(tmp_path / "a.txt", "\udcff")
    assert path.read_bytes() == rb"\udcff"
    assert visible("\udcff\x1b") == r"\udcff\x1b"


@pytest.mark.parametrize("key", ["k" * 300, "a`b", "a\nb", "\x1b[31m", "<script>", "../x", "=1"])
@pytest.mark.parametrize("missing", [pytest.param(False, marks=pytest.mark.slow), True])
def test_keys_of_arrays(capfd, tmp_path, key, missing):
    from safetensors.numpy import save_file

    weights, data = tmp_path / "w.safetensors", tmp_path / "x.npy"
    rng = np.random.default_rng(0)
    arrays = {"other" if missing else key: rng.standard_normal((8, 4)).astype(np.float32), "bias": np.ones(8)}
    save_file(arrays, weights)
    np.save(data, rng.standard_normal((50, 4)))
    page = tmp_path / "page.html"
    status, out, err = run(capfd, "check", "--weights", f"{weights}:{key}", "--data", data, "--html", page, "--quiet")
    if missing:
        assert (status, out) == (2, "")
        assert "there is no array" in err
        assert len(err.splitlines()) == 1
    else:
        assert status == 0, err
        shown = page.read_text()
        assert "<script>" not in shown.partition("<body")[2]
        assert "\x1b" not in shown
        assert "\x00" not in unescape(shown)
    assert "\x1b" not in out + err
