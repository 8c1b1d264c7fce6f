"""Guides do what they say: every file, command and line of Python in them is run, in an empty folder."""

from pathlib import Path

import pytest
import yaml

from reports import cli
from tests.guides import FENCE, run, tell

FOLDER = Path(__file__).parent.parent / "reports" / "site" / "guides"
GUIDES = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.md"))}


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_runs(name, tmp_path):
    written = [Path(file).stem for _, file, _ in FENCE.findall(GUIDES[name]) if file.endswith(".py")]
    printed = tell(GUIDES[name], tmp_path, tuple(written))
    assert any(printed)
    if name == "network":
        assert "aligned: " in "".join(printed)
        assert (tmp_path / "check.html").stat().st_size > 1000
    if name == "cluster":
        assert len(list((tmp_path / "slurm").rglob("*.safetensors"))) == len(
            list((tmp_path / "ranks").rglob("*.safetensors"))
        )
    if name == "claim":
        assert printed[1].split("\n")[0].endswith("holds")


def test_every_fence_is_seen():
    """A block that the pattern misses would not be run."""
    for text in GUIDES.values():
        assert 2 * len(FENCE.findall(text)) == text.count("```")


def test_the_workflow_uses_commands_that_exist():
    steps = yaml.safe_load({file: text for _, file, text in FENCE.findall(GUIDES["ci"])}["workflow.yml"])
    commands = [step["run"] for step in steps["jobs"]["verify"]["steps"] if "run" in step]
    ours = [command.split() for command in commands if command.startswith("eigenalign")]
    assert ours
    for words in ours:
        known = {option for parameter in cli.eigenalign.commands[words[1]].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known


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
