"""A statement of the paper beside the findings on it: every number comes from a finding, none stands in a text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from reports.findings import Finding

ABSENT = "not in these results"


@dataclass(frozen=True)
class Question:
    """Which findings say how well a statement agrees.

    Attributes
    ----------
    claim : str
    case : str
        How the case of a finding begins; any case if empty.
    quantity : str
        Words in the quantity of a finding; any quantity if empty.
    """

    claim: str
    case: str = ""
    quantity: str = ""

    def of(self, findings: Mapping[str, Sequence[Finding]]) -> tuple[Finding, ...]:
        """The findings that are asked for, in their order."""
        return tuple(
            finding
            for finding in findings.get(self.claim, ())
            if finding.case.startswith(self.case) and self.quantity in finding.quantity
        )


@dataclass(frozen=True)
class Statement:
    """A proposition, figure or table of the paper, or a statement of its text.

    Attributes
    ----------
    place : str
        The place of the statement in the paper: "Proposition 1", "Figure 5".
    said : str
        What the statement says, in our words.
    done : str
        What this project does about it; "nothing" and the reason where it does nothing.
    unknown : str
        What is not known of it, or not reached, and why.
    asked : tuple of Question
        The findings that are shown; none where nothing was done. The verdicts of all claims named here are counted.
    """

    place: str
    said: str
    done: str
    unknown: str
    asked: tuple[Question, ...] = ()

    @property
    def claims(self) -> tuple[str, ...]:
        """The claims that it asks, each once."""
        return tuple(dict.fromkeys(each.claim for each in self.asked))


@dataclass(frozen=True)
class Answered:
    """A statement with the findings of one report.

    Attributes
    ----------
    statement : Statement
    shown : tuple of Finding
    """

    statement: Statement
    shown: tuple[Finding, ...]


def answered(statements: Sequence[Statement], findings: Mapping[str, Sequence[Finding]]) -> tuple[Answered, ...]:
    """Every statement with its findings, `findings` by the id of their claim."""
    return tuple(
        Answered(each, tuple(dict.fromkeys(finding for asked in each.asked for finding in asked.of(findings))))
        for each in statements
    )


def findings_of(results: Path) -> dict[str, tuple[Finding, ...]]:
    """The findings of a results.json, by the id of their claim.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    claims = json.loads(results.read_text())["claims"]
    return {claim["id"]: msgspec.convert(claim["findings"], tuple[Finding, ...], strict=False) for claim in claims}
