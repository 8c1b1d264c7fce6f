"""The rules from p-values and intervals to rulings. Each claim is judged by one of them.

Exact forms are refuted below p = 1e-6 and hold otherwise, provided that a discrepancy of 5 % would have been detected
with 90 % power. If the law of the statistic is not known well enough for such a level, only errors that are impossible
for any law are refuted. Asymptotic forms hold when the whole interval of the discrepancy lies inside their error budget
and are refuted when it lies outside. Controls hold when the violation is detected. Signs and shapes hold when the
interval allows only the predicted one. A diverged replica forbids "holds". Everything else is undecided.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import numpy as np

from theory.testing import MeanRatio

LEVEL: Final = 1e-6  # the p-value below which an exact claim is refuted, and a negative control is detected
# The relative error that must be detectable, with probability `POWER`, before an exact claim may hold.
DISCREPANCY: Final = 0.05
POWER: Final = 0.9
CONFIDENCE: Final = 0.95
BROKEN: Final = 1000.0  # how many times the tolerance, which is for rounding, an error must exceed to break an identity
LARGEST_RATE: Final = 0.1  # the rate of false calls that must be detectable before a check of that rate may hold
SEEN: Final = 0.01  # the size of the two-sided test that must exclude 0 for a sign to count as seen
RECOVERED: Final = 0.8  # the share of a gain that what is drawn is to recover
MOST_OF_IT: Final = 0.5  # the share of a gain that what is drawn must surely exceed
SHARE: Final = 0.8  # the share of the signs that are seen that must be as predicted

Ruling = Literal["holds", "refuted", "undecided"]
Sign = Literal["positive", "negative"]
WORST_FIRST: tuple[Ruling, ...] = ("refuted", "undecided", "holds")


def exact_verdict(pvalue: float | None, detectable: float | None, diverged: int) -> Ruling:
    """The rule for exact claims; undecided without a p-value or a power.

    Refuted below `LEVEL`; holds where a relative error of `DISCREPANCY` would have been detected.
    """
    if pvalue is None or detectable is None:
        return "undecided"
    if pvalue < LEVEL:
        return "refuted"
    return "holds" if detectable <= DISCREPANCY and not diverged else "undecided"


def asymptotic_verdict(low: float, high: float, budget: float, diverged: int) -> Ruling:
    """The rule for asymptotic claims: [low, high] is the interval of a signed discrepancy, in units of the budget."""
    if low > budget or high < -budget:
        return "refuted"
    return "holds" if -budget <= low and high <= budget and not diverged else "undecided"


def within_budget(error: np.ndarray, half_width: np.ndarray, budget: float, diverged: int) -> Ruling:
    """The worst ruling over several discrepancies with simultaneous intervals `error` ± `half_width`, (k,) each.

    Undecided where an error is not a finite number.
    """
    if not (np.all(np.isfinite(error)) and np.all(np.isfinite(half_width))):
        return "undecided"
    return interval_within_budget(error - half_width, error + half_width, budget, diverged)


def interval_within_budget(low: np.ndarray, high: np.ndarray, budget: float, diverged: int) -> Ruling:
    """The worst ruling over several discrepancies with simultaneous intervals [low, high], (k,) each.

    Undecided where an end is not a number; an upper end may be inf.
    """
    if np.any(np.isnan(low)) or np.any(np.isnan(high)):
        return "undecided"
    return worst(asymptotic_verdict(a, b, budget, diverged) for a, b in zip(low, high, strict=True))


def identity_verdict(error: float, tolerance: float, diverged: int) -> Ruling:
    """The rule for identities: two computations of one thing differ by rounding, `tolerance`, or it is refuted."""
    if diverged:
        return "undecided"
    return "holds" if error <= tolerance else "refuted"


def broken_identity_verdict(smallest: float, tolerance: float, diverged: int) -> Ruling:
    """The rule for controls of identities: each replica must miss it by more than `BROKEN` times the tolerance.

    `smallest` is the smallest error over replicas.
    """
    return "holds" if smallest > BROKEN * tolerance and not diverged else "undecided"


def rate_verdict(pvalue: float, detectable: float | None, diverged: int) -> Ruling:
    """The rule for rates of false calls, `pvalue` being that of too many of them.

    Refuted below `LEVEL`; holds where a true rate of `LARGEST_RATE` would have been detected.
    """
    if pvalue < LEVEL:
        return "refuted"
    fine = detectable is not None and detectable <= LARGEST_RATE and not diverged
    return "holds" if fine else "undecided"


def control_verdict(pvalue: float, diverged: int) -> Ruling:
    """The rule for negative controls: detected below `LEVEL`, otherwise undecided; absence is never concluded."""
    return "holds" if pvalue < LEVEL and not diverged else "undecided"


def sign_verdict(low: float, high: float, sign: Sign, diverged: int) -> Ruling:
    """The rule for a quantity whose sign is predicted, by its confidence interval [low, high]."""
    if sign == "positive":
        low, high = -high, -low
    if low > 0:
        return "refuted"
    return "holds" if high < 0 and not diverged else "undecided"


def same_sign_verdict(predicted: tuple[float, float], measured: tuple[float, float]) -> Ruling:
    """The rule for two intervals: holds where both exclude 0 on the same side, refuted where on different sides."""
    signs = [int(low > 0) - int(high < 0) for low, high in (predicted, measured)]
    return "undecided" if 0 in signs else "holds" if signs[0] == signs[1] else "refuted"


def seen_verdict(ruling: Ruling, seen: np.ndarray, predicted: np.ndarray) -> Ruling:
    """The ruling, with "holds" made "undecided" where the signs `seen` (k,), 0 for none, are not those `predicted`.

    Any other ruling stands.
    """
    return "undecided" if ruling == "holds" and not np.array_equal(seen, np.sign(predicted)) else ruling


def share_verdict(pvalue: float, interval: tuple[float, float] | None, diverged: int) -> Ruling:
    """The rule for many signs at once, by the interval of the share that is as predicted, None if no sign is seen.

    Refuted where the share is surely below `SHARE`, or where signs are wrong more often than by chance (`pvalue` below
    `LEVEL`); holds where it is surely above.
    """
    if interval is None:
        return "undecided"
    if pvalue < LEVEL or interval[1] < SHARE:
        return "refuted"
    return "holds" if interval[0] > SHARE and not diverged else "undecided"


def above_verdict(interval: tuple[float, float] | None, bound: float, diverged: int) -> Ruling:
    """The rule for a quantity that is predicted to exceed a bound; undecided where its interval is not known."""
    if interval is None:
        return "undecided"
    return sign_verdict(interval[0] - bound, interval[1] - bound, "positive", diverged)


def recovered_verdict(share: MeanRatio | None, diverged: int) -> Ruling:
    """The rule for the share of a gain that is recovered; undecided where that gain may be 0.

    Holds where it is `RECOVERED` or more, and its interval lies above `MOST_OF_IT`; refuted where that lies below
    `RECOVERED`.
    """
    if share is None:
        return "undecided"
    if share.high < RECOVERED:
        return "refuted"
    return "holds" if share.ratio >= RECOVERED and share.low > MOST_OF_IT and not diverged else "undecided"


def one_left_verdict(left: str | None, predicted: str, diverged: int) -> Ruling:
    """The rule for shapes: `left` is the only one that simultaneous intervals leave, None where they leave several."""
    if left is None or diverged:
        return "undecided"
    return "holds" if left == predicted else "refuted"


def control_above_verdict(low: float, bound: float, diverged: int) -> Ruling:
    """The rule for a control that must exceed a bound: holds if `low`, the end of its interval, does."""
    return "holds" if low > bound and not diverged else "undecided"


def refusal_verdict(refused: bool | None, diverged: int) -> Ruling:
    """The rule for a check that must reject: refuted if it accepts, undecided if it does neither (None)."""
    if refused is None or diverged:
        return "undecided"
    return "holds" if refused else "refuted"


def both_shapes_verdict(predicted: str | None, measured: str | None, *, apart: bool, diverged: int) -> Ruling:
    """The rule for two shapes that are both read from noisy curves, None where intervals leave several.

    Shapes that differ refute only where the curves are further `apart` than the error that is declared for one.
    """
    if predicted is None or measured is None or diverged:
        return "undecided"
    if predicted == measured:
        return "holds"
    return "refuted" if apart else "undecided"


def worst(rulings: Iterable[Ruling]) -> Ruling:
    """The ruling on several that must all hold: refuted if one is, otherwise undecided if one is."""
    found = set(rulings)
    return next(ruling for ruling in WORST_FIRST if ruling in found)
