"""Which tests answer for a module, which mutants were judged: what of this needs no mutant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.areas import lines, modules, stages, stubs
from tests.mutants.equivalents import Equivalent, equivalents, judged
from tests.paths import ROOT

SOURCES = {
    "theory/__init__.py": "from theory import testing\nfrom theory.testing import power as strength\n",
    "theory/testing/__init__.py": "from theory.testing.mean import detected\nfrom theory.testing.power import power\n",
    "theory/testing/mean.py": "detected = 1\n",
    "theory/testing/mean_ratio.py": "ratio = 1\n",
    "theory/testing/power.py": "from theory.testing import mean\npower = 1\n",
    "tests/theory/testing/test_mean.py": "",
    "tests/theory/testing/test_mean_numbers.py": "",
    "tests/theory/testing/test_mean_ratio.py": "from theory.testing.mean_ratio import ratio\n",
    "tests/theory/testing/test_power.py": "from theory.testing import detected\n",
    "tests/theory/testing/test_through.py": "from theory import testing as t\nt.power\n",
    "tests/theory/testing/deep/test_helped.py": "from tests.theory.testing.helper import made\n",
    "tests/theory/testing/helper.py": "from theory.testing.mean import detected as made\n",
    "tests/theory/test_ranges.py": "from theory import testing\ntesting.detected\n",
    "tests/theory/test_taken_twice.py": "import theory\ntheory.strength\n",
}


def test_tests_of_a_module_and_of_what_uses_it(tmp_path: Path) -> None:
    """Tests are found by name, by use in the package, as the rest of the package, and by use elsewhere.

    They run in this order.
    """
    for path, source in SOURCES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(source, encoding="utf-8")

    def found(module: str) -> list[list[str]]:
        return [[path.stem.removeprefix("test_") for path in each] for each in stages(tmp_path, Path(module))]

    assert found("theory/testing/mean.py") == [
        ["mean", "mean", "mean_numbers"],
        ["helped", "power", "through"],
        ["mean_ratio"],
        ["ranges"],
    ]
    assert found("theory/testing/power.py") == [
        ["power", "power"],
        ["through"],
        ["helped", "mean", "mean_numbers", "mean_ratio"],
        ["taken_twice"],
    ]


@pytest.mark.parametrize(
    ("module", "test"),
    [
        ("theory/linear/online.py", "theory/linear/test_online_stationary.py"),
        ("theory/linear/online.py", "theory/pins/test_pins.py"),
        # by a file of another name, or by more than the file that has its name
        ("theory/network/softmax_first_step.py", "theory/network/test_softmax.py"),
        ("theory/setting/setting.py", "theory/setting/test_rules.py"),
        ("reports/check/data.py", "reports/check/test_moments.py"),
        # by a name of its package
        ("theory/testing/mean.py", "theory/testing/test_power.py"),
        # through a module that imports it
        ("theory/network/quadrature.py", "theory/network/test_duals.py"),
        ("reports/claims/transfer/plasticity_judging.py", "reports/claims/transfer/test_c8_plasticity.py"),
    ],
)
def test_tests_that_use_a_module_come_before_those_that_do_not(module: str, test: str) -> None:
    assert any(Path("tests", test) in paths for paths in stages(ROOT, Path(module))[:2])


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


def test_signatures_of_overloads_are_not_changed() -> None:
    source = """\
@overload
def check(
    weights: int, seed: int = 0
) -> int: ...


def check(weights: object, seed: int = 0) -> object:
    return weights
"""
    assert stubs(source) == {2, 3, 4}


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
