"""Each of A9's rules can say no."""

from __future__ import annotations

import pytest

from reports.claims.alignment.evidence import AlignmentEvidence
from reports.claims.alignment.feature_judging import FeaturePrediction, alignment_judgements, course_judgements
from reports.claims.alignment.feature_networks import BothAlignments
from tests.reports.claims.alignment.courses import course


@pytest.mark.parametrize(
    ("leaves", "measured", "expected"),
    [
        (False, course([1.0, 1.0, 1.0], [1.0, 1.0, 0.99], [1.0, 1.0, 1.0], 1e-3), ["holds", "holds"]),
        (False, course([1.0, 1.0, 0.8], [1.0, 1.0, 0.89], [1.0, 1.0, 1.0], 1e-3), ["refuted", "refuted"]),
        (False, course([1.0, 1.0, 0.91], [1.0, 1.0, 0.89], [1.0, 1.0, 1.0], 1e-1), ["undecided", "undecided"]),
        (True, course([1.0, 0.95, 0.8], [1.0, 0.9, 0.7], [1.0, 1.0, 1.0], 1e-3), ["holds"] * 4),
        (
            True,
            course([1.0, 0.95, 0.92], [1.0, 0.9, 0.7], [1.0, 1.0, 0.6], 1e-3),
            ["refuted", "holds", "refuted", "undecided"],
        ),
    ],
)
def test_who_is_with_whom_at_the_end(leaves, measured, expected):
    found = course_judgements(FeaturePrediction(leaves=leaves), measured)
    assert [each.verdict for each in found] == expected


@pytest.mark.parametrize(("pvalue", "aligned", "broken"), [(0.5, "holds", "undecided"), (1e-7, "refuted", "holds")])
def test_alignment_is_rejected_of_a_teacher_only(pvalue, aligned, broken):
    evidence = AlignmentEvidence(pvalue, 0.01, 0.04, 0.3, 100, 0)
    measured = BothAlignments(evidence, evidence)
    for leaves, expected in ((False, aligned), (True, broken)):
        found = alignment_judgements(FeaturePrediction(leaves=leaves), measured)
        assert [each.verdict for each in found] == [expected] * 2
