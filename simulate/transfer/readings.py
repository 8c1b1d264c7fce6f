"""What is read during downstream training: measured tile by tile, kept replica by replica."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulate.moments import Blocks, block_count
from simulate.transfer.draws import TransferInputs
from simulate.transfer.measures import finite, layer_states, norms, scores, second_moments
from simulate.transfer.results import Curves, Layers, Treated
from theory.setting import Network, Treatment

SCORES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


@dataclass(frozen=True, eq=False)
class ReplicaReadings:
    """A part of the replicas at all K readings after one treatment, on the host.

    Attributes
    ----------
    scores : tuple of (ndarray, shape (r, K), or None)
        Train loss, train accuracy, test loss, test accuracy.
    norms : ndarray, shape (r, K, L)
    states : ndarray, shape (r, K, L − 1, 3)
        See `layer_states`.
    moments : ndarray, shape (r, K, d, d)
        Second moments of the first layer's rows; (r, K, 0, 0) where they are not wanted.
    means : ndarray, shape (r, K, d)
        The means of the first layer's rows; (r, K, 0) where they are not wanted.
    finite : ndarray of bool, shape (r,)
    """

    scores: tuple[np.ndarray | None, ...]
    norms: np.ndarray
    states: np.ndarray
    moments: np.ndarray
    means: np.ndarray
    finite: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is, by name; every array has one row a replica."""
        there = {name: array for name, array in zip(SCORES, self.scores, strict=True) if array is not None}
        return {
            **there,
            "norms": self.norms,
            "states": self.states,
            "moments": self.moments,
            "means": self.means,
            "finite": self.finite,
        }

    @staticmethod
    def of(arrays: Mapping[str, np.ndarray]) -> ReplicaReadings:
        """What `arrays` gave."""
        rest = (arrays[name] for name in ("norms", "states", "moments", "means", "finite"))
        return ReplicaReadings(tuple(arrays.get(name) for name in SCORES), *rest)

    @staticmethod
    def joined(parts: Sequence[ReplicaReadings]) -> ReplicaReadings:
        """The replicas of all parts, one after the other."""
        if len(parts) == 1:
            return parts[0]
        columns = [part.arrays() for part in parts]
        return ReplicaReadings.of({name: np.concatenate([column[name] for column in columns]) for name in columns[0]})


def read_replicas(
    network: Network,
    read: dict[int, tuple[Tensor, ...]],
    inputs: TransferInputs,
    here: slice,
    *,
    classes: bool,
    weights: bool = True,
) -> ReplicaReadings:
    """The replicas in slots `here` at every reading, from the parameters that training has left there.

    `classes` says whether labels are classes, `weights` whether moments of the first layer and ranks are wanted.
    """
    x, y = inputs.downstream.x, inputs.downstream.y
    found: list[list[Tensor | None]] = []
    for parameters in read.values():
        train = scores(network, parameters, x, y, classes=classes)
        test = (
            (None, None) if inputs.held_out is None else scores(network, parameters, *inputs.held_out, classes=classes)
        )
        layers = parameters[:: 1 + network.bias]
        ends = finite(parameters) & train[0].isfinite()
        states = layer_states(network, parameters, x, ranks=weights)
        first = parameters[0].double() if weights else parameters[0][:, :, :0]
        found.append([*train, *test, norms(layers), states, second_moments(first), first.mean(1), ends])
    columns = [
        None if column[0] is None else torch.stack([w for w in column if w is not None], 1)[here].cpu().numpy()
        for column in zip(*found, strict=True)
    ]
    *four, sizes, states_, moments, means, ends_ = columns
    assert sizes is not None
    assert states_ is not None
    assert moments is not None
    assert means is not None
    assert ends_ is not None
    return ReplicaReadings(tuple(four), sizes, states_, moments, means, np.all(ends_, axis=1))


class Readings:
    """All that was measured after one treatment, of the replicas that are kept.

    Parameters
    ----------
    steps : tuple of int
        The K readings.
    dimension : int
        d; 0 where moments of the first layer are not wanted.
    replicas : int
        How many there will be at most.
    """

    def __init__(self, steps: tuple[int, ...], dimension: int, replicas: int) -> None:
        self._steps = np.array(steps)
        blocks = min(block_count(dimension), replicas) if dimension else 0
        self._blocks = [Blocks(step, dimension, blocks) for step in steps if dimension]
        self._parts: list[tuple[np.ndarray | None, ...]] = []

    def add(self, first: int, measured: ReplicaReadings, kept: np.ndarray) -> None:
        """Add replicas first, first + 1, …, without those that are not `kept` (r,)."""
        arrays = (*measured.scores, measured.norms, measured.states)
        self._parts.append(tuple(None if array is None else array[kept] for array in arrays))
        loss = measured.scores[0]
        assert loss is not None
        for k, blocks in enumerate(self._blocks):
            blocks.add(first, measured.moments[:, k], measured.means[:, k], loss[:, k], kept)

    def treated(self, treatment: Treatment) -> Treated:
        """Everything, as one record."""
        columns = [
            None if column[0] is None else np.concatenate([part for part in column if part is not None])
            for column in zip(*self._parts, strict=True)
        ]
        train_loss, train_accuracy, test_loss, test_accuracy, sizes, states = columns
        assert train_loss is not None
        assert sizes is not None
        assert states is not None
        return Treated(
            treatment,
            Curves(self._steps, train_loss, train_accuracy, test_loss, test_accuracy),
            Layers(sizes, states[..., 0], states[..., 1], states[..., 2]),
            tuple(blocks.reading() for blocks in self._blocks),
        )
