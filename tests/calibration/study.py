"""How often a test rejects what is true and an interval covers it: counted, and held against what is declared.

A study is one procedure in one setting. Its draws are independent: draw i has a generator of its own, seeded by the
names of the study and i, so that studies may be added, reordered and run in any number of processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
from scipy.stats import binom, binomtest

FALSE_ALARM = 1e-6  # of one study whose procedure keeps its word

# what is counted, and which side of the declared rate breaks the promise
Promise = Literal["size", "coverage", "power", "power at least"]


@dataclass(frozen=True)
class Study:
    """One procedure in one setting.

    Attributes
    ----------
    procedure : str
        The public name, as users call it.
    setting : str
        What is drawn, in a few words: replicas, dimension, law.
    promise : "size", "coverage", "power" or "power at least"
        The rate of false rejections is at most `declared`; an interval covers at least so often; a discrepancy of the
        size that the procedure names is found so often, to within `slack`, or at least so often, less `slack`.
    declared : float
    draw : callable, Generator → bool
        One draw: whether the test rejected, the interval covered, the discrepancy was found.
    draws : int
    slack : float
        For power: how far the realised one may lie from the declared one, on both sides.
    outside : str
        Why nothing is promised in this setting; empty where the promise is made. The rate is shown, not judged.
    """

    procedure: str
    setting: str
    promise: Promise
    declared: float
    draw: Callable[[np.random.Generator], bool]
    draws: int = 2000
    slack: float = 0.03
    outside: str = ""

    def generator(self, index: int) -> np.random.Generator:
        """The random numbers of one draw."""
        name = blake2b(f"{self.procedure}|{self.setting}|{self.promise}".encode(), digest_size=8).digest()
        return np.random.default_rng([int.from_bytes(name), index])


@dataclass(frozen=True)
class Rate:
    """How often it happened."""

    study: Study
    hits: int
    draws: int

    @property
    def share(self) -> float:
        return self.hits / self.draws

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's 95 % interval."""
        low, high = binomtest(self.hits, self.draws).proportion_ci(0.95, "exact")
        return float(low), float(high)

    @property
    def kept(self) -> bool:
        """Whether the count is what a procedure that keeps its word would give, at `FALSE_ALARM`."""
        declared, slack = self.study.declared, self.study.slack
        too_many = binom.sf(
            self.hits - 1, self.draws, min(1.0, declared + (slack if self.study.promise == "power" else 0))
        )
        too_few = binom.cdf(self.hits, self.draws, declared - (slack if self.study.promise.startswith("power") else 0))
        if self.study.promise == "size":
            return bool(too_many > FALSE_ALARM)
        if self.study.promise in ("coverage", "power at least"):
            return bool(too_few > FALSE_ALARM)
        return bool(min(too_many, too_few) > FALSE_ALARM / 2)


def count(study: Study, draws: int | None = None) -> Rate:
    """Draw the study as often as it asks, or `draws` times."""
    total = study.draws if draws is None else draws
    return Rate(study, sum(bool(study.draw(study.generator(i))) for i in range(total)), total)
