"""The smallest error of a prediction that each finding would have detected, by the claim's own rule and measurement.

Power refers to a repetition of the experiment; this number refers to the experiment itself. The prediction is
multiplied by 1 + ε and by 1 − ε, the measurement stays, and `decide` is called again, to find the smallest ε at which
neither holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from reports.claims.claim import AnyClaim, Case
from reports.findings import Judgement
from theory.errors import InvalidInput

# The largest relative error that is tried: nearly all that is predicted, a prediction of 0 or of twice as much.
LARGEST = 0.99
LEAST = 1e-3  # the smallest relative error that is tried: smaller ones are not distinguished
ACCURACY = 0.05  # the accuracy of the smallest error ε, relative to ε itself
ASKED = 0.1  # the error that every finding should have detected: the note of one that would not have says so


def with_smallest_errors(claim: AnyClaim, case: Case[Any], prediction: Any, measurement: Any) -> tuple[Judgement, ...]:
    """The judgements of a case; those that hold, with the smallest error that they would have detected.

    Where that is more than 10 %, their notes say so; where the prediction is a shape or a sign, which no factor
    changes, they say that. A control is judged by a prediction that is wrong to begin with, and says nothing of errors.
    """
    judgements, scaled = claim.decide(case, prediction, measurement), claim.scaled
    if scaled is None:
        return judgements

    @cache
    def at(factor: float) -> tuple[Judgement, ...]:
        try:
            return claim.decide(case, scaled(prediction, factor), measurement)
        except InvalidInput:  # such as no weights can have: a matrix that is not positive
            return ()

    def holds(place: int) -> Callable[[float], bool]:
        return lambda factor: bool(at(factor)) and at(factor)[place].verdict == "holds"

    found = []
    for place, judgement in enumerate(judgements):
        if judgement.verdict != "holds" or (judgement.kind or case.kind) == "control":
            found.append(judgement)
        elif all(judgement in at(1 + sign * LARGEST)[place : place + 1] for sign in (1, -1)):
            found.append(_noted(judgement, "a factor common to all predicted values would not be detected"))
        else:
            found.append(_with_error(judgement, smallest_error(holds(place))))
    return tuple(found)


def _with_error(judgement: Judgement, error: float) -> Judgement:
    """The judgement with the smallest error that it would have detected."""
    found = replace(judgement, smallest_error=error)
    if error <= ASKED:
        return found
    least = f"below {error:.0%}" if math.isfinite(error) else "of any size"
    return _noted(found, f"an error of the prediction {least} would not have been detected")


def _noted(judgement: Judgement, words: str) -> Judgement:
    return replace(judgement, note="; ".join(filter(None, (judgement.note, words))))


def smallest_error(holds: Callable[[float], bool]) -> float:
    """The ε from which on neither a factor of 1 + ε nor one of 1 − ε holds; infinite if one holds at the largest.

    What holds at a factor of 1 is taken to hold on an interval about it.

    >>> round(smallest_error(lambda factor: 0.97 < factor < 1.05), 2)
    0.05
    """
    return max(_where_it_ends(lambda error, sign=sign: holds(1 + sign * error)) for sign in (1, -1))  # type: ignore[misc]


def _where_it_ends(holds: Callable[[float], bool]) -> float:
    """The smallest error that does not hold, to within `ACCURACY` of itself and not below it."""
    low, high = LEAST, LARGEST
    if holds(high):
        return math.inf
    while high > (1 + ACCURACY) * low:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return high
