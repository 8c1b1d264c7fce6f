"""Upstream training: for a number of updates, or until each replica fits its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from simulate import kernels
from simulate.inputs import Inputs
from simulate.kernels import dense, general
from simulate.kernels.minibatches import Minibatches
from simulate.optimizers import make_optimizer
from simulate.transfer.measures import scores
from theory.setting import Setting, Until


@dataclass(frozen=True, eq=False)
class Ended:
    """Where upstream training ended for R replicas.

    Attributes
    ----------
    parameters : tuple of Tensor
        The parameters, in the order of `Inputs.parameters`.
    steps : Tensor of int64, shape (R,)
        The number of updates made.
    fitted : Tensor of bool, shape (R,)
        Whether the criterion was met; true for all where there is none.
    """

    parameters: tuple[Tensor, ...]
    steps: Tensor
    fitted: Tensor


@dataclass(frozen=True, eq=False)
class Ends:
    """Where upstream training ended for consecutive replicas, with one row a replica, on the host.

    Attributes
    ----------
    parameters : tuple of Tensor
        The parameters, in the order of `Inputs.parameters`.
    steps, fitted : ndarray
        The number of updates made, and whether the criterion was met, as in `Ended`.
    loss : ndarray
        The loss on the upstream rows.
    accuracy : ndarray or None
        None where labels are not classes.
    finite : ndarray of bool
        Whether parameters and loss are finite numbers.
    """

    parameters: tuple[Tensor, ...]
    steps: np.ndarray
    fitted: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray | None
    finite: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is, by name."""
        found = {f"parameters.{i}": w.numpy() for i, w in enumerate(self.parameters)}
        found |= {"steps": self.steps, "fitted": self.fitted, "loss": self.loss, "finite": self.finite}
        return found if self.accuracy is None else {**found, "accuracy": self.accuracy}

    def part(self, first: int, last: int) -> Ends:
        """Rows first … last − 1, which are not copied."""
        here = slice(first, last)
        accuracy = None if self.accuracy is None else self.accuracy[here]
        parameters = tuple(w[here] for w in self.parameters)
        return Ends(parameters, self.steps[here], self.fitted[here], self.loss[here], accuracy, self.finite[here])

    @staticmethod
    def of(arrays: Mapping[str, np.ndarray]) -> Ends:
        """What `arrays` gave."""
        count = sum(name.startswith("parameters.") for name in arrays)
        parameters = tuple(torch.from_numpy(arrays[f"parameters.{i}"]) for i in range(count))
        accuracy, ends_finite = arrays.get("accuracy"), arrays["finite"]
        return Ends(parameters, arrays["steps"], arrays["fitted"], arrays["loss"], accuracy, ends_finite)

    @staticmethod
    def joined(parts: Sequence[Ends]) -> Ends:
        """The replicas of all parts, one after the other.

        Parameters are copied into torch's own memory, which is aligned the same way wherever the parts are from:
        a product of matrices may round differently where it isn't.
        """
        parameters = tuple(torch.cat(column) for column in zip(*(part.parameters for part in parts), strict=True))
        accuracies = [part.accuracy for part in parts if part.accuracy is not None]
        return Ends(
            parameters,
            np.concatenate([part.steps for part in parts]),
            np.concatenate([part.fitted for part in parts]),
            np.concatenate([part.loss for part in parts]),
            np.concatenate(accuracies) if accuracies else None,
            np.concatenate([part.finite for part in parts]),
        )


def train_upstream(setting: Setting, until: Until | None, inputs: Inputs) -> Ended:
    """Train for ``training.steps`` updates, or each replica until it meets the criterion, at most as many."""
    last = setting.training.readings[-1]
    replicas = inputs.y.shape[:1]
    if until is None:
        parameters = kernels.choose_kernel(setting).train(setting, inputs)[last]
        steps = torch.full(replicas, last, device=inputs.y.device)
        return Ended(parameters, steps, torch.ones(replicas, dtype=torch.bool, device=inputs.y.device))
    course = SteppedTraining(setting, inputs)
    kept = tuple(w.clone() for w in course.parameters)
    steps = inputs.y.new_full(replicas, last, dtype=torch.int64)
    fitted = torch.zeros(replicas, dtype=torch.bool, device=inputs.y.device)
    every = setting.batches_per_epoch if until.every == "epoch" else until.every
    for check in (*range(0, last, every), last):
        course.advance(check)
        reached = _reached(setting, until, course.parameters, inputs) & ~fitted
        ending = reached if check < last else ~fitted
        for k, w in zip(kept, course.parameters, strict=True):
            k[ending] = w[ending]
        steps[ending] = check
        fitted |= reached
        if fitted.all():
            break
    return Ended(kept, steps, fitted)


class SteppedTraining:
    """Training that can be looked at between updates: the optimizer's state is kept.

    Parameters
    ----------
    setting : Setting
    inputs : Inputs
    towards : tuple of Tensor
        Values of all parameters towards which they decay, the gradient of ½ `strength` ‖w − towards‖² being added to
        that of the loss.
    strength : float
        0 for no such decay.

    Attributes
    ----------
    parameters : tuple of Tensor
        The present parameters, which change with every update.
    """

    def __init__(
        self, setting: Setting, inputs: Inputs, towards: tuple[Tensor, ...] = (), strength: float = 0.0
    ) -> None:
        network = setting.network
        self.parameters = tuple(w.clone() for w in inputs.parameters)
        trained = self.parameters[: 1 + network.bias] if network.train == "first" else self.parameters
        self._pulled = tuple(zip(trained, towards[: len(trained)], strict=True)) if strength else ()
        self._strength = strength
        self._optimizer = make_optimizer(setting.training, trained)
        self._batches = Minibatches(setting, inputs)
        self._gradients = (
            dense.Backward(network, self.parameters, len(trained), self._batches.size)
            if dense.applies(setting)
            else partial(general.gradients, network, self.parameters, trained)
        )

    def advance(self, step: int) -> None:
        """Train until `step` updates have been made in all."""
        for t in range(self._optimizer.steps, step):
            gradients = self._gradients(*self._batches.at(t))
            for g, (w, middle) in zip(gradients, self._pulled, strict=False):
                g.add_(w, alpha=self._strength).add_(middle, alpha=-self._strength)
            self._optimizer.step(gradients)


def _reached(setting: Setting, until: Until, parameters: tuple[Tensor, ...], inputs: Inputs) -> Tensor:
    loss, accuracy = scores(setting.network, parameters, inputs.x, inputs.y, classes=until.accuracy is not None)
    if until.loss is not None:
        return loss <= until.loss
    assert accuracy is not None
    assert until.accuracy is not None
    return accuracy >= until.accuracy
