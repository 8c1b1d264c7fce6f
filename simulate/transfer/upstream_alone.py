"""Upstream training and nothing else: the networks at the switch."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path

from tqdm import tqdm

from simulate.devices import one_thread
from simulate.transfer.experiment import silent
from simulate.transfer.shares import engine_of
from simulate.transfer.switch import Switched
from simulate.transfer.workers import distribute_shares
from theory.setting import Experiment, InvalidInput


@one_thread()
def train_upstream_alone(
    experiment: Experiment,
    *,
    replicas: int | None = None,
    device: str = "cpu",
    progress: bool = False,
    store: str | Path | None = None,
    resume: bool = False,
    processes: int = 1,
) -> Switched:
    """Train every replica upstream, and nothing downstream: the networks at the switch, with the bits that `run` has.

    Parameters and errors are those of `run`; with a store, `run` goes on from there.

    Examples
    --------
    >>> from theory.setting import Data, Downstream, Network, Treatments, Upstream
    >>> data, network = Data(kind="gaussian", spectrum=(1.0, 2.0), samples=8), Network(kind="mlp", hidden=(4,))
    >>> kinds = Treatments(kinds=("scratch", "pretrained"))
    >>> experiment = Experiment(
    ...     upstream=Upstream(data=data, network=network), treatment=kinds, downstream=Downstream(samples=8)
    ... )
    >>> switched = train_upstream_alone(experiment, replicas=3)
    >>> [tuple(w.shape) for w in switched.start(experiment.treatment.each[1], switched.replicas)]
    [(3, 4, 2), (3, 1, 4)]
    """
    engine = engine_of(experiment, replicas, device, processes)
    if store is None and resume:
        raise InvalidInput("store", None, "is needed by resume")
    scratch = tempfile.TemporaryDirectory() if store is None and processes > 1 else nullcontext(store)
    with scratch as folder, tqdm(unit=" trainings", disable=None if progress else True, leave=False, delay=1) as bar:
        mine = engine.ranges()
        if folder is not None:
            # downstream shards do not matter: nothing is written beside them
            kept = engine.keep(Path(folder), resume=resume)
            mine = engine.ranges()
            bar.total = engine.experiment.ensemble.replicas
            if processes > 1:
                distribute_shares(
                    engine, mine, None, bar.update, store=kept, device=device, processes=processes, downstream=False
                )
                return Switched(engine, engine.trained(engine.ends(mine, silent)))
        bar.total = engine.experiment.ensemble.replicas
        return Switched(engine, engine.trained(engine.ends(mine, bar.update)))
