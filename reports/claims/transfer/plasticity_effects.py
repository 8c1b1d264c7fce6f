"""What claim C8 measures of networks on successive tasks, and the gains that linearised training predicts of them.

The gain of a task is the mean train accuracy of the network that has been carried on, less that of a new network on the
same rows, labels and batches; in loss it is the mean loss of the new network, less that of the other. The prediction is
that of `theory.transfer.training_transfer` on these very networks where the task begins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

import simulate
from reports.claims.claim import Case, Context
from reports.claims.transfer.plasticity_points import ANEW, NONE, READ, TaskPoint
from reports.judging.rules import CONFIDENCE
from simulate.devices import one_thread, resolve
from simulate.tasks import SequenceResult
from theory.errors import Diverged, InvalidInput
from theory.testing import PairedMean, paired_mean
from theory.transfer import training_transfer


@dataclass(frozen=True, eq=False)
class PlasticityEffects:
    """What is read of a sequence of k tasks under Q remedies, replica by replica.

    Attributes
    ----------
    remedies : tuple of str, length Q
    accuracy, loss : ndarray, shape (Q, R, k)
        Accuracy and loss at the end of every task.
    mean_accuracy, mean_loss : ndarray, shape (Q, R, k)
        Accuracy and loss, averaged over the steps of every task.
    alive : ndarray, shape (Q, R, k)
        The share of units of the upper layer that are positive on some row, where every task begins.
    predicted, predicted_loss : ndarray, shape (T, R)
        The gains in accuracy and in loss that linearised training predicts of the tasks in `READ`; nan where it
        diverges, and empty, T = 0, where remedies are compared.
    replicas, diverged : int
    """

    remedies: tuple[str, ...]
    accuracy: np.ndarray
    loss: np.ndarray
    mean_accuracy: np.ndarray
    mean_loss: np.ndarray
    alive: np.ndarray
    predicted: np.ndarray
    predicted_loss: np.ndarray
    replicas: int
    diverged: int

    def of(self, remedy: str) -> int:
        """The number of a remedy."""
        return self.remedies.index(remedy)

    def slope(self, remedy: str = NONE.name) -> PairedMean:
        """The slope, per task, of the accuracy at the end of a task, by least squares in every replica."""
        return paired_mean(slopes(self.accuracy[self.of(remedy)]))

    def help(self, remedy: str, other: str, *, confidence: float = CONFIDENCE) -> PairedMean:
        """The accuracy at the end of a task, averaged over tasks from the second on, less that with another remedy."""
        one, two = (self.accuracy[self.of(name), :, 1:].mean(axis=1) for name in (remedy, other))
        return paired_mean(one - two, confidence=confidence)

    @property
    def gains(self) -> np.ndarray:
        """The gains in accuracy over a new network in the tasks of `READ`, (T, R)."""
        return self._over_new(self.mean_accuracy)

    @property
    def loss_gains(self) -> np.ndarray:
        """The gains in loss over a new network in the tasks of `READ`, (T, R)."""
        return -self._over_new(self.mean_loss)

    def _over_new(self, means: np.ndarray) -> np.ndarray:
        tasks = [number - 1 for number in READ]
        carried, new = (means[self.of(remedy.name)] for remedy in (NONE, ANEW))
        return np.asarray((carried - new)[:, tasks].T)


def slopes(values: np.ndarray) -> np.ndarray:
    """The slope of least squares over 1 … k along the last axis.

    >>> slopes(np.array([1.0, 0.5, 0.0])).item()
    -0.5
    """
    centred = np.arange(values.shape[-1]) - (values.shape[-1] - 1) / 2
    return np.asarray(values @ centred / (centred @ centred))


def measure_plasticity(case: Case[TaskPoint], context: Context) -> PlasticityEffects:
    """Train the networks of a point on all tasks, and linearise those very networks where the tasks begin.

    Raises
    ------
    Diverged
        If fewer than two replicas are finite throughout.
    """
    point = case.study
    result = simulate.run_sequence(point.sequence(case.setting), device=context.device, keep_starts=not point.compared)
    if len(result.numbers) < 2:
        rule = f"leaves {len(result.numbers)} of {result.replicas} replicas finite, and at least 2 are needed"
        raise Diverged("training.learning_rate", point.rate, rule)
    nothing = np.empty((0, len(result.numbers)))
    predicted, predicted_loss = (nothing, nothing) if point.compared else predicted_gains(result, context.device)
    return PlasticityEffects(
        remedies=tuple(curves.remedy.name for curves in result.curves),
        accuracy=np.stack([curves.end_accuracy for curves in result.curves]),
        loss=np.stack([curves.end_loss for curves in result.curves]),
        mean_accuracy=np.stack([curves.mean_accuracy() for curves in result.curves]),
        mean_loss=np.stack([curves.mean_loss() for curves in result.curves]),
        alive=np.stack([curves.alive[:, :, -1] for curves in result.curves]),
        predicted=predicted,
        predicted_loss=predicted_loss,
        replicas=result.replicas,
        diverged=result.diverged,
    )


@one_thread()
def predicted_gains(result: SequenceResult, device: str) -> tuple[np.ndarray, np.ndarray]:
    """The gains in mean accuracy and in mean loss over new networks in the tasks of `READ`, (T, R) each.

    By linearised training.

    Raises
    ------
    InvalidInput
        If the starts of tasks were not kept, or labels are not classes.
    """
    sequence, where = result.sequence, resolve(device)
    if not result[NONE.name].starts:
        raise InvalidInput("keep_starts", False, "must be true for tasks to be linearised where they begin")
    dtype = getattr(torch, sequence.task.ensemble.dtype)
    tasks = [simulate.task_inputs(sequence, number - 1, result.numbers.tolist()).to(where, dtype) for number in READ]
    carried, new = (
        [torch.cat([w[:, number - 1] for number in READ]).to(where) for w in result[remedy.name].starts]
        for remedy in (NONE, ANEW)
    )
    found = training_transfer(
        sequence.task.network,
        sequence.task.training,
        carried,
        new,
        torch.cat([task.x for task in tasks]),
        torch.cat([task.y for task in tasks]),
        batches=torch.cat([task.orders for task in tasks if task.orders is not None]),
    )
    if found.train_accuracy is None:
        raise InvalidInput("labels", "one output", "must be classes for an accuracy to exist")
    return found.train_accuracy.each.reshape(len(READ), -1), found.train_loss.each.reshape(len(READ), -1)
