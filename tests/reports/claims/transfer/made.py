"""Effects that are made up, for tests of rules, tables and figures."""

from __future__ import annotations

import numpy as np

from reports.claims.transfer.digits import LAYER, NEW_OUTPUT
from reports.claims.transfer.effects import Effects
from reports.claims.transfer.map_effects import LinearisedGains, MappedEffects
from reports.claims.transfer.tangent_modes import TangentModes
from theory.transfer import KernelNumbers, MeanGain


def made(gains: dict[str, float], *, noise: float = 0.01, replicas: int = 12, active: float = 0.3) -> Effects:
    """Effects of given mean gains over scratch, with replicas that scatter."""
    generator = np.random.default_rng(3)
    base = 0.6 + noise * generator.standard_normal(replicas)
    accuracy = np.stack([base, *(base + gain + noise * generator.standard_normal(replicas) for gain in gains.values())])
    shares = np.full((len(accuracy), replicas, 2, 2), 0.5) + 0.01 * generator.standard_normal((replicas, 1, 1))
    shares[1:] += active - 0.5 + 0.001 * generator.standard_normal((len(gains), replicas, 1, 1))
    return Effects(
        treatments=("scratch", *gains),
        steps=np.array([0, 6]),
        curves=np.repeat(accuracy[:, :, None], 2, axis=2),
        accuracy=accuracy,
        active=shares,
        upstream_accuracy=np.ones(replicas),
        upstream_steps=np.full(replicas, 10),
        fitted=replicas,
        replicas=replicas,
        diverged=0,
    )


def modes_of_gains(gains: np.ndarray) -> tuple[TangentModes, TangentModes]:
    """Modes of pairs of networks; the second gains `gains` (k,), between −1 and 1, over the first at every step.

    Of the two modes of a network one never decays, and the other one has nothing left to lose.
    """
    curvature = np.tile([0.0, 1.0], (len(gains), 1))
    energies = (np.where(gains < 0, 1 + gains, 1.0), np.where(gains > 0, 1 - gains, 1.0))
    before, after = (TangentModes(curvature, np.stack([each, 0 * each], axis=1)) for each in energies)
    return before, after


def mapped(
    effects: Effects, predicted: float, *, loss: float = 0.3, squared: float | None = None, noise: float = 0.01
) -> MappedEffects:
    """The effects of a point of the maps, and what is predicted of its networks: by default the same by all ways."""
    init, kept = modes_of_gains(np.full(3, np.clip(predicted if squared is None else squared, -1.0, 1.0)))
    numbers = KernelNumbers(*np.tile(np.linspace(1.0, 1.1, effects.replicas), (3, 1)))
    return MappedEffects(
        **vars(effects),
        loss_gains=loss + noise * np.resize([1.0, -1.0], effects.replicas),
        linearised=LinearisedGains(one_gain(predicted), one_gain(loss), one_gain(predicted)),
        before=numbers,
        after=numbers,
        readings=(0, 6),
        init=init,
        kept=kept,
    )


def one_gain(value: float) -> MeanGain:
    """The mean gain of a single network, which has no standard error."""
    return MeanGain(np.array([value]), value, None)


def scattered(gain: float, *, noise: float, predicted: float, loss: float, squared: float) -> MappedEffects:
    """Eight replicas that gain about as much over scratch, every second one more, and what is predicted of them."""
    scratch = 0.6 + 0.01 * np.random.default_rng(1).standard_normal(8)
    accuracy = np.stack([scratch, scratch + gain + noise * np.resize([1.0, -1.0], 8)])
    effects = Effects(
        treatments=("scratch", "pretrained"),
        steps=np.array([0, 6]),
        curves=np.repeat(accuracy[:, :, None], 2, axis=2),
        accuracy=accuracy,
        active=np.full((2, 8, 2, 2), 0.5),
        upstream_accuracy=np.ones(8),
        upstream_steps=np.full(8, 10),
        fitted=8,
        replicas=8,
        diverged=0,
    )
    return mapped(effects, predicted, loss=loss, squared=squared, noise=noise)


PLAIN = made({"pretrained": 0.1, "rescaled": 0.05})
ALL = made({"pretrained": 0.2, "rescaled": 0.1, NEW_OUTPUT: 0.15, LAYER: 0.1, "first-layers 1": 0.12,
            "covariance": 0.09, "recursive": 0.12, "spectrum": 0.0, "eigenvectors": 0.01})  # fmt: skip
