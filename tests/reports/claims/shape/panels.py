"""What the networks of a panel would have measured, had f been as it is made up here."""

from __future__ import annotations

import numpy as np

from reports.claims.shape.panel_networks import PanelCurves
from reports.claims.shape.published_panels import PUBLISHED
from reports.claims.shape.read_panels import LEFT_STOP, ReadPanel, stop


def planted(
    study: ReadPanel,
    off: float = 0.0,
    *,
    before: float = 0.02,
    noise: float = 1e-3,
    networks: int = 6,
    diverged: int = 0,
    seed: int = 0,
) -> PanelCurves:
    """Networks whose f lies `off` beside the published values, by turns above and below, where the panel is compared.

    Before, where there is an earlier reading, they lie `before` beside them.
    """
    published = PUBLISHED[study.panel.name]
    sigma = np.array(study.panel.diagonal)
    curve = np.interp(sigma, published.sigma, published.f)
    turns = np.where(np.arange(len(sigma)) % 2, 1.0, -1.0)
    turns[np.isin(sigma.round(3), published.sigma)] = np.where(np.arange(len(published.sigma)) % 2, 1.0, -1.0)
    rng = np.random.default_rng(seed)
    f = np.array([curve + each * turns for each in (before, off)])
    f = f[:, None] + noise * rng.normal(size=(2, networks, len(sigma)))
    initial = len(sigma) ** -0.5
    at = stop(study, (LEFT_STOP,))
    updates = (at // 4, at)
    return PanelCurves(initial, sigma, updates, f, f, networks + diverged, diverged)
