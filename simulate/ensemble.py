"""An ensemble: replicas are drawn, trained and summed tile by tile.

A tile is a fixed number of consecutive replicas, trained as one batch; replica r always has slot r mod T of a tile of
T slots, and a tile that is not full is padded. Every product of matrices therefore has the same shape and place for
replica r whoever else is computed, which makes its result bit-identical: BLAS libraries round differently depending on
the alignment of a matrix in a batch and on the batch's length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from simulate import kernels
from simulate.batches import ordered, rows_needed
from simulate.devices import one_thread, resolve
from simulate.inputs import Draws, Inputs
from simulate.moments import Blocks, block_count
from simulate.networks import forward, losses
from simulate.results import Population, Simulation
from theory.setting import InvalidInput, Setting

# Bytes that one training step of a tile touches (a core's cache; a GPU wants many replicas at once), bytes that a tile
# may hold in all, and how many replicas hide the cost of calling torch.
STEP_BYTES = {"cpu": 2**22, "cuda": 2**28}
TILE_BYTES = {"cpu": 2**28, "cuda": 2**32}
MOST = {"cpu": 256, "cuda": 4096}


@one_thread()
def rows(setting: Setting) -> np.ndarray:
    """The one X (n, d) that all replicas of a setting with ``data.fixed = true`` share, float64.

    Raises
    ------
    InvalidInput
        Where the data are not fixed: every replica then has its own rows.

    >>> from theory.setting import Data
    >>> rows(Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=5, fixed=True))).shape
    (5, 2)
    """
    if not setting.data.fixed:
        raise InvalidInput("data.fixed", False, "must be true for one X to exist")
    return Draws(setting).rows.copy()


@one_thread()
def population(setting: Setting) -> Population:
    """The law of a setting's rows, as far as second moments know it: exact for a law, the whole set for real data.

    >>> from theory.setting import Data
    >>> population(Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0), rotate=False))).second_moment
    array([[1., 0.],
           [0., 2.]])
    """
    return Draws(setting).population


@one_thread()
def train(setting: Setting, inputs: Inputs) -> dict[int, tuple[Tensor, ...]]:
    """Train the replicas of `inputs` as the setting's `network` and `training` say.

    Parameters
    ----------
    setting : Setting
        Its data, labels and ensemble are not looked at, but for ``data.samples = "online"``, which means that batch t
        is rows tB … (t + 1)B − 1 of the inputs.
    inputs : Inputs
        Of R replicas, such as :func:`simulate.replica_inputs` draws; precision and device are those of its tensors.

    Returns
    -------
    dict of int to tuple of Tensor
        At every reading, keyed by step, all parameters in the order of `inputs.parameters`; the first are the
        first-layer weights (R, m, d).
    """
    return kernels.choose(setting).train(setting, inputs)


@one_thread()
def run(
    setting: Setting,
    *,
    replicas: int | None = None,
    device: str = "cpu",
    progress: bool = False,
    chunk: int | None = None,
) -> Simulation:
    """Train an ensemble of independent replicas of a setting.

    Replica r is the same, bit for bit, on the same machine and libraries, whatever the number of replicas and `chunk`.
    A replica whose weights or loss are not finite at some reading has diverged: it is excluded from every reading.

    Parameters
    ----------
    setting : Setting
    replicas : int or None
        Instead of ``setting.ensemble.replicas``; the first ones are the same.
    device : "cpu", "cuda", "cuda:N" or "auto"
    progress : bool
        A progress bar on stderr, where that is a terminal.
    chunk : int or None
        How many replicas are trained between two updates of the sums; as many as is fast if None.

    Raises
    ------
    InvalidInput
        Where data cannot be read or don't fit, there is no such device, or no kernel trains the network.

    Examples
    --------
    >>> from theory.setting import Data, Ensemble
    >>> setting = Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=8), ensemble=Ensemble(replicas=10))
    >>> simulation = run(setting)
    >>> simulation.replicas, simulation.diverged, simulation.readings[0].second_moment.shape
    (10, 0, (2, 2))
    """
    total = setting.ensemble.replicas if replicas is None else replicas
    if total < 1:
        raise InvalidInput("replicas", replicas, "must be at least 1")
    if chunk is not None and chunk < 1:
        raise InvalidInput("chunk", chunk, "must be at least 1")
    where, dtype = resolve(device), getattr(torch, setting.ensemble.dtype)
    draws = Draws(setting)
    kernel = kernels.choose(setting)
    d = len(draws.population.mean)
    blocks = {step: Blocks(step, d, min(block_count(d), total)) for step in setting.training.readings}
    tile = tile_size(setting, draws, where)
    diverged = 0
    with tqdm(total=total, unit=" replicas", disable=None if progress else True, leave=False) as bar:
        for first, last in _portions(total, tile, chunk or tile):
            begin = first - first % tile
            slots = [r if first <= r < last else None for r in range(begin, begin + tile)]
            inputs = draws.take(slots).to(where, dtype)
            trained = kernel.train(setting, inputs)
            diverged += _add(blocks, setting, inputs, trained, first, slice(first - begin, last - begin))
            bar.update(last - first)
    return Simulation(
        setting,
        total,
        diverged,
        str(where),
        draws.shapes[0][0],
        draws.data_moment,
        tuple(sums.reading() for sums in blocks.values()),
    )


def tile_size(setting: Setting, draws: Draws, device: torch.device) -> int:
    """How many replicas are trained as one batch; depends on the setting and the kind of device, on nothing else."""
    training, d = setting.training, len(draws.population.mean)
    real = 4 if setting.ensemble.dtype == "float32" else 8
    n = rows_needed(setting)
    batch = n if training.batch_size == "full" else training.batch_size
    weights = sum(out * fan_in for out, fan_in in draws.shapes)
    step = real * (batch * (d + 2 * sum(out for out, _ in draws.shapes)) + 3 * weights)
    # Rows, labels and parameters are drawn in float64, whatever they are cast to.
    held = 8 * (0 if setting.data.fixed else n * d) + 8 * (n * draws.shapes[-1][0] + weights)
    held += real * len(training.readings) * weights + 8 * d * d
    held += 8 * training.readings[-1] * batch if ordered(setting) else 0
    fits = min(STEP_BYTES[device.type] // step, TILE_BYTES[device.type] // held)
    return int(min(max(fits, 1), MOST[device.type]))


def _portions(total: int, tile: int, chunk: int) -> Iterator[tuple[int, int]]:
    """[first, last) ranges that cover all replicas, none of them longer than a chunk or reaching over a tile's edge."""
    first = 0
    while first < total:
        last = min(first + tile - first % tile, first + chunk - first % chunk, total)
        yield first, last
        first = last


