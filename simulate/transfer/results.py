"""The results of a transfer experiment: every measure of every replica, so that differences can be paired."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulate.results import SimulatedReading
from theory.setting import Experiment, InvalidInput, Treatment


@dataclass(frozen=True, eq=False)
class Curves:
    """Downstream training, replica by replica.

    Attributes
    ----------
    steps : ndarray of int, shape (K,)
        The readings of ``downstream.training.steps``.
    train_loss : ndarray, shape (R, K)
        The loss on all downstream rows.
    train_accuracy : ndarray, shape (R, K), or None
        None if labels are not classes.
    test_loss, test_accuracy : ndarray, shape (R, K), or None
        Loss and accuracy on held-out rows; None if there are none.
    """

    steps: np.ndarray
    train_loss: np.ndarray
    train_accuracy: np.ndarray | None
    test_loss: np.ndarray | None
    test_accuracy: np.ndarray | None

    def mean_accuracy(self, last: int | None = None) -> np.ndarray:
        """The train accuracy averaged over steps, (R,): by the trapezoidal rule.

        From the first reading to the reading at step `last`, or to the last one.
        """
        return self._mean(self._accuracy(), last)

    def mean_loss(self, last: int | None = None) -> np.ndarray:
        """The train loss averaged over steps, likewise, (R,)."""
        return self._mean(self.train_loss, last)

    def steps_to(self, accuracy: float) -> np.ndarray:
        """The first reading at which the train accuracy is at least this, (R,); inf where it never is."""
        reached = self._accuracy() >= accuracy
        return np.where(reached.any(1), self.steps[reached.argmax(1)], np.inf)

    def steps_before(self, accuracy: float) -> np.ndarray:
        """The last reading before the one that `steps_to` gives, (R,): the accuracy is reached after it.

        The first reading where it is reached there; inf where it never is.
        """
        reached = self._accuracy() >= accuracy
        return np.where(reached.any(1), self.steps[np.maximum(reached.argmax(1) - 1, 0)], np.inf)

    def _accuracy(self) -> np.ndarray:
        if self.train_accuracy is None:
            raise InvalidInput("downstream.labels", "reals", "must be classes for an accuracy to exist")
        return self.train_accuracy

    def _mean(self, values: np.ndarray, last: int | None) -> np.ndarray:
        if last is not None and last not in self.steps:
            raise InvalidInput("last", last, f"must be a reading, one of {self.steps.tolist()}")
        end = len(self.steps) if last is None else int(np.flatnonzero(self.steps == last)[0]) + 1
        if end == 1:
            return values[:, 0]
        steps = self.steps[:end]
        return np.trapezoid(values[:, :end], steps, axis=1) / (steps[-1] - steps[0])


@dataclass(frozen=True, eq=False)
class Layers:
    """The state of every layer at every reading; activations are those on the first 512 downstream rows.

    Before the switch: ``scratch`` at step 0 is the network before upstream training, ``pretrained`` at step 0 after it.

    Attributes
    ----------
    norm : ndarray, shape (R, K, L)
        Frobenius norms of the weights.
    active : ndarray, shape (R, K, L − 1)
        The share of (row, hidden unit) with a positive activation.
    alive : ndarray, shape (R, K, L − 1)
        The share of hidden units that are positive on some row.
    effective_rank : ndarray, shape (R, K, L − 1)
        (tr C)² / ‖C‖_F² of the covariance C of a hidden layer's activations; nan if weights were not requested.
    """

    norm: np.ndarray
    active: np.ndarray
    alive: np.ndarray
    effective_rank: np.ndarray


@dataclass(frozen=True, eq=False)
class UpstreamEnd:
    """Where upstream training ended, replica by replica.

    Attributes
    ----------
    steps : ndarray of int, shape (R,)
        The number of updates made.
    fitted : ndarray of bool, shape (R,)
        Whether ``upstream.until`` was met; true if there is none.
    loss : ndarray, shape (R,)
        The loss on the upstream rows.
    accuracy : ndarray, shape (R,), or None
    """

    steps: np.ndarray
    fitted: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Treated:
    """Downstream training after one treatment.

    Attributes
    ----------
    treatment : Treatment
    curves : Curves
    layers : Layers
    weights : tuple of SimulatedReading, one per reading
        Second moments of the first layer, in blocks of replicas, as in a simulation; empty unless requested.
    """

    treatment: Treatment
    curves: Curves
    layers: Layers
    weights: tuple[SimulatedReading, ...]


@dataclass(frozen=True, eq=False)
class TransferResult:
    """A transfer experiment; row r of every array is the same replica, with the same rows, labels and batches.

    Attributes
    ----------
    experiment : Experiment
    replicas : int
        How many were trained, including diverged ones.
    diverged : int
        How many gave numbers that are not finite, upstream or after some treatment: they are in no array.
    device : str
    width : int
        m, the number of first-layer weight vectors per replica.
    data_moment : ndarray, shape (d, d)
        The matrix in whose eigenvectors first-layer weights are read, as in a simulation.
    upstream : UpstreamEnd
    treated : tuple of Treated
        The results after each treatment, in the order of the experiment's treatments.
    """

    experiment: Experiment
    replicas: int
    diverged: int
    device: str
    width: int
    data_moment: np.ndarray
    upstream: UpstreamEnd
    treated: tuple[Treated, ...]

    def __getitem__(self, name: str) -> Treated:
        """The results of the treatment of that name, such as "scratch" or "first-layers 1"."""
        for treated in self.treated:
            if treated.treatment.name == name:
                return treated
        names = [treated.treatment.name for treated in self.treated]
        raise InvalidInput("treatment", name, f"must be one of {', '.join(names)}")
