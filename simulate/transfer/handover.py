"""From upstream to downstream training: what all replicas leave, and what the treatments of one may use of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulate.inputs import Inputs
from simulate.transfer.draws import TransferDraws, TransferInputs
from simulate.transfer.moments import of_others, one, summed
from simulate.transfer.rainbow import chosen, references
from simulate.transfer.treatments import Parameters, Switch, treat
from simulate.transfer.upstream import Ends
from theory.setting import Treatment


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


@dataclass(frozen=True, eq=False)
class Handover:
    """What the treatments of an experiment ask of upstream training.

    Attributes
    ----------
    draws : TransferDraws
    recursive : bool
        Whether they ask for the variances of later layers.
    referring : bool
        Whether they ask for the trained networks of other replicas.
    """

    draws: TransferDraws
    recursive: bool
    referring: bool

    def trained(self, ends: Ends) -> Trained:
        """The ends of all replicas with the moments of those that are finite, one at least."""
        rows = self.draws.upstream_rows if self.recursive else None
        return Trained(ends, *summed(self.draws.upstream.network, ends.parameters, ends.finite, rows))

    def switch(
        self, replica: int, mine: Parameters, trained: Trained | None, inputs: TransferInputs, slot: int
    ) -> Switch:
        """What treatments of a replica may use, whose upstream training ended at `mine` and whose inputs are in `slot`.

        Moments of other replicas are there with `trained`.
        """
        network = self.draws.upstream.network
        init, new, none = one(inputs.init, slot), one(inputs.new, slot), np.empty((0, 0))
        if trained is None:
            return Switch(network, init, new, mine, none, None, (), self.draws.streams, replica)
        rows = self.draws.upstream_rows(replica) if self.recursive or self.referring else None
        sums, count = (trained.moment, trained.variances), int(trained.finite.sum())
        others = of_others(network, sums, count, mine, rows if self.recursive else None)
        known = None
        if rows is not None and self.referring:
            there = chosen(replica, trained.finite)
            known = references(network, [w[there].double().numpy() for w in trained.parameters], rows)
        rows = none if rows is None else rows
        return Switch(network, init, new, mine, rows, *others, self.draws.streams, replica, known)


def treated_inputs(treatment: Treatment, switches: list[Switch | None], inputs: Inputs) -> Inputs:
    """The inputs with treated parameters; idle slots and diverged replicas begin with their init."""
    start = tuple(w.clone() for w in inputs.parameters)
    for slot, switch in enumerate(switches):
        if switch is not None:
            for w, treated in zip(start, treat(treatment, switch), strict=True):
                w[slot] = torch.from_numpy(np.ascontiguousarray(treated)).to(w)
    return Inputs(inputs.x, inputs.y, start, inputs.orders)
