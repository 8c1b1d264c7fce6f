"""The update rules of a setting's optimizer on parameters θ_0 + δ, of which δ is kept; in NumPy or torch.

The conventions are those of torch.optim, with its defaults for options that a setting lacks. Weight decay is coupled,
g ← g + λ θ, and the l1 penalty adds its subgradient, l1 · sign θ; both act on θ = θ_0 + δ, biases included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from theory.arrays import Array, namespace
from theory.setting import Training

# torch.optim's defaults: Adam's rates of both means, RMSprop's rate of its mean, and what is added to the root.
BETAS, ALPHA, EPSILON = (0.9, 0.999), 0.99, 1e-8


class Updates:
    """The state of one training: changes δ, which `step` updates in place.

    Parameters
    ----------
    training : Training
        The training, of which optimizer, learning rate with drops, momentum, decay and l1 are used.
    start : sequence of Array
        θ_0, one array per trained parameter; not changed.
    velocity : sequence of Array, optional
        v of momentum before the first update; zero by default.

    Attributes
    ----------
    changes : list of Array
        δ, zero at first.

    Examples
    --------
    Two steps of momentum ½ at rate 1 by a gradient of 1: v = 1, then 1.5.

    >>> import numpy as np
    >>> updates = Updates(Training(learning_rate=1.0, momentum=0.5), [np.zeros(1)])
    >>> for _ in range(2):
    ...     updates.step([np.ones(1)])
    >>> updates.changes[0].tolist()
    [-2.5]
    """

    def __init__(self, training: Training, start: Sequence[Array], velocity: Sequence[Array] | None = None) -> None:
        self.training = training
        self.changes = [namespace(w).zeros_like(w) for w in start]
        self._start = start
        self._steps = 0
        averaged = training.optimizer == "adam" or training.momentum > 0
        squared = training.optimizer in ("adam", "rmsprop")
        self._means = [namespace(w).zeros_like(w) for w in start] if averaged else []
        if velocity is not None:
            self._means = [mean + v for mean, v in zip(self._means, velocity, strict=True)]
        self._squares = [namespace(w).zeros_like(w) for w in start] if squared else []

    def step(self, gradients: Sequence[Array]) -> None:
        """One update by the gradients of the loss at θ_0 + δ, of the shapes of `changes`; they are overwritten."""
        training, rate = self.training, self.training.learning_rate_at(self._steps)
        self._steps += 1
        rule = {"sgd": self._sgd, "adam": self._adam, "rmsprop": self._rmsprop, "signsgd": self._signsgd}
        for i, (change, gradient) in enumerate(zip(self.changes, gradients, strict=True)):
            if training.weight_decay or training.l1:
                at = self._start[i] + change
                if training.weight_decay:
                    gradient += training.weight_decay * at
                if training.l1:
                    gradient += training.l1 * namespace(at).sign(at)
            rule[training.optimizer](i, change, gradient, rate)

    def _sgd(self, i: int, change: Array, gradient: Array, rate: float) -> None:
        """v ← μ v + g, then δ ← δ − η v, or δ − η (g + μ v) with Nesterov."""
        momentum = self.training.momentum
        step = gradient
        if momentum:
            step = self._means[i]
            step *= momentum
            step += gradient
            if self.training.nesterov:
                gradient += momentum * step
                step = gradient
        change -= rate * step

    def _adam(self, i: int, change: Array, gradient: Array, rate: float) -> None:
        """m ← β₁ m + (1 − β₁) g, s ← β₂ s + (1 − β₂) g², δ ← δ − η m̂/(√ŝ + ε), both corrected for their start at 0."""
        first, second = BETAS
        mean, square = self._means[i], self._squares[i]
        mean *= first
        mean += (1 - first) * gradient
        square *= second
        square += (1 - second) * gradient * gradient
        root = namespace(square).sqrt(square) / math.sqrt(1 - second**self._steps) + EPSILON
        change -= rate / (1 - first**self._steps) * mean / root

    def _rmsprop(self, i: int, change: Array, gradient: Array, rate: float) -> None:
        """s ← α s + (1 − α) g², δ ← δ − η g/(√s + ε)."""
        square = self._squares[i]
        square *= ALPHA
        square += (1 - ALPHA) * gradient * gradient
        change -= rate * gradient / (namespace(square).sqrt(square) + EPSILON)

    def _signsgd(self, i: int, change: Array, gradient: Array, rate: float) -> None:
        """One update, δ ← δ − η sign g."""
        change -= rate * namespace(gradient).sign(gradient)
