"""The prediction of transfer at the switch, from networks linearised where downstream training would start.

The condition is that of `theory.transfer.training_transfer`: each network is compared with its own initial weights, on
the rows, labels and batches of downstream training; nothing is trained downstream. The effect of the tangent kernels
alone, with f_0 := 0, and the size of these kernels are also given. Claim C3 evaluates the condition for its maps, and
`eigenalign transfer` for an experiment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from reports.processes import results
from simulate.devices import one_thread, resolve
from simulate.inputs import Inputs
from simulate.transfer import Switched
from simulate.transfer.draws import TransferDraws
from theory.arrays import to_numpy
from theory.errors import Diverged, InvalidInput
from theory.network.frozen_gates import freeze
from theory.network.frozen_kernel import frozen_ntk
from theory.setting import Experiment, Network, Training
from theory.transfer import (
    KernelNumbers,
    LinearisedTraining,
    MeanGain,
    kernel_numbers,
    linearised_training,
    transfer_between,
)

KERNEL_ROWS = 30  # the number of downstream rows on which kernels are described
KERNEL_HELD = 2**27  # the most numbers that the gradients of filters may take at a time: a gigabyte in float64
# The number of replicas that are linearised at a time, the same for any number of workers, so that
# no bit depends on it.
BLOCK = 8


@dataclass(frozen=True, eq=False)
class Linearised:
    """R networks linearised where downstream training starts.

    Attributes
    ----------
    whole : LinearisedTraining
    by_kernels : LinearisedTraining
        The training with f_0 := 0: the effect of the tangent kernels alone.
    kernels : KernelNumbers or None
        Numbers of the tangent kernels on `KERNEL_ROWS` downstream rows; None if they were not requested, for a single
        output or row, which cannot be centred, and if the gradients of filters would take more than `KERNEL_HELD`
        numbers.
    """

    whole: LinearisedTraining
    by_kernels: LinearisedTraining
    kernels: KernelNumbers | None


@dataclass(frozen=True, eq=False)
class Condition:
    """The prediction for one treatment, before any downstream training.

    Attributes
    ----------
    treatment : str
    accuracy, loss : MeanGain or None
        Gain over the networks' own initial weights, on the downstream rows: None for the accuracy of a single output,
        and for both if every linearised training diverges.
    by_kernels : MeanGain or None
        The gain with f_0 := 0 on both sides: in accuracy, or in loss if there is no accuracy.
    before, after : KernelNumbers or None
        Numbers of the tangent kernels at the initial weights and at the switch.
    replicas : int
        How many networks were linearised: those that were finite after upstream training.
    unstable : int
        How many of them, or of their initial weights, end linearised training with a larger loss than at the start: the
        learning rate is too large for the fixed curvature.
    """

    treatment: str
    accuracy: MeanGain | None
    loss: MeanGain | None
    by_kernels: MeanGain | None
    before: KernelNumbers | None
    after: KernelNumbers | None
    replicas: int
    unstable: int

    @property
    def gain(self) -> MeanGain | None:
        """The gain in accuracy, or in loss if labels are not classes."""
        return self.loss if self.accuracy is None else self.accuracy


def linearise(
    network: Network,
    training: Training,
    parameters: Sequence[Tensor],
    inputs: Inputs,
    dtype: torch.dtype = torch.float64,
    *,
    kernels: bool = True,
) -> Linearised:
    """Linearise networks (r, …) and train them in precision `dtype` on `inputs`, whose own parameters are not used.

    If `kernels` is true, the numbers of their kernels are computed, in the precision of the parameters and inputs.

    Raises
    ------
    InvalidInput
        If shapes do not fit, or parameters are not finite.
    """
    rounded = inputs.to(inputs.x.device, dtype)
    train = partial(
        linearised_training,
        network,
        training,
        [w.to(dtype) for w in parameters],
        rounded.x,
        rounded.y,
        batches=rounded.orders,
    )
    described = _kernels(network, parameters, inputs.x) if kernels else None
    return Linearised(train(), train(subtracted=True), described)


def condition(treatment: str, training: Training, after: Linearised, before: Linearised) -> Condition:
    """Compare networks after a treatment with their initial weights."""
    settled = [to_numpy(each.whole.train_loss)[:, [0, -1]] for each in (after, before)]
    unstable = int(np.logical_or.reduce([~(loss[:, 1] <= loss[:, 0]) for loss in settled]).sum())
    counts = before.kernels, after.kernels, len(settled[0]), unstable
    try:
        whole = transfer_between(training, after.whole, before.whole)
        kernels = transfer_between(training, after.by_kernels, before.by_kernels)
    except Diverged:
        return Condition(treatment, None, None, None, *counts)
    by_kernels = kernels.train_loss if kernels.train_accuracy is None else kernels.train_accuracy
    return Condition(treatment, whole.train_accuracy, whole.train_loss, by_kernels, *counts)


def conditions(switched: Switched, *, processes: int = 1, progress: bool = False) -> tuple[Condition, ...]:
    """The condition of every treatment but scratch, on all finite replicas, in double precision.

    The cost is about that of downstream training; it is shared by `processes`, with bit-identical results.

    Raises
    ------
    InvalidInput
        If "scratch" is the only treatment, or a worker was killed.
    """
    experiment = switched.experiment
    require_others(experiment)
    scratch, *others = sorted(experiment.treatment.each, key=lambda each: each.kind != "scratch")
    finite = switched.replicas
    blocks = [finite[first : first + BLOCK] for first in range(0, len(finite), BLOCK)]
    jobs = list(product((scratch, *others), blocks))
    starts = (
        (experiment, str(switched.engine.device), block, [w.cpu() for w in switched.start(treatment, block)])
        for treatment, block in jobs
    )
    parts: list[Linearised | None] = [None] * len(jobs)
    with tqdm(total=len(jobs), unit=" linearisations", disable=None if progress else True, leave=False) as bar:
        for number, part in _computed(starts, processes):
            parts[number] = part
            bar.update()
    count = len(blocks)
    joined = [_joined([part for part in parts[i : i + count] if part]) for i in range(0, len(jobs), count)]
    training = experiment.downstream.training
    return tuple(
        condition(treatment.name, training, after, joined[0])
        for treatment, after in zip(others, joined[1:], strict=True)
    )


def require_others(experiment: Experiment) -> None:
    """Raise InvalidInput if there is no treatment to predict."""
    names = [treatment.name for treatment in experiment.treatment.each]
    if names == ["scratch"]:
        rule = "must hold a treatment other than 'scratch' whose effect can be predicted"
        raise InvalidInput("treatment.kinds", names, rule)


def _computed(
    jobs: Iterator[tuple[Experiment, str, list[int], list[Tensor]]], processes: int
) -> Iterator[tuple[int, Linearised]]:
    """Number and result of every job, in this process or in the order in which workers finish."""
    if processes > 1:
        yield from results(linearise_block, list(jobs), processes)
        return
    for number, job in enumerate(jobs):
        yield number, linearise_block(*job)


@one_thread()
def linearise_block(experiment: Experiment, device: str, replicas: list[int], start: list[Tensor]) -> Linearised:
    """The replicas of one block at the `start` of training; rows, labels and batches are drawn here."""
    place = resolve(device)
    inputs = TransferDraws(experiment).take(replicas).downstream.to(place, torch.float64)
    parameters = [w.to(place) for w in start]
    found = linearise(experiment.upstream.network, experiment.downstream.training, parameters, inputs)
    return Linearised(_on_host(found.whole), _on_host(found.by_kernels), found.kernels)


def _kernels(network: Network, parameters: Sequence[Tensor], x: Tensor) -> KernelNumbers | None:
    step = 1 + network.bias
    outputs = parameters[-step].shape[1]
    rows = min(KERNEL_ROWS, x.shape[1])
    if network.convolves:
        rows = min(rows, KERNEL_HELD // (sum(w.numel() for w in parameters) * outputs))
    if min(rows, outputs) < 2:
        return None
    return kernel_numbers(frozen_ntk(freeze(network, list(parameters), x[:, :rows])))


def _on_host(curves: LinearisedTraining) -> LinearisedTraining:
    arrays = (curves.train_loss, curves.train_accuracy, curves.test_loss, curves.test_accuracy)
    return LinearisedTraining(curves.steps, *(None if each is None else to_numpy(each) for each in arrays))


def _joined(parts: Sequence[Linearised]) -> Linearised:
    """The replicas of all blocks, one block after the other."""
    kernels = [part.kernels for part in parts if part.kernels is not None]
    return Linearised(
        _curves([part.whole for part in parts]),
        _curves([part.by_kernels for part in parts]),
        None
        if len(kernels) < len(parts)
        else KernelNumbers(
            *(
                np.concatenate([getattr(each, name) for each in kernels])
                for name in ("trace", "effective_rank", "geometric_mean")
            )
        ),
    )


def _curves(parts: Sequence[LinearisedTraining]) -> LinearisedTraining:
    columns = [
        [getattr(part, name) for part in parts]
        for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    ]
    arrays = (None if column[0] is None else np.concatenate(column) for column in columns)
    return LinearisedTraining(parts[0].steps, *arrays)
