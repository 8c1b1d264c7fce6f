"""The two parts of a weight's variance in closed form: initial weights times a factor, and the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Parts:
    """τ_k = A_k² τ_k(0) + F_k after `step` updates, over units, networks, labels, rows and batches.

    w_t is regressed on the same weight before training: A_k = E[w_t w_0]/E[w_0²] along eigendirection k, and F_k is
    the variance of w_t − A_k w_0. Arrays of shape (k,), one entry per eigenspace.

    Attributes
    ----------
    step : int
    sigma : ndarray
        Data standard deviations, ascending.
    multiplicity : tuple of int, length k
    initial : ndarray
        τ(0).
    amplitude : ndarray
        A.
    mixed : ndarray
        The part of F that comes from initial weights: from those of other directions and units, and from the variation
        of A between rows, batches and output weights.
    labels : ndarray
        The part of F that labels have written.
    """

    step: int
    sigma: np.ndarray
    multiplicity: tuple[int, ...]
    initial: np.ndarray
    amplitude: np.ndarray
    mixed: np.ndarray
    labels: np.ndarray

    @property
    def carried(self) -> np.ndarray:
        """The carried part, A² τ(0)."""
        return self.amplitude**2 * self.initial

    @property
    def written(self) -> np.ndarray:
        """The written part, F."""
        return self.mixed + self.labels

    @property
    def tau(self) -> np.ndarray:
        """The variance, τ = A² τ(0) + F."""
        return self.carried + self.written


@dataclass(frozen=True, eq=False)
class Decomposition:
    """The decomposition that one closed form gives for one setting.

    Attributes
    ----------
    formula : str
        The form in the catalogue whose τ is decomposed.
    error_budget : float or None
        The largest error of A² τ(0) and F, relative to τ; None if exact.
    readings : tuple of Parts, one per step of the setting
    """

    formula: str
    error_budget: float | None
    readings: tuple[Parts, ...]
