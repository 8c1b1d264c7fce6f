"""The signs on the maps of claim C3, predicted by the tangent kernels of pretrained networks, against what happens.

An estimate. The condition is that of `theory.transfer.linearised_transfer` on each network and its own init: squared
error on a few of the downstream rows, full-batch descent, the kernel fixed. The maps are of train accuracy under
cross-entropy, in mini-batches with momentum, by networks whose kernels move; and accuracy, unlike the squared error,
does not depend on how large the outputs are when training begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.claims.claim import Case, Context
from reports.claims.transfer.effects import Effects, effects_of
from reports.claims.transfer.sign_counts import RealisedSigns, count_signs, shuffled_shares
from reports.claims.transfer.tangent_gains import silent
from reports.claims.transfer.tangent_modes import TangentModes, modes_of, predicted_gain, stacked
from reports.findings import OUTSIDE, Judgement
from simulate.devices import resolve
from simulate.labels import one_hot
from simulate.transfer.experiment import Engine, Trained
from theory.errors import Diverged
from theory.setting import Training

ROWS, NETWORKS = 20, 3  # downstream rows, and networks of each point, whose kernels are computed
RATE = 0.5  # downstream, in units of the largest curvature κ/n of both networks: on the squared error the maps' diverge


@dataclass(frozen=True, eq=False)
class MappedEffects(Effects):
    """The effects of one point of the maps, and the tangent kernels of its first networks.

    Attributes
    ----------
    readings : tuple of int
        The steps downstream over which gains are averaged.
    init, kept : TangentModes
        Of k networks before upstream training and after it, (k, nC).
    """

    readings: tuple[int, ...]
    init: TangentModes
    kept: TangentModes

    @property
    def predicted(self) -> np.ndarray:
        """The gain in loss of k networks over their own inits, averaged over downstream training, (k,).

        T⁻¹ ∫ (L_t⁰ − L_t) dt, by trapezoids over the readings, as a share of the larger of both losses at the start.
        """
        gains, steps = [], self.readings
        for kept, init in zip(self.kept, self.init, strict=True):
            rate = RATE / max(kept.curvature.max(), init.curvature.max())
            gain = predicted_gain(kept, init, Training(learning_rate=rate, steps=steps))
            gains.append(np.trapezoid(gain, steps) / (steps[-1] - steps[0]))
        return np.array(gains)


def measure_mapped(case: Case[Any], context: Context) -> MappedEffects:
    """Train the networks of a point once: kernels are those of the networks whose effects are measured."""
    engine = Engine(case.experiment, resolve(context.device), weights=False)
    if context.store is not None:
        engine.keep(context.store, resume=True)
    trained = engine.upstream(silent)
    init, kept = modes_of_first(engine, trained)
    effects = effects_of(engine.downstream(trained, silent))
    readings = case.experiment.downstream.training.readings
    return MappedEffects(**vars(effects), readings=readings, init=init, kept=kept)


def modes_of_first(engine: Engine, trained: Trained) -> tuple[TangentModes, TangentModes]:
    """Of the first networks before and after upstream training, on a few rows; the infinite are passed over.

    Labels are one-hot, centred.

    Raises
    ------
    Diverged
        Where none is finite.
    """
    network, classes = engine.network, engine.draws.shapes[-1][0]
    found = []
    for replica in np.flatnonzero(trained.finite)[:NETWORKS].tolist():
        inputs = engine.draws.take([replica])
        rows, labels = inputs.downstream.x[0, :ROWS], inputs.downstream.y[0, :ROWS].numpy()
        both = tuple(w[0] for w in inputs.init), tuple(w[replica].double() for w in trained.parameters)
        found.append([modes_of(network, each, rows, one_hot(labels, classes)) for each in both])
    if not found:
        rate = engine.experiment.upstream.training.learning_rate
        raise Diverged("upstream.training.learning_rate", rate, "lets every replica diverge")
    before, after = (stacked(part) for part in zip(*found, strict=True))
    return before, after


def agreement(found: Sequence[MappedEffects]) -> Judgement:
    """The share of points of decided sign whose sign is the predicted one: no rule was fixed, so that none judges it.

    A sign is decided where the 95 % interval of the gain in accuracy excludes 0; the sign predicted is that of the mean
    over networks. Clopper and Pearson's interval takes points for independent, and so are their draws.
    """
    gains = [measured.difference("pretrained") for measured in found]
    predicted = np.array([measured.predicted.mean() for measured in found])
    realised = RealisedSigns(
        gains=np.array([gain.mean for gain in gains]),
        errors=np.array([gain.standard_error for gain in gains]),
        signs=np.array([float(gain.low > 0) - float(gain.high < 0) for gain in gains]),
        replicas=sum(measured.replicas for measured in found),
        diverged=sum(measured.diverged for measured in found),
    )
    counted, (chance, associated) = count_signs(predicted, realised), shuffled_shares(predicted, realised)
    agreed = sum(abs(np.sign(measured.predicted).sum()) == len(measured.predicted) for measured in found)
    by_chance = f"; {chance:.2f} by shuffled predictions, which do as well with probability {associated:.2g}"
    return Judgement(
        about="all points of the line and of the maps",
        kind="outside",
        quantity="share of decided signs of the gain that the tangent kernels of pretrained networks predict",
        prediction="an estimate",
        measurement="no sign is decided" if counted.share is None else counted.share,
        interval=counted.interval,
        verdict=OUTSIDE,
        power=f"{counted.settings} points, {counted.settings - counted.decided} of them undecided",
        note=f"{counted.right} of {counted.decided}; {int((predicted > 0).sum())} points are predicted positive, the "
        f"networks of {agreed} agree with each other{by_chance if counted.decided else ''}",
    )
