"""Training on a sequence of tasks: the networks of a tile under every remedy, task after task.

Replicas are trained in tiles of a fixed size, in which replica r always has the same place, so that its bits do not
depend on the replicas trained with it, nor on their number: see `simulate.tiles`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from simulate import kernels
from simulate.devices import one_thread, resolve
from simulate.inputs import Draws, Inputs
from simulate.streams import SHARED
from simulate.tasks.remedies import REMEDIES, Between, LayerTensors
from simulate.tasks.results import SequenceResult, TaskCurves
from simulate.tiles import tile_size
from simulate.transfer.measures import finite, layer_states, norms, scores
from simulate.transfer.upstream import SteppedTraining
from theory.setting import InvalidInput, Remedy, Setting, TaskSequence

# The most replicas of a tile, by kind of device: a tile that is not full costs as much as one that is,
# and replicas are few.
MOST = {"cpu": 8, "cuda": 256}


@one_thread()
def run_sequence(
    sequence: TaskSequence,
    *,
    replicas: int | None = None,
    device: str = "cpu",
    chunk: int | None = None,
    keep_starts: bool = False,
) -> SequenceResult:
    """Train an ensemble of independent replicas on one task after the other, once per remedy.

    Under all remedies a replica has the same rows, labels, batches and first initial values, so that differences are
    paired. The first task is trained as in `simulate.run` on ``sequence.task``, identically for all remedies except
    decay. On the same machine and libraries, replica r is bit-identical for any `chunk` and any number of replicas.

    Parameters
    ----------
    sequence : TaskSequence
    replicas : int or None
        Replaces ``sequence.task.ensemble.replicas``; the first replicas are the same.
    device : str
        "cpu", "cuda", "cuda:N" or "auto".
    chunk : int or None
        How many replicas are trained at a time; chosen for speed if None.
    keep_starts : bool
        Whether the parameters at the start of every task are kept: k times the parameters of every network.

    Raises
    ------
    InvalidInput
        If data cannot be read or do not fit, or there is no such device.

    Examples
    --------
    >>> from theory.setting import Data, Ensemble, Labels, Network, Training
    >>> task = Setting(
    ...     data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=8),
    ...     labels=Labels(kind="classes", classes=3),
    ...     network=Network(kind="mlp", hidden=(6,)),
    ...     training=Training(loss="cross-entropy", learning_rate=0.1, steps=(0, 20)),
    ...     ensemble=Ensemble(replicas=5),
    ... )
    >>> result = run_sequence(TaskSequence(task=task, count=4, remedies=("none", "revived")))
    >>> lost = result["none"].end_accuracy[:, 0] - result["none"].end_accuracy[:, -1]  # paired
    >>> result["revived"].accuracy.shape, lost.shape
    ((5, 4, 2), (5,))
    """
    total = sequence.task.ensemble.replicas if replicas is None else replicas
    for key, number in (("replicas", total), ("chunk", chunk)):
        if number is not None and number < 1:
            raise InvalidInput(key, number, "must be at least 1")
    where = resolve(device)
    draws = Draws(sequence.task)
    measured: list[list[_Measured]] = [[] for _ in sequence.each]
    for inputs, here in _pieces(sequence, draws, where, total, chunk):
        for remedy, parts in zip(sequence.each, measured, strict=True):
            parts.append(_train(sequence, remedy, inputs, here, keep_starts=keep_starts))
    ok = np.logical_and.reduce([np.concatenate([part.finite for part in parts]) for parts in measured])
    curves = tuple(_curves(sequence, *each, ok) for each in zip(sequence.each, measured, strict=True))
    return SequenceResult(sequence, np.flatnonzero(ok), total, int((~ok).sum()), str(where), curves)


@one_thread()
def task_inputs(sequence: TaskSequence, task: int, replicas: Sequence[int]) -> Inputs:
    """The inputs of some replicas in task number `task` (0 is the first), as `run_sequence` draws them.

    `parameters` are the initial values that the task has drawn: the network from scratch, with which the remedy "anew"
    starts. On the host in float64.

    Raises
    ------
    InvalidInput
        If data cannot be read or do not fit, or the number of a task or replica does not exist.
    """
    if not 0 <= task < sequence.count:
        raise InvalidInput("task", task, f"must be one of 0 … {sequence.count - 1}")
    if not replicas or not all(0 <= replica < SHARED for replica in replicas):
        raise InvalidInput("replicas", list(replicas), "must name at least one replica, by numbers 0, 1, …")
    return Draws(sequence.task).take(list(replicas), task, fresh=sequence.rows == "fresh")


def train_towards(
    setting: Setting, inputs: Inputs, towards: LayerTensors, strength: float
) -> dict[int, tuple[Tensor, ...]]:
    """The result of `simulate.train` if ½ `strength` ‖w − towards‖² is added to the loss."""
    course = SteppedTraining(setting, inputs, towards, strength)
    read = {}
    for step in setting.training.readings:
        course.advance(step)
        read[step] = tuple(w.clone() for w in course.parameters)
    return read


def _pieces(
    sequence: TaskSequence, draws: Draws, device: torch.device, total: int, chunk: int | None
) -> Iterator[tuple[list[Inputs], slice]]:
    """The inputs of all tasks for the slots of a tile, and which slots are trained now."""
    setting, fresh = sequence.task, sequence.rows == "fresh"
    dtype = getattr(torch, setting.ensemble.dtype)
    tile = min(MOST["cpu" if device.type == "cpu" else "cuda"], tile_size(setting, draws, device))
    first = 0
    while first < total:
        begin = first - first % tile
        stop = min(begin + tile, first + (chunk or tile), total)
        slots = [replica if first <= replica < stop else None for replica in range(begin, begin + tile)]
        tasks = [draws.take(slots, task, fresh=fresh).to(device, dtype) for task in range(sequence.count)]
        yield tasks, slice(first - begin, stop - begin)
        first = stop


@dataclass(frozen=True, eq=False)
class _Measured:
    """A part of the replicas under one remedy: all that `TaskCurves` has, (r, k, …), and which are finite, (r,)."""

    loss: np.ndarray
    accuracy: np.ndarray | None
    norm: np.ndarray
    states: np.ndarray
    starts: tuple[Tensor, ...]
    finite: np.ndarray


def _train(
    sequence: TaskSequence, remedy: Remedy, tasks: Sequence[Inputs], here: slice, *, keep_starts: bool
) -> _Measured:
    """Train the replicas of a tile on all tasks under one remedy, and read those in slots `here`."""
    setting = sequence.task
    network, classes = setting.network, setting.labels.kind == "classes"
    initial = trained = tasks[0].parameters
    steps, first, starts = 1 + network.bias, [], []
    curves: list[list[tuple[Tensor, Tensor | None]]] = []
    ok = torch.ones(len(tasks[0].y), dtype=torch.bool, device=tasks[0].y.device)
    for number, inputs in enumerate(tasks):
        if number:
            between = Between(network, initial, inputs.parameters, trained, tasks[number - 1].x)
            trained = REMEDIES[remedy.kind](between)
        x = inputs.x.expand(*inputs.y.shape[:2], *inputs.x.shape[1 if inputs.shared else 2 :])
        first.append((norms(trained[::steps]), layer_states(network, trained, x)))
        if keep_starts:
            starts.append(tuple(w[here].cpu() for w in trained))
        begun = replace(inputs, parameters=trained)
        read = (
            train_towards(setting, begun, initial, remedy.strength)
            if remedy.strength
            else kernels.choose_kernel(setting).train(setting, begun)
        )
        curves.append([scores(network, each, x, inputs.y, classes=classes) for each in read.values()])
        for (loss, _), each in zip(curves[-1], read.values(), strict=True):
            ok &= finite(each) & loss.isfinite()
        trained = read[setting.training.readings[-1]]
    loss = torch.stack([torch.stack([loss for loss, _ in task], 1) for task in curves], 1)
    right = [[accuracy for _, accuracy in task if accuracy is not None] for task in curves]
    accuracy = torch.stack([torch.stack(task, 1) for task in right], 1) if classes else None
    norm, states = (torch.stack(column, 1) for column in zip(*first, strict=True))
    return _Measured(
        loss[here].cpu().numpy(),
        None if accuracy is None else accuracy[here].cpu().numpy(),
        norm[here].cpu().numpy(),
        states[here].cpu().numpy(),
        tuple(torch.stack(column, 1) for column in zip(*starts, strict=True)),
        ok[here].cpu().numpy(),
    )


def _curves(sequence: TaskSequence, remedy: Remedy, parts: Sequence[_Measured], ok: np.ndarray) -> TaskCurves:
    """The replicas of all parts that are finite under all remedies."""
    loss, norm, states = (
        np.concatenate([getattr(part, name) for part in parts])[ok] for name in ("loss", "norm", "states")
    )
    accuracies = [part.accuracy for part in parts if part.accuracy is not None]
    kept = torch.from_numpy(ok)
    return TaskCurves(
        remedy=remedy,
        steps=np.array(sequence.task.training.readings),
        loss=loss,
        accuracy=np.concatenate(accuracies)[ok] if accuracies else None,
        norm=norm,
        active=states[..., 0],
        alive=states[..., 1],
        effective_rank=states[..., 2],
        starts=tuple(torch.cat(column)[kept] for column in zip(*(part.starts for part in parts), strict=True)),
    )
