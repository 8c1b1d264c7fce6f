"""Which tests answer for a module, which mutants were judged: what of this needs no mutant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.areas import AREAS, first_tests, lines, modules
from tests.mutants.equivalents import Equivalent, equivalents, judged
from tests.paths import ROOT

LINEAR = Path("tests/theory/linear")


@pytest.mark.parametrize(
    ("module", "tests"),
    [
        ("theory/linear/online.py", [LINEAR / "test_online.py", LINEAR / "test_online_stationary.py"]),
        ("theory/linear/online_shape.py", [LINEAR / "test_online_shape.py"]),
        # by a file of another name
        ("theory/network/softmax_first_step.py", [Path("tests/theory/network/test_softmax.py")]),
        # through a neighbour
        ("theory/network/quadrature.py", [Path("tests/theory/network/test_duals.py")]),
    ],
)
def test_tests_of_a_module(module: str, tests: list[Path]) -> None:
    assert list(first_tests(ROOT, Path(module))) == tests


@pytest.mark.parametrize("place", AREAS.values())
def test_every_module_has_tests(place: str) -> None:
    for module in modules(ROOT, place):
        tests = first_tests(ROOT, module)
        assert tests
        assert all((ROOT / path).exists() for path in tests), module


def test_of_a_claim_only_what_decides_may_change(tmp_path: Path) -> None:
    module = Path("reports/claims/alignment/a0_none.py")
    (tmp_path / module).parent.mkdir(parents=True)
    source = """\
def decide(
    measured: float = 1.0,
) -> tuple[Judgement, ...]:
    return judged(measured + 1)


def measure(x: float) -> float:
    return x + 1


def point_verdict(x: float) -> Ruling:
    return "holds" if x > 1 else "undecided"
"""
    (tmp_path / module).write_text(source, encoding="utf-8")
    assert lines(tmp_path, module) == {4, 12}
    assert lines(ROOT, Path("reports/judging/rules.py")) is None


def test_a_place_without_modules_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="theory/none: no module there"):
        modules(ROOT, "theory/none")


def test_equivalents_are_of_lines_that_are_there() -> None:
    """A judgement is of a line as it was; when the line changes it must be judged again."""
    for entry in equivalents():
        lines = {
            line.partition("#")[0].strip() for line in (ROOT / entry.module).read_text(encoding="utf-8").splitlines()
        }
        assert entry.line in lines, entry
        assert entry.mutant != entry.line
        assert entry.reason


def test_a_change_is_judged_by_its_line() -> None:
    known = (Equivalent("theory/a.py", "x = y + 1", "x = y + 2", "never read"),)
    diff = "--- theory/a.py\n+++ core/NumberReplacer\n@@ -3 +3 @@\n-    x = y + 1  # why\n+    x = y +  2  # why"
    assert judged("theory/a.py", diff, known)
    assert not judged("theory/b.py", diff, known)
    assert not judged("theory/a.py", diff.replace("+  2", "+  0"), known)
