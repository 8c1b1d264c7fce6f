"""What trained first-layer weights are made of, measured: how they overlap with their initial values; for B6."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulate.initial_overlaps import InitialOverlaps
from theory.decomposition import EstimatedParts, estimated_parts
from theory.eigenspaces import eigenspaces
from theory.errors import Diverged

BANDS = 5  # the number of bands into which σ is divided, ascending
MOST_GROUPS = 512


@dataclass(frozen=True, eq=False)
class OverlapEvidence:
    """Means within G groups of networks, one network each where there are few, and along k eigenspaces.

    Attributes
    ----------
    steps : tuple of int, length T
    sigma : ndarray, shape (k,)
    multiplicity : tuple of int, length k
    initial : ndarray, shape (G, k)
        The means of w_0².
    cross, trained : ndarray, shape (G, T, k)
        The means of w_0 w_t and of w_t².
    replicas, diverged : int
    b : int
        1, or how many times smaller than the networks of the case these are.
    """

    steps: tuple[int, ...]
    sigma: np.ndarray
    multiplicity: tuple[int, ...]
    initial: np.ndarray
    cross: np.ndarray
    trained: np.ndarray
    replicas: int
    diverged: int
    b: int = 1

    def parts(self, reading: int) -> EstimatedParts:
        """A and F of every eigenspace at the reading of that place."""
        return estimated_parts(*self._at(reading), multiplicity=self.multiplicity)

    def bands(self, reading: int) -> EstimatedParts:
        """A and F of `BANDS` equally many neighbouring eigenspaces."""
        return estimated_parts(*(_banded(each) for each in self._at(reading)))

    def _at(self, reading: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if len(self.initial) < 2:
            raise Diverged("networks", len(self.initial), "must be two at least that do not diverge")
        return self.initial, self.cross[:, reading], self.trained[:, reading]


def _banded(values: np.ndarray) -> np.ndarray:
    """(G, k) → (G, BANDS)."""
    return np.stack([part.mean(axis=1) for part in np.array_split(values, BANDS, axis=1)], axis=1)


def overlap_evidence(overlaps: InitialOverlaps, b: int = 1) -> OverlapEvidence:
    """Directions averaged over eigenspaces, networks over at most `MOST_GROUPS` groups of equal size.

    Networks that are left over, some of those that would be one more in each group, are left out.
    """
    spaces = eigenspaces(overlaps.data_moment, gap=1e-9)
    networks = len(overlaps.initial)
    size = -(-networks // MOST_GROUPS) if networks else 1
    groups = networks // size

    def grouped(values: np.ndarray) -> np.ndarray:
        joined = np.stack([values[..., block].mean(axis=-1) for block in spaces.slices], axis=-1)
        found: np.ndarray = joined[: groups * size].reshape(groups, size, *joined.shape[1:]).mean(axis=1)
        return found

    return OverlapEvidence(
        steps=overlaps.setting.training.readings,
        sigma=np.sqrt(np.maximum(spaces.eigenvalues, 0)),
        multiplicity=spaces.multiplicity,
        initial=grouped(overlaps.initial),
        cross=grouped(overlaps.cross),
        trained=grouped(overlaps.trained),
        replicas=overlaps.replicas,
        diverged=overlaps.diverged,
        b=b,
    )
