"""The networks of the paper's three panels, Figure 20, or smaller ones of the same proportions, and f of them; for B5.

The caption names one diagonal both the covariance and the axis, so that every panel has two readings. The paper does
not say for how long it trains; 40 epochs are the last ones of its Figure 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.judging.changes import movements
from reports.judging.estimate import data_eigenspaces
from reports.judging.shape import mean_shape
from simulate.results import Simulation
from theory.eigenspaces import weight_variances
from theory.linear.paper_panels import PaperPanel, Reading
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

SEEDS, EPOCHS, BATCH = 5, 40, 100
RATE, MOMENTUM = 0.01, 0.9
BANDS = 5  # σ in five parts: neighbours in a diagonal of thirty differ by less than their noise
HIDDEN = {"left": (2048, 256), "middle": (2048, 256), "right": (256, 256)}


def panel_setting(panel: PaperPanel, reading: Reading, replicas: int) -> Setting:
    """A panel at full size, ten random classes, cross-entropy."""
    return Setting(
        data=Data(kind="gaussian", spectrum=tuple(panel.eigenvalues(reading).round(4).tolist()), samples=panel.samples),
        labels=Labels(kind="classes"),
        network=Network(kind="mlp", hidden=HIDDEN[panel.name], bias=True),
        training=Training(
            loss="cross-entropy",
            learning_rate=RATE,
            momentum=MOMENTUM,
            batch_size=BATCH,
            steps=(0, EPOCHS * panel.samples // BATCH),
        ),
        ensemble=Ensemble(replicas=replicas, dtype="float32"),
    )


@dataclass(frozen=True, eq=False)
class PanelCurves:
    """f after training.

    Attributes
    ----------
    b : int
        1 at full size; otherwise of a surrogate, so many times smaller.
    reach : tuple of str
        Where the surrogate's argument is known not to reach, in words; empty at full size.
    initial : float
        f_0, exact.
    sigma : ndarray, shape (k,)
    curves : ndarray, shape (5, k)
        f of the five seeds, each over its share of the networks.
    tau : ndarray, shape (R, 5)
        τ of every network in five bands of σ, ascending, its own initial weights' departure from τ_0 subtracted.
    replicas, diverged : int
        Diverged networks are in none of these; with fewer than five left all are NaN.
    """

    b: int
    reach: tuple[str, ...]
    initial: float
    sigma: np.ndarray
    curves: np.ndarray
    tau: np.ndarray
    replicas: int
    diverged: int

    @property
    def shape(self) -> str | None:
        """What simultaneous 99 % intervals of adjacent bands leave of the three shapes; "other" if none, or None."""
        if self.diverged:
            return None
        return mean_shape(self.tau)

    @property
    def bands(self) -> np.ndarray:
        """f in the bands, network by network to first order about the mean, (R, 5).

        f̄ + (τ_r − τ̄) / (2 f̄) with f̄ = sqrt(τ̄): its mean is f̄, and the mean of sqrt(τ_r) is lower.
        """
        mean = self.tau.mean(axis=0)
        f: np.ndarray = np.sqrt(mean) + (self.tau - mean) / (2 * np.sqrt(mean))
        return f

    @property
    def moved(self) -> float:
        """The largest relative change of τ in a band."""
        return float(np.max(np.abs(self.tau.mean(axis=0) / self.initial**2 - 1)))

    @property
    def seed_scatter(self) -> tuple[float, float]:
        """Scatter of f between seeds over its scatter along σ, and the jackknife's standard error over seeds.

        sd over seeds, root mean square over σ, over the sd along σ of the mean curve. Where the curve is flat the
        latter is noise alone, and the ratio near sqrt(5).
        """
        fewer = np.array([_scatter(np.delete(self.curves, seed, axis=0)) for seed in range(SEEDS)])
        error = np.sqrt((SEEDS - 1) * fewer.var())
        return _scatter(self.curves), float(error)


def _scatter(curves: np.ndarray) -> float:
    between = np.sqrt(curves.var(axis=0, ddof=1).mean())
    return float(between / curves.mean(axis=0).std(ddof=1))


def panel_curves(simulation: Simulation, b: int, reach: tuple[str, ...]) -> PanelCurves:
    """f of an ensemble, every block of which is one network, b times smaller than what it stands for."""
    spaces = data_eigenspaces(simulation)
    initial = movements(simulation)[0].initial
    before, after = (weight_variances(spaces, reading.second_moments) for reading in simulation.readings)
    sigma = np.sqrt(spaces.eigenvalues)
    curves, tau = np.full((SEEDS, len(sigma)), np.nan), np.full((SEEDS, BANDS), np.nan)
    if len(after) >= SEEDS:
        curves = np.sqrt([networks.mean(axis=0) for networks in np.array_split(after, SEEDS)])
        bands = [change.mean(axis=1) for change in np.array_split(after - before, BANDS, axis=1)]
        tau = initial + np.stack(bands, axis=1)
    return PanelCurves(b, reach, initial**0.5, sigma, curves, tau, simulation.replicas, simulation.diverged)
