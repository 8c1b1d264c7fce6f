"""Any range of an ensemble's replicas: drawn, trained and summed tile by tile.

A tile is a fixed number of consecutive replicas, trained as one batch; replica r always has slot r mod T of a tile of
T slots, and a tile that is not full is padded. Every product of matrices therefore has the same shape and place for
replica r whoever else is computed, which makes its result bit-identical: BLAS libraries round differently depending on
the alignment of a matrix in a batch and on the batch's length. An ensemble that is smaller than a tile may have one of
its own size instead: it then trains nothing that is discarded, but its last bits depend on how many replicas it has.

A range is a fixed number of whole tiles. Replicas are summed within their range, then range after range, so that the
sums have the same bits wherever and in whatever order the ranges were computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from simulate import kernels
from simulate.batches import ordered, rows_needed
from simulate.devices import free_memory
from simulate.inputs import Draws, Inputs
from simulate.kernels import Kernel
from simulate.moments import Sums, block_count
from simulate.networks import Shapes, forward, losses, slices
from simulate.results import Population
from theory.setting import Setting

# The most bytes that one training step of a tile touches on a CPU: what a core has of the caches. On other devices a
# step may touch an eighth of the free memory.
STEP_BYTES = 2**22
# The most bytes that a tile holds in all on a CPU. On other devices a tile may hold a quarter of the free memory.
TILE_BYTES = 2**28
# The most replicas of a tile, by kind of device: so many hide the cost of calling torch, and other devices than "cpu"
# want many replicas at once.
MOST = {"cpu": 256, "cuda": 4096}

# The most operations of a range: half a minute of a core. A range is what a kill may cost and what one machine takes at
# a time; a tile that exceeds its limits is a range of its own.
RANGE_OPERATIONS = 3e11
# How many cores a GPU counts as, about.
GPU_SPEED = 300
# The most bytes of a range's file, unless one tile exceeds them: 64 MiB.
RANGE_BYTES = 2**26
# The most replicas of a range on a CPU, unless one tile exceeds them.
RANGE_REPLICAS = 256


class Trainer:
    """Trains replicas of one setting on one device, and adds up their moments.

    Attributes
    ----------
    device : torch.device
    draws : Draws
    tile : int
        T, how many replicas are trained as one batch.
    range : int
        How many replicas are summed before their sum is added to those of others; on a CPU a multiple of T.
    fitted : bool
        Whether T is `most`, the parameter, because that is smaller than what is fast.
    """

    def __init__(
        self, setting: Setting, device: torch.device, kernel: str | Kernel | None = None, most: int | None = None
    ) -> None:
        self.setting = setting
        self.device = device
        self._kernel = kernels.choose_kernel(setting, kernel) if kernel is None or isinstance(kernel, str) else kernel
        self.draws = Draws(setting)
        tile = tile_size(setting, self.draws, device, self._kernel)
        self.fitted = most is not None and most < tile
        tile = tile if most is None else min(tile, most)
        self.range = range_size(setting, self.draws, tile, device)
        self.tile = min(tile, self.range)
        self._dtype = getattr(torch, setting.ensemble.dtype)

    @property
    def dimension(self) -> int:
        """d, the length of a first-layer weight vector."""
        return len(self.draws.population.mean)

    def empty(self, first: int) -> Sums:
        """No replicas yet, of the range that begins with replica `first`."""
        return Sums(self.setting.training.readings, self.dimension, first, min(self.range, block_count(self.dimension)))

    def extend(self, sums: Sums, last: int, chunk: int | None, trained: Callable[[int], None]) -> None:
        """Add the replicas from the end of `sums` up to `last` (excluded), at most `chunk` at a time.

        `trained` is told how many replicas have just been added.
        """
        for first, stop in _portions(sums.last, last, self.tile, chunk or self.tile):
            begin = first - first % self.tile
            slots = [r if first <= r < stop else None for r in range(begin, begin + self.tile)]
            inputs = self.draws.take(slots).to(self.device, self._dtype)
            readings = self._kernel.train(self.setting, inputs)
            self._add(sums, inputs, readings, slice(first - begin, stop - begin))
            trained(stop - first)

    def _add(self, sums: Sums, inputs: Inputs, readings: dict[int, tuple[Tensor, ...]], here: slice) -> None:
        """Add the replicas in slots `here`; a replica that is not finite at some reading is left out of all."""
        online = self.setting.data.samples == "online"
        moments: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        kept = np.ones(here.stop - here.start, dtype=bool)
        for parameters in readings.values():
            w = parameters[0].double()
            # Weights of 1e200 are finite, their second moment is not.
            moment = torch.bmm(w.transpose(1, 2), w) / w.shape[1]
            loss = torch.full_like(w[:, 0, 0], math.nan) if online else _losses(self.setting, inputs, parameters)
            for values in (moment, *parameters) if online else (moment, loss, *parameters):
                kept &= values.reshape(len(values), -1).isfinite().all(1)[here].cpu().numpy()
            moments.append((moment[here].cpu().numpy(), w.mean(1)[here].cpu().numpy(), loss[here].cpu().numpy()))
        sums.add(moments, kept)


class Sized(Protocol):
    """The sizes of a replica's inputs, as `Draws` gives them."""

    @property
    def shapes(self) -> Shapes:
        """(out, in) of every layer."""

    @property
    def row(self) -> tuple[int, ...]:
        """The shape of a row."""

    @property
    def population(self) -> Population:
        """The law of the rows."""


