"""The numbers as they were, in a JSON file beside a table of rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.pinning.table import WITHIN, Leaf, Rows, agree, leaves

Pinned = dict[str, list[Leaf]]
NAMED = 3  # of the rows that have gained or lost as many entries, so many are named


def pinned(file: Path) -> Pinned:
    """The leaves of every row."""
    return json.loads(file.read_text(encoding="utf-8"))


def pin(rows: Rows, loose: Mapping[str, float], file: Path) -> None:
    """Pin the numbers anew, one row per line, and print which have changed since they were pinned."""
    found = {name: leaves(call()) for name, call in rows.items()}
    changed = list(changes(found, pinned(file) if file.exists() else {}, loose))
    lines = (f"{json.dumps(name)}: {json.dumps(values)}" for name, values in found.items())
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print("".join(f"{line}\n" for line in changed), end="")  # last, since a pipe may end before it


def changes(found: Pinned, before: Pinned, loose: Mapping[str, float]) -> Iterator[str]:
    """What has changed, as lines for a reader; rows that have gained or lost as many entries share one."""
    resized: dict[int, list[str]] = {}
    for name in sorted({*found, *before}):
        if name not in found or name not in before:
            yield f"{name}: {'new' if name in found else 'gone'}"
        elif more := len(found[name]) - len(before[name]):
            resized.setdefault(more, []).append(name)
        else:
            for line in agree(found[name], before[name], loose.get(name, WITHIN)):
                yield f"{name}: {line}"
    for more, names in sorted(resized.items()):
        others = f"; and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield f"{more:+d} {'entry' if abs(more) == 1 else 'entries'}: {'; '.join(names[:NAMED])}{others}"
