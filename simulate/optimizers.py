"""Optimizers in the conventions of torch.optim, on parameters batched over replicas, in place.

Weight decay is coupled, g ← g + λ w, as in torch.optim.SGD, Adam and RMSprop; the l1 penalty adds its subgradient
l1 · sign(w) (0 at 0). Both act on every trained parameter, biases included.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from theory.setting import Training


class Optimizer(ABC):
    """Updates parameters in place; gradients are overwritten. The learning rate of each is multiplied by its factor."""

    def __init__(self, training: Training, parameters: Sequence[Tensor], factors: Sequence[float] = ()) -> None:
        self.training = training
        self.parameters = parameters
        self.factors = factors or (1.0,) * len(parameters)
        self.steps = 0

    def step(self, gradients: Sequence[Tensor]) -> None:
        """One update by the gradients of the loss."""
        training = self.training
        rate = training.learning_rate_at(self.steps)
        self.steps += 1
        for i, (w, g, factor) in enumerate(zip(self.parameters, gradients, self.factors, strict=True)):
            if training.weight_decay:
                g.add_(w, alpha=training.weight_decay)
            if training.l1:
                g.add_(w.sign(), alpha=training.l1)
            self.update(i, w, g, rate * factor)

    @abstractmethod
    def update(self, i: int, w: Tensor, g: Tensor, rate: float) -> None:
        """Update parameter number i, w, by its decayed gradient g."""


class Sgd(Optimizer):
    """v ← μ v + g, w ← w − η v, or w − η (g + μ v) with Nesterov; v starts at the first gradient."""

    def __init__(self, training: Training, parameters: Sequence[Tensor], factors: Sequence[float] = ()) -> None:
        super().__init__(training, parameters, factors)
        self.velocities = [torch.zeros_like(w) for w in parameters] if training.momentum else []

    def update(self, i: int, w: Tensor, g: Tensor, rate: float) -> None:
        momentum = self.training.momentum
        if momentum:
            v = self.velocities[i].mul_(momentum).add_(g)
            g = g.add_(v, alpha=momentum) if self.training.nesterov else v
        w.add_(g, alpha=-rate)


class Adam(Optimizer):
    """torch.optim.Adam with its defaults: β = (0.9, 0.999), ε = 1e-8 added to the root."""

    def __init__(self, training: Training, parameters: Sequence[Tensor], factors: Sequence[float] = ()) -> None:
        super().__init__(training, parameters, factors)
        self.means = [torch.zeros_like(w) for w in parameters]
        self.squares = [torch.zeros_like(w) for w in parameters]

    def update(self, i: int, w: Tensor, g: Tensor, rate: float) -> None:
        mean = self.means[i].mul_(0.9).add_(g, alpha=0.1)
        square = self.squares[i].mul_(0.999).addcmul_(g, g, value=0.001)
        root = square.sqrt().div_(math.sqrt(1 - 0.999**self.steps)).add_(1e-8)
        w.addcdiv_(mean, root, value=-rate / (1 - 0.9**self.steps))


class RmsProp(Optimizer):
    """torch.optim.RMSprop with its defaults: α = 0.99, ε = 1e-8 added to the root, no momentum."""

    def __init__(self, training: Training, parameters: Sequence[Tensor], factors: Sequence[float] = ()) -> None:
        super().__init__(training, parameters, factors)
        self.squares = [torch.zeros_like(w) for w in parameters]

    def update(self, i: int, w: Tensor, g: Tensor, rate: float) -> None:
        square = self.squares[i].mul_(0.99).addcmul_(g, g, value=0.01)
        w.addcdiv_(g, square.sqrt().add_(1e-8), value=-rate)


class SignSgd(Optimizer):
    """w ← w − η sign(g)."""

    def update(self, i: int, w: Tensor, g: Tensor, rate: float) -> None:
        w.add_(g.sign_(), alpha=-rate)


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": Sgd, "adam": Adam, "rmsprop": RmsProp, "signsgd": SignSgd}


def make_optimizer(training: Training, parameters: Sequence[Tensor], factors: Sequence[float] = ()) -> Optimizer:
    """The optimizer of a setting, with zero state, on `parameters`; `factors` multiply the learning rate of each."""
    return OPTIMIZERS[training.optimizer](training, parameters, factors)
