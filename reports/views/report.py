"""`eigenalign report` in a terminal; its JSON value is results.json, see `reports.record`."""

from __future__ import annotations

from reports.record import ReportRecord, verdict_of
from reports.views.view import Section


def sections(report: ReportRecord) -> list[Section]:
    """One line per finding, then the count of verdicts."""
    width = max((len(finding.verdict) for finding in report.findings), default=0)
    findings = []
    for finding in report.findings:
        p = "-" if finding.pvalue is None else f"{finding.pvalue:.2g}"
        findings.append(f"{finding.claim}  {finding.verdict:<{width}}  p {p:<8}  {finding.case}")
    counts = ", ".join(f"{number} {verdict}" for verdict, number in report.counts.items() if number)
    by_claim = ", ".join(f"{claim.id} {verdict_of(claim)}" for claim in report.claims)
    return [findings, [f"findings: {counts}", f"claims: {by_claim}"]]
