"""When a row is used: the weight s^t = n/B · (how often it is in batch t), and its expectation given the past."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.network.dmft.problem import Problem


@dataclass(frozen=True, eq=False)
class Use:
    """The weights of N rows in one update, (N,) each.

    Attributes
    ----------
    drawn : ndarray
        s^t.
    expected : ndarray
        E[s^t | past], which reduces the noise of means that are linear in s^t.
    """

    drawn: np.ndarray
    expected: np.ndarray


class Batches:
    """Draws the use of N rows, update by update; E s = 1 throughout.

    ``epochs``: each epoch a row has one slot of K = ⌊n/B⌋, or is left over: not used before, its chance in batch p of
    the epoch is (B/n)/(1 − p B/n). ``fresh``: in every batch with chance B/n. ``replacement``: binomially often.
    """

    def __init__(self, problem: Problem, count: int, generator: np.random.Generator) -> None:
        self._share = problem.batch
        self._size = round(problem.batch * problem.samples)
        self._samples = problem.samples
        self._sampling = problem.training.sampling
        self._full = problem.fresh or (self._size == problem.samples and self._sampling != "replacement")
        self._count, self._generator = count, generator
        self._slots = np.zeros(count, int)

    def use(self, step: int) -> Use:
        """The use in update number `step`; to be called in order."""
        ones = np.ones(self._count)
        if self._full:
            return Use(ones, ones)
        if self._sampling == "replacement":
            counts = self._generator.binomial(self._size, 1 / self._samples, self._count)
            return Use(counts / self._share, ones)
        if self._sampling == "fresh":
            return Use((self._spread() < self._share) / self._share, ones)
        position = step % (self._samples // self._size)
        if position == 0:
            self._slots = np.floor(self._spread() / self._share + 1e-9).astype(int)
        expected = (self._slots >= position) / (1 - position * self._share)
        return Use((self._slots == position) / self._share, expected)

    def _spread(self) -> np.ndarray:
        """A uniform number per row, spread as evenly as possible."""
        return (self._generator.permutation(self._count) + self._generator.random()) / self._count
