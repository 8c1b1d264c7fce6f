"""Ratios of running times measured in pairs: one after the other, again and again, so that a busy machine slows both.

CPU time is counted, not the clock, and the median over pairs is given with its 95 % interval from order
statistics, which assumes nothing about the noise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Ratio:
    """The median of paired ratios, and its interval."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3g} [{self.low:.3g}, {self.high:.3g}]"


def seconds(action: Callable[[], object]) -> float:
    """CPU time of all threads of this process."""
    start = time.process_time()
    action()
    return time.process_time() - start


def interleaved(actions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
    """CPU times (rounds,) of each action, run in turn."""
    for action in actions.values():
        action()
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            times[name].append(seconds(action))
    return {name: np.array(values) for name, values in times.items()}


def ratio(above: np.ndarray, below: np.ndarray, confidence: float = 0.95) -> Ratio:
    """above / below, pair by pair."""
    ratios = np.sort(above / below)
    count = len(ratios)
    first = int(stats.binom.ppf((1 - confidence) / 2, count, 0.5))
    return Ratio(float(np.median(ratios)), float(ratios[first]), float(ratios[count - 1 - first]))
