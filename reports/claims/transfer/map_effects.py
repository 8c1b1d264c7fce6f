"""What is measured at the points of claim C3's maps, and what is predicted of those very networks.

The condition is that of `theory.transfer.training_transfer` on all replicas of a point, each against its own init, on
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
from reports.claims.transfer.tangent_gains import silent
from reports.claims.transfer.tangent_modes import TangentModes, modes_of, predicted_gain, stacked
from simulate.devices import one_thread, resolve
from simulate.inputs import Inputs
from simulate.labels import one_hot
from simulate.transfer.experiment import Engine, Trained
from theory.errors import Diverged, InvalidInput
from theory.network.frozen_gates import freeze
from theory.network.frozen_kernel import frozen_ntk
from theory.setting import Training
from theory.transfer import KernelNumbers, MeanGain, kernel_numbers, training_transfer

KERNEL_ROWS = 30  # downstream rows on which kernels are described
ROWS, NETWORKS = 20, 3  # of the squared error: downstream rows, and networks of each point
RATE = 0.5  # downstream, in units of the largest curvature κ/n of both networks: on the squared error the maps' diverge


@dataclass(frozen=True, eq=False)
class LinearisedGains:
    """What linearised training predicts of the replicas of a point that ended upstream training finite.

    Attributes
    ----------
    accuracy, loss : MeanGain
        Of pretrained networks over their own inits, on the downstream rows.
    by_kernels : MeanGain
        In accuracy, with f_0 := 0 on both sides.
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
        Of the tangent kernels of all finite replicas at their init and at the switch, on `KERNEL_ROWS` downstream rows;
        of points of the line of widths, of which they are shown.
    readings : tuple of int
        The steps downstream over which gains are averaged.
    init, kept : TangentModes
        Of k networks before upstream training and after it, (k, nC), for the squared error.
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
    engine = Engine(case.experiment, resolve(context.device), weights=False)
    if context.store is not None:
        engine.keep(context.store, resume=True)
    trained = engine.upstream(silent)
    result = engine.downstream(trained, silent)
    scratch, pretrained = (result[kind].curves.mean_loss() for kind in ("scratch", "pretrained"))
    before, after = kernels_at_switch(engine, trained) if case.study in LINE else (None, None)
    init, kept = modes_of_first(engine, trained)
    return MappedEffects(
        **vars(effects_of(result)),
        loss_gains=scratch - pretrained,
        linearised=gains_by_linearisation(engine, trained),
        before=before,
        after=after,
        readings=case.experiment.downstream.training.readings,
        init=init,
        kept=kept,
    )


def gains_by_linearisation(engine: Engine, trained: Trained) -> LinearisedGains:
    """The gains of all finite replicas by linearised training in single precision, on the engine's device.

    The networks themselves are trained in it. What rounding changes is a few units of the seventh digit of a loss, and
    a row in thousands where two outputs are as close: three orders below the standard errors of gains.

    Raises
    ------
    Diverged
        Where no replica is finite, or no linearised training stays so.
    InvalidInput
        Where there is a single output, which has no accuracy.
    """
    inputs, pretrained = _switch(engine, trained, torch.float32)
    with one_thread():
        whole, kernels = (
            training_transfer(
                engine.network,
                engine.experiment.downstream.training,
                pretrained,
                inputs.parameters,
                inputs.x,
                inputs.y,
                batches=inputs.orders,
                subtracted=subtracted,
            )
            for subtracted in (False, True)
        )
    if whole.train_accuracy is None or kernels.train_accuracy is None:
        raise InvalidInput("downstream.labels", "one output", "must be classes for an accuracy to exist")
    return LinearisedGains(whole.train_accuracy, whole.train_loss, kernels.train_accuracy)


def kernels_at_switch(engine: Engine, trained: Trained) -> tuple[KernelNumbers, KernelNumbers]:
    """The tangent kernels of all finite replicas at their init and after upstream training, by their numbers.

    Raises
    ------
    Diverged
        Where no replica is finite.
    """
    inputs, pretrained = _switch(engine, trained, torch.float64)
    rows = inputs.x[:, :KERNEL_ROWS]
    with one_thread():
        before, after = (
            kernel_numbers(frozen_ntk(freeze(engine.network, parameters, rows)))
            for parameters in (inputs.parameters, pretrained)
        )
    return before, after


def _switch(engine: Engine, trained: Trained, dtype: torch.dtype) -> tuple[Inputs, list[Tensor]]:
    """What finite replicas are trained on downstream, with their inits, and their networks at the switch."""
    replicas = np.flatnonzero(trained.finite).tolist()
    if not replicas:
        rate = engine.experiment.upstream.training.learning_rate
        raise Diverged("upstream.training.learning_rate", rate, "leaves no replica finite")
    inputs = engine.draws.take(replicas).downstream.to(engine.device, dtype)
    return inputs, [w[replicas].to(engine.device, dtype) for w in trained.parameters]


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
