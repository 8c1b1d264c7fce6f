"""The statements of the paper as a page: a table that leads to a section each, and the findings that they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reports.findings import Finding
from reports.site.markdown import anchor
from reports.statements.statement import Answered
from reports.statements.words import INTRODUCTION, TITLE, UNMEASURED, line, totals, verdicts
from reports.typesetting.numbers import pvalue
from reports.typesetting.summaries import measured, predicted


def markdown(found: Sequence[Answered], findings: Mapping[str, Sequence[Finding]], source: str) -> str:
    """The page in Markdown; `source` says in words which report the numbers are from."""
    cited = dict.fromkeys(claim for each in found for claim in each.statement.claims)
    parts = [
        f"# {TITLE}",
        f"{INTRODUCTION} All numbers are read from {source} by code.",
        _contents(found, findings),
        *(_section(each, findings) for each in found),
        "## Findings\n\nAll findings on the claims that are named above.",
        *(_findings(claim, findings[claim]) for claim in cited if claim in findings),
    ]
    return "\n\n".join(parts) + "\n"


def _contents(found: Sequence[Answered], findings: Mapping[str, Sequence[Finding]]) -> str:
    rows = ["| in the paper | what it says | claims | findings shown |", "|---|---|---|---|"]
    for each in found:
        place, said = each.statement.place, each.statement.said
        links = ", ".join(_link(claim, findings) for claim in each.statement.claims)
        rows.append(f"| [{place}](#{anchor(place)}) | {said} | {links} | {verdicts(each)} |")
    return "\n".join(rows)


def _section(each: Answered, findings: Mapping[str, Sequence[Finding]]) -> str:
    statement = each.statement
    told = [f"- all findings on {_link(claim, findings)}: {said}" for claim, said in totals(each, findings).items()]
    told += [f"- {_link(finding.claim, findings)}, {line(finding)}" for finding in each.shown]
    agreement = "\n".join(told) or f"- {UNMEASURED}"
    return (
        f"## {statement.place}\n\n{statement.said}\n\n**What we did.** {statement.done}\n\n"
        f"**How well it agrees.**\n\n{agreement}\n\n**What is not known.** {statement.unknown}"
    )


def _findings(claim: str, findings: Sequence[Finding]) -> str:
    if not findings:
        return f"### {_heading(claim)}\n\nThis report has none."
    rows = ["| case | quantity | predicted | measured | p | verdict |", "|---|---|---|---|---|---|"]
    for finding in findings:
        cells = (finding.case, finding.quantity, predicted(finding), measured(finding), pvalue(finding.pvalue))
        rows.append("| " + " | ".join(_without_bars(cell) for cell in (*cells, finding.verdict)) + " |")
    return f"### {_heading(claim)}\n\n" + "\n".join(rows)


def _without_bars(cell: str) -> str:
    """A bar ends a cell, in math too."""
    return cell.replace(r"\|", r"\Vert ").replace("|", r"\vert ")


def _link(claim: str, findings: Mapping[str, Sequence[Finding]]) -> str:
    return f"[{claim}](#{anchor(_heading(claim))})" if claim in findings else claim


def _heading(claim: str) -> str:
    return f"Findings on {claim}"