def _add(
    blocks: dict[int, Blocks],
    setting: Setting,
    inputs: Inputs,
    trained: dict[int, tuple[Tensor, ...]],
    first: int,
    here: slice,
) -> int:
    """Add the replicas in slots `here`, of which the first is number `first`; returns how many have diverged."""
    online = setting.data.samples == "online"
    read: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    kept = np.ones(here.stop - here.start, dtype=bool)
    for step, parameters in trained.items():
        w = parameters[0].double()
        # Weights of 1e200 are finite, their second moment is not.
        moment = torch.bmm(w.transpose(1, 2), w) / w.shape[1]
        loss = torch.full_like(w[:, 0, 0], math.nan) if online else _losses(setting, inputs, parameters)
        for values in (moment, *parameters) if online else (moment, loss, *parameters):
            kept &= values.reshape(len(values), -1).isfinite().all(1)[here].cpu().numpy()
        read[step] = moment[here].cpu().numpy(), w.mean(1)[here].cpu().numpy(), loss[here].cpu().numpy()
    for step, (second_moments, means, loss_values) in read.items():
        blocks[step].add(first, second_moments, means, loss_values, kept)
    return int((~kept).sum())


def _losses(setting: Setting, inputs: Inputs, parameters: tuple[Tensor, ...]) -> Tensor:
    """The training loss on all rows, (R,)."""
    x = inputs.x.expand(len(inputs.y), -1, inputs.x.shape[-1])
    return losses(forward(setting.network, parameters, x), inputs.y).double()
