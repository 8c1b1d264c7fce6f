"""The statements of the paper: every number of a finding, none in a text, and findings that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from reports.claims import CLAIMS
from reports.claims.claim import Context
from reports.findings import Finding
from reports.site.statements import markdown
from reports.statements.paper import STATEMENTS
from reports.statements.statement import ABSENT, Question, Statement, answered, findings_of
from reports.statements.words import UNMEASURED, line, totals, verdicts
from tests.paths import ROOT

PUBLISHED = findings_of(ROOT / "reports" / "published" / "results.json")
FULL = Context(budget="full")
# names that have digits: nothing else in a text may
NAMES = re.compile(r"Figures?|CIFAR-10|VGG16|WRN-28-4|ResNet-18|`[^`]*`|\b[ABCFT]\d\b")


def finding(claim: str, case: str, quantity: str, verdict: str = "holds", measurement: float = 0.25) -> Finding:
    """One that is made up."""
    return Finding(claim, case, "exact", quantity, 0.0, measurement, verdict, standard_error=0.01)  # type: ignore[arg-type]


MADE = {
    "A1": (
        finding("A1", "digits", "share"),
        finding("A1", "digits", "norm", "refuted"),
        finding("A1", "crops", "share"),
    ),
    "A2": (finding("A2", "digits", "share", "undecided"),),
}


@pytest.mark.parametrize("each", STATEMENTS, ids=lambda each: each.place)
def test_no_number_stands_in_a_text(each: Statement) -> None:
    for text in (each.said, each.done, each.unknown):
        assert text.endswith(".")
        assert not re.search(r"\d", NAMES.sub("", text)), text


def test_places_are_unique_and_claims_exist() -> None:
    places = [each.place for each in STATEMENTS]
    assert len(set(places)) == len(places)
    assert {claim for each in STATEMENTS for claim in each.claims} <= {claim.id for claim in CLAIMS}


def test_cases_that_are_asked_for_exist_in_the_full_budget() -> None:
    cases = {claim.id: [case.name for case in claim.cases(FULL)] for claim in CLAIMS}
    for each in STATEMENTS:
        for asked in each.asked:
            assert any(name.startswith(asked.case) for name in cases[asked.claim]), asked
            assert not asked.quantity or any(asked.quantity in f.quantity for f in PUBLISHED[asked.claim]), asked


def test_what_is_asked_for_is_found() -> None:
    assert Question("A1").of(MADE) == MADE["A1"]
    assert Question("A1", "digits").of(MADE) == MADE["A1"][:2]
    assert Question("A1", "", "share").of(MADE) == (MADE["A1"][0], MADE["A1"][2])
    assert Question("A1", "digits", "share").of(MADE) == MADE["A1"][:1]
    assert Question("A9").of(MADE) == ()


def test_a_finding_is_shown_once_and_counted_with_all_of_its_claim() -> None:
    asked = (Question("A1", "digits"), Question("A1", "", "share"), Question("A9"))
    (each,) = answered([Statement("Figure 1", "A.", "B.", "C.", asked)], MADE)
    assert each.shown == MADE["A1"]
    assert totals(each, MADE) == {"A1": "holds: 2, refuted: 1", "A9": ABSENT}
    assert verdicts(each) == "holds: 2, refuted: 1"
    nothing, missing = answered([Statement("X", "", "", ""), Statement("Y", "", "", "", (Question("A9"),))], MADE)
    assert (verdicts(nothing), verdicts(missing)) == (UNMEASURED, ABSENT)


def test_a_line_has_the_numbers_of_its_finding() -> None:
    assert line(finding("A1", "digits", "share")) == "digits: share: $0.250(10)$ (predicted: $0$; holds)"


def test_findings_are_read_from_results(tmp_path: Path) -> None:
    results = ROOT / "reports" / "published" / "results.json"
    claims = json.loads(results.read_text())["claims"]
    assert [len(PUBLISHED[claim["id"]]) for claim in claims] == [len(claim["findings"]) for claim in claims]
    first, plain = PUBLISHED["A1"][0], claims[0]["findings"][0]
    assert (first.case, first.measurement, first.interval) == (
        plain["case"],
        plain["measurement"],
        tuple(plain["interval"]),
    )
    with pytest.raises(OSError, match=r"results\.json"):
        findings_of(tmp_path / "results.json")


NOT_DONE = Statement("Figure 2", "It says more.", "Nothing.", "Why is not known.")


def test_the_page_links_every_statement_to_its_findings() -> None:
    statements = (Statement("Figure 1", "It says.", "We did.", "Unknown.", (Question("A1", "digits"),)), NOT_DONE)
    text = markdown(answered(statements, MADE), MADE, "a report")
    assert "| [Figure 1](#figure-1) | It says. | [A1](#findings-on-a1) | holds: 1, refuted: 1 |" in text
    assert "### Findings on A1" in text
    assert "### Findings on A2" not in text
    assert text.count("- [A1](#findings-on-a1), digits: ") == 2
    assert f"- {UNMEASURED}" in text
    assert "read from a report by code" in text


def test_a_bar_in_a_quantity_ends_no_cell() -> None:
    found = {"A1": (finding("A1", "digits", "$|w|$"),)}
    text = markdown(
        answered(
            [Statement("X", "", "", "", (Question("A1"),))],
            found,
        ),
        found,
        "a report",
    )
    row = next(line for line in text.splitlines() if line.startswith("| digits"))
    assert row.count("|") == 7
    assert r"$\vert w\vert $" in row


def test_double_bars_stay_double() -> None:
    found = {"A1": (finding("A1", "digits", r"relative to $\|B\|$"),)}
    text = markdown(answered([Statement("X", "", "", "", (Question("A1"),))], found), found, "a report")
    assert r"| relative to $\Vert B\Vert $ |" in text


def test_a_claim_without_findings_has_no_table() -> None:
    found: dict[str, tuple[Finding, ...]] = {"A1": ()}
    text = markdown(answered([Statement("X", "", "", "", (Question("A1"),))], found), found, "a report")
    assert "### Findings on A1\n\nThis report has none." in text
    assert "| case |" not in text
