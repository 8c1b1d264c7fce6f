"""The rows of every batch, of all replicas at once."""

from __future__ import annotations

import torch
from torch import Tensor

from simulate.inputs import Inputs
from theory.setting import Setting


class Batches:
    """Cuts batches out of the rows of R replicas.

    Attributes
    ----------
    size : int
        B, the rows of a batch.
    """

    def __init__(self, setting: Setting, inputs: Inputs) -> None:
        replicas, d = len(inputs.y), inputs.x.shape[-1]
        self._x, self._y = inputs.x.expand(replicas, -1, d), inputs.y
        self._orders = inputs.orders
        size = setting.training.batch_size
        self._online = size if setting.data.samples == "online" and size != "full" else None
        self.size: int = inputs.y.shape[1] if self._online is None else self._online
        if self._orders is not None:
            self.size = self._orders.shape[2]
            # Rows of replica r are rows r·n … of all replicas' rows laid end to end; a shared X has only its own n.
            offsets = torch.arange(replicas, device=inputs.y.device).mul_(inputs.y.shape[1])[:, None]
            steps_first = self._orders.transpose(0, 1)
            self._labels_at = (steps_first + offsets).flatten(1)
            self._rows_at = steps_first.flatten(1) if inputs.x.ndim == 2 else self._labels_at
            self._flat_x, self._flat_y = inputs.x.reshape(-1, d), self._y.flatten(0, 1)

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """The rows (R, B, d) and labels (R, B, …) of update number `step`."""
        if self._orders is not None:
            head = (self._orders.shape[0], self._orders.shape[2])
            x = self._flat_x.index_select(0, self._rows_at[step])
            y = self._flat_y.index_select(0, self._labels_at[step])
            return x.view(*head, *x.shape[1:]), y.view(*head, *y.shape[1:])
        if self._online is not None:
            rows = slice(step * self._online, (step + 1) * self._online)
            return self._x[:, rows], self._y[:, rows]
        return self._x, self._y
