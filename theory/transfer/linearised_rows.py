"""The outputs of linearised networks on some rows: the gradients of their loss, the loss itself, and the accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from theory.arrays import Array, namespace
from theory.network.frozen_gates import FrozenGates, freeze, pick
from theory.transfer.linearised_task import LinearisedTask


class LinearisedRows:
    """Rows with targets on which the networks of a task are linearised.

    They are frozen once if that takes no more than `held` numbers, and otherwise part by part, whenever they are
    needed.

    Parameters
    ----------
    task : LinearisedTask
        The task, whose networks and loss are used.
    rows, targets : Array
        The rows and targets of the task, or the held-out ones.
    held : int
    subtracted : bool
        Whether f_0 is subtracted.
    """

    def __init__(self, task: LinearisedTask, rows: Array, targets: Array, *, held: int, subtracted: bool) -> None:
        self._network, self._parameters = task.network, task.parameters
        self._entropy, self._subtracted = task.training.loss == "cross-entropy", subtracted
        self._rows, self._targets = rows, targets
        self._at_once = max(1, held // (task.numbers_per_row * len(rows)))
        fits = rows.shape[1] <= self._at_once
        self._frozen = freeze(self._network, self._parameters, rows) if fits else None

    def gradients(self, changes: Sequence[Array], index: Array | None) -> list[Array]:
        """Gradients of every replica's loss on the rows that `index` (R, B) names (all if None), at θ_0 + δ."""
        size = self._rows.shape[1] if index is None else index.shape[1]
        total: list[Array] = []
        for frozen, targets in self._parts(index):
            found = frozen.backward(self._residual(self._outputs(frozen, changes), targets) / size)
            total = [a + b for a, b in zip(total, found, strict=True)] if total else found
        return total

    def scores(self, changes: Sequence[Array]) -> tuple[Array, Array | None]:
        """Loss and accuracy on all rows at θ_0 + δ, (R,) each, in float64; no accuracy for a single output."""
        xp, n = namespace(self._rows), self._rows.shape[1]
        losses, hits = [], []
        for frozen, targets in self._parts(None):
            outputs = self._outputs(frozen, changes)
            losses.append(xp.sum(xp.astype(self._losses(outputs, targets), xp.float64), axis=1))
            right = xp.argmax(outputs, axis=-1) == xp.argmax(targets, axis=-1)
            hits.append(xp.sum(xp.astype(right, xp.float64), axis=1))
        loss, accuracy = sum(losses[1:], losses[0]) / n, sum(hits[1:], hits[0]) / n
        if self._targets.shape[2] == 1:
            return loss, None
        return loss, xp.where(xp.isfinite(loss), accuracy, xp.full_like(accuracy, xp.nan))

    def _outputs(self, frozen: FrozenGates, changes: Sequence[Array]) -> Array:
        moved = frozen.forward(changes)
        return moved if self._subtracted else frozen.outputs + moved

    def _residual(self, outputs: Array, targets: Array) -> Array:
        """The derivative of every row's loss with respect to its outputs, (R, n, C): softmax f − y, or f − y."""
        if not self._entropy:
            return outputs - targets
        xp = namespace(outputs)
        weights = xp.exp(outputs - xp.max(outputs, axis=-1, keepdims=True))
        return weights / xp.sum(weights, axis=-1, keepdims=True) - targets

    def _losses(self, outputs: Array, targets: Array) -> Array:
        """Every row's loss, (R, n): log Σ e^f − f_y, or ½ ‖f − y‖²."""
        xp = namespace(outputs)
        if not self._entropy:
            return 0.5 * xp.sum((outputs - targets) ** 2, axis=-1)
        below = outputs - xp.max(outputs, axis=-1, keepdims=True)
        return xp.log(xp.sum(xp.exp(below), axis=-1)) - xp.sum(below * targets, axis=-1)

    def _parts(self, index: Array | None) -> Iterator[tuple[FrozenGates, Array]]:
        """The rows of a batch, or all, frozen, with their targets, in as few parts as memory allows."""
        if self._frozen is not None:
            whole = self._frozen, self._targets
            yield whole if index is None else (self._frozen.take(index), *pick(index, self._targets))
            return
        size = self._rows.shape[1] if index is None else index.shape[1]
        for first in range(0, size, self._at_once):
            here = slice(first, first + self._at_once)
            part = self._rows[:, here], self._targets[:, here]
            rows, targets = part if index is None else pick(index[:, here], self._rows, self._targets)
            yield freeze(self._network, self._parameters, rows), targets
