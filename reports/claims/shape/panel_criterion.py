"""The criterion of the linear model for the paper's three panels, at the time that suits it best; for F2."""

from __future__ import annotations

import numpy as np

from theory.errors import InvalidInput
from theory.linear.paper_panels import Reading, agreeing_times


def suitable_times(reading: Reading) -> tuple[float, float]:
    """The range of ηt, for a panel of 10,000 samples, in which the learned part has the paper's shape in all three.

    Raises
    ------
    InvalidInput
        If there is no such ηt.
    """
    window = agreeing_times(reading)
    if window is None:
        raise InvalidInput("reading", reading, "lets the criterion agree with all three panels at no time")
    return window


def most_suitable_time() -> float:
    """The middle, on a logarithmic scale, of the times that suit the diagonal read as variances."""
    first, last = suitable_times("variance")
    return float(np.sqrt(first * last))
