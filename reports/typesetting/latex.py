"""The LaTeX engine of this machine: finding it, and compiling a document with it."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from reports.files import write_atomically

log = logging.getLogger(__name__)

ENGINES = ("pdflatex", "latexmk", "tectonic", "lualatex")
_QUIET = ("-interaction=nonstopmode", "-halt-on-error", "-file-line-error", "-no-shell-escape")


@dataclass(frozen=True)
class LatexEngine:
    """A LaTeX engine: its name, one of `ENGINES`, and where it is."""

    name: str
    path: str


@dataclass(frozen=True)
class Compilation:
    """What became of a document: the PDF's bytes (None where it failed) and the engine's log."""

    pdf: bytes | None
    log: str

    @property
    def errors(self) -> tuple[str, ...]:
        """The lines of the log that name an error."""
        found = re.findall(r"^(?:!.*|.*:\d+: .*|error: .*|.* Error: .*)$", self.log, re.MULTILINE)
        return tuple(found) or tuple(self.log.strip().splitlines()[-3:])

    @property
    def overfull(self) -> tuple[float, ...]:
        r"""The points by which lines stick out of the page, one entry per overfull \hbox."""
        return tuple(float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide", self.log))


def find_engine() -> LatexEngine | None:
    """The first engine of `ENGINES` on the path, None where there is none."""
    for name in ENGINES:
        if path := shutil.which(name):
            return LatexEngine(name, path)
    return None


def compile_document(source: Path, engine: LatexEngine, *, passes: int = 3, timeout: float = 300.0) -> Compilation:
    r"""Compile `source` in its own folder, so that its \input and \includegraphics resolve; nothing is left behind.

    Text, date and identifier of the PDF depend on the source alone: the clock is set to the epoch.
    The second pass is for bookmarks, contents and the columns of tables that break over pages, the third for the pages
    that the contents have moved. A pass that leaves the auxiliary files as it found them is the last: another would
    read the same, and write the same.
    """
    with tempfile.TemporaryDirectory() as scratch:
        environment = os.environ | {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1", "max_print_line": "1000"}
        output, found = "", _auxiliary(scratch)
        for _ in range(passes if engine.name in {"pdflatex", "lualatex"} else 1):
            try:
                run = subprocess.run(
                    _command(engine, source, scratch),
                    cwd=source.parent,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    timeout=timeout,
                    check=False,
                )
            except (subprocess.TimeoutExpired, OSError) as error:
                return Compilation(None, f"{output}\nerror: {error}")
            output = run.stdout.decode(errors="replace")
            if run.returncode:
                return Compilation(None, output)
            before, found = found, _auxiliary(scratch)
            if found == before:
                break
        pdf = Path(scratch) / f"{source.stem}.pdf"
        return Compilation(pdf.read_bytes() if pdf.exists() else None, output)


def make_pdf(source: Path, engine: LatexEngine | None = None) -> Path | None:
    """The PDF beside `source`, or None; why there is none is said loudly in the log, and never an exception."""
    engine = engine or find_engine()
    target = source.with_suffix(".pdf")
    target.unlink(missing_ok=True)  # an older run's, which would pass for this one's
    if engine is None:
        log.warning(
            "NO LATEX ENGINE FOUND (looked for %s): %s was NOT written. Everything else was; compile %s yourself, or "
            "install TeX (Debian: texlive-latex-recommended texlive-science lmodern).",
            ", ".join(ENGINES),
            target.name,
            source,
        )
        return None
    result = compile_document(source, engine)
    if result.pdf is None:
        kept = write_atomically(source.with_suffix(".log"), result.log)
        log.error(
            "%s FAILED on %s, %s was NOT written: %s (see %s)", engine.name, source, target.name, result.errors[0], kept
        )
        return None
    return write_atomically(target, result.pdf)


def _auxiliary(scratch: str) -> dict[str, bytes]:
    """What a pass leaves for the next one: all its files but the document and the log."""
    return {path.name: path.read_bytes() for path in Path(scratch).iterdir() if path.suffix not in {".pdf", ".log"}}


def _command(engine: LatexEngine, source: Path, scratch: str) -> list[str]:
    if engine.name == "tectonic":
        return [engine.path, "--untrusted", "--outdir", scratch, source.name]
    if engine.name == "latexmk":
        return [engine.path, "-pdf", "-norc", *_QUIET, f"-outdir={scratch}", source.name]
    return [engine.path, *_QUIET, f"-output-directory={scratch}", source.name]
