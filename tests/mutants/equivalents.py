"""Mutants that no test can tell from the original, judged by hand: `equivalents.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Equivalent:
    """One line of a module, what becomes of it, and why this is no fault."""

    module: str
    line: str
    mutant: str
    reason: str


def equivalents() -> tuple[Equivalent, ...]:
    """All that were judged."""
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return tuple(Equivalent(**entry) for entry in tomllib.loads(text).get("equivalent", []))


def judged(module: str, diff: str, known: tuple[Equivalent, ...]) -> bool:
    """Whether the change of a line of this module, as a unified diff, is among them; blanks are of no account."""
    changed = [line for line in diff.splitlines() if line[:1] in "+-" and not line.startswith(("---", "+++"))]
    lines = {sign: [_plain(line[1:]) for line in changed if line[0] == sign] for sign in "+-"}
    return any(
        entry.module == module and lines == {"-": [_plain(entry.line)], "+": [_plain(entry.mutant)]} for entry in known
    )


def _plain(line: str) -> str:
    return "".join(line.partition("#")[0].split())
