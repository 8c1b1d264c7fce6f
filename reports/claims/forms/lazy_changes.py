"""Changes of τ of order 1/m, measured to a small fraction of themselves in networks of one hidden layer.

Between neurons m(v·w)² fluctuates by a thousand times the change that a theory of order 1/m is about. The variates of
`lazy_variates` are subtracted in every replica; their mean is estimated from networks that are not trained, and added
again with its own error. The estimate is unbiased whatever training does, and asks nothing of the theory; the closer
training stays to the kernel limit, the smaller its error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

import simulate
from reports.claims.forms.lazy_variates import (
    BLOCKS,
    SET_APART,
    Variates,
    activate,
    felt_rows,
    mean_of_variates,
    neurons_of,
    pilot_variates,
)
from theory.setting import Setting

NEURONS = 8192  # the most neurons that are trained at once: some tens of MB for sixty rows


@dataclass(frozen=True, eq=False)
class Changes:
    """Estimates of m(τ − s_0²) along d directions, in two independent parts that add up.

    Attributes
    ----------
    steps : tuple of int, length r
    sigma : ndarray, shape (d,)
        The root mean square of the rows along each direction.
    values : ndarray, shape (R, r, d)
        The estimates of every trained replica, less its variates; replicas that diverged are left out.
    means : ndarray, shape (B, r, d)
        The mean of the variates, from independent blocks of networks that are not trained.
    diverged : int
    """

    steps: tuple[int, ...]
    sigma: np.ndarray
    values: np.ndarray
    means: np.ndarray
    diverged: int

    @property
    def replicas(self) -> int:
        """How many were trained, diverged ones included."""
        return len(self.values) + self.diverged

    @property
    def degrees(self) -> int:
        """The degrees of freedom of the standard errors: those of the smaller part, which is on the safe side."""
        return min(len(self.values), len(self.means)) - 1

    @property
    def change(self) -> np.ndarray:
        """The change along every direction at every reading, (r, d)."""
        return np.asarray(self.values.mean(axis=0) + self.means.mean(axis=0))

    def covariance(self, reading: int) -> np.ndarray:
        """The covariance of the errors of the change at one reading, (d, d)."""
        parts = (np.cov(part[:, reading], rowvar=False) / len(part) for part in (self.values, self.means))
        return np.asarray(sum(parts))


def measure_changes(
    setting: Setting, first: int = 0, directions: np.ndarray | None = None, *, blocks: int = BLOCKS
) -> Changes:
    """Train the ensemble of a setting with fixed rows and one hidden layer, by full-batch descent, at any width.

    Its replicas are numbered from `first`: ensembles of several widths on the same rows are independent where their
    numbers differ by more than twice `SET_APART`. `directions` (d, d), orthonormal columns, are the eigenvectors of
    X'X/n if None. The error of the variates' mean is known from `blocks` independent ones at least.
    """
    rows = simulate.rows(setting)
    moment = rows.T @ rows / len(rows)
    if directions is None:
        directions = np.linalg.eigh(moment)[1]
    (width,) = setting.network.widths
    variates = pilot_variates(setting, first + SET_APART, directions)
    means = mean_of_variates(setting, variates, first + SET_APART + SET_APART // 2, directions, blocks)
    per, total = max(1, NEURONS // width), setting.ensemble.replicas
    parts = [
        _estimates(setting, range(first + i, first + min(i + per, total)), directions, variates)
        for i in range(0, total, per)
    ]
    values = np.concatenate(parts)
    finite = np.isfinite(values).all(axis=(1, 2))
    return Changes(
        steps=setting.training.readings,
        sigma=np.sqrt(np.maximum(np.sum(directions * (moment @ directions), axis=0), 0.0)),
        values=values[finite],
        means=means,
        diverged=int(total - finite.sum()),
    )


def _estimates(setting: Setting, replicas: range, directions: np.ndarray, variates: Sequence[Variates]) -> np.ndarray:
    """m[(v·w_t)² − (v·w_0)²] of some replicas, averaged over neurons, less the variates, (R, r, d).

    In the precision of the ensemble: weights move by far more than the rounding of single precision.
    """
    dtype = getattr(torch, setting.ensemble.dtype)
    inputs = simulate.replica_inputs(setting, list(replicas)).to(torch.device("cpu"), dtype)
    trained = simulate.train(setting, inputs)
    start, turn = inputs.parameters[0].numpy(), torch.tensor(directions, dtype=dtype).numpy()
    drawn, x = neurons_of(setting, inputs, turn), felt_rows(setting, directions).astype(start.dtype)
    w, a, m = drawn.w, drawn.a, drawn.w.shape[1]
    h, gates = activate(setting.network.activation, w @ x.T)
    root = float(np.sqrt(m))
    residual = drawn.y - a @ h / root
    found = []
    for step, variate in zip(setting.training.readings, variates, strict=True):
        along, forms = variate.a.astype(start.dtype), variate.forms.astype(start.dtype)
        drive = a.transpose(0, 2, 1) @ (residual @ along) / root
        moved = (drive * gates) @ x
        own = -(drawn.energies[:, :, None] / m * (h @ along) * gates) @ x
        went = (trained[step][0].numpy() - start) @ turn
        squares = went * (went + 2 * w)
        change = m * (squares - (moved - own) ** 2 - 2 * w * moved).mean(axis=1)
        second = np.einsum("rca,vab,rcb->rv", residual, forms, residual, optimize=True)
        found.append(change - second)
    return np.stack(found, axis=1).astype(np.float64)
