"""The rows of every batch, of all replicas at once."""

from __future__ import annotations

import torch
from torch import Tensor

from simulate.inputs import Inputs
from theory.setting import Setting


class Minibatches:
    """Cuts batches out of the rows of R replicas.

    Batches that are drawn are gathered for as many steps at once as there are in an epoch, step by step in memory.

    Parameters
    ----------
    setting : Setting
    inputs : Inputs
    scale : float
        What every row is multiplied by.
    ones : bool
        Whether a coordinate that is always 1 is appended to the rows, to carry a bias.

    Attributes
    ----------
    size : int
        B, the rows of a batch.
    """

    def __init__(self, setting: Setting, inputs: Inputs, *, scale: float = 1.0, ones: bool = False) -> None:
        x = inputs.x if scale == 1.0 else inputs.x * scale
        x = torch.cat((x, x.new_ones(*x.shape[:-1], 1)), -1) if ones else x
        replicas, n = inputs.y.shape[:2]
        row = x.shape[1:] if inputs.shared else x.shape[2:]
        self._x, self._y = x.expand(replicas, n, *row), inputs.y
        self._orders = inputs.orders
        self._online = setting.batch_rows if setting.data.samples == "online" else None
        self.size: int = n if self._online is None else self._online
        if self._orders is None:
            return
        steps, self.size = self._orders.shape[1:]
        # Rows of replica r are rows r·n … of all replicas' rows laid end to end; a shared X has only its own n.
        offsets = torch.arange(replicas, device=x.device).mul_(n)[:, None]
        steps_first = self._orders.transpose(0, 1)
        self._labels_at = (steps_first + offsets).flatten(1)
        self._rows_at = steps_first.flatten(1) if inputs.shared else self._labels_at
        self._flat_x = x.reshape(-1, *row)
        # Numbers are gathered faster than rows of one number.
        label = self._y.shape[2:]
        self._flat_y = self._y.reshape(-1) if label.numel() == 1 else self._y.flatten(0, 1)
        self._group = max(1, min(n // self.size, steps))
        self._held = -1
        self._gathered_x = x.new_empty(self._group * replicas * self.size, *row)
        self._gathered_y = self._y.new_empty(len(self._gathered_x), *self._flat_y.shape[1:])
        head = (self._group, replicas, self.size)
        self._xs = self._gathered_x.view(*head, *row).unbind()
        self._ys = self._gathered_y.view(*head, *label).unbind()

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """The rows (R, B, …) and labels (R, B, …) of update number `step`; valid until the next call."""
        if self._orders is not None:
            group, place = divmod(step, self._group)
            if group != self._held:
                self._gather(group)
            return self._xs[place], self._ys[place]
        if self._online is not None:
            rows = slice(step * self._online, (step + 1) * self._online)
            return self._x[:, rows], self._y[:, rows]
        return self._x, self._y

    def _gather(self, group: int) -> None:
        steps = slice(group * self._group, (group + 1) * self._group)
        rows, labels = self._rows_at[steps].reshape(-1), self._labels_at[steps].reshape(-1)
        torch.index_select(self._flat_x, 0, rows, out=self._gathered_x[: len(rows)])
        torch.index_select(self._flat_y, 0, labels, out=self._gathered_y[: len(labels)])
        self._held = group
