"""Second moments summed in a fixed number of blocks: memory stays fixed, and bits do not depend on the order.

Replica r belongs to block r mod K. A block adds up its replicas range by range, in the order of replicas, so an
ensemble that grows, or is computed in other portions or by several processes, has the same sums.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simulate.results import SimulatedReading


def block_count(dimension: int) -> int:
    """K = 2^24 // d² kept within 32 … 512: 128 MiB of second moments per reading up to d = 724, beyond 256 d² bytes.

    Standard errors are taken between blocks. With fewer than 32 the quantiles of Student's law at the level of exact
    claims, 1e-6 over all directions, are twice those of the normal law, and more replicas do not make up for that.
    These are 256 MiB at d = 1,024.

    >>> block_count(6), block_count(256), block_count(2000)
    (512, 256, 32)
    """
    return min(max(2**24 // dimension**2, 32), 512)


class Blocks:
    """Sums over replicas, for one reading.

    Parameters
    ----------
    step : int
    dimension : int
        d, the length of a first-layer weight vector.
    blocks : int
        K; fewer are kept where there are fewer replicas.
    """

    def __init__(self, step: int, dimension: int, blocks: int) -> None:
        self.step = step
        self.counts = np.zeros(blocks, dtype=np.int64)
        self.second_moments = np.zeros((blocks, dimension, dimension))
        self.means = np.zeros((blocks, dimension))
        self.losses = np.zeros(blocks)

    def add(
        self, first: int, second_moments: np.ndarray, means: np.ndarray, losses: np.ndarray, kept: np.ndarray
    ) -> None:
        """Add replicas first, first + 1, …: (r, d, d), (r, d), (r,); those not `kept` (r,) are left out."""
        blocks = len(self.counts)
        start = 0
        while start < len(kept):
            # As many replicas as fall into different blocks are added at once.
            block = (first + start) % blocks
            stop = min(start + blocks - block, len(kept))
            here, there = np.arange(start, stop)[kept[start:stop]], slice(block, block + stop - start)
            into = np.arange(block, block + stop - start)[kept[start:stop]]
            self.counts[there] += kept[start:stop]
            self.second_moments[into] += second_moments[here]
            self.means[into] += means[here]
            self.losses[into] += losses[here]
            start = stop

    def fold(self, other: Blocks, first: int, slots: int) -> None:
        """Add the first `slots` slots of a range that begins with replica `first`; there are no more of them than K."""
        into = (first + np.arange(slots)) % len(self.counts)
        self.counts[into] += other.counts[:slots]
        self.second_moments[into] += other.second_moments[:slots]
        self.means[into] += other.means[:slots]
        self.losses[into] += other.losses[:slots]

    def reading(self) -> SimulatedReading:
        """Block means, without the blocks that hold no replica."""
        kept = self.counts > 0
        counts = self.counts[kept]
        return SimulatedReading(
            self.step,
            counts,
            self.second_moments[kept] / counts[:, None, None],
            self.means[kept] / counts[:, None],
            self.losses[kept] / counts,
        )


class Sums:
    """Sums over the replicas first, first + 1, …, last − 1 of one range, at every reading.

    Parameters
    ----------
    steps : sequence of int
        The readings.
    dimension : int
        d.
    first : int
        The range's first replica; replica r is added to slot (r − first) mod `slots`.
    slots : int
        The range's length, or K where that is less: in either case a slot lies within one block.
    """

    def __init__(self, steps: Sequence[int], dimension: int, first: int, slots: int) -> None:
        self.first = first
        self.replicas = 0
        self.readings = tuple(Blocks(step, dimension, slots) for step in steps)

    @property
    def last(self) -> int:
        return self.first + self.replicas

    @property
    def used(self) -> int:
        """How many slots hold replicas."""
        return min(self.replicas, len(self.readings[0].counts))

    @property
    def diverged(self) -> int:
        return self.replicas - int(self.readings[0].counts.sum())

    def add(self, moments: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], kept: np.ndarray) -> None:
        """Add the next replicas; for every reading (r, d, d), (r, d), (r,), those not `kept` (r,) left out of all."""
        for blocks, (second_moments, means, losses) in zip(self.readings, moments, strict=True):
            blocks.add(self.replicas, second_moments, means, losses, kept)
        self.replicas += len(kept)

    def shortened(self, last: int) -> Sums | None:
        """The same sums without the replicas from `last` on; None where slots have already added up several."""
        if self.replicas > self.used:
            return None
        steps = [blocks.step for blocks in self.readings]
        slots, dimension = self.readings[0].means.shape
        short = Sums(steps, dimension, self.first, slots)
        short.replicas = last - self.first
        for mine, theirs in zip(short.readings, self.readings, strict=True):
            mine.fold(theirs, 0, short.replicas)
        return short
