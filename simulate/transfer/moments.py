"""Moments of trained networks: summed over all replicas, and averaged over all but one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from simulate.transfer.treatments import Parameters, principal_variances
from theory.setting import Network

# The second moment of the first layer's weights (d, d), and what `principal_variances` returns for the layers above.
Moments = tuple[np.ndarray, tuple[np.ndarray, ...]]


def one(parameters: tuple[Tensor, ...], replica: int) -> Parameters:
    """One replica's parameters, in float64, copied: aligned the same way whatever tensors they come from."""
    return tuple(w[replica].to(torch.float64, copy=True).numpy() for w in parameters)


def summed(
    network: Network, parameters: tuple[Tensor, ...], finite: np.ndarray, rows: Callable[[int], np.ndarray] | None
) -> Moments:
    """Sums over the replicas that are `finite`, in their order; of variances where their `rows` are given."""
    d = parameters[0].shape[2]
    moment, variances = np.zeros((d, d)), []
    for replica in np.flatnonzero(finite).tolist():
        mine = one(parameters, replica)
        moment += mine[0].T @ mine[0] / len(mine[0])
        if rows is not None:
            variances.append(principal_variances(network, mine, rows(replica)))
    return moment, tuple(np.sum(column, axis=0) for column in zip(*variances, strict=True))


def of_others(network: Network, sums: Moments, count: int, mine: Parameters, rows: np.ndarray | None) -> Moments:
    """Means over all of `count` replicas but the one with parameters `mine`, whose `rows` are needed as in `summed`."""
    # The sums over others are the sums over all without the replica's own part.
    moment = (sums[0] - mine[0].T @ mine[0] / len(mine[0])) / (count - 1)
    if rows is None:
        return moment, ()
    own = principal_variances(network, mine, rows)
    return moment, tuple(np.maximum(a - b, 0) / (count - 1) for a, b in zip(sums[1], own, strict=True))
