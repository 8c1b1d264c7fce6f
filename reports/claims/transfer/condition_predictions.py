"""What is predicted of the networks of claim C5: linearised training, relinearised training, and cheap conditions.

A prediction trains the networks upstream by itself, as the measurement does, and takes nothing from real training
downstream but, for the relinearised variant, the first epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import torch
from torch import Tensor

from reports.claims.transfer.condition_design import HORIZONS, REPLICAS, UPDATES, DrawnSetting
from reports.claims.transfer.condition_networks import Beginning, begin, horizon_means, parameters_at
from reports.claims.transfer.tangent_modes import TangentModes, predicted_gain
from simulate.labels import one_hot
from simulate.transfer.measures import finite
from theory.arrays import to_numpy
from theory.errors import Diverged
from theory.network.frozen_gates import FrozenGates, freeze
from theory.network.frozen_kernel import frozen_ntk
from theory.setting import Training
from theory.transfer import (
    LinearisedTraining,
    kernel_change,
    kernel_numbers,
    linearised_training,
    training_transfer,
)

KERNEL_ROWS = 20  # the number of downstream rows on which kernels are described
SQUARED = 3  # the number of networks over which the condition of the squared error is averaged
NUMBERS = ("trace", "geometric_mean", "effective_rank", "active")
RATE = 0.5  # the learning rate downstream for the squared error, times the largest curvature κ/n of both networks


@dataclass(frozen=True, eq=False)
class PredictedTransfer:
    """What is predicted of k settings with R replicas at H horizons; nan where a network or a horizon is missing.

    Attributes
    ----------
    accuracy, loss : ndarray, shape (k, H, R)
        Gains by linearised training, averaged up to a horizon.
    again_accuracy, again_loss : ndarray, shape (k, H, R)
        Gains from the first epoch to a horizon, by networks linearised again after that epoch.
    squared : ndarray, shape (k,)
        The gain in loss by the squared error, as a share of the larger loss at the start.
    trace, geometric_mean, effective_rank : ndarray, shape (k, R)
        How pretraining changes the tangent kernel: logarithms of ratios, as in `KernelChange`.
    active : ndarray, shape (k, R)
        The change of the share of active units in the last hidden layer.
    """

    accuracy: np.ndarray
    loss: np.ndarray
    again_accuracy: np.ndarray
    again_loss: np.ndarray
    squared: np.ndarray
    trace: np.ndarray
    geometric_mean: np.ndarray
    effective_rank: np.ndarray
    active: np.ndarray


def predict_settings(settings: Sequence[DrawnSetting]) -> PredictedTransfer:
    """All predictions of all settings, on the CPU: training in the settings' precision, kernels in double."""
    k, size = len(settings), (len(settings), len(HORIZONS), REPLICAS)
    curves = [np.full(size, np.nan) for _ in range(4)]
    squared = np.full(k, np.nan)
    cheap = {name: np.full((k, REPLICAS), np.nan) for name in NUMBERS}
    for i, drawn in enumerate(settings):
        beginning = begin(drawn, torch.device("cpu")) if drawn.installed else None
        if beginning is None:
            continue
        replicas = len(beginning.scratch[0])
        found = _once(drawn, beginning), (_again(drawn, beginning) if drawn.again else ())
        for into, gains in zip(curves, (*found[0], *found[1]), strict=False):
            into[i, :, :replicas] = gains
        before, after = (_frozen(beginning, w) for w in (beginning.scratch, beginning.pretrained))
        kernels = frozen_ntk(before), frozen_ntk(after)
        squared[i] = _by_squared_error(beginning, before, after, kernels)
        change = kernel_change(*(kernel_numbers(kernel) for kernel in kernels))
        for name, values in {**vars(change), "active": beginning.active()}.items():
            cheap[name][i, :replicas] = values
    accuracy, loss, again_accuracy, again_loss = curves
    return PredictedTransfer(accuracy, loss, again_accuracy, again_loss, squared, *(cheap[name] for name in NUMBERS))


def _double(parameters: tuple[Tensor, ...]) -> list[Tensor]:
    return [w.double() for w in parameters]