def tile_size(setting: Setting, draws: Sized, device: torch.device, kernel: Kernel | None = None) -> int:
    """How many replicas are trained as one batch.

    On a CPU it depends on the setting and the kernel, on nothing else; on other devices also on their memory.
    """
    training, d = setting.training, len(draws.population.mean)
    real = 4 if setting.ensemble.dtype == "float32" else 8
    n = rows_needed(setting)
    batch = setting.batch_rows
    weights = sum(map(math.prod, draws.shapes))
    step = real * (kernel or kernels.choose_kernel(setting)).touched(setting, draws.shapes, batch, n)
    # Rows, labels and parameters are drawn in float64, whatever they are cast to.
    row = math.prod(draws.row)
    held = 8 * (0 if setting.data.fixed else n * row) + 8 * (n * draws.shapes[-1][0] + weights)
    held += real * len(training.readings) * weights + 8 * d * d
    held += 8 * training.readings[-1] * batch if ordered(setting) else 0
    if device.type == "cpu":
        return int(min(max(min(STEP_BYTES // step, TILE_BYTES // held), 1), MOST["cpu"]))
    memory = free_memory(device)
    return int(min(max(min(memory // 8 // step, memory // 4 // held), 1), MOST["cuda"]))


def range_size(setting: Setting, draws: Draws, tile: int, device: torch.device) -> int:
    """How many replicas are summed, and stored, together; depends only on the setting and the kind of device.

    On a CPU these are whole tiles. Elsewhere a tile follows the memory that is free, which a resumed run would not find
    again. Operations are estimated as six per weight, row and update.
    """
    training, d = setting.training, len(draws.population.mean)
    operations = 6 * setting.batch_rows * sum(map(math.prod, draws.shapes)) * max(training.readings[-1], 1)
    stored = 8 * len(training.readings) * d * (d + 1)
    if device.type != "cpu":
        return max(int(min(GPU_SPEED * RANGE_OPERATIONS // operations, RANGE_BYTES // stored, MOST["cuda"])), 1)
    fits = min(RANGE_OPERATIONS // operations, RANGE_BYTES // stored, RANGE_REPLICAS)
    return tile * max(int(fits) // tile, 1)


def _portions(first: int, last: int, tile: int, chunk: int) -> Iterator[tuple[int, int]]:
    """Pieces that cover [first, last), none of them longer than a chunk or reaching over a tile's edge."""
    while first < last:
        stop = min(first + tile - first % tile, first + chunk - first % chunk, last)
        yield first, stop
        first = stop


def _losses(setting: Setting, inputs: Inputs, parameters: tuple[Tensor, ...]) -> Tensor:
    """The training loss on all rows, (R,)."""
    x, y = inputs.x.expand(*inputs.y.shape[:2], *inputs.x.shape[1 if inputs.shared else 2 :]), inputs.y
    return sum(
        (
            losses(forward(setting.network, parameters, part), labels).double() * (part.shape[1] / x.shape[1])
            for part, labels in slices(setting.network, parameters, x, y, setting.batch_rows)
        ),
        torch.zeros(len(y), dtype=torch.float64, device=y.device),
    )
