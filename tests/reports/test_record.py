"""The record of a report."""

from __future__ import annotations

from reports.record import verdict_of
from tests.reports.typesetting.samples import sample_report


def test_the_verdict_on_a_claim_is_its_worst():
    claims = {claim.id: verdict_of(claim) for claim in sample_report().claims}
    assert claims == {"A3": "refuted", "A4": "undecided", "B2": "holds", "C9": None}
