"""How B6 holds the parts of linear models against their closed form: A and F at every eigenspace, and that A falls."""

from __future__ import annotations

import numpy as np

from reports.claims.shape.made_of import OverlapEvidence
from reports.findings import Judgement
from reports.judging.intervals import detectable, detected, found, half_width, largest_pvalue
from reports.judging.needed import by_power, with_need
from reports.judging.rules import POWER, Sign, exact_verdict, sign_verdict
from theory.decomposition import Decomposition


def parts_judgement(prediction: Decomposition, measured: OverlapEvidence) -> Judgement:
    """A and F at the last reading, in units of √(τ/τ(0)) and of τ; the largest deviation by Student's law."""
    predicted, parts = prediction.readings[-1], measured.parts(-1)
    tests, degrees = 2 * len(predicted.tau), parts.groups - 1
    unit = np.sqrt(predicted.tau / predicted.initial)
    off = np.stack(
        [(parts.amplitude - predicted.amplitude) / unit, (parts.written - predicted.written) / predicted.tau]
    )
    error = np.stack([parts.errors["amplitude"] / unit, parts.errors["written"] / predicted.tau])
    z = off / error
    pvalue = largest_pvalue(z, degrees)
    size = detectable(float(error.max()), tests=tests, degrees=degrees)
    verdict = exact_verdict(pvalue, size, measured.diverged)
    return Judgement(
        quantity=r"largest error of $A$, relative to $\sqrt{\tau/\tau(0)}$, and of $F$, relative to $\tau$",
        prediction=0.0,
        measurement=float(np.abs(off).max()),
        pvalue=pvalue,
        power=found(size),
        verdict=verdict,
        note=with_need(
            f"{prediction.formula}; largest $|z|$ {np.abs(z).max():.2f}", verdict, by_power(measured.replicas, size)
        ),
    )


def falls_judgement(prediction: Decomposition, measured: OverlapEvidence) -> Judgement:
    """A at every reading less A before it, 1 at the start; the largest, by simultaneous intervals."""
    predicted = np.stack([np.ones(len(measured.sigma)), *(parts.amplitude for parts in prediction.readings)])
    sign: Sign = "negative" if np.all(np.diff(predicted, axis=0) < 0) else "positive"
    found = [measured.parts(reading) for reading in range(len(measured.steps))]
    amplitudes = np.stack([np.ones(len(measured.sigma)), *(parts.amplitude for parts in found)])
    rise = np.diff(amplitudes, axis=0)
    # errors of readings add up to more than that of their difference
    errors = np.stack([np.zeros(len(measured.sigma)), *(parts.errors["amplitude"] for parts in found)])
    bound = errors[1:] + errors[:-1]
    half = half_width(bound, tests=rise.size, degrees=found[0].groups - 1)
    at = np.unravel_index(int(np.argmax(rise + half)), rise.shape)
    value, width, error = float(rise[at]), float(half[at]), float(bound[at])
    smallest = detected(error, tests=rise.size, degrees=found[0].groups - 1)
    return Judgement(
        quantity=r"largest rise of $A$ between two readings, at any $\sigma$",
        prediction=sign,
        measurement=value,
        standard_error=error,
        interval=(value - width, value + width),
        power=f"detects {smallest:.2g} with {POWER:.0%} power",
        verdict=sign_verdict(value - width, value + width, sign, measured.diverged),
        note="simultaneous intervals",
    )
