"""Stages of upstream training: one trajectory, read after several numbers of updates."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import torch

from simulate import kernels
from simulate.devices import one_thread
from simulate.transfer.experiment import Engine, Tell
from simulate.transfer.handover import Trained
from simulate.transfer.upstream import Ended, Ends
from theory.setting import InvalidInput


@one_thread()
def train_stages(engine: Engine, steps: Sequence[int], tell: Tell) -> list[Trained]:
    """The results of upstream training after each of these numbers of updates.

    `Engine.downstream` continues from any of them. After k updates networks are, bit for bit, those of an experiment
    that ends upstream training there, so that differences between stages are paired. Nothing is taken from a store, or
    left in one.

    Parameters
    ----------
    engine : Engine
        The engine of an experiment whose upstream training has a last update, and no criterion.
    steps : sequence of int
        The numbers of updates, ascending, from 0 on; the last one is the experiment's.
    tell : callable
        Called with the number of replicas that are done.

    Raises
    ------
    InvalidInput
        If the steps are any others, or upstream training ends by a criterion.
    Diverged
        If too few replicas are finite at some stage.
    """
    setting, until = engine.draws.upstream, engine.experiment.upstream.until
    last = setting.training.readings[-1]
    if until is not None:
        raise InvalidInput("upstream.until", until, "must not be given: stages are numbers of updates")
    if not steps or list(steps) != sorted(set(steps)) or steps[0] < 0 or steps[-1] != last:
        raise InvalidInput("steps", tuple(steps), f"must ascend, from 0 at least to the last update, {last}")
    looked = msgspec.structs.replace(setting, training=msgspec.structs.replace(setting.training, steps=tuple(steps)))
    kernel = kernels.choose_kernel(looked)
    parts: list[list[Ends]] = [[] for _ in steps]
    for _, slots, inputs in engine.pieces(0, engine.experiment.ensemble.replicas):
        read, count = kernel.train(looked, inputs.upstream), len(inputs.upstream.y)
        for step, into in zip(steps, parts, strict=True):
            ended = Ended(read[step], torch.full((count,), step), torch.ones(count, dtype=torch.bool))
            into.append(engine.end_of(ended, slots, inputs))
        tell(slots.stop - slots.start)
    return [engine.trained(part) for part in parts]
