"""What a linearised network is trained on: checked, in one dtype, with a replica axis everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from theory.arrays import Array, like, namespace
from theory.errors import InvalidInput
from theory.network.frozen_gates import freeze
from theory.setting import Network, Training


@dataclass(frozen=True, eq=False)
class LinearisedTask:
    """R networks, their rows and targets, and the rows of every update; `checked_task` makes it.

    Attributes
    ----------
    network : Network
    training : Training
    parameters : tuple of Array, shapes (R, out, in) and (R, out)
    rows : Array, shape (R, n, d) or (R, n, C, H, W)
    targets : Array, shape (R, n, C)
        The targets, one-hot for classes.
    batches : Array, shape (R, T, B), or None
        None if every update sees all rows.
    held_out : (rows, targets) or None
    velocity : tuple of Array or None
        Velocity of the trained parameters; None at the beginning of training.
    """

    network: Network
    training: Training
    parameters: tuple[Array, ...]
    rows: Array
    targets: Array
    batches: Array | None
    held_out: tuple[Array, Array] | None
    velocity: tuple[Array, ...] | None = None

    @property
    def trained(self) -> tuple[Array, ...]:
        """The parameters that the optimizer moves."""
        return self.parameters if self.network.train == "all" else self.parameters[: 1 + self.network.bias]

    @property
    def numbers_per_row(self) -> int:
        """How many numbers a frozen row of one network takes."""
        return freeze(self.network, tuple(w[:1] for w in self.parameters), self.rows[:1, :1]).numbers

    def groups(self, held: int) -> Iterator[LinearisedTask]:
        """As few groups of replicas as possible with no more than `held` numbers each, or groups of one replica."""
        rows = self.rows.shape[1] + (0 if self.held_out is None else self.held_out[0].shape[1])
        size = max(1, held // (self.numbers_per_row * rows))
        for first in range(0, len(self.rows), size):
            here = slice(first, first + size)
            yield replace(
                self,
                parameters=tuple(w[here] for w in self.parameters),
                rows=self.rows[here],
                targets=self.targets[here],
                batches=None if self.batches is None else self.batches[here],
                held_out=None if self.held_out is None else (self.held_out[0][here], self.held_out[1][here]),
                velocity=None if self.velocity is None else tuple(v[here] for v in self.velocity),
            )


def checked_task(
    network: Network,
    training: Training,
    parameters: Sequence[Array],
    rows: Array,
    labels: Array,
    batches: Array | None = None,
    held_out: tuple[Array, Array] | None = None,
    velocity: Sequence[Array] | None = None,
) -> LinearisedTask:
    """The task in the parameters' dtype; arguments and errors as `theory.transfer.linearised_training`."""
    namespace(rows, labels, *parameters, *(held_out or ()), *(() if batches is None else (batches,)))
    weights = tuple(_without_history(w) for w in parameters)
    last = len(weights) - 1 - network.bias
    if last < 0 or weights[last].ndim != 3:
        shapes = [tuple(w.shape) for w in weights]
        raise InvalidInput("parameters", shapes, "must be weights (R, out, in), layer by layer, with their biases")
    replicas = len(weights[last])
    trained_on = _rows("rows", network, rows, weights[last])
    n, entropy = trained_on.shape[1], training.loss == "cross-entropy"
    others = None
    if held_out is not None:
        unseen = _rows("held_out[0]", network, held_out[0], weights[last])
        others = unseen, _targets("held_out[1]", held_out[1], entropy, unseen.shape[1], weights[last])
    task = LinearisedTask(
        network=network,
        training=training,
        parameters=weights,
        rows=trained_on,
        targets=_targets("labels", labels, entropy, n, weights[last]),
        batches=_batches(training, batches, replicas, n),
        held_out=others,
    )
    return task if velocity is None else replace(task, velocity=_velocity(task, velocity))


