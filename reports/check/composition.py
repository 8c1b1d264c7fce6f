"""How much of a layer's Σ_w is transformed initial weights, and how much training has written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reports.check.weights import WeightVectors
from theory.decomposition import EstimatedParts, estimated_parts
from theory.eigenspaces import Eigenspaces
from theory.errors import InvalidInput

FEWEST = 3  # the fewest networks, or units, over which a standard error is taken


@dataclass(frozen=True, eq=False)
class Composition:
    """τ = A² τ(0) + F on every eigenspace of the data, and the share of the whole that training has written.

    Attributes
    ----------
    over : "networks" or "units"
        What the standard errors are computed over. Errors over units describe the units of these particular networks:
        another training may differ by more.
    parts : EstimatedParts
        The parts, in the scale of the weights as given; the eigenspaces are in the order of the transfer function.
    """

    over: Literal["networks", "units"]
    parts: EstimatedParts

    @property
    def initial(self) -> float:
        """tr Σ_0/d, the variance of a weight before training."""
        return float(np.average(self.parts.initial, weights=self.parts.multiplicity))

    @property
    def share(self) -> tuple[float, float, float]:
        """tr F/tr Σ_w, with the ends of its 95 % interval, all in [0, 1]: neither part can be negative."""
        return self._with_ends(self.parts.share, self.parts.share_error, 1.0)

    @property
    def gain(self) -> tuple[float, float, float]:
        """tr A² Σ_0/tr Σ_0, the factor of the variance of initial weights, with its 95 % interval, not negative."""
        return self._with_ends(self.parts.gain, self.parts.gain_error, np.inf)

    def _with_ends(self, value: float, error: float, most: float) -> tuple[float, float, float]:
        found, low, high = np.clip([value, *self.parts.interval(value, error)], 0.0, most)
        return float(found), float(low), float(high)


def composition(
    spaces: Eigenspaces,
    layers: Sequence[WeightVectors],
    initial: Sequence[WeightVectors],
    varies: np.ndarray,
    kept: Sequence[int],
) -> Composition:
    """The parts of the weights of networks with weights `initial` before training, one per network.

    `kept` are the indices of the independent ones. Means are over networks if there are three or more, otherwise over
    the units of all of them.

    Raises
    ------
    InvalidInput
        If there is not one set of initial weights per network, with its shape, or if they are 0 along a direction.
    """
    if len(initial) != len(layers):
        raise InvalidInput("initial", len(initial), f"must be given for each of {len(layers)} networks, in their order")
    for before, after in zip(initial, layers, strict=True):
        if before.vectors.shape != after.vectors.shape:
            rule = f"must have the shape of the trained weights, {after.vectors.shape}"
            raise InvalidInput("initial.shape", before.vectors.shape, rule)
    start, end = (np.stack([some[r].vectors[:, varies] @ spaces.basis for r in kept]) for some in (initial, layers))
    moments = [_along(spaces, a * b) for a, b in ((start, start), (start, end), (end, end))]
    over: Literal["networks", "units"] = "networks" if len(kept) >= FEWEST else "units"
    groups = [each.mean(axis=1) if over == "networks" else each.reshape(-1, each.shape[-1]) for each in moments]
    if len(groups[0]) < FEWEST:
        raise InvalidInput("initial", len(groups[0]), f"are of too few units: at least {FEWEST} are needed")
    return Composition(over, estimated_parts(*groups, multiplicity=spaces.multiplicity))


def _along(spaces: Eigenspaces, products: np.ndarray) -> np.ndarray:
    """Means over the directions of each eigenspace: (K, m, d) → (K, m, k)."""
    return np.stack([products[..., block].mean(axis=-1) for block in spaces.slices], axis=-1)
