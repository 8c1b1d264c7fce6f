"""What is mutated, and which tests answer for it: the tree of tests mirrors the packages.

Of the claims only the functions that decide are: those that return a `Judgement` or a `Ruling`. The rest of a claim
chooses settings, measures, and draws.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

AREAS = {
    "theory": "theory",
    "kernels": "simulate/kernels",
    "judging": "reports/judging",
    "check": "reports/check",
    "claims": "reports/claims",
}
DECIDED = Path("reports/claims")
DECISIONS = ("Judgement", "Ruling")


def modules(root: Path, within: str) -> tuple[Path, ...]:
    """The modules of a folder, or the one that is named, relative to the root and sorted."""
    place = root / within
    found = [place] if place.is_file() else sorted(place.rglob("*.py"))
    if not found:
        raise FileNotFoundError(f"{within}: no module there")
    return tuple(path.relative_to(root) for path in found)


def lines(root: Path, module: Path) -> frozenset[int] | None:
    """The lines that may be changed, numbered from 1: all (None), or the bodies of the functions that decide."""
    if not module.is_relative_to(DECIDED):
        return None
    found: set[int] = set()
    for node in ast.walk(ast.parse((root / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.returns is not None:
            returned = {name.id for name in ast.walk(node.returns) if isinstance(name, ast.Name)}
            if not returned.isdisjoint(DECISIONS):
                found |= set(range(node.body[0].lineno, (node.end_lineno or 0) + 1))
    return frozenset(found)


def first_tests(root: Path, module: Path) -> tuple[Path, ...]:
    """The files that test a module by its name; otherwise those that import it, those of its neighbours, or the folder.

    Of `theory/linear/online.py` they are `tests/theory/linear/test_online.py` and every `test_online_*.py`, less those
    that belong to another module by their name (`online_shape.py`).
    """
    if named := _named(root, module):
        return named
    folder = package_tests(module)
    importing = [path.relative_to(root) for path in sorted((root / folder).glob("test_*.py"))]
    if found := [path for path in importing if module in _imported(root, path)]:
        return tuple(found)
    neighbours = [path for path in modules(root, str(module.parent)) if path.parent == module.parent]
    others = [path for path in neighbours if path.stem != "__init__" and module in _imported(root, path)]
    return tuple(sorted({test for path in others for test in _named(root, path)})) or (folder,)


def package_tests(module: Path) -> Path:
    """The folder of tests of the module's package."""
    return Path("tests", module.parent)


def _named(root: Path, module: Path) -> tuple[Path, ...]:
    folder, name = root / "tests" / module.parent, module.stem
    longer = [path.stem for path in (root / module.parent).glob(f"{name}_*.py")]
    files = [folder / f"test_{name}.py", *folder.glob(f"test_{name}_*.py")]
    mine = [
        path
        for path in files
        if path.exists()
        and not any(path.stem == f"test_{other}" or path.stem.startswith(f"test_{other}_") for other in longer)
    ]
    return tuple(sorted(path.relative_to(root) for path in mine))


@cache
def _imported(root: Path, module: Path) -> frozenset[Path]:
    """The project's modules that a module imports by name."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse((root / module).read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            path = Path(*name.split("."))
            found |= {path.with_suffix(".py"), path / "__init__.py"}
    return frozenset(found)
