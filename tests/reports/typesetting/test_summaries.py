"""Summaries of findings: how they are printed, counted and noted."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from reports.findings import ClaimReport, Finding
from reports.record import verdict_of
from reports.typesetting.summaries import (
    findings_table,
    headlines,
    judged_summary,
    measured,
    outside_summary,
    predicted,
    scoreboard,
    sentence,
)
from tests.reports.typesetting.samples import sample_report


def _finding(**changes):
    fields = {"claim": "A3", "case": "c", "kind": "exact", "quantity": "q", "prediction": 1.0, "measurement": 1.0}
    return Finding(**(fields | {"verdict": "holds"} | changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"prediction": 0.123456, "measurement": 0.12401, "standard_error": 0.0021}, ("$0.123$", "$0.124(2)$")),
        ({"prediction": 0.0, "measurement": 3.2e-4, "standard_error": 1.1e-4}, ("$0$", r"$3.2(11)\times10^{-4}$")),
        ({"prediction": 1e-9, "measurement": 0.1, "standard_error": 0.02}, (r"$1.00\times10^{-9}$", "$0.10(2)$")),
        ({"prediction": "none", "measurement": 0.27, "interval": (0.24, 0.302)}, ("none", "$0.270$ $[0.240, 0.302]$")),
        ({"prediction": 0.5, "measurement": "rises", "interval": None}, ("$0.500$", "rises")),
        ({"prediction": 0.5, "measurement": math.nan}, ("$0.500$", "not finite")),
        ({"measurement": 2.0, "interval": (1.0, math.inf)}, ("$1.00$", r"$2.0$ $[1.0, \infty]$")),
        ({"measurement": 2, "standard_error": 0.0}, ("$1.00$", "$2$")),
        (
            {"prediction": np.float64(2.5e8), "measurement": 2.51e8, "standard_error": 3e6},
            (r"$2.50\times10^{8}$", r"$2.51(3)\times10^{8}$"),
        ),
    ],
)
def test_prediction_and_measurement_are_printed_alike(changes, expected):
    finding = _finding(**changes)
    assert (predicted(finding), measured(finding)) == expected


def test_summaries_hold_every_finding_once():
    report = sample_report()
    judged = [f for f in report.findings if f.verdict != "outside the hypotheses"]
    assert [row[1] for row in judged_summary(report).rows] == [finding.case for finding in judged]
    assert len(outside_summary(report).rows) == len(report.findings) - len(judged)
    assert [(row[0], row[-1]) for row in headlines(report).rows] == [
        (claim.id, verdict_of(claim)) for claim in report.claims if verdict_of(claim)
    ]
    assert [row[2] for row in scoreboard(report).rows] == ["refuted", "undecided", "holds", ""]
    assert scoreboard(report).rows[0][3:7] == (5, 1, 1, 2)
    assert sentence(report).startswith(
        "Of 14 judged findings on 3 claims, 11 hold, 1 is refuted and 2 are undecided. 2 more lie"
    )


@pytest.mark.parametrize(("error", "printed"), [(None, ""), (0.0187, "1.9 %"), (0.209, "21 %"), (math.inf, "none")])
def test_the_smallest_error_has_a_column_where_one_is_known(error, printed):
    findings = (_finding(smallest_error=error), _finding(case="d", smallest_error=0.5))
    claim = ClaimReport("A3", "t", "s", "r", "m", findings)
    table = findings_table(claim).table
    heads = [column.heading for column in table.columns]
    assert [row[heads.index("Error detected")] for row in table.rows] == [printed, "50 %"]
    assert "had the predicted number been wrong" in table.caption
    alone, notes = findings_table(claim).alone
    assert "wrong" not in alone.caption
    assert "had the predicted number been wrong" in notes[0][1]
    assert "wrong" not in findings_table(replace(claim, findings=(_finding(),))).alone[1][0][1]
    without = findings_table(ClaimReport("A3", "t", "s", "r", "m", (_finding(),))).table
    assert "Error detected" not in [column.heading for column in without.columns]
    assert without.caption == "Findings on A3."


def test_replicas_that_are_the_same_are_told_in_the_caption():
    findings = (_finding(smallest_error=0.1, replicas=40), _finding(case="d", replicas=40))
    caption = findings_table(ClaimReport("A3", "t", "s", "r", "m", findings)).table.caption
    assert caption.startswith("Findings on A3, 40 replicas each. Error detected: ")


def test_notes_are_lettered_and_name_diverged_replicas():
    annotated = findings_table(sample_report().claims[0])
    assert [letter for letter, _ in annotated.notes] == ["a", "b", "c"]
    assert annotated.notes[-1][1] == "3 of 2000 replicas diverged and are omitted"
    assert annotated.table.rows[4][0].endswith(r"$^{\mathrm{c}}$")
