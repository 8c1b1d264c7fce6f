"""The README does what it says: its code runs, its settings load; what it and other pages name exists."""

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
    (code,) = [block for block in blocks("python") if "law_of_data" in block]
    said = re.findall(r"# (over [^:]+): (\S+) \((\S+) to (\S+)\)", code)
    exec(compile(code, "README.md", "exec"), {})
    found = re.findall(r"(over [^:]+): (\S+) \((\S+) to (\S+)\)", capsys.readouterr().out)
    assert [row[0] for row in found] == [row[0] for row in said] != []
    for (_, *measured), (_, *stated) in zip(found, said, strict=True):
        now, then = np.array(measured, dtype=float), np.array(stated, dtype=float)
        assert np.abs(now - then).max() < (then[2] - then[1]) / 2


@pytest.mark.parametrize("page", ["theory/derivations.md", "CONTRIBUTING.md"])
def test_tests_that_pages_name_exist(page):
    named = re.findall(r"\btests/[\w/]+\.py\b", (ROOT / page).read_text())
    assert named
    assert not [path for path in named if not (ROOT / path).is_file()]
