"""The comparisons of claim F8: pre-training on random labels, a task, a reference; a predicted gain, real trainings.

A gain is a share of the larger of the two losses at the start: a predicted one of the losses that are predicted, a
realised one of those that are measured. Both ask only the networks themselves what learning rate is stable.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import msgspec
import numpy as np
import torch

import simulate
from reports.claims.transfer.kernel_gains import (
    KeptOutput,
    PretrainedWeights,
    WideStudy,
    infinite_gains,
    law_of_weights,
    start_losses,
    train_wide,
)
from reports.claims.transfer.pretraining import OUTPUTS, of_lengths, pretrained, task_losses
from reports.claims.transfer.tangent_modes import TangentModes, modes_of, predicted_gain
from reports.judging.intervals import mean_with_error
from simulate import Inputs
from simulate.networks import forward, losses
from theory.setting import Labels, Setting, Training
from theory.transfer import frozen_feature_loss, initial_weight_training_loss

ROUNDING = 1e-12  # the error of the gain of a single training: rounding, as a share of the loss


@dataclass(frozen=True)
class RealisedGain:
    """The gain of real trainings, its standard error, and how many independent trainings it comes from.

    In one training of one given network on given labels nothing is drawn: its error is that of rounding.
    """

    gain: float
    error: float
    trainings: int
    diverged: int = 0


class Comparison(Protocol):
    """A pre-training, a task, and a reference without pre-training."""

    @property
    def setting(self) -> Setting: ...

    def predict(self) -> float:
        """The gain over the reference, as a share of the larger of the two losses at the start."""

    def realise(self) -> RealisedGain:
        """The same of real trainings; nothing of it is predicted."""


@dataclass(frozen=True)
class Linear:
    """A linear model after random labels: its weights go on, or a second layer is trained on them as frozen features.

    The task is y = Xw_* + ε, of variance 1 without the noise, w_{*,i}² ∝ s_i^`slant` along the eigenvectors of S.
    The reference is isotropic weights of the same trace if `matched`, otherwise as drawn.
    """

    setting: Setting
    rate: float
    length: int
    slant: float
    noise: float
    matched: bool
    frozen: bool

    def directions(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """s_i ascending, the v_i, and w_{*,i}."""
        values, basis = np.linalg.eigh(rows.T @ rows / len(rows))
        s = np.where(values > 1e-12 * values[-1], values, 0.0)
        squares = np.zeros(len(s))
        squares[s > 0] = s[s > 0] ** self.slant
        return s, basis, np.sqrt(squares / (s @ squares))

    def task(self, rate: float) -> Setting:
        """The task at a learning rate; its labels are the noise."""
        labels = Labels(variance=self.noise, outputs=OUTPUTS)
        training = Training(learning_rate=rate, steps=(0, self.length))
        return msgspec.structs.replace(self.setting, labels=labels, training=training)

    def trained(self) -> torch.Tensor:
        """Weights after random labels, (R, C, d)."""
        upstream = simulate.replica_inputs(self.setting, range(self.setting.ensemble.replicas))
        (weights,) = simulate.train(self.setting, upstream)[self.setting.training.readings[0]]
        return weights

    def learning_rate(self) -> float:
        """`rate` in units of what descent runs at: s_i, and s_iτ_i on features, τ that of the trained weights."""
        s, basis, _ = self.directions(simulate.rows(self.setting))
        largest = s.max()
        if self.frozen:
            tau = np.square(self.trained().numpy() @ basis).mean(axis=(0, 1))
            largest = max(largest * tau.mean(), (s * tau).max())
        return float(self.rate / largest)

    def predict(self) -> float:
        """The gain by the losses of `theory.transfer`."""
        rows, drawn = simulate.rows(self.setting), self.setting.network.layer_variances[0]
        s, _, teacher = self.directions(rows)
        (tau,) = pretrained(self.setting, rows)
        isotropic = float(tau.mean()) if self.matched else drawn / len(tau)
        training = self.task(self.learning_rate()).training
        form = frozen_feature_loss if self.frozen else initial_weight_training_loss
        both = np.full(len(s), isotropic), tau
        losses = np.stack([form(s, each, teacher**2, self.noise, len(rows), training) for each in both])
        (reference, after), start = losses[:, 1], losses[:, 0].max()
        return float((reference - after) / start)

    def realise(self) -> RealisedGain:
        """The gain on the same rows, labels and fresh weights; upstream labels and noise are of different replicas.

        Weights of the same trace are fresh ones of the lengths of the trained.
        """
        count, rows, task = self.setting.ensemble.replicas, simulate.rows(self.setting), self.task(self.learning_rate())
        _, basis, teacher = self.directions(rows)
        weights = self.trained()
        drawn = simulate.replica_inputs(task, range(count, 2 * count))
        clean = torch.from_numpy(rows @ (basis @ teacher))[:, None]
        other = Inputs(drawn.x, drawn.y + clean, drawn.parameters, None)
        (fresh,) = drawn.parameters
        starts = [of_lengths(fresh, weights) if self.matched else fresh, weights]
        losses = task_losses(task, other, starts, frozen=self.frozen)
        kept = losses[:, np.isfinite(losses).all(axis=(0, 2))]
        (reference, after), start = kept[:, :, 1], kept[:, :, 0].mean(axis=1).max()
        mean, error = mean_with_error((reference - after) / start, np.ones(kept.shape[1]))
        return RealisedGain(float(mean), float(error), losses.shape[1], losses.shape[1] - kept.shape[1])


@dataclass(frozen=True)
class SlantedWeights(PretrainedWeights):
    """Weights of covariance ∝ S^`exponent`, and a target whose energy along the v_i is ∝ s_i^`slant`."""

    exponent: float
    slant: float

    def law(self, rows: np.ndarray) -> np.ndarray:
        return law_of_weights(rows, self.exponent)

    def targets(self, rows: np.ndarray) -> np.ndarray:
        return slanted(rows, self.slant)


@dataclass(frozen=True)
class SlantedOutput(KeptOutput):
    """A kept output layer, and a target whose energy along the v_i is ∝ s_i^`slant`."""

    slant: float

    def targets(self, others: np.ndarray) -> np.ndarray:
        return slanted(others, self.slant)


def slanted(rows: np.ndarray, slant: float) -> np.ndarray:
    """A linear target Σ_i c_i v_i·x of mean square 1, c_i² s_i ∝ s_i^slant over the directions that the rows have."""
    values, basis = np.linalg.eigh(rows.T @ rows / len(rows))
    seen = values > 1e-12 * values[-1]
    target = rows @ basis[:, seen] @ values[seen] ** ((slant - 1) / 2)
    return np.asarray(target / np.sqrt(np.mean(target**2)))


@dataclass(frozen=True)
class Wide:
    """A study of wide networks, against one of its references; the control variate is that of `kernel_gains`."""

    setting: Setting
    study: WideStudy
    reference: int

    def predict(self) -> float:
        """The gain by the kernels of infinitely wide networks."""
        units = start_losses(self.study, self.setting)
        return float(infinite_gains(self.study, self.setting, self.study.steps, units)[self.reference, 0])

    def realise(self) -> RealisedGain:
        """The gain, with the variate of `kernel_gains`."""
        found, at = train_wide(self.study, self.setting), (self.reference, 0)
        start = float(found.start[self.reference])
        return RealisedGain(
            float(found.mean[at]) / start, float(found.error[at]) / start, found.replicas, found.diverged
        )


@dataclass(frozen=True)
class Actual:
    """One network after random labels, predicted by its own kernel and outputs, against itself before.

    The task is the real labels of the same rows. If not `kept`, the output layer is put back to what it was. The rate
    is in units of the largest curvature κ/n of both networks.
    """

    setting: Setting
    rate: float
    length: int
    kept: bool

    def starts(self) -> tuple[Inputs, Inputs]:
        """What the task is trained from: before pre-training, and after it."""
        real = msgspec.structs.replace(self.setting, labels=Labels(kind="real"))
        upstream, task = (simulate.replica_inputs(setting, [0]) for setting in (self.setting, real))
        trained = simulate.train(self.setting, upstream)[self.setting.training.readings[0]]
        after = trained if self.kept else (*trained[:-1], upstream.parameters[-1])
        return Inputs(task.x, task.y, upstream.parameters, None), Inputs(task.x, task.y, after, None)

    def training(self, modes: tuple[TangentModes, TangentModes]) -> Training:
        """The training of the task: plain descent, at a rate that is stable for both kernels."""
        curvature = max(float(each.curvature.max()) for each in modes)
        return Training(learning_rate=self.rate / curvature, steps=(0, self.length))

    def predict(self) -> float:
        """The gain by both kernels; NaN where pre-training diverges, since there is nothing to predict from."""
        _, modes = begun(self)
        if modes is None:
            return np.nan
        before, after = modes
        return float(predicted_gain(after, before, self.training(modes))[1])

    def realise(self) -> RealisedGain:
        """The gain of both networks, trained on the task; their kernels say how fast, and nothing else."""
        starts, modes = begun(self)
        if modes is None:
            return RealisedGain(np.nan, np.nan, 1, diverged=1)
        task = msgspec.structs.replace(self.setting, labels=Labels(kind="real"), training=self.training(modes))
        both = []
        for start in starts:
            trained = simulate.train(task, start)
            ends = (forward(task.network, trained[step], start.x) for step in (0, self.length))
            both.append([float(losses(end, start.y)) for end in ends])
        reference, after = both
        gain = (reference[1] - after[1]) / max(reference[0], after[0])
        return RealisedGain(gain, ROUNDING, 1, diverged=int(not np.isfinite(gain)))


@lru_cache(maxsize=64)
def begun(actual: Actual) -> tuple[tuple[Inputs, Inputs], tuple[TangentModes, TangentModes] | None]:
    """The starts of the task and the modes of their kernels, None where pre-training diverges.

    Held for those that predict and realise one after the other.
    """
    starts = actual.starts()
    if not _finite(starts[1]):
        return starts, None
    targets = starts[0].y[0].numpy()
    before, after = (
        modes_of(actual.setting.network, tuple(w[0] for w in start.parameters), start.x[0], targets) for start in starts
    )
    return starts, (before, after)


def _finite(start: Inputs) -> bool:
    return all(bool(torch.isfinite(w).all()) for w in start.parameters)