def _velocity(task: LinearisedTask, velocity: Sequence[Array]) -> tuple[Array, ...]:
    """The velocity of the trained parameters, in their dtype."""
    if not (task.training.optimizer == "sgd" and task.training.momentum):
        raise InvalidInput("velocity", "given", "needs training.momentum: without it there is none")
    shapes, wanted = [tuple(v.shape) for v in velocity], [tuple(w.shape) for w in task.trained]
    if shapes != wanted:
        raise InvalidInput("velocity", shapes, f"must have the shapes of what is trained, {wanted}")
    return tuple(namespace(v).astype(_without_history(v), w.dtype) for v, w in zip(velocity, task.trained, strict=True))


def _without_history(array: Array) -> Array:
    """A tensor detached from its gradients."""
    return array.detach() if hasattr(array, "detach") else array


def _rows(name: str, network: Network, rows: Array, weights: Array) -> Array:
    """Rows (R, n, …) in the dtype of the weights; the network's shapes are checked where it is frozen."""
    xp, own = namespace(rows), 4 if network.convolves else 2
    if rows.ndim not in (own, own + 1) or 0 in rows.shape:
        shape = "(n, C, H, W) or (R, n, C, H, W)" if network.convolves else "(n, d) or (R, n, d)"
        raise InvalidInput(f"{name}.shape", tuple(rows.shape), f"must be {shape}, without a 0")
    cast = xp.astype(_without_history(rows), weights.dtype)
    return xp.broadcast_to(cast, (len(weights), *cast.shape)) if rows.ndim == own else cast


def _targets(name: str, labels: Array, entropy: bool, n: int, weights: Array) -> Array:
    """Targets (R, n, C) in the dtype of the weights: one-hot for classes, which cross-entropy takes."""
    xp, (replicas, outputs, _) = namespace(labels), weights.shape
    if bool(xp.isdtype(labels.dtype, "integral")) != entropy:
        rule = "must be integers, classes, for cross-entropy" if entropy else "must be real for the squared error"
        raise InvalidInput(f"{name}.dtype", str(labels.dtype), rule)
    shape = (n,) if entropy else (n, outputs)
    if tuple(labels.shape) not in (shape, (replicas, *shape)):
        raise InvalidInput(f"{name}.shape", tuple(labels.shape), f"must be {shape} or {(replicas, *shape)}")
    if not entropy:
        if not bool(xp.all(xp.isfinite(labels))):
            raise InvalidInput(name, "nan or inf", "must be finite")
        return xp.broadcast_to(xp.astype(_without_history(labels), weights.dtype), (replicas, n, outputs))
    _check_range(name, labels, outputs, "classes")
    one_hot = xp.astype(labels[..., None] == like(np.arange(outputs), labels), weights.dtype)
    return xp.broadcast_to(one_hot, (replicas, n, outputs))


def _batches(training: Training, batches: Array | None, replicas: int, n: int) -> Array | None:
    """The rows of every update, (R, T, B); None if these are all rows."""
    size, last = training.batch_size, training.readings[-1]
    if batches is None:
        whole = size == "full" or (size == n and training.sampling != "replacement")
        if last and not whole:
            raise InvalidInput("batches", None, f"are needed where training.batch_size = {size}, of {n} rows")
        return None
    xp, wanted = namespace(batches), n if size == "full" else size
    if not xp.isdtype(batches.dtype, "integral"):
        raise InvalidInput("batches.dtype", str(batches.dtype), "must be integers")
    each = batches.ndim == 3 and len(batches) == replicas
    if not (each or batches.ndim == 2) or batches.shape[-1] != wanted or batches.shape[-2] < last:
        rule = f"must be (T, B) or ({replicas}, T, B), of at least {last} updates by B = {wanted} rows"
        raise InvalidInput("batches.shape", tuple(batches.shape), rule)
    if batches.shape[-2]:
        _check_range("batches", batches, n, "rows")
    return xp.broadcast_to(batches, (replicas, *batches.shape[-2:]))


def _check_range(name: str, numbers: Array, count: int, what: str) -> None:
    xp = namespace(numbers)
    least, most = int(xp.min(numbers)), int(xp.max(numbers))
    if least < 0 or most >= count:
        raise InvalidInput(name, least if least < 0 else most, f"must name {what} 0 … {count - 1}")
