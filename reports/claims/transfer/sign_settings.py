"""The comparisons of claim F8: pre-training on random labels, a task, a reference; a predicted gain, real trainings.

A gain is a share of the larger of the two losses at the start, as the formulas predict them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import msgspec
import numpy as np
import torch
from torch import Tensor

import simulate
from reports.claims.transfer.kernel_gains import Kept, Study, Weights, law_of_weights, measured, predicted
from reports.claims.transfer.t1_linear_transfer import OUTPUTS, pretrained, task_losses
from reports.judging.estimate import mean_with_error
from reports.judging.verify import fixed_rows
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
class Realised:
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

    def realise(self) -> Realised:
        """The same of real trainings."""


@dataclass(frozen=True)
class Linear:
    """A linear model after random labels: its weights go on, or a second layer is trained on them as frozen features.

    The task is y = Xw_* + ε, of variance 1 without the noise, w_{*,i}² ∝ s_i^`slant` along the eigenvectors of S.
    The reference is isotropic weights of the same trace if `matched`, else as drawn.
    """

    setting: Setting
    rate: float
    length: int
    slant: float
    noise: float
    matched: bool
    frozen: bool

    @cached_property
    def rows(self) -> np.ndarray:
        rows = fixed_rows(self.setting)
        assert rows is not None
        return rows

    @cached_property
    def directions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """s_i ascending, the v_i, and w_{*,i}."""
        values, basis = np.linalg.eigh(self.rows.T @ self.rows / len(self.rows))
        s = np.where(values > 1e-12 * values[-1], values, 0.0)
        squares = np.zeros(len(s))
        squares[s > 0] = s[s > 0] ** self.slant
        return s, basis, np.sqrt(squares / (s @ squares))

    @cached_property
    def variances(self) -> tuple[np.ndarray, float]:
        """τ_i of the pre-trained weights, and the variance of the reference."""
        (tau,) = pretrained(self.setting, self.rows)
        drawn = self.setting.network.layer_variances[0] / len(tau)
        return tau, float(tau.mean()) if self.matched else drawn

    @property
    def task(self) -> Setting:
        """Its labels are the noise. On features descent runs at s_iτ_i, in units of whose largest the rate is."""
        s, (tau, isotropic) = self.directions[0], self.variances
        largest = s.max() * isotropic if self.frozen else 0.0
        unit = max(largest, float((s * tau).max())) if self.frozen else s.max()
        training = Training(learning_rate=self.rate / unit, steps=self.length)
        labels = Labels(variance=self.noise, outputs=OUTPUTS)
        return msgspec.structs.replace(self.setting, labels=labels, training=training)

    @cached_property
    def losses(self) -> np.ndarray:
        """E L of the reference and after pre-training, at the start and the end, (2, 2)."""
        s, _, teacher = self.directions
        tau, isotropic = self.variances
        form = frozen_feature_loss if self.frozen else initial_weight_training_loss
        training = msgspec.structs.replace(self.task.training, steps=(0, self.length))
        both = np.full(len(s), isotropic), tau
        return np.stack([form(s, each, teacher**2, self.noise, len(self.rows), training) for each in both])

    def predict(self) -> float:
        reference, after = self.losses[:, 1]
        return float((reference - after) / self.losses[:, 0].max())

    def realise(self) -> Realised:
        """From the same rows, labels and fresh weights; upstream labels and noise are of different replicas."""
        count, (_, basis, teacher) = self.setting.ensemble.replicas, self.directions
        upstream = simulate.replica_inputs(self.setting, range(count))
        (weights,) = simulate.train(self.setting, upstream)[self.setting.training.readings[0]]
        drawn = simulate.replica_inputs(self.task, range(count, 2 * count))
        clean = torch.from_numpy(self.rows @ (basis @ teacher))[:, None]
        other = Inputs(drawn.x, drawn.y + clean, drawn.parameters, None)
        scale = (self.variances[1] * len(teacher) / self.setting.network.layer_variances[0]) ** 0.5
        starts = [drawn.parameters[0] * scale, weights]
        reference, after = task_losses(self.task, other, starts, self.frozen)[:, :, 0]
        return _summary((reference - after) / self.losses[:, 0].max())


@dataclass(frozen=True)
class Aligned(Weights):
    """Weights of covariance ∝ S^`exponent`, and a target whose energy along the v_i is ∝ s_i^`slant`."""

    exponent: float = 0.0
    slant: float = 0.0

    def law(self, rows: np.ndarray) -> np.ndarray:
        return law_of_weights(rows, self.exponent)

    def targets(self, rows: np.ndarray) -> np.ndarray:
        return slanted(rows, self.slant)


@dataclass(frozen=True)
class Remembered(Kept):
    """A kept output layer, and a target whose energy along the v_i is ∝ s_i^`slant`."""

    slant: float = 0.0

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
    study: Study
    reference: int

    def predict(self) -> float:
        return float(predicted(self.study, self.setting).gains[self.reference, 0])

    def realise(self) -> Realised:
        found = measured(self.study, self.setting)
        assert found.errors is not None
        at = self.reference, 0
        return Realised(float(found.gains[at]), float(found.errors[at]), found.replicas, found.diverged)


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

    @cached_property
    def starts(self) -> tuple[Inputs, Inputs]:
        """What the task is trained from: before pre-training, and after it."""
        real = msgspec.structs.replace(self.setting, labels=Labels(kind="real"))
        upstream, task = (simulate.replica_inputs(setting, [0]) for setting in (self.setting, real))
        trained = simulate.train(self.setting, upstream)[self.setting.training.readings[0]]
        after = trained if self.kept else (*trained[:-1], upstream.parameters[-1])
        return Inputs(task.x, task.y, upstream.parameters, None), Inputs(task.x, task.y, after, None)

    @property
    def diverged(self) -> bool:
        """Whether pre-training did; there is then nothing to predict from."""
        return not all(bool(torch.isfinite(w).all()) for w in self.starts[1].parameters)

    @cached_property
    def networks(self) -> tuple[LinearisedNetwork, LinearisedNetwork]:
        """Both, by their kernels between all outputs."""
        before, after = (self._linearised(start) for start in self.starts)
        return before, after

    def _linearised(self, start: Inputs) -> LinearisedNetwork:
        def function(parameters: tuple[Tensor, ...], rows: Tensor) -> Tensor:
            return forward(self.setting.network, tuple(w[None] for w in parameters), rows[None])[0]

        parameters, rows = tuple(w[0] for w in start.parameters), start.x[0]
        kernel = empirical_ntk(function, parameters, rows, full=True)
        return LinearisedNetwork(kernel.numpy(), outputs=function(parameters, rows).numpy())

    @property
    def training(self) -> Training:
        """Of the task, read at both ends."""
        count = self.starts[0].y[0].numel()
        flat = [each.kernel.transpose(0, 2, 1, 3).reshape(count, count) for each in self.networks]
        curvature = max(float(np.linalg.eigvalsh(kernel)[-1]) for kernel in flat) / len(self.starts[0].y[0])
        return Training(learning_rate=self.rate / curvature, steps=(0, self.length))

    def predict(self) -> float:
        if self.diverged:
            return np.nan
        before, after = self.networks
        found = linearised_transfer(after, before, self.starts[0].y[0].numpy(), self.training)
        return float(found.gain[1] / max(found.loss[0], found.reference_loss[0]))

    def realise(self) -> Realised:
        if self.diverged:
            return Realised(np.nan, np.nan, 1, diverged=1)
        task = msgspec.structs.replace(self.setting, labels=Labels(kind="real"), training=self.training)
        both = []
        for start in self.starts:
            trained = simulate.train(task, start)
            ends = (forward(task.network, trained[step], start.x) for step in (0, self.length))
            both.append([float(losses(end, start.y)) for end in ends])
        reference, after = both
        gain = (reference[1] - after[1]) / max(reference[0], after[0])
        return Realised(gain, ROUNDING, 1, diverged=int(not np.isfinite(gain)))


def _summary(gains: np.ndarray) -> Realised:
    kept = gains[np.isfinite(gains)]
    mean, error = mean_with_error(kept, np.ones(len(kept)))
    return Realised(float(mean), float(error), len(gains), len(gains) - len(kept))
