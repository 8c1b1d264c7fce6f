"""The dependency rules that make agreement between theory and simulation evidence."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reports.processes import LOGGERS
from tests.paths import PACKAGES, ROOT
from tests.processes import python

EMPIRICAL = Path("theory/network/empirical.py")  # may import torch, but not while it is imported itself
REFERENCE = Path("reports/site/reference.py")  # documents the door, and is not installed
DOOR = ROOT / "eigenalign.py"
MODULES = [DOOR, *sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))]


def imported(path: Path, text: str | None = None) -> set[str]:
    """Every module that a file imports, at any depth of nesting; `from a import b` counts as a and as a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text() if text is None else text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where an arrow points"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("__import__", "importlib.import_module"):
            found |= {ast.literal_eval(arg) for arg in node.args[:1] if isinstance(arg, ast.Constant)}
    return found


def violations(path: Path, names: set[str]) -> list[str]:
    """What the rules forbid this file to import; the door may import every package, and only the packages."""
    package = path.relative_to(ROOT).with_suffix("").parts[0]

    def inside(name: str, module: str) -> bool:
        return name == module or name.startswith(module + ".")

    forbidden = []
    for name in names:
        if package == "theory" and inside(name, "simulate"):
            forbidden.append(name)
        if package == "theory" and inside(name, "torch") and path.relative_to(ROOT) != EMPIRICAL:
            forbidden.append(name)
        if package == "simulate" and inside(name, "theory") and not inside(name, "theory.setting") and name != "theory":
            forbidden.append(name)
        if package not in ("reports", DOOR.stem) and inside(name, "reports"):
            forbidden.append(name)
        if inside(name, DOOR.stem) and path.relative_to(ROOT) != REFERENCE:
            forbidden.append(name)
        outside = name.split(".")[0] not in (*PACKAGES, *sys.stdlib_module_names)
        if package == DOOR.stem and outside:
            forbidden.append(name)
        if package != "simulate" and (inside(name, "torch.nn") or name == "torch.nn"):
            forbidden.append(name)
    return forbidden


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_rules(path):
    assert violations(path, imported(path)) == []


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("theory", "from simulate.streams import Streams"),
        ("theory", "import torch.nn.functional as F"),
        ("theory", "def f():\n    import reports.cli"),
        ("simulate", "from theory.eigenspaces import eigenspaces"),
        ("simulate", "from theory import predict"),
        ("simulate", "import reports"),
        ("reports", "from torch import nn"),
        ("theory", "from eigenalign import Setting"),
        ("simulate", "import eigenalign"),
        ("reports", "import importlib\nimportlib.import_module('eigenalign')"),
        ("eigenalign", "import numpy as np"),
        ("eigenalign", "import eigenalign"),
    ],
)
def test_a_broken_rule_is_seen(package, line):
    path = DOOR if package == DOOR.stem else ROOT / package / "imagined.py"
    assert violations(path, imported(path, line))


def test_importing_theory_does_not_load_torch():
    code = "import sys, theory, theory.testing, theory.network.empirical; sys.exit('torch' in sys.modules)"
    assert python(code).returncode == 0


def test_help_loads_no_heavy_library():
    code = (
        "import sys\nfrom reports.cli import main\nmain(['--help'])\n"
        "sys.exit(bool({'torch', 'scipy', 'matplotlib', 'numpy'} & set(sys.modules)))"
    )
    assert python(code).returncode == 0


def test_loggers_are_those_of_the_packages():
    """Loggers are listed by name, because the command line sets their levels before it loads their packages."""
    log = re.compile(r"getLogger\(__name__\)")
    assert {path.relative_to(ROOT).parts[0] for path in MODULES if log.search(path.read_text())} == set(LOGGERS)


def test_dataclasses_are_frozen():
    """The mutants of `make mutants` leave their decorators alone."""
    decorator = re.compile(r"^ *@dataclass\b(.*)$", re.MULTILINE)
    found = [(path, options) for path in MODULES for options in decorator.findall(path.read_text())]
    assert len(found) > 100
    assert not [path for path, options in found if "frozen=True" not in options]


def test_top_level_is_what_the_readme_says():
    """A new folder or module at the top is a decision, not an accident."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=False, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    names = tracked.stdout.splitlines()
    folders = {name.split("/")[0] for name in names if "/" in name}
    assert {name for name in folders if not name.startswith(".")} == {*PACKAGES, "tests"}
    assert {name for name in names if name.endswith(".py") and "/" not in name} == {DOOR.name}


def test_claims_have_no_quantiles_of_their_own():
    """Half-widths of intervals and detectable differences come from reports/judging."""
    bare = re.compile(r"(?<![\d.])(?:1\.96|1\.64\d?|2\.58|3\.24|3\.92)(?!\d)|\b(?:norm|t|chi2)\.(?:ppf|isf)\(")
    paths = [path for path in MODULES if "claims" in path.parts or "equivariance" in path.parts]
    assert len(paths) > 80
    assert not [f"{path.name}: {found.group()}" for path in paths for found in bare.finditer(path.read_text())]
