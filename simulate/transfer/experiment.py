"""The walk of a transfer experiment: all replicas upstream, moments that treatments need, all replicas downstream.

Replicas are trained in tiles of a fixed size, in which replica r always has the same place, so that its bits don't
depend on who else is trained with it: see `simulate.tiles`. Treatments that draw from the moments of other replicas
depend on who these are; nothing else depends on the number of replicas.

Both walks go from range to range, each a fixed number of whole tiles, and leave them in a store, if there is one: see
`simulate.transfer.store`. Moments are summed over all replicas in their order, wherever these come from. Who computes
which ranges is the subject of `simulate.transfer.shares`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from simulate import kernels
from simulate.bounds import require_work
from simulate.ranges import Range, ranges
from simulate.tiles import tile_size
from simulate.transfer.draws import TransferDraws, TransferInputs
from simulate.transfer.handover import Handover, Trained, treated_inputs
from simulate.transfer.measures import finite, scores
from simulate.transfer.moments import one
from simulate.transfer.readings import Readings, ReplicaReadings, read_replicas
from simulate.transfer.results import TransferResult, UpstreamEnd
from simulate.transfer.store import TransferStore, marks, open_transfer_store, transfer_range_size
from simulate.transfer.upstream import Ended, Ends, train_upstream
from theory.setting import DRAWN, Diverged, Experiment, Treatment

# The most replicas of a tile, by kind of device. Experiments have tens of replicas, seldom hundreds, and a tile that is
# not full costs as much as one that is.
MOST = {"cpu": 12, "cuda": 256}

# A function that is told how many trainings are done.
Tell = Callable[[int], object]


def silent(count: int) -> None:
    """A `tell` that reports nothing."""


class Engine:
    """Trains the replicas of one experiment on one device.

    Parameters
    ----------
    experiment : Experiment
    device : torch.device
    chunk, weights
        Options as for `simulate.transfer.run`; attributes, too.
    only : sequence of str or None
        The names of the treatments that are trained downstream; all if None.
    tile : int or None
        How many replicas are trained as one batch; if None, as many as is fast, which on a CPU depends on the
        experiment alone.

    Attributes
    ----------
    store : TransferStore or None
    drawn : bool
        Whether some treatments draw weights from the moments of other replicas.
    handover : Handover
    """

    def __init__(
        self,
        experiment: Experiment,
        device: torch.device,
        chunk: int | None = None,
        *,
        weights: bool = True,
        tile: int | None = None,
        only: Sequence[str] | None = None,
    ) -> None:
        self.experiment = experiment
        self.device = device
        self.draws = TransferDraws(experiment)
        self.network = experiment.upstream.network
        self.store: TransferStore | None = None
        self._kernel = kernels.choose_kernel(self.draws.downstream)
        settings = (self.draws.upstream, self.draws.downstream)
        self._most = MOST["cpu" if device.type == "cpu" else "cuda"]
        self._tile = tile or min(self._most, *(tile_size(setting, self.draws, device) for setting in settings))
        self.chunk, self.weights = chunk, weights
        self._dtype = getattr(torch, experiment.ensemble.dtype)
        self._each = tuple(t for t in experiment.treatment.each if only is None or t.name in only)
        self.drawn = bool(self.treatments(drawn=True))
        kinds = {treatment.kind for treatment in experiment.treatment.each}
        self.handover = Handover(
            self.draws, recursive="recursive" in kinds, referring=bool(kinds & {"rainbow", "unrotated"})
        )

    def keep(self, root: Path, *, resume: bool, share: tuple[int, int] = (1, 1)) -> TransferStore:
        """Leave in the store `root` what is trained, and with `resume` take from there what has been.

        Raises
        ------
        InvalidInput
            As for `simulate.transfer.run`, but shards of other shares are no reason to refuse.
        """
        mine = partial(self._ranges, share)
        store = open_transfer_store(
            root, self.experiment, self.device, self._tile, mine, resume=resume, weights=self.weights
        )
        self.use(store)
        return store

    def use(self, store: TransferStore) -> None:
        """Go on with a store that is open, and its tile."""
        self.store = store
        self._tile = store.tile

    def ranges(self, share: tuple[int, int] = (1, 1)) -> list[Range]:
        """The ranges of shard (i, n): see `simulate.ranges`."""
        return self._ranges(share, self._tile)

    def treatments(self, *, drawn: bool) -> tuple[Treatment, ...]:
        """The treatments that draw from other replicas' moments, or those that need the replica's network alone."""
        return tuple(t for t in self._each if (t.kind in DRAWN) == drawn)

    def trainings(self, mine: Sequence[Range], *, drawn: bool) -> int:
        """How many trainings these ranges take, upstream and downstream, with or without drawn weights."""
        treatments = self._each if drawn else self.treatments(drawn=False)
        return sum(here.last - here.first for here in mine) * (1 + len(treatments))

    def fill(self, mine: Sequence[Range], trained: Trained | None, tell: Tell) -> None:
        """Train these ranges upstream and after treatments that need no others; with `trained`, after the others."""
        for here in mine:
            ends = self._upstream_range(here, tell if trained is None else silent)
            self._measured(here, ends, trained, tell)

    def ends(self, mine: Sequence[Range], tell: Tell) -> list[Ends]:
        """Train the replicas of these ranges upstream: one `Ends` a range."""
        return [self._upstream_range(here, tell) for here in mine]

    def trained(self, ends: Sequence[Ends]) -> Trained:
        """What upstream training leaves, from the ends of all ranges.

        Raises
        ------
        Diverged
            If too few replicas are finite.
        """
        joined = Ends.joined(ends)
        needed, ok = 2 if self.drawn else 1, joined.finite
        if ok.sum() < needed:
            rule = f"leaves {ok.sum()} of {len(ok)} replicas finite upstream, and at least {needed} are needed"
            raise Diverged("upstream.training.learning_rate", self.draws.upstream.training.learning_rate, rule)
        return self.handover.trained(joined)

    def upstream(self, tell: Tell) -> Trained:
        """Train all replicas upstream."""
        return self.trained(self.ends(self.ranges(), tell))

    def downstream(self, trained: Trained, tell: Tell) -> TransferResult:
        """Train all replicas downstream, once a treatment; those that are not finite throughout are left out."""
        mine = self.ranges()
        return self.result(mine, [trained.ends.part(here.first, here.last) for here in mine], trained, tell)

    def result(
        self, mine: Sequence[Range], ends: Sequence[Ends], trained: Trained | None, tell: Tell
    ) -> TransferResult:
        """Train the replicas of these ranges downstream, whose upstream training ended at `ends`, one a range.

        Without `trained` only after those treatments that need no others.
        """
        setting, replicas = self.draws.downstream, self.experiment.ensemble.replicas
        dimension = len(self.draws.population.mean) if self.weights else 0
        alone = self.treatments(drawn=False)
        readings = {
            treatment: Readings(setting.training.readings, dimension, replicas)
            for treatment in self._each
            if trained is not None or treatment in alone
        }
        kept = []
        for here, end in zip(mine, ends, strict=True):
            measured = self._measured(here, end, None, tell)
            if trained is not None:
                measured |= self._measured(here, end, trained, tell)
            kept.append(np.logical_and.reduce([end.finite, *(found.finite for found in measured.values())]))
            for treatment, into in readings.items():
                into.add(here.first, measured[treatment], kept[-1])
        return self._result(ends, kept, readings)

    def key(self, ends: Ends, trained: Trained | None) -> tuple[list[str], np.ndarray, int | None]:
        """What `TransferStore` asks for: names of treatments, marks of replicas, their number where it matters."""
        names = [treatment.name for treatment in self.treatments(drawn=trained is not None)]
        if trained is None:
            return names, marks(ends, []), None
        # Moments of others say how many others there are.
        shared = [trained.moment, *trained.variances, trained.finite]
        if self.handover.referring:
            shared += [w.contiguous().numpy() for w in trained.parameters]
        return names, marks(ends, shared), len(trained.finite)

    def _measured(
        self, here: Range, ends: Ends, trained: Trained | None, tell: Tell
    ) -> dict[Treatment, ReplicaReadings]:
        """What is measured of a range after the treatments that need no others or, with `trained`, after the others.

        From the store or trained now, and then stored. `ends` are those of the range.
        """
        treatments, store = self.treatments(drawn=trained is not None), self.store
        if not treatments:
            return {}
        found = None if store is None else store.load_downstream(here, *self.key(ends, trained))
        parts = [] if found is None else [found]
        known = here.first + sum(len(part[0].finite) for part in parts)
        tell((known - here.first) * len(treatments))
        parts += self._downstream_range(known, here, ends, trained, tell)
        whole = [ReplicaReadings.joined(column) for column in zip(*parts, strict=True)]
        if store is not None and known < here.last:
            store.save_downstream(here, *self.key(ends, trained), whole)
        return dict(zip(treatments, whole, strict=True))

    def _upstream_range(self, here: Range, tell: Tell) -> Ends:
        """Where upstream training of a range ended: what the store has of it, then what is trained now."""
        found = None if self.store is None else self.store.load_upstream(here)
        parts = [] if found is None else [found]
        known = here.first + sum(len(part.finite) for part in parts)
        tell(known - here.first)
        for _, slots, inputs in self.pieces(known, here.last):
            ended = train_upstream(self.draws.upstream, self.experiment.upstream.until, inputs.upstream)
            parts.append(self.end_of(ended, slots, inputs))
            tell(slots.stop - slots.start)
        ends = Ends.joined(parts)
        if self.store is not None and known < here.last:
            self.store.save_upstream(here, ends)
        return ends

    def end_of(self, ended: Ended, slots: slice, inputs: TransferInputs) -> Ends:
        """What is kept, on the host, of the replicas in these slots."""
        x, y = inputs.upstream.x, inputs.upstream.y
        loss, accuracy = scores(self.network, ended.parameters, x, y, classes=self.draws.upstream_classes)
        ends_finite = finite(ended.parameters) & loss.isfinite()
        columns = (ended.steps, ended.fitted, loss, loss if accuracy is None else accuracy, ends_finite)
        steps, fitted, losses, accuracies, ok = (column[slots].cpu().numpy() for column in columns)
        parameters = tuple(w[slots].cpu() for w in ended.parameters)
        return Ends(parameters, steps, fitted, losses, None if accuracy is None else accuracies, ok)

    def _downstream_range(
        self, first: int, whole: Range, ends: Ends, trained: Trained | None, tell: Tell
    ) -> Iterator[tuple[ReplicaReadings, ...]]:
        """Train the replicas of a range downstream, from replica `first` on."""
        for replicas, here, inputs in self.pieces(first, whole.last):
            switches = [
                self.handover.switch(replica, one(ends.parameters, replica - whole.first), trained, inputs, slot)
                if replica is not None and ends.finite[replica - whole.first]
                else None
                for slot, replica in enumerate(replicas)
            ]
            measured = []
            for treatment in self.treatments(drawn=trained is not None):
                start = treated_inputs(treatment, switches, inputs.downstream)
                read = self._kernel.train(self.draws.downstream, start)
                classes, weights = self.draws.classes, self.weights
                measured.append(read_replicas(self.network, read, inputs, here, classes=classes, weights=weights))
                tell(here.stop - here.start)
            yield tuple(measured)

    def _result(
        self, ends: Sequence[Ends], kept: Sequence[np.ndarray], readings: Mapping[Treatment, Readings]
    ) -> TransferResult:
        """The record of what was measured of the replicas that are `kept`, range by range."""
        if ends:
            ok = np.concatenate(kept)
            steps, fitted, loss = ([getattr(end, name) for end in ends] for name in ("steps", "fitted", "loss"))
            accuracies = [end.accuracy for end in ends if end.accuracy is not None]
            accuracy = np.concatenate(accuracies)[ok] if accuracies else None
            upstream = UpstreamEnd(
                np.concatenate(steps)[ok], np.concatenate(fitted)[ok], np.concatenate(loss)[ok], accuracy
            )
            treated = tuple(found.treated(treatment) for treatment, found in readings.items())
        else:
            ok, none = np.empty(0, dtype=bool), np.empty(0)
            upstream, treated = UpstreamEnd(np.empty(0, dtype=np.int64), ok, none, None), ()
        return TransferResult(
            experiment=self.experiment,
            replicas=len(ok),
            diverged=int((~ok).sum()),
            device=str(self.device),
            width=self.draws.shapes[0][0],
            data_moment=self.draws.data_moment,
            upstream=upstream,
            treated=treated,
        )

    def _ranges(self, share: tuple[int, int], tile: int) -> list[Range]:
        shapes, dimension = self.draws.shapes, len(self.draws.population.mean)
        for setting in (self.draws.upstream, self.draws.downstream):
            require_work(setting, shapes, self.experiment.ensemble.replicas)
        size = transfer_range_size(self.experiment, shapes, dimension, tile, self._most, self.device.type)
        return ranges(self.experiment.ensemble.replicas, size, share)

    def pieces(self, first: int, last: int) -> Iterator[tuple[list[int | None], slice, TransferInputs]]:
        """Replicas in their order: the slots of a tile, which of them are trained now, and their inputs."""
        tile, chunk = self._tile, self.chunk or self._tile
        while first < last:
            begin = first - first % tile
            stop = min(begin + tile, first + chunk, last)
            slots = [replica if first <= replica < stop else None for replica in range(begin, begin + tile)]
            inputs = self.draws.take(slots).to(self.device, self._dtype)
            yield slots, slice(first - begin, stop - begin), inputs
            first = stop
