"""The README does what it says: its code runs, its settings load, its links and commands exist."""

import re
import tomllib

import numpy as np
import pytest

from reports.setting_file import from_tables
from tests.paths import ROOT

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code, capsys):
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize("text", blocks("toml"))
def test_settings_load(text):
    assert from_tables(tomllib.loads(text), ROOT).data.samples


def test_links_point_to_files():
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_commands_exist():
    makefile = (ROOT / "Makefile").read_text()
    commands = re.findall(r"^make ([\w-]+)", "\n".join(blocks("sh")), flags=re.MULTILINE)
    assert {"report", "test"} <= set(commands)
    assert all(f"\n{command}:" in makefile for command in commands)
    for path in re.findall(r"(reports/\S+\.toml)", README):
        assert (ROOT / path).exists(), path


def test_the_readme_says_what_its_code_measures(capsys):
    """The same seeds on another machine give other last bits, not other conclusions."""
    text = (ROOT / "README.md").read_text()
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL) if "law_of_data" in block]
    said = re.findall(r"# (over [^:]+): (\S+) \((\S+) to (\S+)\)", code)
    exec(compile(code, "README.md", "exec"), {})
    found = re.findall(r"(over [^:]+): (\S+) \((\S+) to (\S+)\)", capsys.readouterr().out)
    assert [row[0] for row in found] == [row[0] for row in said] != []
    for (_, *measured), (_, *stated) in zip(found, said, strict=True):
        now, then = np.array(measured, dtype=float), np.array(stated, dtype=float)
        assert np.abs(now - then).max() < (then[2] - then[1]) / 2
