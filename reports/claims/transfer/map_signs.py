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
from reports.claims.transfer.tangent_gains import linearised, silent
from reports.findings import OUTSIDE, Judgement
from simulate.devices import resolve
from simulate.labels import one_hot
from simulate.transfer.experiment import Engine, Trained
from theory.setting import Training
from theory.transfer import LinearisedNetwork, linearised_transfer

ROWS, NETWORKS = 20, 3  # downstream rows, and networks of each point, whose kernels are computed
RATE = 0.5  # downstream, in units of the largest curvature κ/n of both networks: on the squared error the maps' diverge


@dataclass(frozen=True, eq=False)
class MappedEffects(Effects):
    """The effects of one point of the maps, and what the kernels of its first networks predict.

    Attributes
    ----------
    predicted : ndarray, shape (k,)
        Gains of k networks, as `gains_by_kernels`.
    """

    predicted: np.ndarray


def measure_mapped(case: Case[Any], context: Context) -> MappedEffects:
    """Train the networks of a point once: kernels are those of the networks whose effects are measured."""
    engine = Engine(case.experiment, resolve(context.device), weights=False)
    if context.store is not None:
        engine.keep(context.store, resume=True)
    trained = engine.upstream(silent)
    predicted = gains_by_kernels(engine, trained)
    return MappedEffects(**vars(effects_of(engine.downstream(trained, silent))), predicted=predicted)


def gains_by_kernels(engine: Engine, trained: Trained) -> np.ndarray:
    """The gain in loss of the first networks over their own inits, averaged over downstream training, (k,).

    T⁻¹ ∫ (L_t⁰ − L_t) dt, by trapezoids over the readings, as a share of the larger of both losses at the start, with
    L_t = ½ n⁻¹ ‖p_t(K/n)(y − f_0)‖²: see `theory.transfer.linearised_transfer`. Labels are one-hot, centred;
    networks that are not finite are passed over.
    """
    network, classes = engine.network, engine.draws.shapes[-1][0]
    steps = engine.experiment.downstream.training.readings
    gains = []
    for replica in np.flatnonzero(trained.finite)[:NETWORKS].tolist():
        inputs = engine.draws.take([replica])
        rows, labels = inputs.downstream.x[0, :ROWS], inputs.downstream.y[0, :ROWS].numpy()
        before = linearised(network, tuple(w[0] for w in inputs.init), rows)
        after = linearised(network, tuple(w[replica].double() for w in trained.parameters), rows)
        training = Training(learning_rate=RATE / max(map(curvature, (before, after))), steps=steps)
        found = linearised_transfer(after, before, one_hot(labels, classes), training)
        unit = max(found.loss[0], found.reference_loss[0])
        gains.append(np.trapezoid(found.gain, steps) / (steps[-1] - steps[0]) / unit)
    return np.array(gains)


def curvature(network: LinearisedNetwork) -> float:
    """The largest eigenvalue of K/n, K between all outputs."""
    rows, _, outputs, _ = network.kernel.shape
    kernel = network.kernel.transpose(0, 2, 1, 3).reshape(rows * outputs, -1)
    return float(np.linalg.eigvalsh(kernel)[-1]) / rows


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
