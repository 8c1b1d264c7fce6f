"""How many replicas would decide an undecided finding, if the true value is the measured one.

Errors fall with the square root of the number of replicas R. Let an interval of half-width h contain the bound, at
distance d from its middle. The test separates the two with 90 % power from R (h'/d)² replicas on, with
h' = h (1.96 + 1.28)/1.96. This uses the normal law; Student's needs slightly fewer. If d is small, the true value may
lie on the bound itself, and no number of replicas decides; the words say so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.stats import norm

from reports.judging.intervals import QUANTILE, detected, share_interval
from reports.judging.rules import CONFIDENCE, DISCREPANCY, LEVEL, POWER, SHARE

NEAREST = 0.2  # the distance of a value from the bound, in half-widths, below which its true distance is unknown


def by_interval(replicas: int, low: float, high: float, bounds: Sequence[float]) -> str:
    """What an interval [low, high] needs to leave all `bounds` on one side, such as 0 or ± a budget.

    >>> by_interval(7, -0.004, 0.050, (0.0,))
    'would need about 27 replicas, 3.8 times the budget'
    >>> by_interval(7, -0.007, 0.008, (0.0,))
    'the measured value is only 0.07 half-widths from the bound: if it lies on it, no number of replicas decides'
    """
    half, middle = (high - low) / 2, (high + low) / 2
    if not math.isfinite(half + middle):
        return "there is no interval, so the number of replicas needed is unknown"
    inside = [bound for bound in bounds if low < bound < high] or list(bounds)
    distance = min(abs(middle - bound) for bound in inside)
    if distance < NEAREST * half:
        where = f"the measured value is only {distance / half:.1g} half-widths from the bound"
        return f"{where}: if it lies on it, no number of replicas decides"
    return more(replicas, (detected(half / QUANTILE) / distance) ** 2)


def by_power(replicas: int, detectable: float | None, wanted: float = DISCREPANCY) -> str:
    """What an exact form needs that would have detected an error of `detectable`, and should detect one of `wanted`.

    >>> by_power(18432, 0.078)
    'would need about 44900 replicas, 2.4 times the budget'
    """
    if detectable is None:
        return "so few replicas detect no error; the number needed is unknown"
    return more(replicas, (detectable / wanted) ** 2)


def by_pvalue(replicas: int, pvalue: float) -> str:
    """What a control needs that is detected at `pvalue` only, and should be below 1e-6 with 90 % power.

    >>> by_pvalue(4000, 1.7e-5)
    'would need about 8250 replicas, 2.1 times the budget'
    >>> by_pvalue(100, 0.6)
    'the violation is not visible at all; the number of replicas needed is unknown'
    """
    if pvalue > 1 - CONFIDENCE:
        return "the violation is not visible at all; the number of replicas needed is unknown"
    wanted = float(norm.isf(LEVEL / 2) + norm.ppf(POWER))
    return more(replicas, (wanted / float(norm.isf(pvalue / 2))) ** 2)


def by_share(right: int, decided: int, settings: int, what: str = "settings") -> str:
    """What a share of signs needs to lie above, or below, `SHARE` by its exact interval.

    >>> by_share(15, 18, 18)
    'would need about 576 settings, 32 times the budget'
    """
    if not decided:
        return "no sign is decided"
    for times in (2**k for k in range(1, 10)):
        low, high = share_interval(round(right * times), decided * times) or (0.0, 1.0)
        if low > SHARE or high < SHARE:
            return more(settings, times, what)
    return f"{right} of {decided} is close to {SHARE:g}: if it lies on it, no number of {what} decides"


def more(replicas: int, times: float, what: str = "replicas") -> str:
    """Say that `times` as many replicas are needed; never fewer than there are."""
    times = max(times, 1.0)
    return f"would need about {_rounded(replicas * times)} {what}, {times:.2g} times the budget"


def with_need(note: str, verdict: str, needed: str) -> str:
    """The note of a finding; if it is undecided, with the number of replicas it needs."""
    return "; ".join(part for part in (note, needed) if part) if verdict == "undecided" else note


def _rounded(count: float) -> int:
    """The count to three digits, rounded up."""
    scale = max(1, 10 ** (len(str(int(count))) - 3))
    return int(-(-count // scale)) * scale
