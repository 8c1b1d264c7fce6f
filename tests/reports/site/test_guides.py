"""Guides do what they say: every file, command and line of Python in them is run, in an empty folder."""

import re
import sys
from pathlib import Path

import pytest
import torch
import yaml

from reports import cli
from tests.paths import ROOT
from tests.reports.site.guides import FENCE, contribute, copy_project, in_project, patch_lines, run, tell

FOLDER = ROOT / "reports" / "site" / "guides"
GUIDES = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.md"))}
CONTRIBUTIONS = ("claim", "formula")  # they add files to the project
NOTHING_RUN = {"calibration", "glossary", "pretrained"}  # the last needs a network
LONG = {"models"}
RUN = sorted(set(GUIDES) - set(CONTRIBUTIONS) - NOTHING_RUN)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in RUN])
def test_a_guide_runs(name, tmp_path, monkeypatch):
    monkeypatch.setattr("reports.typesetting.latex.find_engine", lambda: None)  # no guide looks at a PDF
    written = [Path(file).stem for _, file, _ in FENCE.findall(GUIDES[name]) if file.endswith(".py")]
    printed = tell(GUIDES[name], tmp_path, tuple(written))
    assert any(printed) or name == "testing"  # whose tests pass in silence
    if name == "network":
        assert "aligned: " in "".join(printed)
        assert (tmp_path / "check.html").stat().st_size > 1000
    if name == "models":
        assert_rows(GUIDES[name], "".join(printed))
    if name == "init":
        assert_gains(GUIDES[name], "".join(printed))
    if name == "cluster":
        assert len(list((tmp_path / "slurm").rglob("*.safetensors"))) == len(
            list((tmp_path / "ranks").rglob("*.safetensors"))
        )


def assert_rows(guide, printed):
    """Names, numbers of filters, and effects within the intervals of the guide: other machines train otherwise."""
    number = r"(-?[\d.]+(?:e-?\d+)?)"
    row = rf"^(\w+) +(\d+ × \d+) +{number} +{number} +{number} "
    unstated = re.sub(r"^layer[^\n]* AGOP .*?\n\n", "", printed, flags=re.MULTILINE | re.DOTALL)
    stated, measured = (re.findall(row, text, flags=re.MULTILINE) for text in (guide, unstated))
    assert len(stated) == 6  # the second table repeats two layers
    for (name, size, _, low, high), (*found, effect, _, _) in zip(stated, measured, strict=False):
        assert [name, size.split(" × ")[0]] == [found[0], found[1].split(" × ")[0]]
        assert float(low) <= float(effect) <= float(high)


def assert_gains(guide, printed):
    """The gains that the guide states in comments; the same seeds on another machine give other last bits."""
    row = r"(over [^:]+): (\S+) \((\S+) to (\S+)\)"
    stated, measured = re.findall(f"# {row}", guide), re.findall(row, printed)
    assert [name for name, *_ in measured] == [name for name, *_ in stated] != []
    for (_, *now), (_, *then) in zip(measured, stated, strict=True):
        mean, low, high = map(float, then)
        assert max(abs(float(a) - b) for a, b in zip(now, (mean, low, high), strict=True)) < (high - low) / 2


def skip_what_is_there(name):
    """Skip the test in a project that has followed the guide, where there is nothing to add."""
    if any((ROOT / file).exists() for language, file, _ in FENCE.findall(GUIDES[name]) if file and language != "diff"):
        pytest.skip("the project has followed this guide")


# one of them in the fast suite: each runs tests of a whole copy of the project
FOLLOWED = [pytest.param(name, marks=[pytest.mark.slow] if name == "formula" else []) for name in CONTRIBUTIONS]


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_contribution_is_accepted(name, tmp_path):
    """The contribution passes what `make test` runs on it: ruff, its own tests, and those of the lists it joins."""
    skip_what_is_there(name)
    copy_project(tmp_path)
    printed = contribute(GUIDES[name], tmp_path)
    in_project(tmp_path, "-m", "ruff", "format", "--check", "theory", "reports", "tests")
    in_project(tmp_path, "-m", "ruff", "check", "theory", "reports", "tests")
    if name == "claim":
        assert printed.split("\n")[0].endswith("holds")
        lists = "tests/plants/test_plants.py::test_every_claim_has_plants_or_says_why_not"
        listed = "tests/test_readme.py::test_the_guide_lists_every_claim"
        helped = "tests/reports/test_cli.py::test_help_of_the_report_names_every_claim"
        tests = ["tests/reports/claims/test_claims.py", "tests/reports/test_published.py", lists, listed, helped]
    else:
        counted = "tests/calibration/test_false_refutations.py::test_every_exact_form_is_counted_and_in_the_guide"
        in_project(tmp_path, "-m", "tests.theory.pins")
        tests = ["tests/theory/test_catalogue.py", "tests/reports/claims/test_claims.py", "tests/theory/pins", counted]
    in_project(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *tests)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTRIBUTIONS)
