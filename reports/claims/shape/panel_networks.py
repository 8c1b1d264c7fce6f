"""The networks of the paper's three panels, Figure 20, at full size, and f of them; for B5.

The paper gives neither learning rate nor batches nor duration. Momentum 0.9 and batches of 256 are those of its other
figures; the learning rate and the number of updates were fitted to the middle panel, its diagonal read as standard
deviations, on networks that no report uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reports.judging.changes import movements
from reports.judging.estimate import data_eigenspaces
from simulate.results import Simulation
from theory.eigenspaces import weight_variances
from theory.linear.paper_panels import PanelName, PaperPanel, Reading
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

RATE, MOMENTUM, BATCH = 0.04, 0.9, 256
HIDDEN: Mapping[PanelName, tuple[int, int]] = {"left": (2048, 256), "middle": (2048, 256), "right": (256, 256)}


def panel_setting(panel: PaperPanel, reading: Reading, updates: tuple[int, ...], replicas: int) -> Setting:
    """A panel's networks, ten random classes, cross-entropy, read before training and after so many updates."""
    return Setting(
        data=Data(kind="gaussian", spectrum=tuple(panel.eigenvalues(reading).round(4).tolist()), samples=panel.samples),
        labels=Labels(kind="classes"),
        network=Network(kind="mlp", hidden=HIDDEN[panel.name], bias=True),
        training=Training(
            loss="cross-entropy", learning_rate=RATE, momentum=MOMENTUM, batch_size=BATCH, steps=(0, *updates)
        ),
        ensemble=Ensemble(replicas=replicas, dtype="float32"),
    )


@dataclass(frozen=True, eq=False)
class PanelCurves:
    """f along training.

    Attributes
    ----------
    initial : float
        f_0, exact.
    sigma : ndarray, shape (k,)
        The axis of the paper: the diagonal as it lists it, whichever reading was trained.
    updates : tuple of int, length T
    f : ndarray, shape (T, R, k)
        The f of every network, f_0 sqrt(τ/τ(0)): relative to its own initial weights, whose noise is most of its
        scatter. In wide networks its mean is that of sqrt(τ), to order 1/m.
    scatter : ndarray, shape (T, R, k)
        sqrt(τ), as it is.
    replicas, diverged : int
        Diverged networks are in none of these.
    """

    initial: float
    sigma: np.ndarray
    updates: tuple[int, ...]
    f: np.ndarray
    scatter: np.ndarray
    replicas: int
    diverged: int

    @property
    def networks(self) -> int:
        """R, those that did not diverge."""
        return int(self.f.shape[1])


def panel_curves(simulation: Simulation, panel: PaperPanel) -> PanelCurves:
    """f of an ensemble whose first reading is of initial weights; every block is a single network."""
    spaces = data_eigenspaces(simulation)
    initial = movements(simulation)[0].initial
    before, *after = (weight_variances(spaces, reading.second_moments) for reading in simulation.readings)
    plain = np.sqrt(np.array(after))
    return PanelCurves(
        initial=initial**0.5,
        sigma=np.array(panel.diagonal),
        updates=tuple(reading.step for reading in simulation.readings[1:]),
        f=initial**0.5 * plain / np.sqrt(before),
        scatter=plain,
        replicas=simulation.replicas,
        diverged=simulation.diverged,
    )
