"""Downstream gains of wide networks: what the kernel regime predicts, and what networks trained by `simulate` say.

The two share nothing. Measured gains have a control variate: the gain of networks of fixed kernels from the same
starts and labels. The kernels are those of drawn neurons; the mean of the variate is taken from the starts and labels
of many networks that are not trained, and its error is part of the gain's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from theory.setting import Network, Setting, Training
from theory.transfer import LinearisedTransfer, RandomLabels, kept_output_transfer, kernel_regime_transfer

BATCH = 8  # the number of networks that are trained at once
# The exponent of S in the covariance of pretrained weights, Σ_w ∝ S^¾, which has the trace of fresh ones.
EXPONENT = 0.75
PILOT = 16  # the number of neurons in the kernel of variates, per neuron of a network
UNTRAINED, AT_ONCE = 256, 1024  # networks that are drawn for the mean of the variate, for each that is trained
NARROW = 64  # the width of networks that are not trained: outputs have the same second moment at any width
SET_APART = 2**40  # the distance between the numbers of networks that are trained and of others


@dataclass(frozen=True, eq=False)
class MeasuredGains:
    """Gains of trained networks over each reference at every step of the study, in units of the loss.

    Attributes
    ----------
    mean, error : ndarray, shape (k, r)
        The mean over networks, and its standard error, which includes that of the variate's mean.
    start : ndarray, shape (k,)
        The larger of the two mean losses before training, against each reference.
    replicas, diverged : int
    """

    mean: np.ndarray
    error: np.ndarray
    start: np.ndarray
    replicas: int
    diverged: int


# A function that returns the gains (R, k, r) of networks of fixed kernels, from the starts and labels of some
# replicas of a setting.
Variate = Callable[[Setting, Sequence[int]], np.ndarray]


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
        """The covariance Σ_w of pretrained weights."""
        return law_of_weights(rows, EXPONENT)

    def targets(self, rows: np.ndarray) -> np.ndarray:
        """The coordinate of largest, or smallest, variance, scaled to 1."""
        values, basis = np.linalg.eigh(rows.T @ rows / len(rows))
        at = -1 if self.target == "high variance" else 0
        return np.asarray(rows @ basis[:, at] / np.sqrt(values[at]))

    def losses(self, setting: Setting, replicas: Sequence[int]) -> np.ndarray:
        """The losses of trained networks: with pretrained weights, then with each reference's, (R, 1 + k, 1 + r)."""
        rows, inputs = scaled_rows(setting), simulate.replica_inputs(setting, replicas)
        given = inputs.y if self.target == "random" else torch.from_numpy(self.targets(rows)[:, None])
        y = given.expand(len(replicas), len(rows), 1)
        linear = msgspec.structs.replace(setting, network=Network())
        losses = []
        for law in self._laws(rows):
            w = inputs.parameters[0] @ torch.from_numpy(root_of(law))
            features = torch.relu(torch.from_numpy(rows) @ w.transpose(1, 2)) / w.shape[1] ** 0.5
            start = (torch.zeros(len(replicas), 1, w.shape[1], dtype=w.dtype),)
            losses.append(losses_of(linear, Inputs(features, y, start, None), self.steps))
        return np.stack(losses, axis=1)

    def variate(self, setting: Setting) -> Variate | None:
        """The variate from random labels; None where the target is given, for then only the kernel varies."""
        if self.target != "random":
            return None
        rows = scaled_rows(setting)
        w, _ = pilot_neurons(setting)
        features = (np.maximum(rows @ (w @ root_of(law)).T, 0.0) for law in self._laws(rows))
        left = [left_over(setting, each @ each.T / len(w), self.steps) for each in features]

        def gains(drawn: Setting, replicas: Sequence[int]) -> np.ndarray:
            y = simulate.replica_inputs(of_width(drawn, 1), replicas).y[:, :, 0].numpy()
            return gains_over(np.stack([halved_squares(y, each) for each in left], axis=1))

        return gains

    def _laws(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """Σ_w of the pretrained weights, and isotropic ones of the same trace and of the same tr Σ_w S."""
        sigma, second_moment = self.law(rows), rows.T @ rows
        same = float(np.sum(sigma * second_moment) / np.trace(second_moment))
        return sigma, np.eye(len(sigma)), same * np.eye(len(sigma))


@dataclass(frozen=True)
class KeptOutput:
    """A network pre-trained on the setting's random labels for `length` steps trains on, on the same or new inputs."""

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

    def losses(self, setting: Setting, replicas: Sequence[int]) -> np.ndarray:
        """The losses of trained networks, first of those that go on, then of fresh ones, (R, 2, 1 + r)."""
        _, others = self.rows(setting)
        inputs = simulate.replica_inputs(setting, replicas)
        upstream = msgspec.structs.replace(setting, training=read_at(setting, (self.length,)))
        trained = simulate.train(upstream, inputs)[self.length]
        z = torch.from_numpy(others * np.sqrt(others.shape[1]))
        y = torch.from_numpy(self.targets(others)[:, None]).expand(len(replicas), len(others), 1)
        both = [losses_of(setting, Inputs(z, y, each, None), self.steps) for each in (trained, inputs.parameters)]
        return np.stack(both, axis=1)

    def variate(self, setting: Setting) -> Variate:
        """The variate from random labels and outputs at the start, which go through both trainings."""
        rows, others = self.rows(setting)
        pilot, targets = pilot_neurons(setting), self.targets(others)
        x, z = (torch.from_numpy(part * np.sqrt(part.shape[1])) for part in (rows, others))
        here, across = tangent_kernel(pilot, rows, rows), tangent_kernel(pilot, others, rows)
        rate = setting.training.learning_rate / len(rows)
        kept, summed = np.eye(len(rows)), np.zeros((len(rows), len(rows)))
        for _ in range(self.length):
            summed += rate * kept
            kept = kept - rate * here @ kept
        moved = across @ summed
        left = left_over(setting, tangent_kernel(pilot, others, others), self.steps)

        def gains(drawn: Setting, replicas: Sequence[int]) -> np.ndarray:
            inputs = simulate.replica_inputs(drawn, replicas)
            f, begun = (outputs(drawn, inputs.parameters, each)[:, :, 0].numpy() for each in (x, z))
            went = begun + (inputs.y[:, :, 0].numpy() - f) @ moved.T
            return gains_over(np.stack([halved_squares(start - targets, left) for start in (went, begun)], axis=1))

        return gains


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


def train_wide(study: WideStudy, setting: Setting) -> MeasuredGains:
    """Train all replicas of the setting; the networks that are compared share their random numbers."""
    total, variate = setting.ensemble.replicas, study.variate(setting)
    losses, subtracted = [], []
    for first in range(0, total, BATCH):
        numbers = range(first, min(first + BATCH, total))
        losses.append(study.losses(setting, numbers))
        subtracted.append(0.0 if variate is None else variate(setting, numbers))
    trained = np.concatenate(losses)
    samples = gains_over(trained)[:, :, 1:] - (0.0 if variate is None else np.concatenate(subtracted))
    finite = np.isfinite(samples).all(axis=(1, 2))
    counts = np.ones(finite.sum())
    mean, error = mean_with_error(samples[finite], counts)
    if variate is not None:
        added, its_error = _mean_of(variate, setting)
        mean, error = mean + added, np.hypot(error, its_error)
    mine, *others = mean_with_error(trained[finite], counts)[0][:, 0]
    return MeasuredGains(mean, error, np.maximum(mine, others), total, int((~finite).sum()))


def _mean_of(variate: Variate, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """The mean of a variate and its standard error, (k, r), from networks that are not trained."""
    narrow, total = of_width(setting, NARROW), UNTRAINED * setting.ensemble.replicas
    parts = [
        variate(narrow, range(SET_APART + first, SET_APART + min(first + AT_ONCE, total)))
        for first in range(0, total, AT_ONCE)
    ]
    return mean_with_error(np.concatenate(parts), np.ones(total))


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


def losses_of(setting: Setting, inputs: Inputs, steps: tuple[int, ...]) -> np.ndarray:
    """½ mean over rows of ‖f_t − y‖² of every network, at the start and after r steps, (R, 1 + r)."""
    task = msgspec.structs.replace(setting, training=read_at(setting, tuple(sorted({0, *steps}))))
    trained = simulate.train(task, inputs)
    errors = [outputs(task, trained[step], inputs.x) - inputs.y for step in (0, *steps)]
    return torch.stack([e.square().sum(dim=2).mean(dim=1) / 2 for e in errors], dim=1).numpy()


def gains_over(losses: np.ndarray) -> np.ndarray:
    """Losses (R, 1 + k, r), the pretrained first, as gains over the others, (R, k, r)."""
    return losses[:, 1:] - losses[:, :1]


def left_over(setting: Setting, kernel: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
    """(1 − ηK/n)^t at some steps, (r, n, n)."""
    once = np.eye(len(kernel)) - setting.training.learning_rate / len(kernel) * kernel
    return np.stack([matrix_power(once, step) for step in steps])


def halved_squares(start: np.ndarray, left: np.ndarray) -> np.ndarray:
    """½ mean over rows of the squares of what is left (r, n, n) of f_0 − y (R, n), (R, r)."""
    return np.stack([np.square(start @ each.T).mean(axis=1) / 2 for each in left], axis=1)


def of_width(setting: Setting, width: int) -> Setting:
    """The setting at another width; a replica has the same labels at any."""
    return msgspec.structs.replace(setting, network=msgspec.structs.replace(setting.network, hidden=(width,)))


def pilot_neurons(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """First-layer weights (N, d) and output weights (N,) of networks that are used for nothing else."""
    (width,) = setting.network.widths
    count = -(-PILOT * width // NARROW)
    first = 2 * SET_APART
    w, a = simulate.replica_inputs(of_width(setting, NARROW), range(first, first + count)).parameters
    return w.flatten(0, 1).numpy(), a.flatten().numpy()


def tangent_kernel(pilot: tuple[np.ndarray, np.ndarray], rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The mean kernel (n, p) of drawn ReLUs, both layers trained, between scaled rows (n, d) and others (p, d)."""
    w, a = pilot
    u, v = rows @ w.T, others @ w.T
    below = (rows @ others.T) * ((u > 0) * a**2 @ (v > 0).T)
    return np.asarray((below + np.maximum(u, 0.0) @ np.maximum(v, 0.0).T) / len(w))


def root_of(law: np.ndarray) -> np.ndarray:
    """The symmetric root Σ_w^½."""
    values, basis = np.linalg.eigh(law)
    return np.asarray((basis * np.sqrt(np.maximum(values, 0))) @ basis.T)
