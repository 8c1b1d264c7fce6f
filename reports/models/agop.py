"""Is a layer aligned with its AGOP, the average outer product of the gradients of the outputs by its input?

The AGOP of a layer is WᵀKW, where K is the mean outer product of the gradients with respect to the layer's own outputs.
It shares W with WᵀW, so even random weights of many units make the two similar. The test is therefore whether they are
more similar than WᵀW and WᵀUKUᵀW, with U a random rotation of the units: is the layer large in the directions to which
the outputs respond?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reports.check.verdict import LEVEL, LayerVerdict
from theory.features import correlation
from theory.symmetry import haar

DRAWS = 199
LARGEST = 1024  # units: rotations of more would take minutes
HELD = 2**22  # numbers of the rotations that are drawn at once
ROUNDING = 1e-9
With = Literal["both", "data", "AGOP", "neither", "undecided"]


@dataclass(frozen=True)
class AgopAgreement:
    """The similarity of a layer's WᵀW and AGOP, averaged over networks.

    Attributes
    ----------
    correlation : float
        Correlation of WᵀW and WᵀKW, both without their multiples of the identity.
    chance : float
        Its mean over random rotations of the units.
    effect : float
        (correlation − chance)/(1 − chance): 0 by chance, 1 if they are proportional.
    pvalue : float
        For the hypothesis that the gradients are independent of W's left singular vectors: one-sided, .005 or more.
    """

    correlation: float
    chance: float
    effect: float
    pvalue: float

    @property
    def aligned(self) -> bool:
        """Whether they are more similar than by chance."""
        return self.pvalue <= LEVEL


def agreement(
    weights: Sequence[np.ndarray], sensitivities: Sequence[np.ndarray], *, seed: int = 0
) -> AgopAgreement | None:
    """Compare W (m, d) with K (m, m), one of each per network; None if there is nothing to compare.

    This is so if a layer has one unit, one direction, more than `LARGEST` units, no influence on the output, or a K
    that is a multiple of the identity, as in the last layer.
    """
    m, d = weights[0].shape
    if not (1 < m <= LARGEST and d > 1) or not all(np.any(k) for k in sensitivities):
        return None
    generator = np.random.default_rng(seed)
    likeness, by_chance = 0.0, np.zeros(DRAWS)
    at_once = max(1, HELD // (m * max(m, d)))
    for w, k in zip(weights, sensitivities, strict=True):
        n = w.T @ w
        likeness += float(_likeness(n, w.T @ k @ w)) / len(weights)
        columns = min(m, d)  # only the frame of W's columns matters
        r = np.linalg.qr(w)[1] if m > d else w
        for first in range(0, DRAWS, at_once):
            frames = haar(generator, m, min(at_once, DRAWS - first), columns)
            turned = frames @ r
            by_chance[first : first + at_once] += _likeness(n, turned.mT @ k @ turned) / len(weights)
    chance = float(by_chance.mean())
    if chance > 1 - ROUNDING:
        return None
    pvalue = (1 + np.count_nonzero(by_chance >= likeness - ROUNDING)) / (DRAWS + 1)
    return AgopAgreement(likeness, chance, (likeness - chance) / (1 - chance), float(pvalue))


def aligned_with(verdict: LayerVerdict, found: AgopAgreement | None) -> With:
    """Whether a layer is aligned with its data, its AGOP, both or neither, from the verdict on the data.

    >>> aligned_with("partly aligned", AgopAgreement(0.9, 0.5, 0.8, 0.005))
    'both'
    """
    data = verdict in ("aligned", "partly aligned")
    if found is not None and found.aligned:
        return "both" if data else "AGOP"
    if found is None:
        return "undecided"
    return "data" if data else "neither" if verdict == "not aligned" else "undecided"


def _likeness(n: np.ndarray, a: np.ndarray) -> np.ndarray:
    """The correlation of N with matrices (..., d, d), without multiples of the identity; 0 if nothing else is left."""
    return np.nan_to_num(correlation(np.broadcast_to(n, a.shape), (a + a.mT) / 2, traceless=True))
