"""The one import for users: its names are the packages' own, seen by tools before they are loaded."""

import ast
import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from mypy import api as mypy

import eigenalign as ea
from reports.init import draw_layer
from reports.transfer import study
from simulate.transfer import run
from tests.paths import ROOT
from tests.processes import python

DOOR = Path(ea.__file__)
SETTING = ea.Setting(
    data=ea.Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=12),
    training=ea.Training(learning_rate=0.1, steps=4),
    ensemble=ea.Ensemble(replicas=300),
)
TOML = """
[data]
kind = "gaussian"
spectrum = [0.5, 1.0, 2.0]
samples = 12
fixed = true
[training]
learning_rate = 0.1
steps = 4
[ensemble]
replicas = 60
"""


def block():
    """The imports that only type checkers see."""
    tree = ast.parse(DOOR.read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    return [node for node in block.body if isinstance(node, ast.ImportFrom)]


def called(*arguments):
    """The module called as a program."""
    command = [sys.executable, "-m", "eigenalign", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


def loaded(code):
    """The libraries and packages that are loaded when the code has run in a process of its own."""
    heavy = {"torch", "numpy", "scipy", "sympy", "sklearn", "matplotlib", "theory", "simulate", "reports"}
    done = python(f"import sys\n{code}\nprint(*{heavy} & set(sys.modules))")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_type_checkers_see_what_there_is():
    """What they read as imports is, name by name, what a program gets."""
    seen = {}
    exec(compile(ast.Module(block(), []), DOOR.name, "exec"), seen)
    del seen["__builtins__"]
    assert set(seen) == set(ea.__all__)
    assert all(getattr(ea, name) is found for name, found in seen.items())
    assert len(set(ea.__all__)) == len(ea.__all__)


def test_a_type_checker_knows_a_wrong_name(tmp_path):
    (tmp_path / "use.py").write_text("import eigenalign as ea\nprint(ea.Setting, ea.__version__)\nprint(ea.Seting)\n")
    options = ["--config-file", "", "--follow-imports", "skip", "--ignore-missing-imports", "--strict"]
    out, err, status = mypy.run([*options, "--cache-dir", str(tmp_path), str(DOOR), str(tmp_path / "use.py")])
    assert (err, status) == ("", 1)
    assert 'use.py:3: error: Module has no attribute "Seting"' in out
    assert "use.py:2" not in out


def test_names_are_listed():
    assert {*ea.__all__, "__version__"} == set(dir(ea))
    names = {}
    exec("from eigenalign import *", names)
    assert set(ea.__all__) <= set(names)


def test_the_docstring_names_every_function():
    """The docstring names every function, and every class a user creates: those of a setting and of an experiment."""
    functions = {name for name in ea.__all__ if name.islower()}
    made = {alias.name for node in block() if node.module == "theory.setting" for alias in node.names}
    assert {name for name in functions | made if f"`{name}`" not in ea.__doc__} == set()


def test_a_wrong_name():
    with pytest.raises(AttributeError, match=r"module 'eigenalign' has no attribute 'Seting' \(near it: Setting\b"):
        ea.Seting  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'xyzzy'$"):
        ea.xyzzy  # noqa: B018
    assert not hasattr(ea, "theory")


def test_the_version_is_that_of_what_is_installed(monkeypatch):
    def version(name):
        if name == "eigenalign" and installed:
            return "1.2.3"
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", version)
    monkeypatch.setitem(vars(ea), "__version__", "")  # so that whatever is found here is forgotten
    monkeypatch.delitem(vars(ea), "__version__")
    installed = False
    with pytest.raises(AttributeError, match="'eigenalign' is not installed"):
        ea.__version__  # noqa: B018
    installed = True
    assert ea.__version__ == "1.2.3"


def test_importing_it_loads_nothing():
    assert loaded("import eigenalign\nassert 'Setting' in dir(eigenalign)") == set()


def test_settings_computations_and_checks_load_no_torch():
    light = [
        alias.asname or alias.name
        for node in block()
        for alias in node.names
        if node.module.startswith(("theory", "reports.check", "reports.setting_file", "reports.experiment_file"))
    ]
    assert len(light) > 50
    assert not loaded(f"from eigenalign import {', '.join(light)}") & {"torch", "simulate", "matplotlib"}
    assert "matplotlib" not in loaded("from eigenalign import *")


def test_transfer_runs_and_studies():
    experiment = ea.Experiment(
        upstream=ea.Upstream(
            data=SETTING.data,
            network=ea.Network(kind="mlp", hidden=(5,)),
            training=ea.Training(learning_rate=0.1, steps=3),
        ),
        treatment=ea.Treatments(kinds=("scratch", "pretrained")),
        downstream=ea.Downstream(samples=12, training=ea.Training(learning_rate=0.1, steps=(0, 3))),
        ensemble=ea.Ensemble(replicas=4),
    )
    found, by_hand = ea.transfer(experiment, replicas=3), study(run(experiment, replicas=3))
    assert isinstance(found, ea.TransferStudy)
    assert found.result.replicas == 3
    assert repr(found["pretrained"]) == repr(by_hand["pretrained"])
    with pytest.raises(ea.InvalidInput, match="none"):
        ea.transfer(experiment, gain_of="none")


def test_init_draws_from_what_it_is_given():
    rows = np.random.default_rng(0).standard_normal((50, 3)) * [1.0, 2.0, 3.0]
    for source, law in (
        (rows, ea.law_of_data(rows, (7, 3))),
        (SETTING, ea.law_of_setting(SETTING, (7, 3))),
        (ea.WeightLaw(np.eye(3), "by hand", ""), ea.WeightLaw(np.eye(3), "by hand", "")),
    ):
        drawn = draw_layer(law, (7, 3), norm=2.0, seed=5)
        np.testing.assert_array_equal(ea.init(source, (7, 3), norm=2.0, seed=5), drawn)
    with pytest.raises(ea.InvalidInput, match=r"must be a NumPy array or a torch tensor"):
        ea.init("rows.npy", (7, 3))


def test_it_is_the_command_line(tmp_path):
    (tmp_path / "setting.toml").write_text(TOML)
    known, wrong = called("--version"), called("nonsense")
    assert (known.returncode, known.stdout.split()[0]) == (0, "eigenalign,")
    assert (wrong.returncode, wrong.stderr) == (2, "eigenalign: bad usage: No such command 'nonsense'.\n")
    undecided = called("verify", str(tmp_path / "setting.toml"), "--json", "--quiet")
    assert undecided.returncode == 1, undecided.stderr
    assert {reading["verdict"] for reading in json.loads(undecided.stdout)["comparison"]} == {"undecided"}
