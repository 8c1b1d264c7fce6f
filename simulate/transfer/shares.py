"""Who computes which replicas of a transfer experiment: this process, several on one machine, or those of a cluster.

Workers do not communicate: range number k belongs to worker k mod n, which leaves it in a store. Upstream
training, and treatments that need a replica's own network alone, can be computed at any time. Treatments that draw from
the moments of other replicas need the ends of *all* upstream training. Processes on one machine compute them in a
second phase; a shard computes them if it finds all ends in the store, and the last worker computes the rest. Replicas
are summed in order, so the result is bit-identical for any number of workers.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import torch
from tqdm import tqdm

from simulate.devices import one_thread, resolve
from simulate.identity import experiment_digest
from simulate.ranges import Range, rank, share_of
from simulate.store import Damaged
from simulate.transfer.experiment import Engine, Tell, silent
from simulate.transfer.handover import Trained
from simulate.transfer.results import TransferResult
from simulate.transfer.store import TransferStore, count_rows, find_transfer_store
from simulate.transfer.switch import Switched
from simulate.transfer.workers import distribute_shares
from simulate.workers import placed
from theory.setting import Experiment, InvalidInput

# A function that computes one phase for some ranges, and stores it: the second phase is given what all
# replicas have left upstream.
Fill = Callable[[Engine, Sequence[Range], Trained | None, Tell], None]

log = logging.getLogger(__name__)


def run(
    experiment: Experiment,
    *,
    replicas: int | None = None,
    device: str = "cpu",
    progress: bool = False,
    chunk: int | None = None,
    store: str | Path | None = None,
    resume: bool = False,
    shard: str | None = None,
    processes: int = 1,
    weights: bool = True,
) -> TransferResult:
    """Train every replica upstream, and after every treatment downstream.

    `run_with_networks` returns the networks at the switch as well. On the same machine and libraries, the result is
    bit-identical for any `chunk`, any `processes`, any shards on a cluster, and any number of interruptions.

    Parameters
    ----------
    experiment : Experiment
    replicas : int or None
        Replaces ``experiment.ensemble.replicas``; the first replicas draw the same rows, labels, batches and weights.
    device : str
        "cpu", "cuda", "cuda:N" or "auto".
    progress : bool
        A progress bar on stderr, if that is a terminal; under ``torchrun`` only rank 0 shows one.
    chunk : int or None
        The largest number of replicas trained at a time, with bit-identical results; chosen for speed if None.
    store : path or None
        A folder in which trained networks, and what is measured of them, are kept as they are computed, in a subfolder
        named by a digest of the experiment: some 8 d² bytes per replica, treatment and reading, and every upstream
        network.
    resume : bool
        Whether `store` may already hold shards of this experiment: they are not computed again, nor is upstream
        training if the number of replicas differs.
    shard : "i/n" or None
        The share of the replicas that is computed and returned. Treatments that draw from the moments of other replicas
        are computed, and returned, if the upstream ends of all shards are in the store by then; otherwise, run the
        shard again with `resume`, or the whole with `resume`. If None, the rank and world size of ``torchrun`` decide,
        if there are any.
    processes : int
        Worker processes on this machine, one thread each.
    weights : bool
        Whether downstream second moments of first layers, and effective ranks of activations, are computed, which takes
        time. Without them ``Treated.weights`` is empty, ranks are nan, and a store takes little more than the upstream
        networks.

    Raises
    ------
    InvalidInput
        If data cannot be read, are too few or do not fit, there is no such device, the store holds shards without
        `resume`, it cannot be written, or a worker was killed (complete parts are then kept).
    Diverged
        If upstream training leaves too few replicas finite.

    Examples
    --------
    >>> from theory.setting import Data, Downstream, Ensemble, Network, Training, Treatments, Upstream
    >>> data, network = Data(kind="gaussian", spectrum=(1.0, 2.0), samples=8), Network(kind="mlp", hidden=(4,))
    >>> experiment = Experiment(
    ...     upstream=Upstream(data=data, network=network),
    ...     treatment=Treatments(kinds=("scratch", "pretrained")),
    ...     downstream=Downstream(samples=8, training=Training(steps=(0, 5))),
    ...     ensemble=Ensemble(replicas=3),
    ... )
    >>> run(experiment)["pretrained"].curves.train_loss.shape
    (3, 2)
    """
    return run_with_networks(
        experiment,
        replicas=replicas,
        device=device,
        progress=progress,
        chunk=chunk,
        store=store,
        resume=resume,
        shard=shard,
        processes=processes,
        weights=weights,
    )[0]


@one_thread()
def run_with_networks(
    experiment: Experiment,
    *,
    replicas: int | None = None,
    device: str = "cpu",
    progress: bool = False,
    chunk: int | None = None,
    store: str | Path | None = None,
    resume: bool = False,
    shard: str | None = None,
    processes: int = 1,
    weights: bool = True,
) -> tuple[TransferResult, Switched | None]:
    """As `run`, with all networks at the switch in addition to the result; None if a shard lacks those of others."""
    share = share_of(shard)
    if store is None and (resume or share[1] > 1):
        raise InvalidInput("store", None, "is needed by resume, and by shards, which leave their replicas there")
    engine = engine_of(experiment, replicas, device, processes, chunk, weights=weights)
    scratch = tempfile.TemporaryDirectory() if store is None and processes > 1 else nullcontext(store)
    shown = progress and (shard is not None or rank()[0] == 0)
    with scratch as folder, tqdm(unit=" trainings", disable=None if shown else True, leave=False, delay=1) as bar:
        kept = None if folder is None else engine.keep(Path(folder), resume=resume, share=share)
        mine = engine.ranges(share)
        try:
            if kept is None or share[1] == processes == 1:
                bar.total = engine.trainings(mine, drawn=True)
                trained = engine.upstream(bar.update)
                return engine.downstream(trained, bar.update), Switched(engine, trained)
            fill = Engine.fill
            if processes > 1:
                fill = partial(distribute_shares, store=kept, device=device, processes=processes)
            return _through_the_store(engine, kept, mine, fill, bar, whole=share[1] == 1)
        except KeyboardInterrupt:
            if store is not None and kept is not None:
                log.warning("%d shards are kept in %s; --resume goes on from them", len(kept.shards()), kept.folder)
            raise


def merge(folder: str | Path) -> TransferResult:
    """Combine the shards in a store, or in the folder of one experiment in it: bit-identical to one run of the whole.

    Nothing is trained. Data are read once more.

    Raises
    ------
    InvalidInput
        If there is no experiment or more than one, or if shards are missing, incomplete or damaged; the message names
        them.
    Diverged
        If upstream training leaves too few replicas finite.

    Examples
    --------
    >>> import tempfile
    >>> from theory.setting import Data, Downstream, Ensemble, Upstream
    >>> data = Data(kind="gaussian", spectrum=(1.0, 2.0), samples=8)
    >>> experiment = Experiment(upstream=Upstream(data=data), downstream=Downstream(samples=8))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     parts = [run(experiment, replicas=40, store=folder, shard=shard) for shard in ("1/2", "2/2")]
    ...     both = run(experiment, replicas=40, store=folder, shard="1/2", resume=True)
    ...     whole = merge(folder)
    >>> [len(part.treated) for part in parts], len(both.treated), [part.replicas for part in parts], whole.replicas
    ([3, 4], 4, [24, 16], 40)
    """
    return merge_with_networks(folder)[0]


@one_thread()
def merge_with_networks(folder: str | Path) -> tuple[TransferResult, Switched]:
    """As `merge`, with the networks at the switch in addition to the result."""
    store, experiment, device = find_transfer_store(Path(folder))
    engine = Engine(experiment, torch.device(device), tile=store.tile)
    engine.use(store)
    needed = engine.ranges()

    def ended(here: Range) -> int:
        return len(store.read_upstream(here).finite)

    _require(store, "upstream", needed, store.upstream_path, ended)
    trained = engine.upstream(silent)
    for others in (None, trained) if engine.drawn else (None,):
        total = None if others is None else len(trained.finite)

        def measured(here: Range, others: Trained | None = others) -> int:
            ends = trained.ends.part(here.first, here.last)
            return len(store.read_downstream(here, *engine.key(ends, others))[0].finite)

        _require(store, "downstream", needed, partial(store.downstream_path, total=total), measured)
    return engine.downstream(trained, silent), Switched(engine, trained)


@dataclass(frozen=True)
class Progress:
    """How far the shards of an experiment are.

    Attributes
    ----------
    replicas : int
    upstream, downstream : int
        How many of them are in the store, trained upstream, and downstream after every treatment.
    """

    replicas: int
    upstream: int
    downstream: int


def progress(experiment: Experiment, folder: str | Path) -> Progress:
    """How much of an experiment is in a store, by what its files say they hold.

    Raises
    ------
    InvalidInput
        If the store doesn't hold the experiment.
    """
    store, _, device = find_transfer_store(Path(folder) / experiment_digest(experiment))
    engine = Engine(experiment, torch.device(device), tile=store.tile)
    total = experiment.ensemble.replicas
    upstream = downstream = 0
    for here in engine.ranges():
        replicas = here.last - here.first
        upstream += min(count_rows(store.upstream_path(here)), replicas)
        parts = [store.downstream_path(here, None), *([store.downstream_path(here, total)] if engine.drawn else [])]
        downstream += min(replicas, *map(count_rows, parts))
    return Progress(total, upstream, downstream)


def engine_of(
    experiment: Experiment,
    replicas: int | None,
    device: str,
    processes: int,
    chunk: int | None = None,
    *,
    weights: bool = True,
) -> Engine:
    """The engine of an experiment with so many replicas, of arguments that are checked."""
    for key, value in (("replicas", replicas), ("chunk", chunk), ("processes", processes)):
        if value is not None and value < 1:
            raise InvalidInput(key, value, "must be at least 1")
    if replicas is not None:
        ensemble = msgspec.structs.replace(experiment.ensemble, replicas=replicas)
        experiment = msgspec.structs.replace(experiment, ensemble=ensemble)
    return Engine(experiment, resolve(placed(device)), chunk, weights=weights)


def _through_the_store(
    engine: Engine, store: TransferStore, mine: Sequence[Range], fill: Fill, bar: tqdm, *, whole: bool
) -> tuple[TransferResult, Switched | None]:
    """What `fill` leaves of these ranges in the store, in two phases: without and with the moments of all replicas."""
    bar.total = engine.trainings(mine, drawn=whole)
    fill(engine, mine, None, bar.update)
    trained = engine.upstream(silent) if whole else _found(engine, store) if engine.drawn else None
    if trained is not None and engine.drawn:
        bar.total = engine.trainings(mine, drawn=True)
        fill(engine, mine, trained, bar.update)
    if trained is None:
        return engine.result(mine, engine.ends(mine, silent), None, silent), None
    ends = [trained.ends.part(here.first, here.last) for here in mine]
    return engine.result(mine, ends, trained, silent), Switched(engine, trained)


def _found(engine: Engine, store: TransferStore) -> Trained | None:
    """What all shards have left of upstream training; None as long as some of it is not there."""
    ends = []
    for here in engine.ranges():
        try:
            ends.append(store.read_upstream(here))
        except (FileNotFoundError, Damaged):
            return None
        if len(ends[-1].finite) < here.last - here.first:
            return None
    return engine.trained(ends)


def _require(
    store: TransferStore,
    part: str,
    needed: Sequence[Range],
    path: Callable[[Range], Path],
    count: Callable[[Range], int],
) -> None:
    """Refuses a store in which some ranges are not whole; `count` says how many of a range's replicas can be read."""
    faults = []
    for here in needed:
        try:
            there, wanted = count(here), here.last - here.first
        except FileNotFoundError:
            faults.append(f"{path(here).name} (missing)")
        except Damaged as error:
            faults.append(f"{path(here).name} ({error})")
        else:
            if there < wanted:
                faults.append(f"{path(here).name} ({there} replicas, not {wanted})")
    if faults:
        more = f", and {len(faults) - 10} more" if len(faults) > 10 else ""
        rule = f"{len(faults)} of {len(needed)} {part} shards are missing: {', '.join(faults[:10])}{more}"
        raise InvalidInput("folder", str(store.folder), f"{rule}; --resume computes them")
