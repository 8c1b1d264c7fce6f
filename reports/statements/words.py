"""What is said of statements and their findings, the same in the report and in the documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reports.findings import Finding
from reports.record import count
from reports.statements.statement import ABSENT, Answered
from reports.typesetting.summaries import measured, predicted

TITLE = "The paper, statement by statement"
INTRODUCTION = (
    "The propositions, figures and tables of arXiv:2006.10455 that we know of: what each says in our words, what was "
    "done about it, how well it agrees, and what is not known. No implementation by the authors is public. A statement "
    "is reproduced only so far as its findings hold; where the paper's own images or settings are missing, we say so."
)
UNMEASURED = "nothing was measured"


def totals(each: Answered, findings: Mapping[str, Sequence[Finding]]) -> dict[str, str]:
    """The counts of verdicts, in words, of all findings on every claim that a statement asks."""
    return {claim: _counted(tuple(findings.get(claim, ()))) for claim in each.statement.claims}


def verdicts(each: Answered) -> str:
    """How many of the findings that are shown have which verdict, in words."""
    return _counted(each.shown) if each.statement.asked else UNMEASURED


def line(finding: Finding) -> str:
    """A finding in one line, as text with math: case, quantity, measurement, prediction, verdict."""
    return (
        f"{finding.case}: {finding.quantity}: {measured(finding)} (predicted: {predicted(finding)}; {finding.verdict})"
    )


def _counted(findings: Sequence[Finding]) -> str:
    counts = count(tuple(findings))
    return ", ".join(f"{verdict}: {number}" for verdict, number in counts.items() if number) or ABSENT
