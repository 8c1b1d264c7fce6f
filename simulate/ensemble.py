"""Ensembles: a setting's data, training by hand, and the training, storage and merging of an ensemble's replicas."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
from torch import Tensor
from tqdm import tqdm

from simulate import kernels
from simulate.bounds import require_work
from simulate.devices import one_thread, resolve
from simulate.identity import digest
from simulate.inputs import Draws, Inputs
from simulate.kernels import Kernel
from simulate.moments import Blocks, Sums, block_count
from simulate.processes import Announce
from simulate.ranges import Range, ranges, rank, share_of
from simulate.results import Population, Simulation
from simulate.store import Damaged, Description, Store, find_store, open_store
from simulate.tiles import Trainer
from simulate.workers import compute, distribute, placed
from theory.setting import InvalidInput, Setting

log = logging.getLogger(__name__)


@one_thread()
def rows(setting: Setting) -> np.ndarray:
    """The one X that all replicas of a setting with ``data.fixed = true`` share: (n, d), float64.

    For filters, rows are images (n, C, H, W).

    Raises
    ------
    InvalidInput
        If the data are not fixed: every replica then has its own rows.

    Examples
    --------
    >>> from theory.setting import Data
    >>> rows(Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=5, fixed=True))).shape
    (5, 2)
    """
    if not setting.data.fixed:
        raise InvalidInput("data.fixed", False, "must be true: otherwise there is no single X")
    return Draws(setting).rows.copy()


@one_thread()
def population(setting: Setting) -> Population:
    """The first and second moments of a setting's rows: exact for a law, over the whole set for real data.

    For filters, these are the moments of all patches that a filter sees, flattened C × kh × kw.

    >>> from theory.setting import Data
    >>> population(Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0), rotate=False))).second_moment
    array([[1., 0.],
           [0., 2.]])
    """
    return Draws(setting).population


@one_thread()
def train(setting: Setting, inputs: Inputs) -> dict[int, tuple[Tensor, ...]]:
    """Train the replicas of `inputs` with the setting's `network` and `training`.

    Parameters
    ----------
    setting : Setting
        The setting, whose data, labels and ensemble are not used, except for ``data.samples = "online"``, which means
        that batch t is rows tB … (t + 1)B − 1 of the inputs.
    inputs : Inputs
        Inputs of R replicas, such as :func:`simulate.replica_inputs` draws; precision and device are those of its
        tensors.

    Returns
    -------
    dict of int to tuple of Tensor
        All parameters at every reading, keyed by step, in the order of `inputs.parameters`; the first are the
        first-layer weights (R, m, d).
    """
    return kernels.choose_kernel(setting).train(setting, inputs)


@one_thread()
def run(
    setting: Setting,
    *,
    replicas: int | None = None,
    device: str = "cpu",
    progress: bool = False,
    chunk: int | None = None,
    store: str | Path | None = None,
    resume: bool = False,
    shard: str | None = None,
    processes: int = 1,
    kernel: str | Kernel | None = None,
    fitted: bool = False,
) -> Simulation:
    """Train an ensemble of independent replicas of a setting.

    On the same machine and libraries, the sums are bit-identical for any `chunk`, any `processes`, any shards on a
    cluster, and any number of interruptions; and replica r is identical for any number of replicas. A replica whose
    weights or loss are not finite at some reading has diverged: it is excluded from every reading.

    Parameters
    ----------
    setting : Setting
    replicas : int or None
        The number of replicas in place of ``setting.ensemble.replicas``; the first replicas are the same.
    device : str
        "cpu", "cuda", "cuda:N" or "auto".
    progress : bool
        A progress bar on stderr, if that is a terminal; under ``torchrun`` only rank 0 shows one.
    chunk : int or None
        How many replicas are trained between two updates of the sums; chosen for speed if None.
    store : path or None
        A folder in which the sums are kept as they are computed, some 8 d² bytes per replica and reading, in a
        subfolder named by :func:`simulate.digest`.
    resume : bool
        Whether `store` may already hold shards of this ensemble: they are not computed again, and a smaller ensemble
        grows.
    shard : "i/n" or None
        The share of the ensemble that is computed, and whose replicas are returned; :func:`merge` combines what n such
        runs leave in the store. If None, the rank and world size of ``torchrun`` decide, if there are any.
    processes : int
        Worker processes on this machine, one thread each.
    kernel : "linear", "one-hidden", "dense", "module", "general", a Kernel or None
        How replicas are trained, which changes their last bits; if None, the fastest kernel that the setting allows, as
        in stores.
    fitted : bool
        Whether an ensemble that is smaller than what is trained as one batch may be a batch of its own size, in one
        process: faster, but its last bits then depend on the number of replicas, and its sums are not stored.

    Raises
    ------
    InvalidInput
        If data cannot be read or do not fit, there is no such device, no kernel trains the network, the store holds
        shards without `resume`, or it cannot be written (complete shards are then kept). If the run would exceed the
        limits on memory or time: see `simulate.bounds`.

    Examples
    --------
    >>> from theory.setting import Data, Ensemble
    >>> setting = Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=8), ensemble=Ensemble(replicas=10))
    >>> simulation = run(setting)
    >>> simulation.replicas, simulation.diverged, simulation.readings[0].second_moment.shape
    (10, 0, (2, 2))
    """
    total = setting.ensemble.replicas if replicas is None else replicas
    for key, number in (("replicas", total), ("chunk", chunk), ("processes", processes)):
        if number is not None and number < 1:
            raise InvalidInput(key, number, "must be at least 1")
    share = share_of(shard)
    if store is None and (resume or share[1] > 1):
        raise InvalidInput("store", None, "is needed by resume, and by shards, which leave their sums there")
    name = kernel if isinstance(kernel, str) else None
    if processes > 1 and name is not kernel:
        raise InvalidInput("processes", processes, "must be 1 for a kernel that is not named: workers are told names")
    if store is not None and kernel is not None:
        raise InvalidInput("kernel", kernel, "must be left to the setting where the sums are stored")
    alone = fitted and processes == 1 and share == (1, 1)
    trainer = Trainer(setting, resolve(placed(device)), kernel, most=total if alone else None)
    if trainer.fitted:
        store = None
    require_work(setting, trainer.draws.shapes, total)
    mine = ranges(total, trainer.range, share)
    description = Description(
        setting=setting,
        digest="" if store is None else digest(setting),
        device=trainer.device.type,
        range=trainer.range,
        replicas=total,
        width=trainer.draws.shapes[0][0],
        data_moment=trainer.draws.data_moment,
    )
    scratch = tempfile.TemporaryDirectory() if store is None and processes > 1 else nullcontext(store)
    with scratch as folder, _bar(mine, progress and (shard is not None or rank()[0] == 0)) as tell:
        kept = None if folder is None else open_store(Path(folder), description, mine, resume=resume)
        try:
            if kept is not None and processes > 1:
                distribute(kept, mine, device=device, chunk=chunk, kernel=name, processes=processes, tell=tell)
                tell = _silent
            result = _add_up(description, str(trainer.device), compute(trainer, kept, mine, chunk, tell))
        except KeyboardInterrupt:
            if store is not None and kept is not None:
                log.warning("%d shards are kept in %s; --resume goes on from them", len(kept.shards()), kept.folder)
            raise
    if share[1] > 1:
        log.info("shard %d/%d: %d of %d replicas; merging adds the shards up", *share, result.replicas, total)
    return result


def merge(folder: str | Path) -> Simulation:
    """Combine the shards in a store, or in the folder of one ensemble in it: bit-identical to one run of the whole.

    Raises
    ------
    InvalidInput
        If there is no ensemble or more than one, or if shards are missing, incomplete or damaged; the message names
        them.

    Examples
    --------
    >>> import tempfile
    >>> from theory.setting import Data
    >>> setting = Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=8))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     parts = [run(setting, replicas=500, store=folder, shard=shard).replicas for shard in ("1/2", "2/2")]
    ...     whole = merge(folder)
    >>> parts, whole.replicas
    ([256, 244], 500)
    """
    store = find_store(Path(folder))
    known = store.description
    needed = ranges(known.replicas, known.range)
    faults: list[str] = []
    simulation = _add_up(known, known.device, _complete(store, needed, faults))
    if faults:
        more = f", and {len(faults) - 10} more" if len(faults) > 10 else ""
        rule = f"{len(faults)} of {len(needed)} shards are missing: {', '.join(faults[:10])}{more}"
        raise InvalidInput("folder", str(store.folder), f"{rule}; --resume computes them")
    return simulation


def _complete(store: Store, needed: list[Range], faults: list[str]) -> Iterator[Sums]:
    """The sums of all ranges; those that are unavailable are listed in `faults`."""
    for here in needed:
        name = store.path(here.number).name
        try:
            sums = store.read(here)
        except FileNotFoundError:
            faults.append(f"{name} (missing)")
        except Damaged as error:
            faults.append(f"{name} ({error})")
        else:
            if sums.replicas != here.last - here.first:
                faults.append(f"{name} ({sums.replicas} replicas, not {here.last - here.first})")
            yield sums


def _add_up(description: Description, device: str, parts: Iterator[Sums]) -> Simulation:
    """The simulation that consists of these ranges, which come in the order of replicas."""
    setting, d = description.setting, len(description.data_moment)
    count = min(block_count(d), description.replicas)
    blocks = [Blocks(step, d, count) for step in setting.training.readings]
    replicas = diverged = 0
    for sums in parts:
        replicas += sums.replicas
        diverged += sums.diverged
        for total, part in zip(blocks, sums.readings, strict=True):
            total.fold(part, sums.first, sums.used)
    readings = tuple(total.reading() for total in blocks)
    return Simulation(setting, replicas, diverged, device, description.width, description.data_moment, readings)


@contextmanager
def _bar(mine: list[Range], shown: bool) -> Iterator[Announce]:
    """After a second, a progress bar on stderr if that is a terminal: replicas per second, and the time left."""
    total = sum(here.last - here.first for here in mine)
    # Without smoothing the rate is that of all replicas trained now; those found in the store cost nothing.
    off = None if shown else True
    with tqdm(total=total, unit=" replicas", disable=off, leave=False, smoothing=0, delay=1) as bar:

        def tell(count: int, trained: bool) -> None:
            if not trained and not bar.disable:
                bar.initial += count
            bar.update(count)

        yield tell


def _silent(count: int, trained: bool) -> None:
    """No messages, for a second pass over what has already been reported."""
