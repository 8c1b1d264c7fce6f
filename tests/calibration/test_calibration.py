"""Every procedure rejects, covers and finds as often as it says."""

from __future__ import annotations

import pytest

from tests.calibration.studies import STUDIES
from tests.calibration.study import Study, count


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
