"""Predictions and measurements of claim C5's settings that are made up, for tests of rules, tables and figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reports.claims.transfer.condition_design import HORIZONS, REPLICAS, SHORT
from reports.claims.transfer.condition_networks import MeasuredTransfer
from reports.claims.transfer.condition_predictions import PredictedTransfer

REAL = (*np.linspace(0.05, 0.3, 13), *np.linspace(-0.4, -0.05, 12))


def made_design(
    real: Sequence[float], predicted: Sequence[float], *, noise: float = 0.01, follow: float = 1.0, seed: int = 0
) -> tuple[PredictedTransfer, MeasuredTransfer]:
    """Settings of these mean gains at the short horizons, whose networks follow their own predictions as far as told.

    Loss is accuracy, the squared error says the opposite, cheap numbers say the same.
    """
    rng = np.random.default_rng(seed)
    each = noise * rng.standard_normal((len(real), REPLICAS))
    other = noise * rng.standard_normal((len(real), REPLICAS))
    each, other = (values - values.mean(axis=1, keepdims=True) for values in (each, other))
    seen, said = (np.full((len(real), len(HORIZONS), REPLICAS), np.nan) for _ in range(2))
    for h in range(SHORT):
        seen[:, h] = np.array(real)[:, None] + each
        said[:, h] = np.array(predicted)[:, None] + follow * each + (1 - abs(follow)) * other
    again = said.copy()
    again[:, 0] = np.nan
    cheap = said[:, 0]
    prediction = PredictedTransfer(said, said, again, again, -np.array(predicted), cheap, cheap, cheap, cheap)
    return prediction, MeasuredTransfer(seen, seen, len(real) * REPLICAS, 0)
