"""Every table alone in a bare article, and the whole report, through a real LaTeX engine."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess

import pytest

from reports.findings import Column, Table
from reports.typesetting import latex
from reports.typesetting.document import write
from reports.typesetting.tables import to_latex_table
from tests.reports.typesetting.samples import PROVENANCE, published_tables

pytestmark = pytest.mark.latex

BARE = r"""\documentclass{article}
\usepackage{booktabs,siunitx}%s
\begin{document}\noindent
%s
\end{document}
"""


@pytest.fixture(scope="module")
def engine() -> latex.Engine:
    found = latex.find_engine()
    assert found is not None, "EIGENALIGN_REQUIRE_LATEX is set, and there is no LaTeX engine"
    return found


def test_every_table_compiles_alone(engine, written, tmp_path):
    tables = sorted((written / "tables").glob("*.tex"))
    assert len(tables) == 11
    for table in tables:
        source = tmp_path / table.name
        source.write_text(BARE % ("", rf"\input{{{table}}}"))
        result = latex.compile_document(source, engine, passes=1)
        assert result.pdf is not None, (table.name, result.errors)


def test_every_table_fits(engine, written, tmp_path):
    tables = "\\clearpage\n".join(rf"\noindent\input{{{table}}}" for table in (written / "tables").glob("*.tex"))
    source = tmp_path / "tables.tex"
    source.write_text(BARE % (r"\setlength\textwidth{160mm}\AtBeginDocument{\footnotesize}", tables))
    result = latex.compile_document(source, engine, passes=1)
    assert result.pdf is not None, result.errors
    assert max(result.overfull, default=0.0) < 5.0, result.overfull


@pytest.mark.parametrize(
    ("layout", "place"), [("", r"\noindent %s\clearpage"), ("[twocolumn]", r"\begin{table*}%s\end{table*}\clearpage")]
)
@pytest.mark.parametrize("tables", ["sample", pytest.param("published", marks=pytest.mark.slow)])
def test_plain_tables_fit_an_article_of_one_and_of_two_columns(engine, written, tmp_path, layout, place, tables):
    """The tables are those of the sample, and those of the published report as they are set now."""
    folder = written / "tables"
    if tables == "published":
        write(published_tables(), tmp_path, provenance=PROVENANCE, pdf=False)
        folder = tmp_path / "tables"
    paths = [path for path in sorted(folder.glob("*.tex")) if path.stem != "summary"]  # longer than a page
    body = "\n".join(place % rf"\input{{{path}}}" for path in paths)
    source = tmp_path / "article.tex"
    packages = r"\usepackage{amsmath,amssymb,booktabs,siunitx,graphicx}"
    source.write_text(f"\\documentclass{layout}{{article}}{packages}\\begin{{document}}{body}\\end{{document}}")
    result = latex.compile_document(source, engine, passes=1)
    assert result.pdf is not None, result.errors
    assert max(result.overfull, default=0.0) < 1.0, result.overfull


def test_notes_stay_with_the_last_rows_of_a_table_that_breaks(engine, tmp_path):
    """Tables end anywhere on a page; the head, every row and every note report the pages on which they are set."""
    table = Table("t", "", (Column("Case", "text"), Column("$x$")), tuple((f"row{i}.", 0.5 + i) for i in range(20)))
    notes = [(letter, f"note{letter}.") for letter in "abcdefghij"]
    fragment = to_latex_table(table, notes=notes, long=True)
    marked = re.sub(r"((?:row|note)\w+)\.", r"\1\\write16{AT \1 \\thepage.}", fragment)
    marked = marked.replace("Case", r"Case\write16{AT head \thepage.}")
    starts = range(0, 28, 2)
    body = "\n".join(
        rf"\clearpage\vspace*{{\dimexpr\textheight-{32 - k}\baselineskip}}" + f"\n{marked}" for k in starts
    )
    source = tmp_path / "article.tex"
    packages = r"\usepackage{array,booktabs,longtable,siunitx}"
    source.write_text(f"\\documentclass{{article}}{packages}\\begin{{document}}{body}\\end{{document}}")
    result = latex.compile_document(source, engine, passes=2)
    assert result.pdf is not None, result.errors
    told = re.findall(r"AT (\w+) (\d+)\.", result.log)
    pages = {name: [int(page) for each, page in told if each == name] for name in dict(told)}
    assert len(pages) == len(table.rows) + len(notes) + 1
    assert pages["row18"] == pages["row19"] == pages["notea"] == pages["noteb"] == pages["notec"]
    assert len(pages["row18"]) == len(starts)
    broken = [last > first for first, last in zip(pages["row0"], pages["row19"], strict=True)]
    assert any(broken)
    assert not all(broken)
    places = {
        i for i in range(19) for one, then in zip(pages[f"row{i}"], pages[f"row{i + 1}"], strict=True) if then > one
    }
    assert (min(places) <= 5, max(places) >= 14) == (True, True)  # breaks are not bound to the first rows
    among_notes = [last > first for first, last in zip(pages["notec"], pages["notej"], strict=True)]
    assert any(among_notes)
    assert set(pages["head"]) == {page for i in range(20) for page in pages[f"row{i}"]}  # never above notes alone


@pytest.mark.parametrize("layout", ["", "[twocolumn]"])
def test_floats_fit_an_article_of_one_and_of_two_columns(engine, with_floats, tmp_path, layout):
    floats = sorted((with_floats / "floats").glob("*.tex"))
    body = "\\clearpage\n".join(rf"\input{{{path}}}" for path in floats)
    source = tmp_path / "article.tex"
    packages = r"\usepackage{booktabs,siunitx,graphicx}\emergencystretch=3em"
    source.write_text(f"\\documentclass{layout}{{article}}{packages}\\begin{{document}}{body}\\end{{document}}")
    result = latex.compile_document(source, engine, passes=1)
    assert result.pdf is not None, result.errors
    assert max(result.overfull, default=0.0) < 1.0, result.overfull


@pytest.fixture(scope="module")
def compiled(engine, written) -> latex.Compilation:
    return latex.compile_document(written / "report.tex", engine)


def test_the_report_compiles_without_overfull_lines(compiled):
    result = compiled
    assert result.pdf is not None, result.errors
    assert max(result.overfull, default=0.0) < 5.0, result.overfull
    assert "LaTeX Warning: Reference" not in result.log
    if shutil.which("pdftotext"):
        run = subprocess.run(["pdftotext", "-layout", "-", "-"], input=result.pdf, capture_output=True, check=True)
        text = run.stdout.decode()
        for words in (
            "Random labels align weights with data",
            "0.004319(12)",
            "Outside the hypotheses",
            "Provenance",
            "100%",
        ):
            assert words in text


def test_the_pdf_is_the_same_twice(engine, compiled, written, tmp_path):
    copy = shutil.copytree(written, tmp_path / "copy")
    second = latex.make_pdf(copy / "report.tex", engine)
    assert second.read_bytes() == compiled.pdf
    assert not list(copy.glob("*.aux")) + list(copy.glob("*.log"))


def test_a_document_that_fails_is_said_loudly_and_its_log_kept(engine, tmp_path, caplog):
    source = tmp_path / "report.tex"
    source.write_text(r"\documentclass{article}\begin{document}\undefinedcommand\end{document}")
    source.with_suffix(".pdf").write_text("of an older run")
    with caplog.at_level(logging.ERROR):
        assert latex.make_pdf(source, engine) is None
    assert "Undefined control sequence" in caplog.text
    assert (tmp_path / "report.log").exists()
    assert not (tmp_path / "report.pdf").exists()


def test_a_pass_that_changes_nothing_for_the_next_is_the_last(engine, tmp_path, monkeypatch):
    """Two passes suffice without contents, three with contents that move pages; more passes give the same bytes."""
    plain = r"\ifdefined\pdftrailerid\pdftrailerid{}\fi\documentclass{article}\begin{document}text%s\end{document}"
    moving = r"\tableofcontents" + r"\section{a}text" * 80  # contents of two pages
    passes, run = [], subprocess.run

    def counted(*args, **keys):
        passes.append(args)
        return run(*args, **keys)

    monkeypatch.setattr(latex.subprocess, "run", counted)
    source = tmp_path / "report.tex"
    for body, least in (("", 2), (moving, 3)):
        source.write_text(plain % body)
        passes.clear()
        result = latex.compile_document(source, engine, passes=9)
        assert result.pdf is not None, result.errors
        assert len(passes) == (least if engine.name in {"pdflatex", "lualatex"} else 1)
        assert latex.compile_document(source, engine, passes=least).pdf == result.pdf
