"""The comparisons of claim F8: pre-training on random labels, a task, a reference; a predicted gain, real trainings.

A gain is a share of the larger of the two losses at the start, as the formulas predict them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np
import torch
from torch import Tensor

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
from reports.claims.transfer.pretraining import OUTPUTS, pretrained, task_losses
from reports.judging.intervals import mean_with_error
from simulate import Inputs
from simulate.networks import forward, losses
from theory.network.empirical import empirical_ntk
from theory.setting import Labels, Setting, Training
from theory.transfer import (
    LinearisedNetwork,
    frozen_feature_loss,
    initial_weight_training_loss,
    linearised_transfer,
)

ROUNDING = 1e-12  # of a share of the loss


@dataclass(frozen=True)
class ExpectedGain:
    """What is predicted of a comparison, and what its trainings take from the prediction.

    Attributes
    ----------
    gain : float
        Over the reference, as a share of the larger of the two losses at the start.
    loss : float
        That larger loss.
    rate : float
        The learning rate of the task.
    scale : float
        The factor on the fresh weights of the reference.
    """

    gain: float
    loss: float
    rate: float
    scale: float = 1.0


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

    def predict(self) -> ExpectedGain:
        """The gain over the reference."""

    def realise(self, expected: ExpectedGain) -> RealisedGain:
        """The same of real trainings, after what was predicted."""


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
        labels, training = Labels(variance=self.noise, outputs=OUTPUTS), Training(learning_rate=rate, steps=self.length)
        return msgspec.structs.replace(self.setting, labels=labels, training=training)

    def predict(self) -> ExpectedGain:
        """By the losses of `theory.transfer`. Descent runs at s_i, on features at s_iτ_i: `rate` is in these units."""
        rows, drawn = simulate.rows(self.setting), self.setting.network.layer_variances[0]
        s, _, teacher = self.directions(rows)
        (tau,) = pretrained(self.setting, rows)
        isotropic = float(tau.mean()) if self.matched else drawn / len(tau)
        largest = max(s.max() * isotropic, float((s * tau).max())) if self.frozen else s.max()
        training = Training(learning_rate=float(self.rate / largest), steps=(0, self.length))
        form = frozen_feature_loss if self.frozen else initial_weight_training_loss
        both = np.full(len(s), isotropic), tau
        losses = np.stack([form(s, each, teacher**2, self.noise, len(rows), training) for each in both])
        loss, (reference, after) = float(losses[:, 0].max()), losses[:, 1]
        scale = (isotropic * len(s) / drawn) ** 0.5
        return ExpectedGain(float((reference - after) / loss), loss, training.learning_rate, scale)

    def realise(self, expected: ExpectedGain) -> RealisedGain:
        """From the same rows, labels and fresh weights; upstream labels and noise are of different replicas."""
        count, rows, task = self.setting.ensemble.replicas, simulate.rows(self.setting), self.task(expected.rate)
        _, basis, teacher = self.directions(rows)
        upstream = simulate.replica_inputs(self.setting, range(count))
        (weights,) = simulate.train(self.setting, upstream)[self.setting.training.readings[0]]
        drawn = simulate.replica_inputs(task, range(count, 2 * count))
        clean = torch.from_numpy(rows @ (basis @ teacher))[:, None]
        other = Inputs(drawn.x, drawn.y + clean, drawn.parameters, None)
        starts = [drawn.parameters[0] * expected.scale, weights]
        reference, after = task_losses(task, other, starts, frozen=self.frozen)[:, :, 0]
        gains = (reference - after) / expected.loss
        kept = gains[np.isfinite(gains)]
        mean, error = mean_with_error(kept, np.ones(len(kept)))
        return RealisedGain(float(mean), float(error), len(gains), len(gains) - len(kept))


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

    def predict(self) -> ExpectedGain:
        """By the kernels of infinitely wide networks."""
        units = start_losses(self.study, self.setting)
        gains = infinite_gains(self.study, self.setting, self.study.steps, units)
        rate = self.setting.training.learning_rate
        return ExpectedGain(float(gains[self.reference, 0]), float(units[self.reference]), rate)

    def realise(self, expected: ExpectedGain) -> RealisedGain:
        """The expected gain is the mean of the control variate."""
        beyond, at = train_wide(self.study, self.setting), (self.reference, 0)
        gain = expected.gain + float(beyond.mean[at]) / expected.loss
        return RealisedGain(gain, float(beyond.error[at]) / expected.loss, beyond.replicas, beyond.diverged)


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

    def _linearised(self, start: Inputs) -> LinearisedNetwork:
        """By the kernel between all outputs."""

        def function(parameters: tuple[Tensor, ...], rows: Tensor) -> Tensor:
            return forward(self.setting.network, tuple(w[None] for w in parameters), rows[None])[0]

        parameters, rows = tuple(w[0] for w in start.parameters), start.x[0]
        kernel = empirical_ntk(function, parameters, rows, full=True)
        return LinearisedNetwork(kernel.numpy(), outputs=function(parameters, rows).numpy())

    def predict(self) -> ExpectedGain:
        """By both kernels; where pre-training diverges there is nothing to predict from, and no number is given."""
        starts = self.starts()
        if not _finite(starts[1]):
            return ExpectedGain(np.nan, np.nan, np.nan)
        before, after = (self._linearised(start) for start in starts)
        labels = starts[0].y[0]
        count = labels.numel()
        flat = [each.kernel.transpose(0, 2, 1, 3).reshape(count, count) for each in (before, after)]
        curvature = max(float(np.linalg.eigvalsh(kernel)[-1]) for kernel in flat) / len(labels)
        training = Training(learning_rate=self.rate / curvature, steps=(0, self.length))
        found = linearised_transfer(after, before, labels.numpy(), training)
        loss = float(max(found.loss[0], found.reference_loss[0]))
        return ExpectedGain(float(found.gain[1] / loss), loss, training.learning_rate)

    def realise(self, expected: ExpectedGain) -> RealisedGain:
        """Both networks trained on the task; they are pre-trained again, by the same random numbers."""
        starts = self.starts()
        if not _finite(starts[1]):
            return RealisedGain(np.nan, np.nan, 1, diverged=1)
        training = Training(learning_rate=expected.rate, steps=(0, self.length))
        task = msgspec.structs.replace(self.setting, labels=Labels(kind="real"), training=training)
        both = []
        for start in starts:
            trained = simulate.train(task, start)
            ends = (forward(task.network, trained[step], start.x) for step in (0, self.length))
            both.append([float(losses(end, start.y)) for end in ends])
        reference, after = both
        gain = (reference[1] - after[1]) / max(reference[0], after[0])
        return RealisedGain(gain, ROUNDING, 1, diverged=int(not np.isfinite(gain)))


def _finite(start: Inputs) -> bool:
    return all(bool(torch.isfinite(w).all()) for w in start.parameters)
