"""Training of a network linearised at its start: with its own optimizer, loss and batches, and the resulting curves.

f_t = f_0 + J (θ_t − θ_0), J the Jacobian at θ_0, follows the updates of the setting, drops and decay included. Kernel
forms cover full batches and the squared error; here training is as in the setting, and accuracy is read as well as
loss. Derived in theory/derivations.md, section 2.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from theory.arrays import Array, namespace
from theory.network.updates import Updates
from theory.setting import Network, Training
from theory.setting.limits import require_updates
from theory.transfer.linearised_rows import LinearisedRows
from theory.transfer.linearised_task import LinearisedTask, checked_task

# The most numbers that frozen rows may hold at a time: a quarter of a gigabyte in float64.
HELD = 2**25


@dataclass(frozen=True, eq=False)
class LinearisedTraining:
    """Loss and accuracy of R linearised networks at K readings; arrays in float64, of the kind that was given.

    Attributes
    ----------
    steps : tuple of int, length K
    train_loss : Array, shape (R, K)
        ½ · mean over rows of ‖f − y‖², or the mean cross-entropy in natural logarithms; inf or nan once f has
        diverged.
    train_accuracy : Array, shape (R, K), or None
        The share of rows whose largest output is that of the largest target; None for a single output.
    test_loss, test_accuracy : Array, shape (R, K), or None
        Loss and accuracy on held-out rows, if there are any.
    """

    steps: tuple[int, ...]
    train_loss: Array
    train_accuracy: Array | None
    test_loss: Array | None
    test_accuracy: Array | None


def linearised_training(
    network: Network,
    training: Training,
    parameters: Sequence[Array],
    rows: Array,
    labels: Array,
    *,
    batches: Array | None = None,
    held_out: tuple[Array, Array] | None = None,
    subtracted: bool = False,
    velocity: Sequence[Array] | None = None,
) -> LinearisedTraining:
    """Train the linearisation of R networks as a setting specifies, and read loss and accuracy.

    At every update the outputs f = f_0 + J δ of a batch give the residual r = ∂loss/∂f, that is (softmax f − y)/B or (f
    − y)/B; the gradient is Jᵀ r, and the optimizer uses it to update θ = θ_0 + δ, with decay and l1 acting on θ. Exact
    for the linearised network, and for the network itself if f is linear in the trained parameters: no hidden layer, or
    an identity network in which one layer is trained.

    It neglects that gates change, and with them J and the tangent kernel. f(θ_0 + δ) − f_0 − J δ is ½ δᵀ(∇²f)δ to
    leading order: with initial weights of the kernel's scale, O(1/m) at width m for smooth activations and O(m^-½) for
    ReLU. In networks that learn features it is not small, and the sizes of gains err by tens of percent. Rounding
    errors are those of the parameters' dtype.

    Parameters
    ----------
    network : Network
        All kinds, activations and parametrizations, with or without biases; `train` says what is trained.
    training : Training
        All of it is used except `sampling`, which `batches` replaces.
    parameters : sequence of Array
        θ_0: every layer's weights (R, out, in), then with `bias` its biases (R, out); first layer first. Computations
        use their dtype, float32 or float64.
    rows : Array, shape (R, n, d), or (n, d) if all replicas share them
        Images are (R, n, C, H, W), or (n, C, H, W).
    labels : Array, shape (R, n) of integers, or (R, n, C) of real targets; or (n,) and (n, C)
        Cross-entropy takes classes as integers, the squared error targets.
    batches : Array of integers, shape (R, T, B) or (T, B), optional
        The rows of every update, T at least the last reading. None: all rows, at every update.
    held_out : (rows, labels), optional
        Rows that are read but not trained on, in the same forms.
    subtracted : bool
        Whether f_0 is subtracted, so that outputs start at zero: the effect of the Jacobian alone.
    velocity : sequence of Array, optional
        The v of every trained parameter before the first update, for training that continues: as momentum keeps it,
        with the shapes of `parameters`. Zero by default.

    Returns
    -------
    LinearisedTraining

    Raises
    ------
    InvalidInput
        If shapes or kinds of arrays do not fit, values are not finite, classes or batches are out of range, or labels
        do not fit the loss; or if a velocity is given without momentum, or in other shapes.

    Examples
    --------
    A linear model is its own linearisation. One row x = 2, target 1, w = 0: two steps of w ← w − 0.1 · 2(2w − 1).

    >>> training = Training(learning_rate=0.1, steps=(0, 2))
    >>> row, target = np.array([[2.0]]), np.array([[1.0]])
    >>> curves = linearised_training(Network(), training, [np.zeros((1, 1, 1))], row, target)
    >>> curves.train_loss.round(4).tolist()  # ½ (1 − 0.4)⁴
    [[0.5, 0.0648]]
    """
    task = checked_task(network, training, parameters, rows, labels, batches, held_out, velocity)
    with np.errstate(over="ignore", invalid="ignore"):  # where training diverges, the curves say so
        parts = [_train(group, subtracted) for group in task.groups(HELD)]
    return LinearisedTraining(training.readings, *(_joined(curves) for curves in zip(*parts, strict=True)))


def _train(task: LinearisedTask, subtracted: bool) -> tuple[Array | None, ...]:
    """The four curves of some replicas, (r, K) each."""
    training = task.training
    require_updates(training.readings[-1])
    updates = Updates(training, task.trained, velocity=task.velocity)
    rows = LinearisedRows(task, task.rows, task.targets, held=HELD, subtracted=subtracted)
    others = None if task.held_out is None else LinearisedRows(task, *task.held_out, held=HELD, subtracted=subtracted)
    read: list[tuple[Array | None, ...]] = []
    for step in range(training.readings[-1] + 1):
        if step in training.readings:
            unseen = (None, None) if others is None else others.scores(updates.changes)
            read.append((*rows.scores(updates.changes), *unseen))
        if step < training.readings[-1]:
            index = None if task.batches is None else task.batches[:, step]
            updates.step(rows.gradients(updates.changes, index))
    return tuple(_stacked(column) for column in zip(*read, strict=True))


def _stacked(column: Sequence[Array | None]) -> Array | None:
    """Readings (r,) side by side, (r, K)."""
    there = [each for each in column if each is not None]
    return namespace(*there).stack(there, axis=1) if there else None


def _joined(parts: Sequence[Array | None]) -> Array | None:
    """The curves of all groups of replicas, one group after the other."""
    there = [each for each in parts if each is not None]
    return namespace(*there).concat(there, axis=0) if there else None
