"""`eigenalign` in this process, and the files that it is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports import cli


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """The exit status of `eigenalign`, what it prints, and what it writes on stderr."""
    status = cli.main([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return status, out, err


def run_quietly(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """`run` without progress and notes."""
    return run(capfd, *arguments, "--quiet")


def write(folder: Path, text: str, name: str = "setting.toml") -> str:
    """The path of a file with this text."""
    path = folder / name
    path.write_text(text)
    return str(path)
