"""What every judgement keeps to, whichever test of a claim makes it."""

from __future__ import annotations

from typing import Any

import pytest

from reports.findings import Judgement
from reports.judging.intervals import QUANTILE


@pytest.fixture(autouse=True)
def _consistent_judgements(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verdict rests on the numbers that are shown: intervals hold what is measured, and have 95 % at least.

    Student's intervals, and simultaneous ones, are wider than that of the normal law. A range is no such interval.
    A sign holds, or is refuted, by the whole interval.
    """
    make = Judgement.__init__

    def checked(self: Judgement, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        if self.interval is None or isinstance(self.measurement, str) or "the interval is the range" in self.note:
            return
        low, high = self.interval
        slack = 1e-9 * max(abs(low), abs(high))
        # an end that is not a number is no end
        assert not low > self.measurement + slack, self
        assert not high < self.measurement - slack, self
        assert self.standard_error is None or not (high - low) / 2 < QUANTILE * self.standard_error - slack, self
        for sign, ends in (("positive", (low, high)), ("negative", (-high, -low))):
            if str(self.prediction).startswith(sign):
                assert self.verdict != "holds" or ends[0] > 0, self
                assert self.verdict != "refuted" or ends[1] < 0, self

    monkeypatch.setattr(Judgement, "__init__", checked)
