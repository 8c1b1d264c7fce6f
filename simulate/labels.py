"""Labels: drawn independently of x, by a linear teacher, or the data's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulate.results import Population
from simulate.streams import Purpose, Streams
from theory.setting import InvalidInput, Labels, Setting


@dataclass(frozen=True, eq=False)
class Labeller:
    """Draws the labels of a replica.

    Attributes
    ----------
    law : Labels
    outputs : int
        C, the number of outputs of the network; at least that of classes, where labels are classes.
    indices : bool
        Whether labels are class indices (n,) (cross-entropy) or targets (n, C) (mean squared error).
    teacher : ndarray, shape (d, C), or None
        f*(x) = xᵀ teacher, each output of variance 1 over the population's covariance.
    real : ndarray, shape (N,) of int or (N, C) of float, or None
        The labels of a finite set of rows.
    """

    law: Labels
    outputs: int
    indices: bool
    teacher: np.ndarray | None
    real: np.ndarray | None

    def draw(self, generator: np.random.Generator, x: np.ndarray, picked: np.ndarray | None) -> np.ndarray:
        """Labels of the rows x (n, d), which are rows `picked` of a finite set: (n, C) targets or (n,) classes."""
        law, n = self.law, len(x)
        if law.kind == "gaussian":
            return np.sqrt(law.variance) * generator.standard_normal((n, self.outputs))
        if law.kind == "rademacher":
            return np.sqrt(law.variance) * (2.0 * generator.integers(2, size=(n, self.outputs)) - 1)
        if self.teacher is not None:
            return x @ self.teacher + np.sqrt(law.noise) * generator.standard_normal((n, self.outputs))
        labels = generator.integers(law.classes, size=n) if self.real is None else self.real[picked]
        if self.indices or labels.ndim == 2:
            return labels
        return one_hot(labels, self.outputs)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Centred one-hot targets e_y − 1/C: (n,) class indices → (n, C); uniform classes have variance (C − 1)/C².

    >>> one_hot(np.array([1, 0]), 2)
    array([[-0.5,  0.5],
           [ 0.5, -0.5]])
    """
    return np.eye(classes)[labels] - 1 / classes


def open_labels(setting: Setting, population: Population, real: np.ndarray | None, streams: Streams) -> Labeller:
    """The labeller of a setting; `real` are the labels of the finite set that the rows are drawn from."""
    law, entropy = setting.labels, setting.training.loss == "cross-entropy"
    teacher, outputs = None, setting.outputs
    if real is not None:
        if entropy and real.ndim == 2:
            raise InvalidInput(
                "training.loss", "cross-entropy", "needs class labels, and data.labels_path holds real numbers"
            )
        outputs = real.shape[1] if real.ndim == 2 else int(real.max()) + 1
    if law.kind == "teacher":
        if setting.network.convolves:
            raise InvalidInput("labels.kind", "teacher", "is a function of rows of numbers, not of images")
        teacher = streams.at(Purpose.TEACHER).standard_normal((len(population.mean), law.outputs))
        teacher /= np.sqrt(np.einsum("ic,ij,jc->c", teacher, population.covariance, teacher))
    assert outputs is not None
    return Labeller(law, outputs, entropy, teacher, real)
