"""What a check says of the parts of Σ_w and of the law of f, as JSON and as text."""

from __future__ import annotations

from typing import Any

from reports.check.composition import Composition
from reports.views.view import Facts, Grid, Section, grid
from theory.decomposition import LawFit, ShapeFit

WIDE = 100.0  # the largest ratio of the ends of an interval: a larger one leaves the number undetermined
OUTCOMES = {
    "describes": "describes f to within 5 %",
    "rejected": "rejected: f is off by more than 5 %",
    "undecided": "f may be off by more than 5 %",
}


def composition_value(found: Composition | None) -> dict[str, Any] | None:
    """For `details` in JSON."""
    if found is None:
        return None
    parts = found.parts
    share, gain = ({"value": v, "low": low, "high": high} for v, low, high in (found.share, found.gain))
    return {
        "over": found.over,
        "written_share": share,
        "initial_gain": gain,
        "initial": parts.initial,
        "amplitude": parts.amplitude,
        "amplitude_error": parts.errors["amplitude"],
        "carried": parts.carried,
        "carried_error": parts.errors["carried"],
        "written": parts.written,
        "written_error": parts.errors["written"],
    }


def shape_law_value(found: ShapeFit | None) -> dict[str, Any] | None:
    """For `details` in JSON."""
    if found is None:
        return None
    return {"better": found.better.law, "laws": [_law_value(fit) for fit in (found.ridge, found.flow)]}


def _law_value(fit: LawFit) -> dict[str, Any]:
    return {
        "law": fit.law,
        "U": fit.rate,
        "U_interval": fit.rate_interval,
        "c": fit.written,
        "c_interval": fit.written_interval,
        "initial": fit.initial,
        "residual": fit.residual,
        "misfit": fit.misfit,
        "misfit_interval": fit.misfit_interval,
        "pvalue": fit.pvalue,
        "verdict": fit.verdict,
    }


def composition_sections(found: Composition | None, law: ShapeFit | None, sigma: Any) -> list[Section]:
    """The law of f in a line or two; the shares of Σ_w, and the parts eigenspace by eigenspace."""
    sections: list[Section] = []
    if law is not None:
        sections.append([Facts(law_facts(law)), "  (a description: what has made f is not identified)"])
    if found is not None:
        sections += [[Facts(_shares(found))], [parts_table(found, sigma)]]
    return sections


def law_facts(law: ShapeFit) -> tuple[tuple[str, str], ...]:
    """The better law with its numbers, and what is said of the other."""
    better = law.better
    other = law.flow if better is law.ridge else law.ridge
    numbers = f"U = {_ends(better.rate, better.rate_interval)}, c = {_ends(better.written, better.written_interval)}"
    if better.rate_interval is None:
        numbers = "U and c are not determined: both change f alike"
    return (
        (f"{better.law} law of f", numbers),
        ("its misfit", _misfit(better)),
        (f"{other.law} law", _misfit(other)),
    )


def _misfit(fit: LawFit) -> str:
    low, high = fit.misfit_interval
    return f"{fit.misfit:.1%} of f ({low:.1%} to {high:.1%}), p = {fit.pvalue:.2g}: {OUTCOMES[fit.verdict]}"


def _ends(value: float, interval: tuple[float, float] | None) -> str:
    """A number with its 95 % interval.

    >>> _ends(0.5, (0.4, 0.6)), _ends(0.5, (1e-4, 1e3)), _ends(0.0, None)
    ('0.5 (0.4 to 0.6)', 'not determined', '0')
    """
    if interval is None:
        return f"{value:.3g}"
    if not interval[1] < WIDE * interval[0]:
        return "not determined"
    return f"{value:.3g} ({interval[0]:.3g} to {interval[1]:.3g})"


def _shares(found: Composition) -> tuple[tuple[str, str], ...]:
    (share, low, high), (gain, least, most) = found.share, found.gain
    return (
        ("written by training", f"{share:.1%} of Σ_w ({low:.1%} to {high:.1%}, over {found.over})"),
        ("initial weights", f"{1 - share:.1%} of Σ_w, their variance times {gain:.3g} ({least:.3g} to {most:.3g})"),
    )


def parts_table(found: Composition, sigma: Any) -> Grid:
    """A, A² τ(0) and F with their standard errors."""
    parts = found.parts
    columns = {"sigma": sigma, "A": parts.amplitude, "error of A": parts.errors["amplitude"]}
    columns |= {"A²τ(0)": parts.carried, "F": parts.written, "error of F": parts.errors["written"]}
    return grid(columns, dict.fromkeys(("error of A", "error of F"), "+-"))
