"""The figures of a report, claim by claim, with their captions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from reports.files import file_name, write_atomically


@dataclass(frozen=True)
class GalleryFigure:
    """A figure in the gallery: where its file is, and its caption, with LaTeX math between dollar signs."""

    file: str
    caption: str


@dataclass(frozen=True)
class Wall:
    """The figures of one claim, under its id, title and verdict."""

    id: str
    title: str
    verdict: str
    figures: tuple[GalleryFigure, ...]


PUBLISHED = Path(__file__).resolve().parent.parent / "published"


def hang(out: Path, report: Path | None) -> tuple[Wall, ...]:
    """Copy a report's figures into `out`/figures and say what hangs where; the published report's if None is given."""
    report = report or PUBLISHED
    walls = []
    for claim in json.loads((report / "results.json").read_text())["claims"]:
        figures = []
        for figure in claim["figures"]:
            name = f"{file_name(figure['name'])}.svg"
            write_atomically(out / "figures" / name, (report / "figures" / name).read_bytes())
            figures.append(GalleryFigure(f"figures/{name}", figure["caption"]))
        if figures:
            walls.append(Wall(claim["id"], claim["title"], claim["verdict"] or "", tuple(figures)))
    return tuple(walls)
