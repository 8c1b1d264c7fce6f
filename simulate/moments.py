"""Second moments summed in a fixed number of blocks: memory doesn't grow with the replicas, nor bits with their order.

Replica r belongs to block r mod K. Within a block sums are added in the order of replicas, so an ensemble that grows,
or is computed in other portions, has the same sums.
"""

from __future__ import annotations

import numpy as np

from simulate.results import SimulatedReading


def block_count(dimension: int) -> int:
    """K = 2^24 // d² kept within 16 … 512: 128 MiB of second moments per reading, unless d exceeds 1024.

    >>> block_count(6), block_count(256), block_count(2000)
    (512, 256, 16)
    """
    return min(max(2**24 // dimension**2, 16), 512)


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
