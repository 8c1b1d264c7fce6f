"""How F4 judges a family: changes within their budget, the power of the width in the error, terms that are missed."""

from __future__ import annotations

import numpy as np

from reports.claims.forms.family_evidence import ErrorRate, FamilyEvidence
from reports.claims.forms.lazy_evidence import DROPPED, TermShare
from reports.findings import OUTSIDE, Judgement, Verdict
from reports.judging.intervals import detectable_excess, half_width
from reports.judging.needed import by_interval, by_pvalue, with_need
from reports.judging.rules import POWER, asymptotic_verdict, control_verdict, within_budget
from theory.network.lazy import LARGEST_DISPLACEMENT

EXPONENT_BUDGET = 0.15  # how far a fitted exponent may lie from that of the theory's error


def changes_judgement(evidence: FamilyEvidence) -> Judgement:
    """τ along every direction, by simultaneous 95 % intervals against the declared budget."""
    inside = evidence.inside
    predicted, measured = inside.prediction, inside.measured
    scale = predicted.initial + predicted.change
    relative, error = (measured.change - predicted.change) / scale, inside.change_se / scale
    half = half_width(error, tests=len(error), degrees=measured.degrees)
    budget = predicted.declared / float(scale.min())
    verdict: Verdict = within_budget(relative, half, budget, evidence.diverged)
    if predicted.displacement > LARGEST_DISPLACEMENT:
        verdict = OUTSIDE
    worst = int(np.argmax(np.abs(relative)))
    return Judgement(
        quantity=rf"largest relative error of $\tau$, $m = {measured.width}$",
        prediction=f"within {budget:.2g}",
        measurement=float(relative[worst]),
        standard_error=float(error[worst]),
        interval=(float(relative[worst] - half[worst]), float(relative[worst] + half[worst])),
        power=f"changes of $\\tau$ by up to {np.abs(predicted.change / scale).max():.2g} are predicted",
        verdict=verdict,
        note=rf"displacement $\varepsilon = {predicted.displacement:.2f}$; the interval is simultaneous",
    )


def exponent_judgement(rate: ErrorRate, evidence: FamilyEvidence) -> Judgement:
    """The power of m with which the error of the trace falls, by its 95 % interval."""
    quantity, law = "exponent of $m$ in the error of the trace", evidence.law(rate)
    if law is None:
        return Judgement(quantity, rate.exponent, "no error of the trace is seen", "undecided")
    half = half_width(law.error, degrees=law.degrees)
    low, high = float(law.exponent - half), float(law.exponent + half)
    verdict = asymptotic_verdict(low - rate.exponent, high - rate.exponent, EXPONENT_BUDGET, evidence.diverged)
    bounds = (rate.exponent - EXPONENT_BUDGET, rate.exponent + EXPONENT_BUDGET)
    form = "a power times $1 + b/m$" if rate.corrected else "one power law"
    fit = f"{form} over widths with $\\varepsilon \\le {rate.largest:g}$ fits with $p$ = {law.quality:.2g}"
    return Judgement(
        quantity=quantity,
        prediction=rate.exponent,
        measurement=law.exponent,
        standard_error=law.error,
        interval=(low, high),
        power=f"holds within {EXPONENT_BUDGET}",
        verdict=verdict,
        note=with_need(fit, verdict, by_interval(evidence.replicas, low, high, bounds)),
    )


def share_judgement(share: TermShare, evidence: FamilyEvidence) -> Judgement:
    """A term that is left out, as a control: the rest must be farther from the measured change than the whole."""
    name, half = DROPPED[share.term], float(half_width(share.error, degrees=share.degrees))
    found = 0.5 + detectable_excess(share.error, share.degrees)
    verdict = control_verdict(share.pvalue, evidence.diverged)
    return Judgement(
        kind="control",
        quantity=f"share of {name}, $m = {evidence.widths[-1].measured.width}$",
        prediction=1.0,
        measurement=share.value,
        standard_error=share.error,
        interval=(share.value - half, share.value + half),
        pvalue=share.pvalue,
        power=f"detects a share of {found:.2g} with {POWER:.0%} power",
        verdict=verdict,
        note=with_need(
            f"the theory without {name} is farther from the measured change than with it",
            verdict,
            by_pvalue(evidence.replicas, share.pvalue),
        ),
    )
