"""The template of a setting: every key with its default, and a comment that names what it may be."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from reports.setting_file import load
from reports.setting_template import TEMPLATE, template, write_template
from tests.paths import ROOT
from tests.reports.command_line import run_quietly
from theory.errors import InvalidInput
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

TABLES = {"data": Data, "labels": Labels, "network": Network, "training": Training, "ensemble": Ensemble}


def words(kind: Any) -> list[str]:
    """The strings that a type admits."""
    return [word for arg in get_args(kind) for word in ([arg] if isinstance(arg, str) else words(arg))]


def test_every_key_has_its_line_in_the_order_of_the_settings() -> None:
    assert {table: tuple(keys) for table, keys in TEMPLATE.items()} == {
        table: struct.__struct_fields__ for table, struct in TABLES.items()
    }


@pytest.mark.parametrize("table", TABLES)
def test_a_comment_names_every_choice(table: str) -> None:
    lines = template().split(f"[{table}]\n")[1].split("\n\n")[0].splitlines()
    for field in msgspec.structs.fields(TABLES[table]):
        line = next(line for line in lines if re.match(rf"(# )?{field.name} = ", line))
        for word in words(field.type):
            assert re.search(rf"\b{word}\b", line), (field.name, word)


def test_the_template_is_the_plain_setting_that_it_shows(tmp_path: Path) -> None:
    setting = load(write_template(tmp_path / "setting.toml"))
    assert setting == Setting(
        data=Data(kind="gaussian", spectrum=(0.2, 0.6, 1.0, 1.6, 3.0), samples=40, fixed=True),
        training=Training(learning_rate=0.1, steps=(0, 5, 20)),
        ensemble=Ensemble(replicas=60000),
    )


def test_keys_that_are_commented_out_are_toml_and_show_the_defaults() -> None:
    tables = tomllib.loads(re.sub(r"(?m)^# (\w+ = )", r"\1", template()))
    for table, keys in TEMPLATE.items():
        plain = {field.name: field.default for field in msgspec.structs.fields(TABLES[table])}
        if table == "network":
            plain |= {"init_variance": [1.0]}
        for name, key in keys.items():
            if key.value is None and key.example is None:
                assert json.dumps(tables[table][name]) == json.dumps(plain[name]), (table, name)


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.toml"
    assert run_quietly(capfd, "new-setting", path, "--json")[1] == f'{{"path": "{path}"}}\n'
    before = path.read_text()
    status, _, err = run_quietly(capfd, "new-setting", path)
    assert (status, path.read_text()) == (2, before)
    assert "exists already" in err
    with pytest.raises(InvalidInput, match=r"file = .*: (not a directory|file exists)"):
        write_template(path / "deeper.toml")


def test_the_guide_shows_the_template() -> None:
    assert template() in (ROOT / "reports/site/guides/settings.md").read_text()
