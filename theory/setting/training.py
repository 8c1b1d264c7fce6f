"""The optimizer, its batches, and the steps at which weights are read."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar, Literal

from theory.checked import Checked


class Training(Checked, frozen=True, kw_only=True):
    """The optimizer, in the conventions of torch.optim; one step is one update."""

    table: ClassVar[str] = "training"
    optimizer: Literal["sgd", "adam", "rmsprop", "signsgd"] = "sgd"
    loss: Literal["mse", "cross-entropy"] = "mse"
    learning_rate: float = 0.05
    drops: tuple[tuple[int, float], ...] = ()
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    l1: float = 0.0
    batch_size: int | Literal["full"] = "full"
    sampling: Literal["epochs", "fresh", "replacement"] = "epochs"
    steps: int | tuple[int, ...] = 100

    def check(self) -> None:
        self.require(self.learning_rate > 0, "learning_rate", "must be positive")
        for i, (step, factor) in enumerate(self.drops):
            self.require(step >= 0, f"drops[{i}]", "a step is not negative", (step, factor))
            self.require(factor > 0, f"drops[{i}]", "a factor must be positive", (step, factor))
        ascending = all(a[0] < b[0] for a, b in pairwise(self.drops))
        self.require(ascending, "drops", "steps must ascend")
        self.require(0 <= self.momentum < 1, "momentum", "must lie in [0, 1)")
        self.require(not self.nesterov or self.momentum > 0, "nesterov", "needs a positive training.momentum")
        plain = self.optimizer == "sgd" or self.momentum == 0
        self.require(plain, "momentum", f"belongs to training.optimizer 'sgd', not to {self.optimizer!r}")
        self.require(self.weight_decay >= 0, "weight_decay", "must not be negative")
        self.require(self.l1 >= 0, "l1", "must not be negative")
        self.require(self.batch_size == "full" or self.batch_size >= 1, "batch_size", "must be at least 1")
        readings = self.readings
        self.require(len(readings) > 0, "steps", "must name at least one step")
        self.require(min(readings) >= 0, "steps", "a step is not negative")
        self.require(all(a < b for a, b in pairwise(readings)), "steps", "must ascend")

    @property
    def readings(self) -> tuple[int, ...]:
        """The steps at which τ is read, ascending."""
        return self.steps if isinstance(self.steps, tuple) else (self.steps,)

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of update `step` (0 is the first); each drop (s, c) multiplies it by c from update s on.

        >>> Training(learning_rate=0.1, drops=((10, 0.5), (20, 0.5))).learning_rate_at(20)
        0.025
        """
        return self.learning_rate * math.prod(factor for start, factor in self.drops if step >= start)
