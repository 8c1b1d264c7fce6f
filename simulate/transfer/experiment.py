"""The walk of a transfer experiment: all replicas upstream, moments that treatments need, all replicas downstream.

Replicas are trained in tiles of a fixed size, in which replica r always has the same place, so that its bits don't
depend on who else is trained with it: see `simulate.tiles`. Treatments that draw from the moments of other replicas
depend on who these are; nothing else depends on the number of replicas.

Both walks go from range to range, each a fixed number of whole tiles, and leave them in a store, if there is one: see
`simulate.transfer.store`. Moments are summed over all replicas in their order, wherever these come from.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from simulate import kernels
from simulate.devices import one_thread, resolve
from simulate.inputs import Inputs
from simulate.ranges import Range, ranges
from simulate.tiles import tile_size
from simulate.transfer.draws import TransferDraws, TransferInputs
from simulate.transfer.measures import finite, scores
from simulate.transfer.readings import Measured, Readings, measure
from simulate.transfer.results import TransferResult, Treated, UpstreamEnd
from simulate.transfer.store import TransferStore, marks, open_transfer_store, transfer_range_size
from simulate.transfer.treatments import Parameters, Switch, principal_variances, treat
from simulate.transfer.upstream import Ends, train_upstream
from theory.setting import DRAWN, Diverged, Experiment, InvalidInput, Treatment

# How many replicas a tile has at most. Experiments have tens of replicas, seldom hundreds, and a tile that isn't full
# costs as much as one that is.
MOST = {"cpu": 32, "cuda": 256}

# Told how many trainings are done.
Tell = Callable[[int], object]

log = logging.getLogger(__name__)


@one_thread()
def run(
    experiment: Experiment,
    *,
    replicas: int | None = None,
    device: str = "cpu",
    progress: bool = False,
    chunk: int | None = None,
    store: str | Path | None = None,
    resume: bool = False,
    weights: bool = True,
) -> TransferResult:
    """Train every replica upstream, and after every treatment downstream.

    The result is the same, bit for bit, on the same machine and libraries, whatever `chunk`, and however often the
    experiment was ended and resumed.

    Parameters
    ----------
    experiment : Experiment
    replicas : int or None
        Instead of ``experiment.ensemble.replicas``; the first ones draw the same rows, labels, batches and weights.
    device : "cpu", "cuda", "cuda:N" or "auto"
    progress : bool
        A progress bar on stderr, where that is a terminal.
    chunk : int or None
        At most so many replicas are trained at a time, with the same result, bit for bit; as many as is fast if None.
    store : path or None
        A folder in which trained networks, and what is measured of them, are kept as they are computed, in a folder of
        their own named by a digest of the experiment: some 8 d² bytes a replica, treatment and reading, and every
        upstream network.
    resume : bool
        Whether `store` may hold shards of this experiment already: they are not computed again, nor is upstream
        training where they were of another number of replicas.
    weights : bool
        Whether downstream second moments of first layers are wanted. Without them ``Treated.weights`` is empty, and a
        store takes little more than the upstream networks.

    Raises
    ------
    InvalidInput
        Where data cannot be read, are too few or don't fit, there is no such device, the store holds shards and is not
        to be resumed, or it cannot be written: what is complete is then kept.
    Diverged
        Where upstream training leaves too few replicas finite.

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
    for key, number in (("replicas", replicas), ("chunk", chunk)):
        if number is not None and number < 1:
            raise InvalidInput(key, number, "must be at least 1")
    if store is None and resume:
        raise InvalidInput("store", None, "is needed by resume")
    if replicas is not None:
        ensemble = msgspec.structs.replace(experiment.ensemble, replicas=replicas)
        experiment = msgspec.structs.replace(experiment, ensemble=ensemble)
    engine = Engine(experiment, resolve(device), chunk, weights=weights)
    if store is not None:
        engine.keep(Path(store), resume=resume)
    total = experiment.ensemble.replicas * (1 + len(experiment.treatment.each))
    with tqdm(total=total, unit=" trainings", disable=None if progress else True, leave=False, delay=1) as bar:
        try:
            return engine.downstream(engine.upstream(bar.update), bar.update)
        except KeyboardInterrupt:
            engine.say_kept()
            raise


@dataclass(frozen=True, eq=False)
class Trained:
    """What upstream training leaves: where it ended for all replicas, and moments: sums over those that are finite.

    `moment` is (d, d), `variances` are as in `Switch`.
    """

    ends: Ends
    moment: np.ndarray
    variances: tuple[np.ndarray, ...]

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """All replicas' parameters (R, …), on the host."""
        return self.ends.parameters

    @property
    def finite(self) -> np.ndarray:
        """Which replicas' numbers are, (R,)."""
        return self.ends.finite


