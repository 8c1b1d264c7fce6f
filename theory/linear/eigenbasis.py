"""A linear model with fixed rows, written in the eigenbasis of S = X'X/n, where every mean update is diagonal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from theory.eigenspaces import Eigenspaces, eigenspaces
from theory.linear.hypotheses import data_factor, init_variances, label_variance
from theory.linear.propagators import propagators
from theory.prediction import PredictedReading
from theory.setting import Setting


@dataclass(frozen=True, eq=False)
class Eigenbasis:
    """Everything that the forms with fixed rows need, in coordinates in which S is diagonal, ascending.

    Directions outside the row space come first: no gradient reaches the weights there.

    Attributes
    ----------
    setting : Setting
    spaces : Eigenspaces
        The eigenspaces of the undivided X'X/n.
    sigma : ndarray, shape (k,)
        Square roots of the eigenvalues of X'X/n, those below its rounding error counted as zero.
    s : ndarray, shape (d,)
        Eigenvalues of S in units of the raw weights (X'X/n, in ntk over d), each repeated by its multiplicity.
    initial : ndarray, shape (d, d)
        Σ_0; exactly diagonal if isotropic.
    rows : ndarray, shape (n, r)
        The rows (in ntk over √d) along the r directions with s > 0, the last ones.
    sigma_y2 : float
        The label variance.
    """

    setting: Setting
    spaces: Eigenspaces
    sigma: np.ndarray
    s: np.ndarray
    initial: np.ndarray
    rows: np.ndarray
    sigma_y2: float

    @property
    def samples(self) -> int:
        """The number of rows, n."""
        return len(self.rows)

    @property
    def reached(self) -> slice:
        """The r coordinates with s > 0."""
        return slice(len(self.s) - self.rows.shape[1], len(self.s))

    @property
    def h(self) -> np.ndarray:
        """s + λ, shape (d,)."""
        return self.s + self.setting.training.weight_decay

    def full_batch(self, steps: tuple[int, ...] | range) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """p_t, q_t, both (t, d), and the label part (σ_y²/n) s q_t², of full-batch training with these rows."""
        p, q = propagators(self.setting.training, self.h, steps)
        with np.errstate(over="ignore", invalid="ignore"):
            return p, q, self.sigma_y2 / self.samples * self.s * q**2

    def full_batch_path(
        self, start: int, stop: int, stride: int = 1
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """`full_batch` at t = start, start + stride, … < stop, one t after the other, a thousand of them in memory."""
        steps = range(start, stop, stride)
        for first in range(0, len(steps), 1024):
            yield from zip(*self.full_batch(steps[first : first + 1024]), strict=True)

    def averaged(self, diagonal: np.ndarray) -> np.ndarray:
        """The mean over each eigenspace of a diagonal (..., d) → (..., k)."""
        return np.stack([diagonal[..., block].mean(axis=-1) for block in self.spaces.slices], axis=-1)

    def reading(self, step: int, moment: np.ndarray) -> PredictedReading:
        """A reading from Σ_w (d, d) in these coordinates."""
        tau = self.averaged(moment.diagonal())
        with np.errstate(over="ignore", invalid="ignore"):
            second_moment = self.spaces.basis @ moment @ self.spaces.basis.T
            second_moment = (second_moment + second_moment.T) / 2
        return PredictedReading(
            step, self.sigma, self.spaces.multiplicity, tau, second_moment, np.zeros(self.spaces.dimension)
        )

    def diagonal_reading(self, step: int, diagonal: np.ndarray) -> PredictedReading:
        """A reading from the variances v_iᵀ Σ_w v_i alone, (d,)."""
        mean = np.zeros(self.spaces.dimension)
        return PredictedReading(step, self.sigma, self.spaces.multiplicity, self.averaged(diagonal), None, mean)


def in_eigenbasis(setting: Setting, rows: np.ndarray) -> Eigenbasis:
    """The model of a setting with fixed rows (n, d), in the eigenbasis of X'X/n."""
    samples, dimension = rows.shape
    factor = data_factor(setting, dimension)
    spaces = eigenspaces(rows.T @ rows / samples)
    eigenvalues = np.where(spaces.eigenvalues <= spaces.gap, 0.0, spaces.eigenvalues)
    s = np.repeat(eigenvalues, spaces.multiplicity) * factor
    variances = init_variances(setting, dimension)
    isotropic = np.all(variances == variances[0])
    initial = np.diag(variances) if isotropic else spaces.basis.T @ (variances[:, None] * spaces.basis)
    seen = np.sqrt(factor) * rows @ spaces.basis[:, s > 0]
    return Eigenbasis(setting, spaces, np.sqrt(eigenvalues), s, initial, seen, label_variance(setting.labels))
