"""Records as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import Any

from reports.campaign.run import Shared
from reports.judging.compare import Verification
from reports.judging.scaling import ScalingVerification
from reports.record import ReportRecord, verdict_of
from reports.typesetting.markup import to_plain
from theory.prediction import Prediction


def columns(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Aligned columns; numbers with four significant digits, `-` for what is missing."""
    cells = [list(head)] + [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return "\n".join("  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in cells)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def describe_prediction(prediction: Prediction) -> str:
    """The formula, what it assumes and neglects, and τ and f at every reading."""
    status = prediction.status if prediction.order is None else f"{prediction.status}, {prediction.order}"
    lines = [f"{prediction.formula} ({status})"]
    lines += [f"  assumes {text}" for text in prediction.assumptions]
    lines += [f"  neglects {text}" for text in prediction.neglected]
    for reading in prediction.readings:
        lines += ["", f"step {reading.step}"]
        rows = zip(reading.sigma.tolist(), reading.multiplicity, reading.tau.tolist(), reading.f.tolist(), strict=True)
        lines.append(columns(("sigma", "multiplicity", "tau", "f"), rows))
    return "\n".join(lines)


def describe_simulation(record: Mapping[str, Any]) -> str:
    """τ with standard errors, misalignment and the test of alignment at every reading."""
    lines = [f"{record['replicas']} replicas, {record['diverged']} diverged, seed {record['seed']}, {record['device']}"]
    for reading in record["readings"]:
        lines += ["", f"step {reading['step']}"]
        rows = zip(*(reading[key] for key in ("sigma", "multiplicity", "tau", "tau_se")), strict=True)
        lines.append(columns(("sigma", "multiplicity", "tau", "SE"), rows))
        lines.append(
            f"misalignment M {_cell(reading['misalignment'])}, alignment p {_cell(reading['alignment_pvalue'])}, "
            f"|E w| {_cell(reading['mean_weight_norm'])}"
        )
    return "\n".join(lines)


def describe_verification(verification: Verification) -> str:
    """The prediction beside the simulation, and the verdict on every reading."""
    lines = [f"{verification.prediction.formula} ({verification.prediction.status})"]
    if isinstance(verification, ScalingVerification):
        lines += [f"  {text}" for text in verification.prediction.assumptions]
    for predicted, estimated, compared in zip(
        verification.prediction.readings, verification.estimates, verification.comparison, strict=True
    ):
        lines += ["", f"step {predicted.step}"]
        rows = zip(
            predicted.sigma.tolist(),
            predicted.multiplicity,
            predicted.tau.tolist(),
            estimated.tau.tolist(),
            estimated.tau_se.tolist(),
            strict=True,
        )
        lines.append(columns(("sigma", "multiplicity", "tau predicted", "tau measured", "SE"), rows))
        found = "" if compared.detectable is None else f", {compared.detectable:.1%} found with probability .9"
        lines.append(f"{compared.verdict}: p {_cell(compared.pvalue)}, max |z| {_cell(compared.max_abs_z)}{found}")
        if isinstance(verification, ScalingVerification):
            lines += _scaling_errors(verification, predicted.step)
        elif compared.verdict == "undecided" and not verification.simulation.diverged:
            lines.append("more replicas would decide it")
    if verification.simulation.diverged:
        lines += ["", f"{verification.simulation.diverged} replicas diverged: nothing can hold"]
    return "\n".join(lines)


def _scaling_errors(verification: ScalingVerification, step: int) -> list[str]:
    """How far each of the smaller networks is off at one step, and whether they agree."""
    found = verification.surrogate
    agreement = next(reading.agreement for reading in found.readings if reading.step == step)
    rows = [
        (error.b, error.worst, error.rms, error.noise, error.moved, error.change, error.change_noise)
        for error in verification.errors_at(step)
    ]
    table = columns(("b", "worst", "rms", "SE", "if nothing moved", "of tau - tau_0", "noise"), rows)
    check = f"own check, both within {found.tolerance:.0%}: {agreement}"
    withheld = [] if agreement == "converged" else ["the surrogate asserts nothing here, so that nothing is decided"]
    return ["relative errors of tau, initial noise subtracted:", table, check, *withheld]


def describe_claims(claims: Iterable[Mapping[str, str]]) -> str:
    """Every claim with its reference and what is checked, math as Unicode, in lines that a terminal holds."""
    return "\n\n".join(
        "\n".join(
            (
                to_plain(f"{claim['id']}  {claim['title']} ({claim['reference']})"),
                _paragraph(claim["statement"]),
                _paragraph(f"checked: {claim['checked']}"),
            )
        )
        for claim in claims
    )


def _paragraph(text: str) -> str:
    return fill(to_plain(text), 100, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)


def describe_shard(done: Shared) -> str:
    """How many cases are kept, and what puts the report together."""
    lines = [f"shard {done.shard}: {done.kept} of {done.cases} cases are kept in {done.folder}"]
    return "\n".join([*lines, "`eigenalign report --resume`, with the same options, puts the report together"])


def summary(report: ReportRecord) -> str:
    """One line a finding, then the count of verdicts."""
    rows = [
        (finding.claim, finding.verdict, "-" if finding.pvalue is None else f"{finding.pvalue:.2g}", finding.case)
        for finding in report.findings
    ]
    width = max((len(row[1]) for row in rows), default=0)
    lines = [f"{claim}  {verdict:<{width}}  p {p:<8}  {case}" for claim, verdict, p, case in rows]
    counts = ", ".join(f"{number} {verdict}" for verdict, number in report.counts.items() if number)
    by_claim = ", ".join(f"{claim.id} {verdict_of(claim)}" for claim in report.claims)
    return "\n".join([*lines, "", f"findings: {counts}", f"claims: {by_claim}"])
