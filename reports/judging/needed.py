"""What an undecided finding still needs: how many replicas would decide it, if the truth is what was measured.

Errors fall with the square root of the replicas. A discrepancy d from the bound that an interval of half-width h leaves
inside is told from it with probability .9 where h and the quantile of .9 together fit into it, which R (h'/d)² replicas
give, h' = h (1.96 + 1.28)/1.96: the normal law is taken, and Student's asks for a few less. Where d is small, what was
measured may lie on the bound itself, and no number of replicas decides it: that is said instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.stats import norm

from reports.judging.intervals import QUANTILE, detected, share_interval
from reports.judging.rules import CONFIDENCE, DISCREPANCY, LEVEL, POWER, SHARE

NEAREST = 0.2  # half-widths: a measured value that is nearer to the bound does not tell how far from it the truth is


def by_interval(replicas: int, low: float, high: float, bounds: Sequence[float]) -> str:
    """For an interval [low, high] that must leave all `bounds` on one side, such as 0 or ± a budget.

    >>> by_interval(7, -0.004, 0.050, (0.0,))
    'would need about 27 replicas, a budget × 3.8'
    >>> by_interval(7, -0.007, 0.008, (0.0,))
    'measured 0.07 of its half-width from the bound: may lie on it, where no number of replicas decides'
    """
    half, middle = (high - low) / 2, (high + low) / 2
    if not math.isfinite(half + middle):
        return "no interval is known: how many replicas would be needed is not either"
    inside = [bound for bound in bounds if low < bound < high] or list(bounds)
    distance = min(abs(middle - bound) for bound in inside)
    if distance < NEAREST * half:
        where = f"measured {distance / half:.1g} of its half-width from the bound"
        return f"{where}: may lie on it, where no number of replicas decides"
    return more(replicas, (detected(half / QUANTILE) / distance) ** 2)


def by_power(replicas: int, detectable: float | None, wanted: float = DISCREPANCY) -> str:
    """For an exact form that would have been found wrong by `detectable` only, and should be by `wanted`.

    >>> by_power(18432, 0.078)
    'would need about 44900 replicas, a budget × 2.4'
    """
    if detectable is None:
        return "nothing is found by so few replicas: how many would be needed is not known"
    return more(replicas, (detectable / wanted) ** 2)


def by_pvalue(replicas: int, pvalue: float) -> str:
    """For a control that is detected at `pvalue` only, and should be below 1e-6 with probability .9.

    >>> by_pvalue(4000, 1.7e-5)
    'would need about 8250 replicas, a budget × 2.1'
    >>> by_pvalue(100, 0.6)
    'nothing is seen of what the control breaks: how many replicas would be needed is not known'
    """
    if pvalue > 1 - CONFIDENCE:
        return "nothing is seen of what the control breaks: how many replicas would be needed is not known"
    wanted = float(norm.isf(LEVEL / 2) + norm.ppf(POWER))
    return more(replicas, (wanted / float(norm.isf(pvalue / 2))) ** 2)


def by_share(right: int, decided: int, settings: int) -> str:
    """For a share of signs that must lie above, or below, `SHARE` by its exact interval.

    >>> by_share(15, 18, 18)
    'would need about 576 settings, a budget × 32'
    """
    if not decided:
        return "no sign is decided"
    for times in (2**k for k in range(1, 10)):
        low, high = share_interval(round(right * times), decided * times) or (0.0, 1.0)
        if low > SHARE or high < SHARE:
            return more(settings, times, "settings")
    return f"{right} of {decided} may lie on the bound of {SHARE:g}, where no number of settings decides"


def more(replicas: int, times: float, what: str = "replicas") -> str:
    """So many times as many, in words; never fewer than there are."""
    times = max(times, 1.0)
    return f"would need about {_rounded(replicas * times)} {what}, a budget × {times:.2g}"


def with_need(note: str, verdict: str, needed: str) -> str:
    """The note of a finding, with what it needs where it is undecided."""
    return "; ".join(part for part in (note, needed) if part) if verdict == "undecided" else note


def _rounded(count: float) -> int:
    """To three digits, upwards in the last."""
    scale = max(1, 10 ** (len(str(int(count))) - 3))
    return int(-(-count // scale)) * scale
