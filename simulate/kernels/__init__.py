"""Ways of training a batch of replicas: all have one signature and give the same numbers, but for rounding.

A kernel is a module with ``applies(setting) -> bool`` and ``train(setting, inputs) -> dict``; the first of `KERNELS`
that applies is used, so faster ones come first and the one that trains anything comes last.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from simulate.inputs import Inputs
from simulate.kernels import dense, general, linear, one_hidden
from theory.setting import Setting


class Kernel(Protocol):
    """A way of training a batch of replicas."""

    def applies(self, setting: Setting) -> bool:
        """Whether this kernel trains such a setting."""

    def train(self, setting: Setting, inputs: Inputs) -> dict[int, tuple[Tensor, ...]]:
        """All parameters at every reading of the setting, keyed by step; the inputs are left as they are."""


KERNELS: tuple[Kernel, ...] = (linear, one_hidden, dense, general)


def choose(setting: Setting) -> Kernel:
    """The first kernel that applies."""
    return next(kernel for kernel in KERNELS if kernel.applies(setting))
