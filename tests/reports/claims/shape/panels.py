"""What the networks of a panel would have measured, had f been as it is made up here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reports.claims.shape.panel_networks import BANDS, SEEDS, PanelCurves
from theory.shape import FALLS, RISES, RISES_THEN_FALLS

SHAPES = {FALLS: (5, 4, 3, 2, 1), RISES_THEN_FALLS: (2, 4, 3, 1, -1), RISES: (0, 3, 4, 4.6, 5)}


def planted(
    bands: Sequence[float] | np.ndarray,
    *,
    noise: float = 0.02,
    networks: int = 40,
    b: int = 1,
    reach: tuple[str, ...] = (),
    diverged: int = 0,
    seed: int = 0,
) -> PanelCurves:
    """What an ensemble would have measured, had τ/τ_0 − 1 in the bands been `bands`/10."""
    rng = np.random.default_rng(seed)
    initial = 30**-0.5
    tau = initial**2 * (1 + np.array(bands) / 10 + noise * rng.normal(size=(networks, BANDS)))
    curves = np.sqrt([part.mean(axis=0) for part in np.array_split(tau, SEEDS)]).repeat(6, axis=1)
    return PanelCurves(b, reach, initial, np.sqrt(np.arange(1, 31) / 10), curves, tau, networks, diverged)
