"""The numbers as they were: `values.json`, which `python -m tests.theory.pins` writes."""

from __future__ import annotations

import json
from pathlib import Path

from tests.theory.pins.table import Leaf

FILE = Path(__file__).with_suffix(".json")


def pinned() -> dict[str, list[Leaf]]:
    """The leaves of every row."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def pin(values: dict[str, list[Leaf]]) -> None:
    """Write them, one row a line."""
    lines = (f"{json.dumps(name)}: {json.dumps(leaves)}" for name, leaves in values.items())
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