def test_a_contribution_is_typed(name, tmp_path):
    skip_what_is_there(name)
    copy_project(tmp_path)
    for language, file, content in FENCE.findall(GUIDES[name]):
        if language == "diff":
            patch_lines(tmp_path / file, content)
        elif file:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_text(content)
    in_project(tmp_path, "-m", "mypy")


@pytest.mark.slow
def test_the_script_for_public_networks_reads_packages_that_are_there(tmp_path, monkeypatch, capsys):
    """The script prints a row of its table, for random weights in place of a package's, so that nothing is fetched."""
    ((_, _, script),) = [block for block in FENCE.findall(GUIDES["pretrained"]) if block[1]]
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "packages" / "Resemblyzer" / "resemblyzer"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save({"model_state": {"lstm.weight_ih_l0": torch.randn(256, 40)}}, folder / "pretrained.pt")
    monkeypatch.setattr(sys, "argv", ["pretrained.py", "Resemblyzer"])
    exec(compile(script, "pretrained.py", "exec"), {"__name__": "pretrained"})
    stated, printed = (text.splitlines() for text in (GUIDES["pretrained"], capsys.readouterr().out))
    assert printed[:2] == [line for line in stated if line.startswith("|")][:2]
    assert re.fullmatch(
        r"\| Resemblyzer 0\.1\.4 \| [^|]+ \| 256 × 40 \| [^|]+ \| \S+ \| undecided \| [^|]+ \|", printed[2]
    )
    rows = [line for line in stated if re.match(r"\| [\w-]+ \d+\.", line)]
    assert len(rows) == 6  # of as many networks


def test_every_fence_is_seen():
    """A block that the pattern misses would not be run."""
    for text in GUIDES.values():
        assert 2 * len(FENCE.findall(text)) == text.count("```")


def broken_rows(text):
    """Rows of tables that go on in the next line, which Markdown takes for another row."""
    unfenced = FENCE.sub("", text)
    return [line for line in unfenced.splitlines() if line.startswith("| ") and not line.rstrip().endswith("|")]


def test_no_row_of_a_table_is_broken():
    assert not [row for text in GUIDES.values() for row in broken_rows(text)]
    assert broken_rows("| a | b\nc |\n") == ["| a | b"]


def test_the_workflow_uses_commands_that_exist():
    steps = yaml.safe_load({file: text for _, file, text in FENCE.findall(GUIDES["ci"])}["workflow.yml"])
    commands = [step["run"] for step in steps["jobs"]["verify"]["steps"] if "run" in step]
    ours = [command.split() for command in commands if command.startswith("eigenalign")]
    assert ours
    for words in ours:
        known = {option for parameter in cli.eigenalign.commands[words[1]].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known


def test_lines_are_added_below_what_is_quoted(tmp_path):
    path = tmp_path / "list.py"
    path.write_text("a,\nb,\n)\na,\n)\n")
    patch_lines(path, " b,\n+c,\n )\n-a,\n+c,\n )\n")
    assert path.read_text() == "a,\nb,\nc,\n)\nc,\n)\n"
    with pytest.raises(AssertionError, match="no line"):
        patch_lines(path, " z,\n+c,\n")


@pytest.mark.parametrize(
    "text",
    [
        "```python\nassert 1 == 2\n```",
        "```sh\neigenalign verify nowhere.toml\n```",
        "```sh\nmake everything\n```",
        "```ruby\nputs 1\n```",
        "```python test_x.py\nx = 1\n```\n\n```sh\npytest test_x.py\n```",
    ],
)
def test_a_wrong_guide_is_seen(text, tmp_path):
    with pytest.raises(AssertionError):
        tell(text, tmp_path)


def test_array_tasks_are_told_their_number(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(cli, "main", lambda words: seen.append(words[1]) or cli.DONE)
    run("sbatch --array=2-4 --wrap 'eigenalign simulate $SLURM_ARRAY_TASK_ID/4'")
    assert seen == ["2/4", "3/4", "4/4"]
