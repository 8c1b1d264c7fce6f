"""What is measured at the points of claim C3's maps, and what is predicted of those very networks.

The condition is that of `reports.transfer.condition` on all replicas of a point, each against its own init, on
the rows, labels and batches that downstream training uses: accuracy by accuracy, loss by loss, and once more with
f_0 := 0, which leaves what the tangent kernels alone do. Beside it stands the condition of the squared error, which
fails: `theory.transfer.linearised_transfer` on a few rows, full-batch descent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reports.claims.claim import Case, Context
from reports.claims.transfer.effects import Effects, effects_of
from reports.claims.transfer.map_points import LINE
from reports.claims.transfer.tangent_modes import TangentModes, modes_along, predicted_gain, stacked
from reports.transfer.condition import Condition, condition, linearise
from simulate.devices import one_thread, resolve
from simulate.labels import one_hot
from simulate.transfer import Switched
from simulate.transfer.experiment import Engine, silent
from simulate.transfer.handover import Trained
from theory.arrays import to_numpy
from theory.errors import Diverged, InvalidInput
from theory.network.frozen_gates import freeze
from theory.network.frozen_kernel import frozen_ntk
from theory.setting import Network, Training
from theory.transfer import KernelNumbers, MeanGain

ROWS, NETWORKS = 20, 3  # of the squared error: downstream rows, and networks of each point
# The learning rate downstream, times the largest curvature κ/n of both networks: at the maps' rates the
# squared error diverges.
RATE = 0.5


@dataclass(frozen=True, eq=False)
class LinearisedGains:
    """What linearised training predicts of the replicas of a point that ended upstream training finite.

    Attributes
    ----------
    accuracy, loss : MeanGain
        The gains of pretrained networks over their own inits, on the downstream rows.
    by_kernels : MeanGain
        The gain in accuracy, with f_0 := 0 on both sides.
    """

    accuracy: MeanGain
    loss: MeanGain
    by_kernels: MeanGain


@dataclass(frozen=True, eq=False)
class MappedEffects(Effects):
    """The effects of one point of the maps, its gain in loss, and what is predicted of both.

    Attributes
    ----------
    loss_gains : ndarray, shape (R,)
        The mean train loss downstream from scratch less that of the pretrained network.
    linearised : LinearisedGains
    before, after : KernelNumbers or None
        Numbers of the tangent kernels of all finite replicas at their init and at the switch, on a few downstream rows
        (see `reports.transfer.condition`); only for points of the line of widths, for which they are shown.
    readings : tuple of int
        The steps downstream over which gains are averaged.
    init, kept : TangentModes
        The tangent modes of k networks before upstream training and after it, (k, nC), for the squared error.
    """

    loss_gains: np.ndarray
    linearised: LinearisedGains
    before: KernelNumbers | None
    after: KernelNumbers | None
    readings: tuple[int, ...]
    init: TangentModes
    kept: TangentModes

    @property
    def by_squared_error(self) -> np.ndarray:
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
    """Train the networks of a point, and linearise those very networks where downstream training begins."""
    shown = case.study in LINE
    # on the maps rescaled networks are neither judged nor shown
    only = None if shown else ("scratch", "pretrained")
    engine = Engine(case.experiment, resolve(context.device), weights=False, only=only)
    if context.store is not None:
        engine.keep(context.store, resume=True)
    trained = engine.upstream(silent)
    result = engine.downstream(trained, silent)
    scratch, pretrained = (result[kind].curves.mean_loss() for kind in ("scratch", "pretrained"))
    predicted = condition_at_switch(engine, trained, kernels=shown)
    before, after = kernels_of(predicted) if shown else (None, None)
    init, kept = modes_of_first(engine, trained)
    return MappedEffects(
        **vars(effects_of(result)),
        loss_gains=scratch - pretrained,
        linearised=gains_of(predicted),
        before=before,
        after=after,
        readings=case.experiment.downstream.training.readings,
        init=init,
        kept=kept,
    )


def condition_at_switch(engine: Engine, trained: Trained, *, kernels: bool = True) -> Condition:
    """The condition for all finite replicas, by linearised training in single precision, on the engine's device.

    Tangent kernels are described if `kernels` is true.

    The networks themselves are trained in it. What rounding changes is a few units of the seventh digit of a loss, and
    a row in thousands where two outputs are as close: three orders below the standard errors of gains.

    Raises
    ------
    Diverged
        If no replica is finite.
    """
    switched = Switched(engine, trained)
    replicas = switched.replicas
    if not replicas:
        rate = engine.experiment.upstream.training.learning_rate
        raise Diverged("upstream.training.learning_rate", rate, "leaves no replica finite")
    training = engine.experiment.downstream.training
    inputs = switched.downstream(replicas)
    pretrained = [w[replicas].to(engine.device, torch.float64) for w in trained.parameters]
    with one_thread():
        after, before = (
            linearise(engine.network, training, parameters, inputs, torch.float32, kernels=kernels)
            for parameters in (pretrained, inputs.parameters)
        )
    return condition("pretrained", training, after, before)


def gains_of(found: Condition) -> LinearisedGains:
    """The gains of a condition in accuracy and in loss.

    Raises
    ------
    Diverged
        If no linearised training stays finite.
    InvalidInput
        If there is a single output, which has no accuracy.
    """
    if found.loss is None or found.by_kernels is None:
        raise Diverged("networks", found.replicas, "none of their linearised trainings stays finite")
    if found.accuracy is None:
        raise InvalidInput("downstream.labels", "one output", "must be classes for an accuracy to exist")
    return LinearisedGains(found.accuracy, found.loss, found.by_kernels)


def kernels_of(found: Condition) -> tuple[KernelNumbers, KernelNumbers]:
    """The numbers of both tangent kernels.

    Raises
    ------
    InvalidInput
        If there is a single output.
    """
    if found.before is None or found.after is None:
        raise InvalidInput("downstream.labels", "one output", "must be several for kernels to be centred")
    return found.before, found.after


def modes_of_first(engine: Engine, trained: Trained) -> tuple[TangentModes, TangentModes]:
    """The tangent modes of the first finite networks before and after upstream training, on a few rows.

    Labels are one-hot, centred.

    Raises
    ------
    Diverged
        If no replica is finite.
    """
    network, classes = engine.network, engine.draws.shapes[-1][0]
    found = []
    for replica in np.flatnonzero(trained.finite)[:NETWORKS].tolist():
        inputs = engine.draws.take([replica])
        rows, labels = inputs.downstream.x[0, :ROWS], inputs.downstream.y[0, :ROWS].numpy()
        both = tuple(w[0] for w in inputs.init), tuple(w[replica].double() for w in trained.parameters)
        found.append([_frozen_modes(network, each, rows, one_hot(labels, classes)) for each in both])
    if not found:
        rate = engine.experiment.upstream.training.learning_rate
        raise Diverged("upstream.training.learning_rate", rate, "lets every replica diverge")
    before, after = (stacked(part) for part in zip(*found, strict=True))
    return before, after


def _frozen_modes(network: Network, parameters: tuple[Tensor, ...], rows: Tensor, targets: np.ndarray) -> TangentModes:
    """The modes of `modes_of` by frozen gates, in half the time. They predict; no measurement is made of them."""
    frozen = freeze(network, [w.unsqueeze(0) for w in parameters], rows.unsqueeze(0))
    kernel = to_numpy(frozen_ntk(frozen))[0].transpose(0, 2, 1, 3).reshape(targets.size, targets.size)
    return modes_along(kernel, (targets - to_numpy(frozen.outputs)[0]).reshape(-1), len(rows))
