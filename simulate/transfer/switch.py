"""The networks of a transfer experiment at the switch: trained upstream, treated, and not yet trained downstream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulate.inputs import Inputs
from simulate.transfer.experiment import Engine
from simulate.transfer.handover import Trained
from simulate.transfer.moments import one
from simulate.transfer.treatments import treat
from simulate.transfer.upstream import Ends
from theory.setting import DRAWN, Experiment, Treatment


@dataclass(frozen=True, eq=False)
class Switched:
    """All replicas at the start of downstream training, on the engine's device in float64.

    Attributes
    ----------
    engine : Engine
    trained : Trained
        The results of upstream training.
    """

    engine: Engine
    trained: Trained

    @property
    def experiment(self) -> Experiment:
        return self.engine.experiment

    @property
    def ends(self) -> Ends:
        """Where upstream training ended, for every replica."""
        return self.trained.ends

    @property
    def replicas(self) -> list[int]:
        """The replicas whose numbers are finite after upstream training."""
        return np.flatnonzero(self.trained.finite).tolist()

    def downstream(self, replicas: Sequence[int]) -> Inputs:
        """The rows, labels and batches of downstream training, with the replicas' initial values as parameters.

        Examples
        --------
        See `start`.
        """
        return self.engine.draws.take(list(replicas)).downstream.to(self.engine.device, torch.float64)

    def start(self, treatment: Treatment, replicas: Sequence[int]) -> tuple[Tensor, ...]:
        """The parameters (r, …) with which these replicas begin downstream training after a treatment.

        They are not rounded to the experiment's precision: networks that are treated train from these, rounded to it.

        Examples
        --------
        >>> from theory.setting import Data, Downstream, Network, Treatments, Upstream
        >>> data, kinds = Data(kind="gaussian", spectrum=(1.0, 2.0), samples=8), Treatments(kinds=("scratch",))
        >>> upstream = Upstream(data=data, network=Network(kind="mlp", hidden=(4,)))
        >>> experiment = Experiment(upstream=upstream, treatment=kinds, downstream=Downstream(samples=6))
        >>> engine = Engine(experiment, torch.device("cpu"))
        >>> switched = Switched(engine, engine.upstream(lambda count: None))
        >>> inputs, start = switched.downstream([0, 3]), switched.start(kinds.each[0], [0, 3])
        >>> tuple(inputs.x.shape), all(map(torch.equal, start, inputs.parameters))
        ((2, 6, 2), True)
        """
        inputs = self.engine.draws.take(list(replicas))
        others = self.trained if treatment.kind in DRAWN else None
        treated = []
        for slot, replica in enumerate(replicas):
            mine = one(self.ends.parameters, replica)
            treated.append(treat(treatment, self.engine.handover.switch(replica, mine, others, inputs, slot)))
        columns = zip(*treated, strict=True)
        return tuple(torch.from_numpy(np.stack(column)).to(self.engine.device) for column in columns)
