"""`eigenalign new-setting`: the file that was written."""

from __future__ import annotations

from pathlib import Path

from reports.views.view import View


def view(path: Path) -> View:
    """The view of a new setting file."""
    return View({"path": str(path)}, [[f"a setting with every key: {path}"]])