class Engine:
    """Trains the replicas of one experiment on one device; `chunk` and `weights` are as in `run`."""

    def __init__(
        self, experiment: Experiment, device: torch.device, chunk: int | None = None, *, weights: bool = True
    ) -> None:
        self.experiment = experiment
        self.device = device
        self.draws = TransferDraws(experiment)
        self.network = experiment.upstream.network
        self._kernel = kernels.choose_kernel(self.draws.downstream)
        settings = (self.draws.upstream, self.draws.downstream)
        self._most = MOST["cpu" if device.type == "cpu" else "cuda"]
        self._tile = min(self._most, *(tile_size(setting, self.draws, device) for setting in settings))
        self._chunk, self._weights = chunk, weights
        self._dtype = getattr(torch, experiment.ensemble.dtype)
        self._store: TransferStore | None = None
        kinds = {treatment.kind for treatment in experiment.treatment.each}
        self._drawn, self._recursive = bool(kinds & set(DRAWN)), "recursive" in kinds

    def keep(self, root: Path, *, resume: bool) -> None:
        """Leave in the store `root` what is trained, and with `resume` take from there what has been.

        Raises
        ------
        InvalidInput
            See `run`.
        """
        self._store = open_transfer_store(
            root, self.experiment, self.device, self._tile, resume=resume, weights=self._weights
        )
        self._tile = self._store.tile

    def say_kept(self) -> None:
        """Say, after an interruption, what a store holds, if there is one."""
        if self._store is not None:
            count = len(self._store.shards())
            log.warning("%d shards are kept in %s; --resume goes on from them", count, self._store.folder)

    def upstream(self, tell: Tell) -> Trained:
        """Train all replicas upstream."""
        ends = Ends.joined([part for here in self._ranges() for part in self._upstream_range(here, tell)])
        needed, ok = 2 if self._drawn else 1, ends.finite
        if ok.sum() < needed:
            rule = f"leaves {ok.sum()} of {len(ok)} replicas finite upstream, and at least {needed} are needed"
            raise Diverged("upstream.training.learning_rate", self.draws.upstream.training.learning_rate, rule)
        return Trained(ends, *self._moments(ends.parameters, ok))

    def downstream(self, trained: Trained, tell: Tell) -> TransferResult:
        """Train all replicas downstream, once a treatment; those that are not finite throughout are left out."""
        setting, replicas = self.draws.downstream, len(trained.finite)
        dimension = len(self.draws.population.mean) if self._weights else 0
        readings = {
            treatment: Readings(setting.training.readings, dimension, replicas)
            for treatment in self.experiment.treatment.each
        }
        kept: list[np.ndarray] = []
        first = 0
        for measured in self._downstream_parts(trained, tell):
            last = first + len(measured[0].finite)
            kept.append(np.logical_and.reduce([trained.finite[first:last], *(found.finite for found in measured)]))
            for into, found in zip(readings.values(), measured, strict=True):
                into.add(first, found, kept[-1])
            first = last
        treated = tuple(found.treated(treatment) for treatment, found in readings.items())
        return self._result(trained.ends, np.concatenate(kept), treated)

    def _upstream_range(self, here: Range, tell: Tell) -> list[Ends]:
        """Where upstream training of a range ended: what the store has of it, then what is trained now."""
        found = None if self._store is None else self._store.load_upstream(here)
        parts = [] if found is None else [found]
        known = here.first + sum(len(part.finite) for part in parts)
        tell(known - here.first)
        for _, slots, inputs in self._pieces(known, here.last):
            ended = train_upstream(self.draws.upstream, self.experiment.upstream.until, inputs.upstream)
            x, y = inputs.upstream.x, inputs.upstream.y
            loss, accuracy = scores(self.network, ended.parameters, x, y, classes=self.draws.upstream_classes)
            ends_finite = finite(ended.parameters) & loss.isfinite()
            columns = (ended.steps, ended.fitted, loss, loss if accuracy is None else accuracy, ends_finite)
            steps, fitted, losses, accuracies, ok = (column[slots].cpu().numpy() for column in columns)
            parameters = tuple(w[slots].cpu() for w in ended.parameters)
            parts.append(Ends(parameters, steps, fitted, losses, None if accuracy is None else accuracies, ok))
            tell(slots.stop - slots.start)
        if self._store is not None and known < here.last:
            self._store.save_upstream(here, Ends.joined(parts))
        return parts

    def _downstream_parts(self, trained: Trained, tell: Tell) -> Iterator[tuple[Measured, ...]]:
        """What is measured after every treatment, of some replicas after others: from the store, or trained now."""
        store, treatments = self._store, self.experiment.treatment.each
        if store is None:
            for here in self._ranges():
                yield from self._downstream_range(here.first, here.last, trained, tell)
            return
        # Moments of others say how many others there are.
        total, moments = None, []
        if self._drawn:
            total, moments = len(trained.finite), [trained.moment, *trained.variances, trained.finite]
        names, begun = [treatment.name for treatment in treatments], marks(trained.ends, moments)
        for here in self._ranges():
            found = store.load_downstream(here, names, begun, total)
            parts = [] if found is None else [found]
            known = here.first + sum(len(part[0].finite) for part in parts)
            tell((known - here.first) * len(treatments))
            yield from parts
            for part in self._downstream_range(known, here.last, trained, tell):
                parts.append(part)
                yield part
            if known < here.last:
                whole = [Measured.joined(column) for column in zip(*parts, strict=True)]
                store.save_downstream(here, names, begun, total, whole)

    def _downstream_range(self, first: int, last: int, trained: Trained, tell: Tell) -> Iterator[tuple[Measured, ...]]:
        """Train replicas first … last − 1 downstream."""
        for replicas, here, inputs in self._pieces(first, last):
            switches = [self._switch(replica, trained, inputs, slot) for slot, replica in enumerate(replicas)]
            measured = []
            for treatment in self.experiment.treatment.each:
                start = self._start(treatment, switches, inputs.downstream)
                read = self._kernel.train(self.draws.downstream, start)
                classes, weights = self.draws.classes, self._weights
                measured.append(measure(self.network, read, inputs, here, classes=classes, weights=weights))
                tell(here.stop - here.start)
            yield tuple(measured)

    def _result(self, end: Ends, kept: np.ndarray, treated: tuple[Treated, ...]) -> TransferResult:
        accuracy = None if end.accuracy is None else end.accuracy[kept]
        return TransferResult(
            experiment=self.experiment,
            replicas=len(kept),
            diverged=int((~kept).sum()),
            device=str(self.device),
            width=self.draws.shapes[0][0],
            data_moment=self.draws.data_moment,
            upstream=UpstreamEnd(end.steps[kept], end.fitted[kept], end.loss[kept], accuracy),
            treated=treated,
        )

    def _ranges(self) -> list[Range]:
        """All replicas."""
        shapes, dimension = self.draws.shapes, len(self.draws.population.mean)
        size = transfer_range_size(self.experiment, shapes, dimension, self._tile, self._most, self.device.type)
        return ranges(self.experiment.ensemble.replicas, size)

    def _pieces(
        self, first: int = 0, last: int | None = None
    ) -> Iterator[tuple[list[int | None], slice, TransferInputs]]:
        """Replicas in their order: the slots of a tile, which of them are trained now, and their inputs."""
        tile, chunk = self._tile, self._chunk or self._tile
        last = self.experiment.ensemble.replicas if last is None else last
        while first < last:
            begin = first - first % tile
            stop = min(begin + tile, first + chunk, last)
            slots = [replica if first <= replica < stop else None for replica in range(begin, begin + tile)]
            inputs = self.draws.take(slots).to(self.device, self._dtype)
            yield slots, slice(first - begin, stop - begin), inputs
            first = stop

    def _moments(self, parameters: tuple[Tensor, ...], finite: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Sums over finite replicas of first-layer second moments, and of principal variances where they are needed."""
        d = parameters[0].shape[2]
        moment, variances = np.zeros((d, d)), []
        for replica in np.flatnonzero(finite).tolist():
            one = _one(parameters, replica)
            moment += one[0].T @ one[0] / len(one[0])
            if self._recursive:
                variances.append(principal_variances(self.network, one, self.draws.upstream_rows(replica)))
        return moment, tuple(np.sum(column, axis=0) for column in zip(*variances, strict=True))

    def _switch(self, replica: int | None, trained: Trained, inputs: TransferInputs, slot: int) -> Switch | None:
        """What treatments of a replica may use; None for an idle slot, and where upstream training diverged."""
        if replica is None or not trained.finite[replica]:
            return None
        mine, others = _one(trained.parameters, replica), int(trained.finite.sum()) - 1
        # The sums over others are the sums over all without the replica's own part.
        moment = (trained.moment - mine[0].T @ mine[0] / len(mine[0])) / others if self._drawn else None
        rows, variances = np.empty((0, 0)), trained.variances
        if self._recursive:
            rows = self.draws.upstream_rows(replica)
            own = principal_variances(self.network, mine, rows)
            variances = tuple(np.maximum(a - b, 0) / others for a, b in zip(variances, own, strict=True))
        init, new = _one(inputs.init, slot), _one(inputs.new, slot)
        return Switch(self.network, init, new, mine, rows, moment, variances, self.draws.streams, replica)

    def _start(self, treatment: Treatment, switches: list[Switch | None], inputs: Inputs) -> Inputs:
        """The inputs with treated parameters; idle slots and diverged replicas begin with their init."""
        start = tuple(w.clone() for w in inputs.parameters)
        for slot, switch in enumerate(switches):
            if switch is not None:
                for w, treated in zip(start, treat(treatment, switch), strict=True):
                    w[slot] = torch.from_numpy(np.ascontiguousarray(treated)).to(w)
        return Inputs(inputs.x, inputs.y, start, inputs.orders)


def _one(parameters: tuple[Tensor, ...], replica: int) -> Parameters:
    """One replica's parameters, in float64."""
    return tuple(w[replica].double().numpy() for w in parameters)
