"""The verdict on a layer and its explanation: aligned, not aligned, or undecided."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["aligned", "not aligned", "undecided"]

LEVEL = 0.01  # of every test that the verdict rests on


@dataclass(frozen=True)
class Evidence:
    """What the verdict rests on.

    Attributes
    ----------
    networks, eigenspaces : int
        Number of independent trainings (only the first of related ones counts), and of eigenspaces of the data.
    reference : float or None
        M of a random basis, corrected for sampling noise; None where it is unknown.
    interval : (float, float) or None
        95 % interval of M, corrected likewise; the upper end may be infinite.
    oriented, aligned, isotropic : float
        p-values of three null hypotheses: orientation independent of the data, exact alignment, isotropy.
    """

    networks: int
    eigenspaces: int
    reference: float | None
    interval: tuple[float, float] | None
    oriented: float
    aligned: float
    isotropic: float


def verdict_on(evidence: Evidence) -> tuple[Verdict, str]:
    """The verdict and its reasons.

    For weights that are not isotropic, with δ half the M of a random basis (M and δ are corrected for sampling noise):

    - *aligned*: closer to alignment than random bases, and the whole interval of M below δ. Weights whose orientation
      is independent of the data get this verdict with probability 1 % at most, whatever their spectrum, because the
      exact p-value of that test must be at most 1 %.
    - *not aligned*: the whole interval of M above δ, and exact alignment rejected too.
    - *undecided* otherwise.

    Whether such weights are *exactly* aligned is a separate question, which the explanation answers.
    """
    e = evidence
    if e.eigenspaces == 1:
        return "undecided", "All eigenvalues of the data are equal within their errors, so they prefer no direction."
    if e.isotropic > LEVEL:
        return "undecided", (
            f"The weights are not significantly different from isotropic ones (p = {e.isotropic:.2g}), and isotropic "
            "weights are aligned with any data."
        )
    oriented = e.oriented <= LEVEL
    seen = f"The weights are {'' if oriented else 'not '}closer to alignment than random bases (p = {e.oriented:.2g})"
    exactly = _exactly(e)
    if e.interval is None or not e.reference:
        return "undecided", f"{seen}, but there are too few weights to say how close. {exactly}"
    low, high = e.interval
    ends = f"{low:.3g} to {high:.3g}" if math.isfinite(high) else f"at least {low:.3g}, with no upper bound"
    compared = f"without sampling noise M is {ends}, and {e.reference:.3g} for a random basis"
    if oriented and high <= e.reference / 2:
        return "aligned", f"{seen}: {compared}. {exactly}"
    if low >= e.reference / 2 and e.aligned <= LEVEL:
        part = "The layer is partly aligned: closer to the data than a random basis, but M is above half of its value. "
        return "not aligned", f"{part if oriented else ''}{seen}: {compared}. {exactly}"
    return "undecided", f"{seen}: {compared}, which is not conclusive. {exactly}"


def _exactly(e: Evidence) -> str:
    if e.aligned > LEVEL:
        return f"Exact alignment is not rejected (p = {e.aligned:.2g})."
    if e.networks > 1:
        return f"Exact alignment is rejected (p = {e.aligned:.2g})."
    return (
        f"Exact alignment is rejected if the vectors are independent (p = {e.aligned:.2g}); those of one network are "
        "not, so several trainings are needed to decide."
    )
