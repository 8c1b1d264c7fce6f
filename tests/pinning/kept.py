"""The numbers as they were, in a JSON file beside a table of rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.pinning.table import WITHIN, Leaf, Rows, agree, leaves


def pinned(file: Path) -> dict[str, list[Leaf]]:
    """The leaves of every row."""
    return json.loads(file.read_text(encoding="utf-8"))


def pin(rows: Rows, loose: Mapping[str, float], file: Path) -> None:
    """Print which numbers have changed since they were pinned, and pin them anew, one row per line."""
    found = {name: leaves(call()) for name, call in rows.items()}
    before = pinned(file) if file.exists() else {}
    for name in sorted({*found, *before}):
        if name not in found or name not in before:
            print(f"{name}: {'new' if name in found else 'gone'}")
            continue
        for line in agree(found[name], before[name], loose.get(name, WITHIN)):
            print(f"{name}: {line}")
    lines = (f"{json.dumps(name)}: {json.dumps(values)}" for name, values in found.items())
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
