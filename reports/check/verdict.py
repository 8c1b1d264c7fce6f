"""Three values and what they mean in words: aligned, not aligned, undecided."""

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
        Independent trainings, of related ones the first; eigenspaces of the data.
    reference : float or None
        M of a random basis without the noise of finitely many vectors, None where it is unknown.
    interval : (float, float) or None
        Of M, without that noise; the upper end may be infinite.
    oriented, aligned, isotropic : float
        p-values: of an orientation that has nothing to do with the data, of exact alignment, of isotropy.
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

    With δ half the M of a random basis, both without the noise of finitely many vectors, for weights that are not
    isotropic:

    - *aligned*: nearer to alignment than random bases, and the whole interval of M within δ. Weights whose orientation
      has nothing to do with the data get it with probability 1 % at most, whatever their spectrum: the p-value of that
      test, exact, must be at most 1 %.
    - *not aligned*: the whole interval of M outside δ, and exact alignment rejected too.
    - *undecided* otherwise.

    Whether weights near alignment are *exactly* aligned is a question of its own, answered in the words.
    """
    e = evidence
    if e.eigenspaces == 1:
        return "undecided", "The data have one eigenvalue as far as can be told, so they prefer no direction."
    if e.isotropic > LEVEL:
        return "undecided", (
            f"The weights cannot be told from isotropic ones (p = {e.isotropic:.2g}), which are aligned with any data: "
            "no evidence of an orientation."
        )
    oriented = e.oriented <= LEVEL
    seen = f"The weights are {'' if oriented else 'no '}nearer to alignment than random bases (p = {e.oriented:.2g})"
    exactly = _exactly(e)
    if e.interval is None or not e.reference:
        return "undecided", f"{seen}, but how near cannot be told from these weights. {exactly}"
    low, high = e.interval
    ends = f"{low:.3g} to {high:.3g}" if math.isfinite(high) else f"at least {low:.3g}, unbounded above"
    compared = f"M without sampling noise is {ends}, where a random basis has {e.reference:.3g}"
    if oriented and high <= e.reference / 2:
        return "aligned", f"{seen}: {compared}. {exactly}"
    if low >= e.reference / 2 and e.aligned <= LEVEL:
        return "not aligned", f"{seen}: {compared}. {exactly}"
    return "undecided", f"{seen}: {compared}, which settles nothing. {exactly}"


def _exactly(e: Evidence) -> str:
    if e.aligned > LEVEL:
        return f"Exact alignment is not rejected (p = {e.aligned:.2g})."
    if e.networks > 1:
        return f"They are not exactly aligned (p = {e.aligned:.2g})."
    return (
        f"Independent vectors, exactly aligned, would hardly lie as far away (p = {e.aligned:.2g}), but those of one "
        "network depend on each other: several trainings would decide."
    )
