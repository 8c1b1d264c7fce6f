"""How a group acts on the inputs of a network and on its first-layer weights, leaving their products unchanged.

Rotations act on the last axis of rows and on the channels of images (with filters of any size, since every pixel is
turned in the same way); permutations act on the names of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from theory.errors import InvalidInput
from theory.symmetry import haar

GroupKind = Literal["rotations", "channels", "tokens"]
KINDS: tuple[GroupKind, ...] = ("rotations", "channels", "tokens")


@dataclass(frozen=True, eq=False)
class Action:
    """One element of a group: a rotation of an axis, or a permutation of tokens; `inverse` undoes it.

    Attributes
    ----------
    kind : "rotations", "channels" or "tokens"
    matrix : Tensor, shape (d, d)
        Orthogonal, float64; for tokens, the permutation as integers, (V,).
    """

    kind: GroupKind
    matrix: Tensor

    def on_inputs(self, inputs: Tensor) -> Tensor:
        """The transformed inputs."""
        if self.kind == "tokens":
            return self.matrix.to(inputs.device)[inputs]
        return self._turned(inputs)

    def on_weights(self, weights: Tensor) -> Tensor:
        """First-layer weights, transformed so that their products with transformed inputs are unchanged."""
        if self.kind == "tokens":
            moved = torch.empty_like(weights)
            moved[self.matrix.to(weights.device)] = weights
            return moved
        return self._turned(weights)

    @property
    def inverse(self) -> Action:
        """The element that undoes this one."""
        return Action(self.kind, torch.argsort(self.matrix) if self.kind == "tokens" else self.matrix.T)

    def _turned(self, array: Tensor) -> Tensor:
        axis = -1 if self.kind == "rotations" else 1
        rotation = self.matrix.to(array)
        return (array.movedim(axis, -1) @ rotation.T).movedim(-1, axis).contiguous()


def group_of(inputs: Tensor, weights: Tensor, kind: str | None) -> GroupKind:
    """The group that fits inputs and weights: tokens where inputs are integers, channels where weights are filters.

    Raises
    ------
    InvalidInput
        If there is no group of this name, or the shapes of inputs and weights do not fit it.
    """
    if kind is None:
        kind = "tokens" if not inputs.is_floating_point() else "channels" if weights.ndim > 2 else "rotations"
    if kind not in KINDS:
        raise InvalidInput("group", kind, f"must be one of {', '.join(map(repr, KINDS))}")
    if (kind == "tokens") == inputs.is_floating_point():
        raise InvalidInput("inputs.dtype", str(inputs.dtype), f"does not fit the group {kind!r}: tokens are integers")
    if kind == "tokens":
        if weights.ndim != 2:
            raise InvalidInput("weights.shape", tuple(weights.shape), "must be (tokens, features)")
        if inputs.numel() and not 0 <= int(inputs.min()) <= int(inputs.max()) < len(weights):
            raise InvalidInput("inputs", f"{inputs.min()} to {inputs.max()}", f"must lie in [0, {len(weights)})")
        return "tokens"
    axis = -1 if kind == "rotations" else 1
    if min(inputs.ndim, weights.ndim) < 2 or inputs.shape[axis] != weights.shape[axis]:
        shapes = (tuple(inputs.shape), tuple(weights.shape))
        raise InvalidInput("weights.shape", shapes[1], f"does not fit inputs of shape {shapes[0]} on axis {axis}")
    return "rotations" if kind == "rotations" else "channels"


def draw_action(kind: GroupKind, weights: Tensor, generator: np.random.Generator) -> Action:
    """A Haar-distributed rotation, or a uniform permutation, of the axis that weights and inputs share."""
    if kind == "tokens":
        return Action(kind, torch.from_numpy(generator.permutation(len(weights))))
    dimension = weights.shape[-1 if kind == "rotations" else 1]
    return Action(kind, torch.from_numpy(haar(generator, dimension, 1)[0]))
