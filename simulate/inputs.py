"""The inputs of a replica, drawn from its random streams: rows, labels, initial parameters, batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from simulate.batches import draw_orders, ordered, rows_needed
from simulate.bounds import require_inputs, require_weights
from simulate.data import draw_fixed_rows, open_source
from simulate.devices import one_thread
from simulate.images import patch_moment
from simulate.labels import open_labels
from simulate.networks import draw_parameters, layer_shapes
from simulate.results import Population
from simulate.streams import SHARED, Purpose, Streams
from theory.setting import InvalidInput, Setting


@dataclass(frozen=True, eq=False)
class Inputs:
    """The inputs of R replicas.

    Attributes
    ----------
    x : Tensor, shape (R, n, d), or (n, d) if all replicas share their rows
        Images are (R, n, C, H, W), or (n, C, H, W).
    y : Tensor, shape (R, n, C) of targets or (R, n) of class indices (int64)
    parameters : tuple of Tensor
        Initial values, every layer's weights (R, out, in), then with `bias` its biases (R, out); first layer first.
    orders : Tensor, shape (R, T, B) of int64, or None
        The rows of every batch; None if all rows are one batch, and for online data, whose batch t is rows tB … (t +
        1)B − 1.
    """

    x: Tensor
    y: Tensor
    parameters: tuple[Tensor, ...]
    orders: Tensor | None

    @property
    def shared(self) -> bool:
        """Whether all replicas share their rows."""
        return self.x.ndim in (2, 4)

    def rotated(self, rotation: ArrayLike) -> Inputs:
        """The same replicas in other coordinates: rows X Rᵀ and first-layer weights W₀ Rᵀ, R (d, d) orthogonal.

        Training is equivariant (arXiv:2006.10455, proof of Proposition 1) if these give W_t Rᵀ.

        Raises
        ------
        InvalidInput
            If the rows are images: a rotation of patches is not a rotation of images.
        """
        if self.x.ndim > 3:
            raise InvalidInput("rotation", f"of shape {np.shape(rotation)}", "acts on rows of numbers, not on images")
        turn = torch.as_tensor(np.asarray(rotation), dtype=self.x.dtype, device=self.x.device).T
        first, *others = self.parameters
        return replace(self, x=self.x @ turn, parameters=(first @ turn, *others))

    def to(self, device: torch.device, dtype: torch.dtype) -> Inputs:
        """The same values on a device, reals in `dtype`."""
        y = self.y.to(device, dtype) if self.y.is_floating_point() else self.y.to(device)
        parameters = tuple(w.to(device, dtype) for w in self.parameters)
        orders = None if self.orders is None else self.orders.to(device)
        return Inputs(self.x.to(device, dtype), y, parameters, orders)


class Draws:
    """Draws the inputs of any replica of a setting; shared inputs are drawn or read once.

    Raises
    ------
    InvalidInput
        If real data cannot be read or do not fit, or a replica would exceed the memory limit.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._streams = Streams(setting.ensemble.seed)
        self._source, real = open_source(setting, self._streams)
        require_inputs(setting, self._source.shape)
        self._labeller = open_labels(setting, self.population, real, self._streams)
        self.shapes = layer_shapes(setting.network, self._source.shape, self._labeller.outputs)
        require_weights(setting, self.shapes)
        self._fixed = draw_fixed_rows(setting, self._source, self._streams) if setting.data.fixed else None
        self._shared = torch.tensor(self._fixed[0] if self._fixed else ())

    @property
    def population(self) -> Population:
        return self._source.population

    @property
    def row(self) -> tuple[int, ...]:
        """The shape of a row: (d,), or (C, H, W) for images."""
        return self._source.shape

    @property
    def rows(self) -> np.ndarray:
        """The one X (n, d), or (n, C, H, W), of fixed data; InvalidInput where every replica has its own."""
        if self._fixed is None:
            raise InvalidInput("data.fixed", False, "must be true for replicas to share their rows")
        return self._fixed[0]

    @property
    def data_moment(self) -> np.ndarray:
        """The matrix whose eigenvectors are the v_i, shape (d, d); see `Simulation.data_moment`."""
        if self._fixed is not None:
            x = self._fixed[0]
            return patch_moment(x, self.setting.network.kernel) if x.ndim == 4 else x.T @ x / len(x)
        return self.population.covariance if self.setting.data.law_mean else self.population.second_moment

    def take(self, slots: Sequence[int | None], task: int = 0, *, fresh: bool = False) -> Inputs:
        """The inputs of the replicas in `slots`, on the host in float64.

        A slot of None is idle: it is filled with a copy of the first replica, whose training is discarded. Successive
        tasks have their own labels, batches and initial values, and with `fresh` their own rows; task 0 is that of the
        setting.
        """
        setting, streams, bias = self.setting, self._streams, self.setting.network.bias
        count, n = len(slots), rows_needed(setting)
        replicas = [(i, replica) for i, replica in enumerate(slots) if replica is not None]
        # torch's own memory, which is aligned: a product of matrices may round differently where it isn't.
        x = torch.empty((count, n, *self.row), dtype=torch.float64) if self._fixed is None else self._shared
        if self._labeller.indices:
            y = torch.empty((count, n), dtype=torch.int64)
        else:
            y = torch.empty((count, n, self._labeller.outputs), dtype=torch.float64)
        shapes = [shape for w in self.shapes for shape in ((w, w[:1]) if bias else (w,))]
        parameters = tuple(torch.empty((count, *shape), dtype=torch.float64) for shape in shapes)
        # views are made once: small replicas are drawn in the time that a few calls of torch take
        all_rows, all_labels, arrays = x.numpy(), y.numpy(), [w.numpy() for w in parameters]
        in_order = ordered(setting)
        orders: list[np.ndarray] = []
        for i, replica in replicas:
            if self._fixed is None:
                rows = all_rows[i]
                picked = self._source.draw(streams.at(Purpose.DATA, replica, task if fresh else 0), rows)
            else:
                rows, picked = self._fixed
            all_labels[i] = self._labeller.draw(streams.at(Purpose.LABELS, replica, task), rows, picked)
            draw_parameters(setting.network, streams.at(Purpose.INIT, replica, task), [array[i] for array in arrays])
            if in_order:
                orders.append(draw_orders(setting, streams.at(Purpose.ORDER, replica, task)))
        first = replicas[0][0]
        idle = [i for i, replica in enumerate(slots) if replica is None]
        for tensor in (y, *parameters) if self._fixed else (x, y, *parameters):
            tensor[idle] = tensor[first].clone()
        if not in_order:
            return Inputs(x, y, parameters, None)
        each = iter(orders)
        filled = [orders[0] if replica is None else next(each) for replica in slots]
        return Inputs(x, y, parameters, torch.from_numpy(np.stack(filled)))


@one_thread()
def replica_inputs(setting: Setting, replicas: Sequence[int]) -> Inputs:
    """The inputs of some replicas of a setting, as `run` draws them, on the host in float64.

    Together with :func:`simulate.train` this is training by hand: the inputs may be changed in between. The numbers
    drawn are those of `run`; trained weights may differ in the last bits, because the batch is different.

    Raises
    ------
    InvalidInput
        If data cannot be read or do not fit, or a replica's number is negative.

    Examples
    --------
    >>> from theory.setting import Data
    >>> setting = Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=5))
    >>> inputs = replica_inputs(setting, [0, 7])
    >>> inputs.x.shape, inputs.y.shape, [tuple(w.shape) for w in inputs.parameters]
    (torch.Size([2, 5, 2]), torch.Size([2, 5, 1]), [(2, 1, 2)])
    """
    if not replicas or not all(0 <= replica < SHARED for replica in replicas):
        raise InvalidInput("replicas", list(replicas), "must name at least one replica, by numbers 0, 1, …")
    return Draws(setting).take(list(replicas))
