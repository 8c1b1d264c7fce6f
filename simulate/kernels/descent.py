"""Gradient descent on weights whose gradient is a product of matrices, with the update folded into the product."""

from __future__ import annotations

import torch
from torch import Tensor

from theory.setting import Setting, Training


def folds(setting: Setting) -> bool:
    """Whether the optimizer is SGD with momentum and coupled decay, the one that `Descent` is."""
    return setting.training.optimizer == "sgd" and not setting.training.l1


class Descent:
    """torch.optim.SGD for `weights` (R, …, …), in place, with gradients L R + λ w that are never stored.

    Without momentum w ← (1 − ηλ) w − η L R is one call. With it v ← μ v + L R + λ w and w ← w − η v. Nesterov's
    w ← w − η (g + μ v'), where v' = μ v + g, is w ← (w + ημ v) − η (1 + μ) v': the old velocity is added before it is
    overwritten, and what this adds to the decay of w is taken off the velocity's own factor.
    """

    def __init__(self, training: Training, weights: Tensor) -> None:
        self.weights = weights
        self._momentum, self._decay, self._nesterov = training.momentum, training.weight_decay, training.nesterov
        self._velocity = torch.zeros_like(weights) if training.momentum else None

    def step(self, left: Tensor, right: Tensor, scale: float, rate: float) -> None:
        """One update at learning rate `rate`, by the gradient scale · left @ right."""
        w, v, momentum, decay = self.weights, self._velocity, self._momentum, self._decay
        if v is None:
            w.baddbmm_(left, right, beta=1 - rate * decay, alpha=-rate * scale)
            return
        if self._nesterov:
            w.add_(v, alpha=rate * momentum)
            v.baddbmm_(left, right, beta=momentum * (1 - rate * decay), alpha=scale)
            rate *= 1 + momentum
        else:
            v.baddbmm_(left, right, beta=momentum, alpha=scale)
        if decay:
            v.add_(w, alpha=decay)
        w.add_(v, alpha=-rate)
