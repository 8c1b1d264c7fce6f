"""Predicted signs against realised ones: how many of those that are decided are right, and how many are by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports.judging.counts import binomial_tail
from reports.judging.intervals import share_interval
from reports.judging.rules import SEEN


@dataclass(frozen=True, eq=False)
class RealisedSigns:
    """Gains of k settings, as shares of the loss at the start, with standard errors and decided signs, each (k,).

    `signs` are 0 where undecided; `replicas` counts the trainings with pre-training.
    """

    gains: np.ndarray
    errors: np.ndarray
    signs: np.ndarray
    replicas: int
    diverged: int


@dataclass(frozen=True)
class SignCount:
    """How many of some settings have a decided sign, and how many of these the predicted one."""

    settings: int
    decided: int
    right: int

    @property
    def share(self) -> float | None:
        """The share of decided signs that are right; None if none is decided."""
        return self.right / self.decided if self.decided else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Clopper and Pearson's for the share."""
        return share_interval(self.right, self.decided)

    @property
    def wrong_by_chance(self) -> float:
        """The probability of as many wrong signs where all predictions are right.

        A sign is decided against the true one with half the size of the test.
        """
        return binomial_tail(self.decided - self.right, self.settings, SEEN / 2)


def count_signs(predicted: np.ndarray, realised: RealisedSigns, within: np.ndarray | None = None) -> SignCount:
    """The count over all settings, or those where `within` (k,)."""
    chosen = np.full(len(predicted), True) if within is None else within
    signs = realised.signs[chosen]
    decided = signs != 0
    return SignCount(len(signs), int(decided.sum()), int(((signs == np.sign(predicted[chosen])) & decided).sum()))


def shuffled_shares(predicted: np.ndarray, realised: RealisedSigns) -> tuple[float, float]:
    """The mean share right when predictions are shuffled over decided settings, and how often it is as large (Fisher).

    The number that agree is then 2N₊₊ plus a constant, N₊₊ hypergeometric: exact, no permutation is drawn.
    """
    decided = realised.signs != 0
    up, seen = predicted[decided] > 0, realised.signs[decided] > 0
    if not decided.any():
        return np.nan, 1.0
    mean = up.mean() * seen.mean() + (1 - up.mean()) * (1 - seen.mean())
    return float(mean), float(stats.hypergeom.sf((up & seen).sum() - 1, len(up), up.sum(), seen.sum()))
