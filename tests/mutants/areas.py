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
PINNED = ("theory", "reports/check")  # tests/PACKAGE/pins holds their numbers
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


def stubs(source: str) -> frozenset[int]:
    """The lines of signatures that only type checkers read: those of functions that are marked as overloads."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            marks = {mark.id for mark in node.decorator_list if isinstance(mark, ast.Name)}
            if "overload" in marks:
                found |= set(range(node.lineno, (node.end_lineno or 0) + 1))
    return frozenset(found)


def stages(root: Path, module: Path) -> tuple[tuple[Path, ...], ...]:
    """The files that test a module, in the order in which they run: near ones first, none twice; parts may be empty.

    1. The module itself, for its examples, and the files that test it by name: of `theory/linear/online.py`,
       `tests/theory/linear/test_online.py` and every `test_online_*.py`, less those that belong to another module by
       their name (`online_shape.py`); and the pinned numbers of `theory` and of `reports/check`.
    2. Tests of its package that use it: they import it, a name that a package takes from it, or something that
       imports it.
    3. All other tests of its package.
    4. Tests of other packages that import it, or a name that a package takes from it.
    """
    folder = Path("tests", module.parent)
    every = sorted(path.relative_to(root) for path in (root / "tests").rglob("test_*.py"))
    own = [path for path in every if path.is_relative_to(folder)]
    pins = [Path("tests", each, "pins", "test_pins.py") for each in PINNED if module.is_relative_to(each)]
    pins = [path for path in pins if (root / path).exists()]
    named = [module, *_named(root, module), *pins]
    near = [path for path in own if any(module in _imported(root, each) for each in (path, *_between(root, path)))]
    elsewhere = [path for path in every if path not in own and module in _imported(root, path)]
    found: list[tuple[Path, ...]] = []
    for paths in (named, near, own, elsewhere):
        found.append(tuple(path for path in paths if not any(path in earlier for earlier in found)))
    return tuple(found)


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


def _between(root: Path, test: Path) -> list[Path]:
    """What a test imports: modules and helpers. Packages are none, since they import whatever is theirs."""
    return [path for path in _imported(root, test) if path.name != "__init__.py" and (root / path).exists()]


@cache
def _imported(root: Path, module: Path) -> frozenset[Path]:
    """The project's modules that a module imports, and those from which packages take the names that it uses."""
    nodes = list(ast.walk(ast.parse((root / module).read_text(encoding="utf-8"))))
    found: set[Path] = set()
    known: dict[str, str] = {}  # in full, what a name stands for
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= _files(node.module)
            for alias in node.names:
                found |= _sources(root, node.module, alias.name)
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                found |= _files(alias.name)
                known[alias.asname or alias.name] = alias.name
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
            found |= _sources(root, known[node.value.id], node.attr)
    return frozenset(found)


def _files(name: str) -> set[Path]:
    path = Path(*name.split("."))
    return {path.with_suffix(".py"), path / "__init__.py"}


def _sources(root: Path, package: str, name: str) -> set[Path]:
    """Where a name of a package is from: it is one of its modules, or taken from another module."""
    found = _files(f"{package}.{name}")
    source, original = _taken(root, Path(*package.split("."), "__init__.py")).get(name, (package, name))
    if (source, original) != (package, name):
        found |= _files(source) | _sources(root, source, original)
    return found


@cache
def _taken(root: Path, package: Path) -> dict[str, tuple[str, str]]:
    """For each name that a package takes from a module: that module, and the name it has there."""
    if not (root / package).exists():
        return {}
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.parse((root / package).read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
