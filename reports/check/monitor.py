"""Alignment as a number to log while a network trains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.check.data import samples
from reports.check.moments import data_moment
from reports.check.orientation import orientation_effect
from reports.check.verdict import VerdictMeasure
from reports.check.weights import filters
from theory.eigenspaces import Eigenspaces
from theory.errors import InvalidInput
from theory.misalignment import misalignment, null_floor


@dataclass(frozen=True, eq=False)
class Monitor:
    """The moments of a layer's input, to be compared with its weights repeatedly; made by `monitor`.

    Attributes
    ----------
    spaces : Eigenspaces
        The eigenspaces of the data's second moment, on the coordinates that vary.
    varies : ndarray of bool
        Which coordinates of a weight vector these are.
    quantity : "misalignment" or "orientation"
        What a call returns: M for layers with more weight vectors than dimensions, the orientation for all others.
    """

    spaces: Eigenspaces
    varies: np.ndarray
    quantity: VerdictMeasure

    def __call__(self, weights: Any) -> float:
        """`misalignment` or `orientation` of the layer's weights as they are now."""
        return self.misalignment(weights) if self.quantity == "misalignment" else self.orientation(weights)

    def misalignment(self, weights: Any) -> float:
        """M: 0 at alignment. Raises InvalidInput if the vectors do not span the space, where M is not defined."""
        return alignment_metric(self._seen(weights), self.spaces)

    def orientation(self, weights: Any) -> float:
        """The effect of `Orientation`: 1 at alignment, 0 on average in a random basis; finite for every layer."""
        return orientation_effect(self.spaces, self._seen(weights))

    def floor(self, vectors: int) -> float:
        """√E[M²] of as many independent, perfectly aligned vectors: the effect of sampling noise alone."""
        return math.sqrt(null_floor(self.spaces.multiplicity, vectors, draws=20_000).value)

    def _seen(self, weights: Any) -> np.ndarray:
        vectors = filters(weights).vectors
        if vectors.shape[1] != len(self.varies):
            raise InvalidInput("weights.shape", vectors.shape, f"must be (m, {len(self.varies)}), as the data are")
        return vectors[:, self.varies]


def monitor(weights: Any, rows: Any, *, dilation: int = 1, center: bool = False) -> Monitor:
    """A `Monitor` of a layer on its data (only the shape of the weights matters); arguments as in `check`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows, weights = rng.standard_normal((1000, 3)) * [1.0, 2.0, 3.0], rng.standard_normal((200, 3))
    >>> watch = monitor(weights, rows)
    >>> watch(weights * [2.0, 1.0, 3.0]) < 2 * watch.floor(200)
    True
    """
    layer = filters(weights)
    moment = data_moment(samples(rows, layer), dilation=dilation)
    many = len(layer.vectors) > int(moment.varies.sum())
    spaces = (moment.centre() if center else moment).eigenspaces()
    return Monitor(spaces, moment.varies, "misalignment" if many else "orientation")


def alignment_metric(weights: Any, spaces: Eigenspaces) -> float:
    """M of a layer's weights against given eigenspaces: 0 at alignment.

    `weights` (m, d) or (m, C, kh, kw), an array or a tensor on any device: one m d² product and one d × d
    eigenproblem, in float64. Raises InvalidInput for shapes that do not fit, NaN and inf, and for vectors that do not
    span the space, such as fewer than d of them: M is then not defined.
    """
    vectors = filters(weights).vectors
    if vectors.shape[1] != spaces.dimension:
        raise InvalidInput("weights.shape", vectors.shape, f"must be (m, {spaces.dimension}), as the eigenspaces are")
    try:
        return float(misalignment(spaces, vectors.T @ vectors / len(vectors)))
    except InvalidInput:  # finite and symmetric, so it is singular
        rule = f"span less than {spaces.dimension} dimensions, where M is not defined: log the orientation of a monitor"
        raise InvalidInput("weights", vectors.shape, rule) from None
