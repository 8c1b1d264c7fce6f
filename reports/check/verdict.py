"""The verdict on a layer and its explanation: aligned, partly aligned, not aligned, or undecided."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

LayerVerdict = Literal["aligned", "partly aligned", "not aligned", "undecided"]
VerdictMeasure = Literal["misalignment", "orientation"]

LEVEL = 0.01  # the level of every test that the verdict rests on
NORMAL_END = 1.96  # the end of a 95 % interval of the normal law, in standard errors
NINE_IN_TEN = 1.28  # the number of standard errors below which nine in ten normal values stay
MARGIN = 0.5  # the effect at the boundary between verdicts: it is 1 at alignment and 0 in a random basis


@dataclass(frozen=True)
class Evidence:
    """The basis of the verdict.

    Attributes
    ----------
    networks, eigenspaces : int
        Number of independent trainings (only the first of related ones counts), and of eigenspaces of the data.
    rank, dimension : int
        The rank of Σ_w, and its dimension d.
    reference : float or None
        M of a random basis, corrected for sampling noise; None where it is unknown.
    interval : (float, float) or None
        95 % interval of M, corrected likewise; the upper end may be infinite.
    oriented : float
        p-value of the null hypothesis that the orientation is independent of the data, by M.
    effect : (float, float) or None
        95 % interval of the effect of `Orientation`.
    turned : float
        p-value of the same null hypothesis as `oriented`, by the directions of the filters.
    aligned, isotropic : float
        p-values of exact alignment and of isotropy.
    """

    networks: int
    eigenspaces: int
    rank: int
    dimension: int
    reference: float | None
    interval: tuple[float, float] | None
    oriented: float
    effect: tuple[float, float] | None
    turned: float
    aligned: float
    isotropic: float


@dataclass(frozen=True)
class Conclusion:
    """The verdict, the measure on which it is based, and its reasons in words."""

    verdict: LayerVerdict
    measure: VerdictMeasure
    explanation: str


def verdict_on(evidence: Evidence) -> Conclusion:
    """The verdict and its reasons.

    For weights that are not isotropic, each of two measures gives an effect that is 1 at alignment and 0 in a random
    basis: 1 − M / (M of a random basis), and the effect of `Orientation`. Both are corrected for sampling noise.

    - *aligned*: closer to alignment than random bases, and the whole interval of the effect above ½.
    - *partly aligned*: closer than random bases, the whole interval below ½, and exact alignment rejected.
    - *not aligned*: the same, but not closer than random bases.
    - *undecided* otherwise.

    M decides where it can, and the orientation where M is undecided or cannot be measured. Weights whose orientation is
    independent of the data are called "aligned" with probability 1 % at most by each measure, whatever their spectrum,
    and exactly aligned ones "partly" or "not aligned" with probability 1 % at most, because the p-values must be at
    most 1 %.

    Whether such weights are *exactly* aligned is a separate question, which the explanation answers.
    """
    e = evidence
    usual: VerdictMeasure = "orientation" if _unmeasured(e) else "misalignment"
    if e.eigenspaces == 1:
        words = "All eigenvalues of the data are equal within their errors, so they prefer no direction."
        return Conclusion("undecided", usual, words)
    if e.isotropic > LEVEL:
        return Conclusion(
            "undecided",
            usual,
            f"The weights are not significantly different from isotropic ones (p = {e.isotropic:.2g}), and isotropic "
            "weights are aligned with any data.",
        )
    verdict = by_misalignment(e)
    if verdict != "undecided":
        return Conclusion(verdict, "misalignment", f"{_closer(e.oriented)}: {_misalignment(e)}. {_exactly(e)}")
    verdict = by_orientation(e)
    measured = f"; {_orientation(e)}" if e.effect else ""
    conclusive = "" if verdict != "undecided" else ", which is not conclusive"
    words = f"{_closer(e.turned)}: {_misalignment(e)}{measured}{conclusive}. {_exactly(e)}"
    return Conclusion(verdict, usual if verdict == "undecided" else "orientation", words)


def by_misalignment(e: Evidence) -> LayerVerdict:
    """The verdict by M alone."""
    if e.interval is None or not e.reference or e.isotropic > LEVEL or e.eigenspaces == 1:
        return "undecided"
    low, high = (1 - end / e.reference for end in e.interval[::-1])
    return _placed(low, high, e.oriented, e.aligned)


def by_orientation(e: Evidence) -> LayerVerdict:
    """The verdict by the orientation alone."""
    if e.effect is None or e.isotropic > LEVEL or e.eigenspaces == 1:
        return "undecided"
    return _placed(*e.effect, e.turned, e.aligned)


def _placed(low: float, high: float, oriented: float, aligned: float) -> LayerVerdict:
    """Where the interval of an effect lies."""
    if low >= MARGIN and oriented <= LEVEL:
        return "aligned"
    if high <= MARGIN and aligned <= LEVEL:
        return "partly aligned" if oriented <= LEVEL else "not aligned"
    return "undecided"


def _unmeasured(e: Evidence) -> bool:
    return e.interval is None or not e.reference or not math.isfinite(e.interval[1])


def _closer(pvalue: float) -> str:
    return (
        f"The weights are {'' if pvalue <= LEVEL else 'not '}closer to alignment than random bases (p = {pvalue:.2g})"
    )


def _misalignment(e: Evidence) -> str:
    if e.rank < e.dimension:
        return f"M is not defined for weights of rank {e.rank} in {e.dimension} dimensions"
    if e.reference == 0:
        return "M cannot be measured, since sampling noise alone explains that of a random basis"
    if e.interval is None or not e.reference:
        return "there are too few weights to measure M"
    low, high = e.interval
    ends = f"{low:.3g} to {high:.3g}" if math.isfinite(high) else f"at least {low:.3g}, with no upper bound"
    return f"without sampling noise M is {ends}, and {e.reference:.3g} for a random basis"


def _orientation(e: Evidence) -> str:
    low, high = e.effect or (0.0, 0.0)
    return f"their orientation is {low:.2g} to {high:.2g}, where 1 is alignment and 0 a random basis"


def _exactly(e: Evidence) -> str:
    if e.aligned > LEVEL:
        return f"Exact alignment is not rejected (p = {e.aligned:.2g})."
    if e.networks > 1:
        return f"Exact alignment is rejected (p = {e.aligned:.2g})."
    return (
        f"Exact alignment is rejected if the vectors are independent (p = {e.aligned:.2g}); those of one network are "
        "not, so several trainings are needed to decide."
    )
