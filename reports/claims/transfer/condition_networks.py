"""The networks of a setting of claim C5 where training downstream begins, and what real training makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import numpy as np
import torch
from torch import Tensor

from reports.claims.transfer.condition_design import EPOCHS, HORIZONS, REPLICAS, DrawnSetting
from simulate import kernels
from simulate.inputs import Inputs
from simulate.transfer.experiment import Engine, silent
from simulate.transfer.handover import Trained
from simulate.transfer.measures import layer_states, scores
from simulate.transfer.moments import one
from simulate.transfer.treatments import treat
from theory.errors import Diverged
from theory.setting import Experiment, Network, Setting

HELD = 128  # the number of settings whose networks are held after upstream training, a third of a megabyte each


@dataclass(frozen=True, eq=False)
class MeasuredTransfer:
    """What pretraining gains in k settings with R replicas at H horizons.

    Attributes
    ----------
    accuracy, loss : ndarray, shape (k, H, R)
        Gains, averaged over training downstream up to a horizon; nan where a setting does not have this horizon, and
        where a network has diverged.
    replicas, diverged : int
        The numbers of replicas and of diverged ones, over all settings that are trained.
    missing : int
        The number of settings that are not trained, because their data are not installed.
    """

    accuracy: np.ndarray
    loss: np.ndarray
    replicas: int
    diverged: int
    missing: int = 0


def measure_settings(settings: Sequence[DrawnSetting], device: torch.device) -> MeasuredTransfer:
    """Train the networks of all settings upstream, and downstream with pretraining and from scratch."""
    size = (len(settings), len(HORIZONS), REPLICAS)
    accuracy, loss, diverged, missing = np.full(size, np.nan), np.full(size, np.nan), 0, 0
    for i, drawn in enumerate(settings):
        if not drawn.installed:
            missing += 1
            continue
        beginning = begin(drawn, device)
        if beginning is None:
            diverged += REPLICAS
            continue
        gained, saved = realised_curves(beginning)
        accuracy[i, :, : len(gained)] = horizon_means(drawn, gained)
        loss[i, :, : len(saved)] = horizon_means(drawn, saved)
        diverged += REPLICAS - int(np.isfinite(saved).all(axis=1).sum())
    return MeasuredTransfer(accuracy, loss, (len(settings) - missing) * REPLICAS, diverged, missing)


@dataclass(frozen=True, eq=False)
class Beginning:
    """The R networks of a setting whose upstream training stayed finite, and their tasks downstream.

    Attributes
    ----------
    setting : Setting
        The setting of the task.
    scratch, pretrained : tuple of Tensor
        Parameters (R, …), the second after the setting's treatment.
    inputs : Inputs
        Rows, labels and batches.
    """

    setting: Setting
    scratch: tuple[Tensor, ...]
    pretrained: tuple[Tensor, ...]
    inputs: Inputs

    @property
    def network(self) -> Network:
        """The network of the setting."""
        return self.setting.network

    def active(self) -> np.ndarray:
        """The change of the share of active units in the last hidden layer through pretraining, (R,)."""
        before, after = (
            layer_states(self.network, w, self.inputs.x)[:, -1, 0] for w in (self.scratch, self.pretrained)
        )
        return np.asarray((after - before).cpu())


def begin(drawn: DrawnSetting, device: torch.device) -> Beginning | None:
    """Train the networks of a setting upstream and treat them; None where none of them stays finite."""
    experiment = drawn.experiment
    engine, trained = _engine(experiment, device), _trained(experiment, str(device))
    if trained is None:
        return None
    kept = np.flatnonzero(trained.finite).tolist()
    given = engine.draws.take(kept)
    treated = [
        treat(drawn.treatment, engine.handover.switch(replica, one(trained.parameters, replica), None, given, slot))
        for slot, replica in enumerate(kept)
    ]
    pretrained = tuple(torch.from_numpy(np.stack(column)) for column in zip(*treated, strict=True))
    dtype = getattr(torch, experiment.ensemble.dtype)
    inputs = given.downstream.to(device, dtype)
    return Beginning(
        engine.draws.downstream,
        inputs.parameters,
        tuple(w.to(device, dtype) for w in pretrained),
        inputs,
    )


@lru_cache(maxsize=1)
def _engine(experiment: Experiment, device: torch.device) -> Engine:
    """Held for the setting at hand: images are opened once."""
    return Engine(experiment, device, weights=False, tile=experiment.ensemble.replicas)


@lru_cache(maxsize=HELD)
def _trained(experiment: Experiment, device: str) -> Trained | None:
    """Where upstream training ends, held for whoever asks next: prediction and measurement begin at the same networks.

    None where no network stays finite.
    """
    try:
        return _engine(experiment, torch.device(device)).upstream(silent)
    except Diverged:
        return None


def parameters_at(
    beginning: Beginning, start: tuple[Tensor, ...], steps: tuple[int, ...]
) -> dict[int, tuple[Tensor, ...]]:
    """Real training downstream from `start`: all parameters at some steps."""
    training = msgspec.structs.replace(beginning.setting.training, steps=steps)
    setting = msgspec.structs.replace(beginning.setting, training=training)
    inputs = beginning.inputs
    return kernels.choose_kernel(setting).train(setting, Inputs(inputs.x, inputs.y, start, inputs.orders))


def realised_curves(beginning: Beginning) -> tuple[np.ndarray, np.ndarray]:
    """What real training gains by pretraining at every reading, in accuracy and in loss, (R, K) each.

    nan where either network has diverged. The accuracy on real targets counts rows whose largest output is that of the
    largest target.
    """
    curves = []
    for start in (beginning.scratch, beginning.pretrained):
        read = parameters_at(beginning, start, beginning.setting.training.readings)
        found = [
            scores(beginning.network, w, beginning.inputs.x, beginning.inputs.y, classes=True) for w in read.values()
        ]
        loss = torch.stack([each for each, _ in found], 1).cpu().numpy()
        accuracy = torch.stack([each for _, each in found if each is not None], 1).cpu().numpy()
        curves.append((np.where(np.isfinite(loss), accuracy, np.nan), np.where(np.isfinite(loss), loss, np.nan)))
    (before, loss_before), (after, loss_after) = curves
    return after - before, loss_before - loss_after


def horizon_means(drawn: DrawnSetting, curves: np.ndarray, first: int = 0) -> np.ndarray:
    """Curves (R, K), read from epoch `first` on, averaged up to every horizon, (H, R).

    By trapezoids over their length; nan at horizons that the setting does not have, or that end where it begins.
    """
    return mean_curves(curves, [epoch for epoch in EPOCHS if epoch >= first], drawn.horizons)


def mean_curves(curves: np.ndarray, epochs: Sequence[int], horizons: int) -> np.ndarray:
    """Curves (R, K) at epochs, of which there may be more, averaged up to the first `horizons`, (H, R)."""
    found = np.full((len(HORIZONS), len(curves)), np.nan)
    for h, horizon in enumerate(HORIZONS[:horizons]):
        last = epochs.index(horizon)
        if last:
            length = epochs[last] - epochs[0]
            found[h] = np.trapezoid(curves[:, : last + 1], epochs[: last + 1], axis=1) / length
    return found
