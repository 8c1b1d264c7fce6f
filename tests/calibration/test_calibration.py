"""Every procedure rejects, covers and finds as often as it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.calibration.studies import STUDIES
from tests.calibration.study import Rate, Study, count
from tests.calibration.table import markdown

GUIDE = Path(__file__).parents[2] / "reports/site/guides/calibration.md"


@pytest.mark.parametrize("study", [s for s in STUDIES if not s.outside], ids=lambda s: f"{s.procedure}: {s.setting}")
@pytest.mark.slow
def test_rates_are_as_declared(study: Study):
    rate = count(study)
    assert rate.kept, f"{rate.share:.4g} of {rate.draws} draws, declared {study.declared:.4g}"


def test_a_broken_promise_is_seen():
    study = Study("coin", "falls on heads too often", "size", 0.05, lambda generator: bool(generator.random() < 0.1))
    assert not count(study).kept
    assert count(Study("coin", "fair", "size", 0.1, study.draw)).kept
    assert not count(Study("coin", "covers too rarely", "coverage", 0.2, study.draw)).kept
    assert not count(Study("coin", "finds too often", "power", 0.03, study.draw)).kept
    assert not count(Study("coin", "finds too rarely", "power at least", 0.2, study.draw)).kept
    assert count(Study("coin", "finds often enough", "power at least", 0.03, study.draw)).kept


def test_every_study_has_its_line_in_the_guide():
    printed = {_named(line) for line in GUIDE.read_text().splitlines() if line.startswith("| `")}
    assert printed == {_named(markdown([Rate(study, 0, 1)]).splitlines()[-1]) for study in STUDIES}
    assert len(printed) == len(STUDIES)


def _named(line: str) -> tuple[str, ...]:
    """Procedure, setting and promise of a line of the table."""
    return tuple(line.split(" | ")[:3])
