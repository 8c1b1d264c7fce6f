"""The walk of a transfer experiment: all replicas upstream, moments that treatments need, all replicas downstream.

Replicas are trained in tiles of a fixed size, in which replica r always has the same place, so that its bits don't
depend on who else is trained with it: see `simulate.tiles`. Treatments that draw from the moments of other replicas
depend on who these are; nothing else depends on the number of replicas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from simulate import kernels
from simulate.devices import one_thread, resolve
from simulate.inputs import Inputs
from simulate.tiles import tile_size
from simulate.transfer.draws import TransferDraws, TransferInputs
from simulate.transfer.measures import finite, scores
from simulate.transfer.readings import Readings, measure
from simulate.transfer.results import TransferResult, Treated, UpstreamEnd
from simulate.transfer.treatments import Parameters, Switch, principal_variances, treat
from simulate.transfer.upstream import train_upstream
from theory.setting import DRAWN, Experiment, InvalidInput, Treatment

# How many replicas a tile has at most. Experiments have tens of replicas, seldom hundreds, and a tile that isn't full
# costs as much as one that is.
MOST = {"cpu": 32, "cuda": 256}


@one_thread()
def run(
    experiment: Experiment,
    *,
    replicas: int | None = None,
    device: str = "cpu",
    progress: bool = False,
    chunk: int | None = None,
) -> TransferResult:
    """Train every replica upstream, and after every treatment downstream.

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

    Raises
    ------
    InvalidInput
        Where data cannot be read, are too few or don't fit, there is no such device, or upstream training leaves too
        few replicas finite.

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
    if replicas is not None:
        ensemble = msgspec.structs.replace(experiment.ensemble, replicas=replicas)
        experiment = msgspec.structs.replace(experiment, ensemble=ensemble)
    engine = Engine(experiment, resolve(device), chunk)
    total = experiment.ensemble.replicas * (1 + len(experiment.treatment.each))
    with tqdm(total=total, unit=" trainings", disable=None if progress else True, leave=False, delay=1) as bar:
        trained = engine.upstream(bar.update)
        return engine.downstream(trained, bar.update)


@dataclass(frozen=True, eq=False)
class Trained:
    """What upstream training leaves: all replicas' parameters (R, …) on the host, where it ended, and moments.

    `finite` (R,) says which replicas' numbers are; `moment` (d, d) and `variances` are sums over these.
    """

    parameters: tuple[Tensor, ...]
    end: UpstreamEnd
    finite: np.ndarray
    moment: np.ndarray
    variances: tuple[np.ndarray, ...]


class Engine:
    """Trains the replicas of one experiment on one device."""

    def __init__(self, experiment: Experiment, device: torch.device, chunk: int | None) -> None:
        self.experiment = experiment
        self.device = device
        self.draws = TransferDraws(experiment)
        self.network = experiment.upstream.network
        self._kernel = kernels.choose(self.draws.downstream)
        settings = (self.draws.upstream, self.draws.downstream)
        self._tile = min(
            MOST["cpu" if device.type == "cpu" else "cuda"],
            *(tile_size(setting, self.draws, device) for setting in settings),
        )
        self._chunk = chunk or self._tile
        self._dtype = getattr(torch, experiment.ensemble.dtype)
        kinds = {treatment.kind for treatment in experiment.treatment.each}
        self._drawn, self._recursive = bool(kinds & set(DRAWN)), "recursive" in kinds

    def upstream(self, tell: Callable[[int], object]) -> Trained:
        """Train all replicas upstream."""
        ends: list[tuple[np.ndarray, ...]] = []
        kept: list[tuple[Tensor, ...]] = []
        for _, here, inputs in self._pieces():
            ended = train_upstream(self.draws.upstream, self.experiment.upstream.until, inputs.upstream)
            x, y = inputs.upstream.x, inputs.upstream.y
            loss, accuracy = scores(self.network, ended.parameters, x, y, classes=self.draws.upstream_classes)
            ends_finite = finite(ended.parameters) & loss.isfinite()
            columns = (ended.steps, ended.fitted, loss, loss if accuracy is None else accuracy, ends_finite)
            ends.append(tuple(column[here].cpu().numpy() for column in columns))
            kept.append(tuple(w[here].cpu() for w in ended.parameters))
            tell(here.stop - here.start)
        steps, fitted, losses, accuracies, ok = (np.concatenate(column) for column in zip(*ends, strict=True))
        parameters = tuple(torch.cat(column) for column in zip(*kept, strict=True))
        needed = 2 if self._drawn else 1
        if ok.sum() < needed:
            rule = f"leaves {ok.sum()} of {len(ok)} replicas finite upstream, and at least {needed} are needed"
            raise InvalidInput("upstream.training.learning_rate", self.draws.upstream.training.learning_rate, rule)
        end = UpstreamEnd(steps, fitted, losses, accuracies if self.draws.upstream_classes else None)
        return Trained(parameters, end, ok, *self._moments(parameters, ok))

    def downstream(self, trained: Trained, tell: Callable[[int], object]) -> TransferResult:
        """Train all replicas downstream, once a treatment; those that are not finite throughout are left out."""
        setting, replicas = self.draws.downstream, len(trained.finite)
        readings = {
            treatment: Readings(setting.training.readings, len(self.draws.population.mean), replicas)
            for treatment in self.experiment.treatment.each
        }
        kept: list[np.ndarray] = []
        for slots, here, inputs in self._pieces():
            switches = [self._switch(replica, trained, inputs, slot) for slot, replica in enumerate(slots)]
            measured = []
            for treatment in readings:
                start = self._start(treatment, switches, inputs.downstream)
                read = self._kernel.train(setting, start)
                measured.append(measure(self.network, read, inputs, here, classes=self.draws.classes))
                tell(here.stop - here.start)
            first = sum(map(len, kept))
            finite = trained.finite[first : first + here.stop - here.start]
            kept.append(np.logical_and.reduce([finite, *(found.finite for found in measured)]))
            for into, found in zip(readings.values(), measured, strict=True):
                into.add(first, found, kept[-1])
        treated = tuple(found.treated(treatment) for treatment, found in readings.items())
        return self._result(trained.end, np.concatenate(kept), treated)

    def _result(self, end: UpstreamEnd, kept: np.ndarray, treated: tuple[Treated, ...]) -> TransferResult:
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

    def _pieces(self) -> Iterator[tuple[list[int | None], slice, TransferInputs]]:
        """Replicas in their order: the slots of a tile, which of them are trained now, and their inputs."""
        first, last, tile = 0, self.experiment.ensemble.replicas, self._tile
        while first < last:
            begin = first - first % tile
            stop = min(begin + tile, first + self._chunk, last)
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