def _once(drawn: DrawnSetting, beginning: Beginning) -> tuple[np.ndarray, np.ndarray]:
    """The gains of networks linearised where training begins, in accuracy and in loss, (H, R) each."""
    try:
        found = training_transfer(
            beginning.network,
            beginning.setting.training,
            beginning.pretrained,
            beginning.scratch,
            beginning.inputs.x,
            beginning.inputs.y,
            batches=beginning.inputs.orders,
        )
    except Diverged:
        nothing = np.full((len(HORIZONS), len(beginning.scratch[0])), np.nan)
        return nothing, nothing
    return _gains(drawn, found.scratch, found.pretrained, 0)


def _again(drawn: DrawnSetting, beginning: Beginning) -> tuple[np.ndarray, np.ndarray]:
    """Gains from the first epoch on, of networks linearised after it, with the velocity that they have there."""
    epoch, setting = UPDATES, beginning.setting
    readings = tuple(step - epoch for step in setting.training.readings if step >= epoch)
    training = msgspec.structs.replace(setting.training, steps=readings)
    starts = [parameters_at(beginning, w, (epoch - 1, epoch)) for w in (beginning.scratch, beginning.pretrained)]
    ok = torch.stack([finite(read[epoch]) for read in starts]).all(0)
    gains = np.full((2, len(HORIZONS), len(ok)), np.nan)
    if not ok.any():
        return gains[0], gains[1]
    x, y, orders = beginning.inputs.x, beginning.inputs.y, beginning.inputs.orders
    found = []
    for read in starts:
        before, now = ([w[ok] for w in read[step]] for step in (epoch - 1, epoch))
        velocity = [(a - b) / training.learning_rate for a, b in zip(before, now, strict=True)]
        found.append(
            linearised_training(
                beginning.network,
                training,
                now,
                x[ok],
                y[ok],
                batches=None if orders is None else orders[ok, epoch:],
                velocity=velocity if training.momentum else None,
            )
        )
    gains[:, :, ok.numpy()] = _gains(drawn, found[0], found[1], 1)
    return gains[0], gains[1]


def _gains(
    drawn: DrawnSetting, scratch: LinearisedTraining, pretrained: LinearisedTraining, first: int
) -> tuple[np.ndarray, np.ndarray]:
    accuracy = to_numpy(pretrained.train_accuracy) - to_numpy(scratch.train_accuracy)
    loss = to_numpy(scratch.train_loss) - to_numpy(pretrained.train_loss)
    lost = ~np.isfinite(loss).all(axis=1)
    accuracy[lost], loss[lost] = np.nan, np.nan
    return horizon_means(drawn, accuracy, first), horizon_means(drawn, loss, first)


def _frozen(beginning: Beginning, parameters: tuple[Tensor, ...]) -> FrozenGates:
    return freeze(beginning.network, _double(parameters), beginning.inputs.x[:, :KERNEL_ROWS].double())


def _by_squared_error(
    beginning: Beginning, before: FrozenGates, after: FrozenGates, kernels: tuple[Tensor, Tensor]
) -> float:
    """The gain in squared error of the first networks, averaged over as many full-batch updates as an epoch has."""
    steps = tuple(step for step in beginning.setting.training.readings if step <= UPDATES)
    gains = []
    labels = beginning.inputs.y[:, :KERNEL_ROWS].numpy()
    for replica in range(min(SQUARED, len(labels))):
        y = labels[replica]
        targets = one_hot(y, before.outputs.shape[-1]) if y.ndim == 1 else y
        init, kept = (
            _modes(kernel[replica], targets - frozen.outputs[replica].numpy())
            for kernel, frozen in zip(kernels, (before, after), strict=True)
        )
        training = Training(learning_rate=RATE / max(kept.curvature.max(), init.curvature.max()), steps=steps)
        gain = predicted_gain(kept, init, training)
        gains.append(np.trapezoid(gain, steps) / (steps[-1] - steps[0]))
    return float(np.mean(gains))


def _modes(kernel: Tensor, residual: np.ndarray) -> TangentModes:
    """The modes of a kernel (n, n, C, C) between all outputs, and the residual (n, C)."""
    n, _, outputs, _ = kernel.shape
    flat = kernel.permute(0, 2, 1, 3).reshape(n * outputs, n * outputs).numpy()
    values, basis = np.linalg.eigh((flat + flat.T) / (2 * n))
    return TangentModes(np.maximum(values, 0.0), np.square(basis.T @ residual.reshape(-1)) / n)
