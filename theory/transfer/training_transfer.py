"""Positive and negative transfer to a task: the gain of networks from pre-training, by their own linearisations.

Transfer is positive if the pretrained network reaches a higher accuracy than training from scratch, on average over
downstream training; likewise for the loss. Both are read from linearised networks that follow the actual downstream
training (`theory.transfer.linearised_training`), without fit or threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from theory.arrays import Array, to_numpy
from theory.errors import Diverged
from theory.setting import Network, Training
from theory.transfer.inputs import signs
from theory.transfer.linearised_training import LinearisedTraining, linearised_training


@dataclass(frozen=True, eq=False)
class MeanGain:
    """The gain from pre-training, averaged over training: network by network, and over networks.

    Attributes
    ----------
    each : ndarray, shape (R,)
        The gain of each network; nan if either training has diverged; such networks do not count.
    mean : float
    standard_error : float or None
        The standard error of the mean, from the spread between networks; None for a single one.
    """

    each: np.ndarray
    mean: float
    standard_error: float | None

    @property
    def sign(self) -> str:
        """The sign of the mean: "positive", "negative" or "none"."""
        return signs(np.array([self.mean]))[0]

    @property
    def diverged(self) -> int:
        """How many networks do not count."""
        return int(np.isnan(self.each).sum())


@dataclass(frozen=True, eq=False)
class TrainingTransfer:
    """Both trainings, and the gains in accuracy and in loss, positive where pre-training helps.

    Attributes
    ----------
    pretrained, scratch : LinearisedTraining
    train_loss : MeanGain
        The loss from scratch minus that of the pretrained network.
    train_accuracy : MeanGain or None
        The pretrained network's accuracy minus that from scratch; None for a single output.
    test_loss, test_accuracy : MeanGain or None
        The gains on held-out rows, if there are any.
    """

    pretrained: LinearisedTraining
    scratch: LinearisedTraining
    train_loss: MeanGain
    train_accuracy: MeanGain | None
    test_loss: MeanGain | None
    test_accuracy: MeanGain | None


def training_transfer(
    network: Network,
    training: Training,
    pretrained: Sequence[Array],
    scratch: Sequence[Array],
    rows: Array,
    labels: Array,
    *,
    batches: Array | None = None,
    held_out: tuple[Array, Array] | None = None,
    subtracted: bool = False,
) -> TrainingTransfer:
    """Does pre-training help with this task? The gains of R pairs of networks, in accuracy and in loss.

    With a_t the accuracy after t updates, and averages over training by the trapezoidal rule,

        transfer is positive  ⇔  mean_t [a_t(pretrained) − a_t(scratch)] > 0,

    and for the loss with the opposite sign of the difference. Accuracy and loss may disagree: large outputs increase
    the loss without reducing accuracy. The regime, and what is neglected, are as in `linearised_training`: where gates
    change, the sign is an estimate that fails near the boundary, and the size of a gain is unreliable.

    Parameters
    ----------
    network, training
        As for `linearised_training`.
    pretrained, scratch : sequence of Array
        The parameters of R networks at the start of downstream training, and of those with which they are compared,
        such as their own initial values. Pairs share rows, labels and batches.
    rows, labels, batches, held_out
        As for `linearised_training`. Another draw from the same law serves as well.
    subtracted : bool
        Whether f_0 is subtracted from both, so that only their Jacobians differ. This isolates the effect of the
        tangent kernel from the memory of other labels.

    Raises
    ------
    InvalidInput
        As for `linearised_training`.
    Diverged
        If every pair has a training that diverges.

    Examples
    --------
    A linear model, started half way to its target:

    >>> training = Training(learning_rate=0.1, steps=(0, 1, 2))
    >>> half, zero = [np.full((1, 1, 1), 0.5)], [np.zeros((1, 1, 1))]
    >>> found = training_transfer(Network(), training, half, zero, np.array([[2.0]]), np.array([[2.0]]))
    >>> found.train_loss.sign, round(found.train_loss.mean, 4)
    ('positive', 0.6936)
    >>> training_transfer(
    ...     Network(), training, half, zero, np.array([[2.0]]), np.array([[2.0]]), subtracted=True
    ... ).train_loss.sign
    'none'
    """
    after, before = (
        linearised_training(
            network, training, start, rows, labels, batches=batches, held_out=held_out, subtracted=subtracted
        )
        for start in (pretrained, scratch)
    )
    return transfer_between(training, after, before)


def transfer_between(
    training: Training, pretrained: LinearisedTraining, scratch: LinearisedTraining
) -> TrainingTransfer:
    """The gains of one linearised training over another: `training_transfer` for existing trainings.

    Several treatments can share the training from scratch, and blocks of networks can be trained separately and joined.

    Raises
    ------
    Diverged
        If every pair has a training that diverges.

    Examples
    --------
    >>> training = Training(steps=(0, 1))
    >>> after, before = (LinearisedTraining((0, 1), np.array([[1.0, loss]]), None, None, None) for loss in (0.2, 0.6))
    >>> round(transfer_between(training, after, before).train_loss.mean, 2)
    0.2
    """
    return TrainingTransfer(
        pretrained=pretrained,
        scratch=scratch,
        train_loss=_gain(training, scratch.train_loss, pretrained.train_loss),
        train_accuracy=_if_any(training, pretrained.train_accuracy, scratch.train_accuracy),
        test_loss=_if_any(training, scratch.test_loss, pretrained.test_loss),
        test_accuracy=_if_any(training, pretrained.test_accuracy, scratch.test_accuracy),
    )


def _if_any(training: Training, better: Array | None, worse: Array | None) -> MeanGain | None:
    return None if better is None or worse is None else _gain(training, better, worse)


def _gain(training: Training, better: Array, worse: Array) -> MeanGain:
    """The mean over steps of better − worse, curves (R, K)."""
    with np.errstate(over="ignore", invalid="ignore"):  # inf, or inf − inf, where losses have diverged
        each = mean_over_steps(training.readings, to_numpy(better) - to_numpy(worse))
    each[~np.isfinite(each)] = np.nan
    counted = each[np.isfinite(each)]
    if not len(counted):
        rule = f"lets the linearised training of all {len(each)} pairs of networks diverge"
        raise Diverged("training.learning_rate", training.learning_rate, rule)
    with np.errstate(over="ignore"):  # of gains whose squares are too large
        error = float(counted.std(ddof=1) / np.sqrt(len(counted))) if len(counted) > 1 else None
    return MeanGain(each, float(counted.mean()), error)


def mean_over_steps(steps: Sequence[int], curves: np.ndarray) -> np.ndarray:
    """Curves (…, K) averaged from the first step to the last by the trapezoidal rule.

    >>> mean_over_steps((0, 1, 3), np.array([0.0, 2.0, 2.0])).item()
    1.6666666666666667
    """
    if len(steps) == 1:
        return curves[..., 0]
    return np.asarray(np.trapezoid(curves, steps, axis=-1) / (steps[-1] - steps[0]))
