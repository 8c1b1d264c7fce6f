"""`eigenalign report` in a terminal; its JSON value is results.json, see `reports.record`."""

from __future__ import annotations

from reports import probability
from reports.findings import Finding, Verdict
from reports.record import ReportRecord, verdict_of
from reports.typesetting.markup import to_plain
from reports.views.view import Section

NOT_ASKED = "not asked at this budget"


def sections(report: ReportRecord) -> list[Section]:
    """One line per finding with its case, quantity and p-value, then the count of verdicts."""
    width = max((len(finding.verdict) for finding in report.findings), default=0)
    findings = [f"{finding.claim}  {finding.verdict:<{width}}  {_judged(finding)}" for finding in report.findings]
    counts = ", ".join(f"{number} {_counted(number, verdict)}" for verdict, number in report.counts.items() if number)
    by_claim = ", ".join(f"{claim.id} {verdict_of(claim) or NOT_ASKED}" for claim in report.claims)
    return [findings, [f"findings: {counts}", f"claims: {by_claim}"]]


def _counted(number: int, verdict: Verdict) -> str:
    return "hold" if verdict == "holds" and number > 1 else verdict


def _judged(finding: Finding) -> str:
    judged = to_plain(f"{finding.case}: {finding.quantity}")
    if finding.pvalue is None:
        return judged
    below = finding.pvalue < probability.SMALLEST
    return f"{judged} (p {'<' if below else '='} {max(finding.pvalue, probability.SMALLEST):.2g})"
