"""What there is to do for a report, in pieces that know nothing of each other: cases, and parts of the longest ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from reports.claims.claim import AnyClaim, Case, Context


@dataclass(frozen=True)
class CaseJob:
    """One case of a claim, or the claim's background if None; of a case that is cut, a part "i/n" or what follows."""

    claim: str
    case: Case[Any] | None
    part: str | None = None

    @property
    def parts(self) -> tuple[CaseJob, ...]:
        """The parts of a case that is cut."""
        return () if self.case is None else tuple(replace(self, part=part) for part in self.case.parts)


JobGroup = tuple[CaseJob, ...]


class Plan:
    """The claims of a report with their cases, built once."""

    def __init__(self, context: Context, claims: tuple[AnyClaim, ...]) -> None:
        self.context = context
        self.claims = claims
        self.cases = {claim.id: claim.cases(context) for claim in claims}

    def groups(self) -> list[JobGroup]:
        """All jobs; those that train the same thing are one group, since who has trained it has it at hand."""
        found: dict[object, list[CaseJob]] = {}
        for claim in self.claims:
            for case in self.cases[claim.id]:
                found.setdefault(case.trained, []).append(CaseJob(claim.id, case))
            found[claim.id] = [CaseJob(claim.id, None)]
        return [tuple(group) for group in found.values()]

    def pieces(self) -> list[JobGroup]:
        """What processes and machines share: the parts of groups that are cut, then the others."""
        groups = self.groups()
        parts = [(part,) for group in groups for part in group[0].parts]
        return parts + [group for group in groups if not group[0].parts]
