"""Downstream gains of wide networks: what the kernel regime predicts, and what networks trained by `simulate` say.

Measured losses have a control variate: the loss that the infinitely wide kernel gives from the same start and labels.
Its mean over networks is the predicted loss exactly, so that it takes out noise, and no error of the theory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import msgspec
import numpy as np
import torch
from numpy.linalg import matrix_power
from torch import Tensor

import simulate
from reports.judging.intervals import mean_with_error
from simulate import Inputs
from simulate.networks import forward
from theory.network.kernels import ntk
from theory.setting import Network, Setting, Training
from theory.transfer import LinearisedTransfer, RandomLabels, kept_output_transfer, kernel_regime_transfer

BATCH = 8  # networks trained at once
EXPONENT = 0.75  # weights Σ_w ∝ S^¾, of the trace of fresh ones


@dataclass(frozen=True, eq=False)
class WideDeviations:
    """By how much the gains of trained networks exceed those of infinitely wide ones, in units of the loss itself.

    Means over networks and their standard errors, against each reference at every step of the study, (k, r) both.
    """

    mean: np.ndarray
    error: np.ndarray
    replicas: int
    diverged: int


@dataclass(frozen=True)
class PretrainedWeights:
    """A second layer trained from 0 on features φ(w·x), w ~ N(0, Σ_w): f_0 is subtracted."""

    references: ClassVar[tuple[str, ...]] = ("isotropic, same trace", "isotropic, same kernel scale")
    excess: ClassVar[float] = 0.5  # see `budget`

    target: Literal["high variance", "low variance", "random", "slanted"]
    steps: tuple[int, ...]

    def transfers(self, setting: Setting, variance: float, steps: tuple[int, ...]) -> tuple[LinearisedTransfer, ...]:
        """The predicted losses at some steps, against each reference; `variance` is that of random labels."""
        rows = scaled_rows(setting)
        given = RandomLabels(variance) if self.target == "random" else self.targets(rows)
        training = read_at(setting, steps)
        found = kernel_regime_transfer(rows, self.law(rows), given, training, trained="last", subtract_initial=True)
        return found.trace_matched, found.kernel_matched

    def law(self, rows: np.ndarray) -> np.ndarray:
        """Σ_w."""
        return law_of_weights(rows, EXPONENT)

    def targets(self, rows: np.ndarray) -> np.ndarray:
        """The coordinate of largest, or smallest, variance, scaled to 1."""
        values, basis = np.linalg.eigh(rows.T @ rows / len(rows))
        at = -1 if self.target == "high variance" else 0
        return np.asarray(rows @ basis[:, at] / np.sqrt(values[at]))

    def deviations(self, setting: Setting, replicas: Sequence[int]) -> np.ndarray:
        """Gains (R, k, r) of networks minus those of the infinitely wide kernel from the same start."""
        rows, inputs = scaled_rows(setting), simulate.replica_inputs(setting, replicas)
        given = inputs.y if self.target == "random" else torch.from_numpy(self.targets(rows)[:, None])
        y = given.expand(len(replicas), len(rows), 1)
        sigma = self.law(rows)
        second_moment = rows.T @ rows
        same = float(np.sum(sigma * second_moment) / np.trace(second_moment))
        losses = []
        for law in (sigma, np.eye(len(sigma)), same * np.eye(len(sigma))):
            values, basis = np.linalg.eigh(law)
            root = torch.from_numpy((basis * np.sqrt(np.maximum(values, 0))) @ basis.T)
            w = inputs.parameters[0] @ root
            features = torch.relu(torch.from_numpy(rows) @ w.transpose(1, 2)) / w.shape[1] ** 0.5
            start = (torch.zeros(len(replicas), 1, w.shape[1], dtype=w.dtype),)
            linear = msgspec.structs.replace(setting, network=Network(), training=read_at(setting, self.steps))
            found = losses_of(linear, Inputs(features, y, start, None))
            kernel = ntk("relu", rows, covariance=law, trained="last")
            losses.append(found - kernel_losses(setting, kernel, self.steps, -y))
        mine, *others = losses
        return np.stack([other - mine for other in others], axis=1)


@dataclass(frozen=True)
class KeptOutput:
    """A network pre-trained on the setting's random labels for `length` steps goes on, on the same inputs or new."""

    references: ClassVar[tuple[str, ...]] = ("a fresh network",)
    excess: ClassVar[float] = 2.0  # see `budget`

    length: int
    new: bool
    steps: tuple[int, ...]

    def rows(self, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
        """X upstream and Z downstream, of the same law."""
        return scaled_rows(setting), scaled_rows(setting, apart=10**9 if self.new else 0)

    def targets(self, others: np.ndarray) -> np.ndarray:
        """The sum of all coordinates, scaled to 1."""
        total = others.sum(axis=1)
        return np.asarray(total / np.sqrt(np.mean(total**2)))

    def transfers(self, setting: Setting, variance: float, steps: tuple[int, ...]) -> tuple[LinearisedTransfer, ...]:
        """The predicted losses at some steps, against the reference; `variance` is that of the upstream labels."""
        rows, others = self.rows(setting)
        found = kept_output_transfer(
            rows,
            read_at(setting, (self.length,)),
            self.targets(others),
            read_at(setting, steps),
            label_variance=variance,
            others=others if self.new else None,
        )
        return (found.transfer,)

    def deviations(self, setting: Setting, replicas: Sequence[int]) -> np.ndarray:
        """Gains (R, k, r) of networks minus those of the infinitely wide kernel from the same start."""
        rows, others = self.rows(setting)
        inputs = simulate.replica_inputs(setting, replicas)
        upstream = msgspec.structs.replace(setting, training=read_at(setting, (self.length,)))
        trained = simulate.train(upstream, inputs)[self.length]
        x, z = (torch.from_numpy(part * np.sqrt(part.shape[1])) for part in (rows, others))
        y = torch.from_numpy(self.targets(others)[:, None]).expand(len(replicas), len(others), 1)
        task = msgspec.structs.replace(setting, training=read_at(setting, self.steps))
        kernel, here, across = ntk("relu", rows), ntk("relu", others), ntk("relu", others, rows)
        left = matrix_power(np.eye(len(rows)) - setting.training.learning_rate / len(rows) * kernel, self.length)
        moved = torch.from_numpy(across @ np.linalg.solve(kernel, np.eye(len(rows)) - left))
        start = outputs(setting, inputs.parameters, z)
        went = start + moved @ (inputs.y - outputs(setting, inputs.parameters, x))
        losses = [
            losses_of(task, Inputs(z, y, parameters, None)) - kernel_losses(setting, here, self.steps, begun - y)
            for parameters, begun in ((trained, went), (inputs.parameters, start))
        ]
        return (losses[1] - losses[0])[:, None]


WideStudy = PretrainedWeights | KeptOutput


def budget(study: WideStudy, setting: Setting) -> float:
    """What the width may add to a gain, as a share of the loss at the start.

    Fixed on other networks (theory/derivations.md, section 2.5).
    """
    (width,) = setting.network.widths
    return study.excess / float(np.sqrt(width))


def start_losses(study: WideStudy, setting: Setting) -> np.ndarray:
    """The larger of the two losses before training, against each reference, (k,)."""
    found = study.transfers(setting, setting.labels.variance, (0,))
    return np.array([max(transfer.loss[0], transfer.reference_loss[0]) for transfer in found])


def infinite_gains(
    study: WideStudy, setting: Setting, steps: tuple[int, ...], units: np.ndarray, *, variance: float | None = None
) -> np.ndarray:
    """Gains (k, r) by `theory.transfer`, in `units` (k,), which are `start_losses`.

    Another variance of random labels than the setting's makes a mistake.
    """
    transfers = study.transfers(setting, setting.labels.variance if variance is None else variance, steps)
    return np.asarray(np.stack([transfer.gain for transfer in transfers]) / units[:, None])


def train_wide(study: WideStudy, setting: Setting) -> WideDeviations:
    """Train all replicas of the setting; the networks that are compared share their random numbers."""
    total = setting.ensemble.replicas
    parts = [study.deviations(setting, range(first, min(first + BATCH, total))) for first in range(0, total, BATCH)]
    samples = np.concatenate(parts)
    finite = np.isfinite(samples).all(axis=(1, 2))
    mean, error = mean_with_error(samples[finite], np.ones(finite.sum()))
    return WideDeviations(mean, error, total, int((~finite).sum()))


def scaled_rows(setting: Setting, apart: int = 0) -> np.ndarray:
    """X/√d, as formulas want the rows of an "ntk" network; of another seed where `apart` is not 0."""
    ensemble = msgspec.structs.replace(setting.ensemble, seed=setting.ensemble.seed + apart)
    rows = simulate.rows(msgspec.structs.replace(setting, ensemble=ensemble))
    return np.asarray(rows / np.sqrt(rows.shape[1]))


def law_of_weights(rows: np.ndarray, exponent: float) -> np.ndarray:
    """Σ_w ∝ S^exponent of trace d, on the directions that the rows have."""
    values, basis = np.linalg.eigh(rows.T @ rows / len(rows))
    seen = values > 1e-12 * values[-1]
    powers = np.zeros(len(values))
    powers[seen] = values[seen] ** exponent
    return np.asarray((basis * (powers * len(values) / powers.sum())) @ basis.T)


def read_at(setting: Setting, steps: tuple[int, ...]) -> Training:
    """The training of a setting, read at these steps."""
    return msgspec.structs.replace(setting.training, steps=steps)


def outputs(setting: Setting, parameters: tuple[Tensor, ...], x: Tensor) -> Tensor:
    """f (R, n, C) of every network, on rows (n, d) that they share or on their own."""
    return forward(setting.network, parameters, x.expand(len(parameters[0]), *x.shape[-2:]))


def losses_of(task: Setting, inputs: Inputs) -> np.ndarray:
    """½ mean over rows of ‖f_t − y‖² of every network at the steps of the task, (R, r)."""
    trained = simulate.train(task, inputs)
    errors = [outputs(task, trained[step], inputs.x) - inputs.y for step in task.training.readings]
    return torch.stack([e.square().sum(dim=2).mean(dim=1) / 2 for e in errors], dim=1).numpy()


def kernel_losses(setting: Setting, kernel: np.ndarray, steps: tuple[int, ...], start: Tensor) -> np.ndarray:
    """½ mean over rows of ‖(1 − ηK/n)^t (f_0 − y)‖² from f_0 − y (R, n, C), (R, r)."""
    n = len(kernel)
    once = np.eye(n) - setting.training.learning_rate / n * kernel
    left = [torch.from_numpy(matrix_power(once, step)) @ start for step in steps]
    return torch.stack([e.square().sum(dim=2).mean(dim=1) / 2 for e in left], dim=1).numpy()
