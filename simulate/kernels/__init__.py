"""Ways of training a batch of replicas: all have one signature and give the same numbers, except for rounding.

A kernel is a module with the functions of :class:`Kernel`; the first of `KERNELS` that applies to a setting is used, so
faster ones come first and the general one comes last; `module`, which trains replicas one by one, applies only to
networks with many weights. Any kernel that applies can be requested by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from torch import Tensor

from simulate.inputs import Inputs
from simulate.kernels import dense, general, linear, module, one_hidden
from simulate.networks import Shapes
from theory.setting import InvalidInput, Setting


class Kernel(Protocol):
    """A way of training a batch of replicas."""

    def applies(self, setting: Setting) -> bool:
        """Whether this kernel trains such a setting."""

    def touched(self, setting: Setting, shapes: Shapes, batch: int, rows: int) -> int:
        """How many numbers of a replica a step uses, which should fit into a cache.

        `shapes` are those of the weights, `batch` the rows of a step, `rows` all rows.
        """

    def train(self, setting: Setting, inputs: Inputs) -> dict[int, tuple[Tensor, ...]]:
        """All parameters at every reading of the setting, keyed by step; the inputs are not changed."""


KERNELS: Mapping[str, Kernel] = MappingProxyType(
    {"linear": linear, "one-hidden": one_hidden, "dense": dense, "module": module, "general": general}
)


def choose_kernel(setting: Setting, name: str | None = None) -> Kernel:
    """The kernel of that name; if None, the fastest one that applies.

    Raises
    ------
    InvalidInput
        If there is no such kernel, or it does not train such a setting.

    Examples
    --------
    >>> from theory.setting import Data
    >>> choose_kernel(Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0)))).__name__
    'simulate.kernels.linear'
    """
    fit = [key for key, kernel in KERNELS.items() if kernel.applies(setting)]
    if name is None:
        passed = "" if module.faster(setting) else "module"
        return KERNELS[next(key for key in fit if key != passed)]
    if name not in fit:
        raise InvalidInput("kernel", name, f"must be one of {', '.join(map(repr, fit))} for this setting")
    return KERNELS[name]
