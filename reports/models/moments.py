"""Second moments of the inputs of layers, summed while a model runs: only the moments are kept."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from reports.check.moments import DataMoment
from reports.models.layers import Layer
from theory.errors import InvalidInput

MOST = 2**27  # the most numbers of all groups' moments: 1 GiB in double precision
_FEWEST_GROUPS, _MOST_GROUPS = 4, 64
_PIECES = 16  # of a batch that go to different groups, at most


class Stream:
    """The moments of one layer's input, in groups of samples whose scatter gives the sampling error.

    Every batch is cut into pieces of whole samples, and the pieces go to the groups in turn. Rows of one sample
    (tokens, patches) stay together, because they are not independent.
    """

    def __init__(self, layer: Layer, groups: int) -> None:
        self.layer = layer
        self.failure = ""  # why the layer cannot be checked
        self._groups = groups
        self._moments: list[Any] = [0.0] * groups  # arrays, or tensors on the device of the data
        self._totals: list[Any] = [0.0] * groups
        self._counts = np.zeros(groups)
        self._low: Any = None
        self._high: Any = None
        self._dealt = 0
        self._samples = 0

    def add(self, values: Any, samples: int) -> None:
        """Add the input of one call, of so many samples; an error is kept as the reason to leave the layer out.

        If the first axis is not a multiple of `samples`, the whole call is one piece.
        """
        if self.failure:
            return
        try:
            whole = len(values) % samples == 0 and len(values) > 0
            pieces = min(samples, _PIECES, self._groups) if whole else 1
            per_sample = len(values) // samples if whole else len(values)
            bounds = np.linspace(0, samples if whole else 1, pieces + 1).astype(int) * per_sample
            for first, last in pairwise(bounds.tolist()):
                group = self._dealt % self._groups
                self._dealt += 1
                for strip in self.layer.seen(values[first:last]):
                    self._add(group, strip)
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
            self.failure = f"its input has another form ({str(error).splitlines()[0][:100]})"
        self._samples += samples

    def _add(self, group: int, strip: torch.Tensor) -> None:
        rows: Any
        if strip.device.type == "cuda":
            tensor = strip.to(torch.float64)
            rows, low, high = tensor, tensor.amin(0), tensor.amax(0)
        else:
            array = strip.detach().cpu().to(torch.float64).numpy()  # NumPy's A'A takes half the time of a product
            rows, low, high = (
                array,
                torch.from_numpy(np.minimum.reduce(array)),
                torch.from_numpy(np.maximum.reduce(array)),
            )
        with np.errstate(over="ignore", invalid="ignore"):  # `moment` says so
            self._moments[group] = self._moments[group] + rows.T @ rows
            self._totals[group] = self._totals[group] + rows.sum(0)
        self._counts[group] += len(rows)
        self._low = low if self._low is None else torch.minimum(self._low, low)
        self._high = high if self._high is None else torch.maximum(self._high, high)

    @property
    def reached(self) -> bool:
        """Whether the layer was called at all."""
        return bool(self._counts.any())

    def moment(self) -> DataMoment:
        """The moments of the coordinates that vary; the memory of the sums is released.

        Raises
        ------
        InvalidInput
            If inputs are not finite, never vary, or are so small that their squares vanish.
        """
        low, high = self._low.cpu().numpy(), self._high.cpu().numpy()
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise InvalidInput("data", "nan or inf", "its input is not finite")
        varies = high > low
        if not varies.any():
            raise InvalidInput("data", "constant", "its input never varies")
        filled = np.flatnonzero(self._counts)
        counts = self._counts[filled]
        moments, means = [], []
        for group in filled:
            moments.append(_host(self._moments[group])[np.ix_(varies, varies)] / self._counts[group])
            means.append(_host(self._totals[group])[varies] / self._counts[group])
            self._moments[group] = self._totals[group] = None
        stacked = np.stack(moments)
        if not np.isfinite(stacked).all():
            raise InvalidInput("data", float(np.abs(high).max()), "the squares of its input overflow")
        if not np.trace(stacked, axis1=1, axis2=2).any():
            raise InvalidInput("data", float(np.abs(high).max()), "the squares of its input underflow")
        return DataMoment(stacked, np.stack(means), counts, self._samples, varies)


def streams(layers: Sequence[Layer], shares: int = 1) -> list[Stream]:
    """A stream per layer, each with as many groups as the memory allows, which `shares` models share.

    Raises
    ------
    InvalidInput
        If even the fewest groups do not fit.
    """
    squares, most = [layer.dimension**2 for layer in layers], MOST // shares
    needed = _FEWEST_GROUPS * sum(squares)
    if needed > most:
        rule = f"their moments need {8 * needed / 2**30:.1f} GiB, and {8 * most / 2**30:.1f} may be used: name fewer"
        raise InvalidInput("layers", len(layers), rule)
    share = most
    while True:
        groups = [min(max(share // square, _FEWEST_GROUPS), _MOST_GROUPS) for square in squares]
        if sum(count * square for count, square in zip(groups, squares, strict=True)) <= most:
            return [Stream(layer, count) for layer, count in zip(layers, groups, strict=True)]
        share //= 2


def _host(values: Any) -> np.ndarray:
    return values.cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
