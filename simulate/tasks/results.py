"""The results of a sequence of tasks: every measure of every replica, so that differences can be paired."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from theory.setting import InvalidInput, Remedy, TaskSequence


@dataclass(frozen=True, eq=False)
class TaskCurves:
    """k tasks under one remedy, replica by replica.

    Attributes
    ----------
    remedy : Remedy
    steps : ndarray of int, shape (K,)
        The readings of every task, counted from its start.
    loss : ndarray, shape (R, k, K)
        The loss on all rows of the task.
    accuracy : ndarray, shape (R, k, K), or None
        None if labels are not classes.
    norm : ndarray, shape (R, k, L)
        Frobenius norms of the weights at the start of a task.
    active, alive, effective_rank : ndarray, shape (R, k, L − 1)
        The same numbers as in `simulate.transfer.Layers`, for every hidden layer at the start of a task, on its rows.
    starts : tuple of Tensor
        All parameters at the start of a task, (R, k, …) each, as in `Inputs.parameters`; empty unless requested.
    """

    remedy: Remedy
    steps: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray | None
    norm: np.ndarray
    active: np.ndarray
    alive: np.ndarray
    effective_rank: np.ndarray
    starts: tuple[Tensor, ...]

    @property
    def end_accuracy(self) -> np.ndarray:
        """The accuracy at the last reading of every task, (R, k)."""
        return np.asarray(self._accuracy()[:, :, -1])

    @property
    def end_loss(self) -> np.ndarray:
        """The loss at the last reading of every task, (R, k)."""
        return np.asarray(self.loss[:, :, -1])

    def mean_accuracy(self) -> np.ndarray:
        """The accuracy averaged over the steps of every task by the trapezoidal rule, (R, k)."""
        accuracy = self._accuracy()
        if len(self.steps) == 1:
            return np.asarray(accuracy[:, :, 0])
        return np.asarray(np.trapezoid(accuracy, self.steps, axis=2) / (self.steps[-1] - self.steps[0]))

    def mean_loss(self) -> np.ndarray:
        """The loss averaged over the steps of every task, likewise, (R, k)."""
        if len(self.steps) == 1:
            return np.asarray(self.loss[:, :, 0])
        return np.asarray(np.trapezoid(self.loss, self.steps, axis=2) / (self.steps[-1] - self.steps[0]))

    def steps_to(self, accuracy: float) -> np.ndarray:
        """The first reading of every task at which the accuracy is at least this, (R, k); inf where it never is."""
        reached = self._accuracy() >= accuracy
        return np.where(reached.any(2), self.steps[reached.argmax(2)], np.inf)

    def _accuracy(self) -> np.ndarray:
        if self.accuracy is None:
            raise InvalidInput("sequence.task.labels", "reals", "must be classes for an accuracy to exist")
        return self.accuracy


@dataclass(frozen=True, eq=False)
class SequenceResult:
    """A sequence of tasks; row r of every array is the same replica, with the same rows, labels and batches.

    Attributes
    ----------
    sequence : TaskSequence
    numbers : ndarray of int, shape (R,)
        The numbers of the replicas in the rows.
    replicas : int
        How many were trained, including diverged ones.
    diverged : int
        How many gave numbers that are not finite under some remedy: they are in no array.
    device : str
    curves : tuple of TaskCurves
        The curves, in the order of the remedies.
    """

    sequence: TaskSequence
    numbers: np.ndarray
    replicas: int
    diverged: int
    device: str
    curves: tuple[TaskCurves, ...]

    def __getitem__(self, name: str) -> TaskCurves:
        """The curves under the remedy of that name, such as "none" or "decay 0.01"."""
        for curves in self.curves:
            if curves.remedy.name == name:
                return curves
        names = [curves.remedy.name for curves in self.curves]
        raise InvalidInput("remedy", name, f"must be one of {', '.join(names)}")
