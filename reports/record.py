"""The result of a whole run, and its data files: strict JSON with everything, CSV with one line per finding."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np

from reports.findings import ClaimReport, Finding, Verdict
from reports.foreign_text import inert


@dataclass(frozen=True, eq=False)
class ReportRecord:
    """A run of all claims, or of some.

    Attributes
    ----------
    budget : str
        "quick", "full" or "paper".
    seed : int
    device : str
    claims : tuple of ClaimReport
        The claims, in the order in which they are printed.
    seconds : float
        Wall time of the whole run.
    started : str
        When the run began, ISO 8601.
    command : str
        The command line that repeats the run.
    limits : tuple of str
        The limits of the theory, one paragraph per entry.
    provenance : mapping of str to str
        The versions and the machine of the run.
    """

    budget: str
    seed: int
    device: str
    claims: tuple[ClaimReport, ...]
    seconds: float
    started: str
    command: str
    limits: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings of all claims, in their order."""
        return tuple(finding for claim in self.claims for finding in claim.findings)

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many findings have which verdict."""
        return count(self.findings)

    @property
    def convinced(self) -> bool:
        """Whether no judged finding is refuted or undecided."""
        return not any(finding.verdict in ("refuted", "undecided") for finding in self.findings)


def count(findings: tuple[Finding, ...]) -> dict[Verdict, int]:
    """How many of them have which verdict, zeros included."""
    found = Counter(finding.verdict for finding in findings)
    return {verdict: found[verdict] for verdict in get_args(Verdict)}


def verdict_of(claim: ClaimReport) -> Verdict | None:
    """The verdict on a claim: the worst of its findings (refuted, undecided, holds).

    "outside the hypotheses" where nothing was judged, None where nothing was found.
    """
    found = {finding.verdict for finding in claim.findings}
    order: tuple[Verdict, ...] = ("refuted", "undecided", "holds", "outside the hypotheses")
    return next((verdict for verdict in order if verdict in found), None)


def to_builtins(record: Any) -> Any:
    """A record as dictionaries, lists, strings and finite numbers; what is not finite becomes None.

    Dataclasses, msgspec structs, NumPy arrays and scalars are taken apart; anything else becomes its text.
    """
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {field.name: to_builtins(getattr(record, field.name)) for field in dataclasses.fields(record)}
    if hasattr(record, "__struct_fields__"):
        return {name: to_builtins(getattr(record, name)) for name in record.__struct_fields__}
    if isinstance(record, Mapping):
        return {str(key): to_builtins(value) for key, value in record.items()}
    if isinstance(record, (list, tuple)):
        return [to_builtins(item) for item in record]
    if isinstance(record, (np.ndarray, np.generic)):
        return to_builtins(record.tolist())
    if isinstance(record, float):
        return record if math.isfinite(record) else None
    if record is None or isinstance(record, (str, bool, int)):
        return record
    return str(record)


def to_json(report: ReportRecord, provenance: Mapping[str, Any]) -> str:
    """results.json: the whole record, the counts of verdicts, each claim's verdict, and the provenance."""
    content = to_builtins(report)
    for claim, printed in zip(report.claims, content["claims"], strict=True):
        printed["verdict"] = verdict_of(claim)
    content = {"counts": report.counts, **content, "provenance": to_builtins(provenance)}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def findings_csv(report: ReportRecord) -> str:
    """results.csv: one line per finding, all fields at full precision, an interval in two columns, no formulas."""
    names = [field.name for field in dataclasses.fields(Finding)]
    at = names.index("interval")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*names[:at], "interval_low", "interval_high", *names[at + 1 :]])
    for finding in report.findings:
        values = [to_builtins(getattr(finding, name)) for name in names]
        low, high = values[at] or (None, None)
        writer.writerow("" if value is None else inert(value) for value in [*values[:at], low, high, *values[at + 1 :]])
    return out.getvalue()
