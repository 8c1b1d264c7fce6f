"""The lines of `eigenalign report` in a terminal."""

from __future__ import annotations

from dataclasses import replace

from reports.views.report import sections
from tests.reports.typesetting.samples import sample_report


def test_a_line_names_case_and_quantity_and_no_p_below_what_a_test_resolves() -> None:
    report = sample_report()
    (claim, *others) = report.claims
    first, second, third, *rest = claim.findings
    found = (replace(first, pvalue=1e-188), replace(second, pvalue=None), replace(third, pvalue=3.2e-7), *rest)
    lines, totals = sections(replace(report, claims=(replace(claim, findings=found), *others)))
    assert len(lines) == len(report.findings)
    width = max(len(finding.verdict) for finding in report.findings)
    starts = [f"A3  {finding.verdict:<{width}}  {finding.case}: ".replace("$", "") for finding in found[:3]]
    ends = ["(p < 1e-16)", "τ_3", "(p = 3.2e-07)"]
    for line, start, end in zip(lines, starts, ends, strict=False):
        assert line.startswith(start.split(",")[0])
        assert line.endswith(end)
        assert "$" not in line
    assert totals[0] == "findings: 11 hold, 1 refuted, 2 undecided, 2 outside the hypotheses"


def test_a_claim_of_which_nothing_is_found_is_named() -> None:
    report = sample_report()
    (claim, *others) = report.claims
    *_, totals = sections(replace(report, claims=(replace(claim, findings=()), *others)))
    assert totals[1].startswith("claims: A3 not asked at this budget, ")
