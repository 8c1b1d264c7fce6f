"""Everything a replica of a transfer experiment is made from, drawn from its streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import torch
from torch import Tensor

from simulate.batches import draw_orders, ordered
from simulate.data import open_source
from simulate.inputs import Inputs
from simulate.labels import Labeller, open_labels
from simulate.networks import draw_parameters, layer_shapes
from simulate.results import Population
from simulate.streams import Purpose, Streams
from theory.setting import Experiment, InvalidInput, Setting


@dataclass(frozen=True, eq=False)
class TransferInputs:
    """What R replicas are made from, on the host in float64.

    Attributes
    ----------
    upstream, downstream : Inputs
        Rows, labels and batches of both trainings; `parameters` are in both the replicas' initial values.
    held_out : (Tensor, Tensor) or None
        Rows (R, n, …) and downstream labels that no training sees.
    init, new : tuple of Tensor
        The initial values, and a second, independent init.
    """

    upstream: Inputs
    downstream: Inputs
    held_out: tuple[Tensor, Tensor] | None
    init: tuple[Tensor, ...]
    new: tuple[Tensor, ...]

    def to(self, device: torch.device, dtype: torch.dtype) -> TransferInputs:
        """The same values on a device, reals in `dtype`; `init` and `new` stay where treatments are computed."""
        held_out = None
        if self.held_out is not None:
            x, y = self.held_out
            held_out = x.to(device, dtype), y.to(device, dtype) if y.is_floating_point() else y.to(device)
        upstream, downstream = self.upstream.to(device, dtype), self.downstream.to(device, dtype)
        return TransferInputs(upstream, downstream, held_out, self.init, self.new)


class TransferDraws:
    """Draws the inputs of any replica of an experiment.

    A replica draws all its rows at once, distinct ones where they are drawn from a finite set, and shares them out:
    upstream has the first, then downstream, then the held-out ones.

    Attributes
    ----------
    streams : Streams
    shapes : tuple of (out, in)
    upstream_classes, classes : bool
        Whether upstream's, and downstream's, labels are classes.

    Raises
    ------
    InvalidInput
        If real data cannot be read or don't fit, the two tasks have different numbers of outputs and are not both of
        classes, or a criterion or target is an accuracy and the labels are not classes.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.upstream, self.downstream = experiment.upstream_setting, experiment.downstream_setting
        self._rows = experiment.rows
        self._downstream_rows, self._held_out = experiment.downstream.samples, experiment.downstream.held_out
        self.streams = Streams(experiment.ensemble.seed)
        try:
            self._source, real = open_source(self._whole(), self.streams)
        except InvalidInput as error:
            if error.key == "data.samples":
                key = "upstream.data.samples + downstream.samples + downstream.held_out"
                raise InvalidInput(key, error.value, error.rule) from None
            raise
        self._upstream_labels = self._labeller(self.upstream, real)
        self._downstream_labels = self._labeller(self.downstream, real)
        if _classes(self._upstream_labels) and _classes(self._downstream_labels):
            most = max(self._upstream_labels.outputs, self._downstream_labels.outputs)
            self._upstream_labels = replace(self._upstream_labels, outputs=most)
            self._downstream_labels = replace(self._downstream_labels, outputs=most)
        outputs = self._upstream_labels.outputs
        if self._downstream_labels.outputs != outputs:
            rule = f"must have as many outputs as upstream ({outputs}): they share a network"
            raise InvalidInput("downstream.labels", self._downstream_labels.outputs, rule)
        self.shapes = layer_shapes(self.upstream.network, self._source.shape, outputs)
        self.upstream_classes, self.classes = _classes(self._upstream_labels), _classes(self._downstream_labels)
        until = experiment.upstream.until
        for key, value, known in (
            ("upstream.until.accuracy", until and until.accuracy, self.upstream_classes),
            ("downstream.target", experiment.downstream.target, self.classes),
        ):
            if value is not None and not known:
                raise InvalidInput(key, value, "is an accuracy, and the labels are reals, not classes")

    @property
    def population(self) -> Population:
        return self._source.population

    @property
    def row(self) -> tuple[int, ...]:
        """The shape of a row: (d,), or (C, H, W) of images."""
        return self._source.shape

    @property
    def data_moment(self) -> np.ndarray:
        """The matrix whose eigenvectors are the v_i, shape (d, d); see `Simulation.data_moment`."""
        return self.population.covariance if self.upstream.data.law_mean else self.population.second_moment

    def take(self, slots: Sequence[int | None]) -> TransferInputs:
        """The inputs of the replicas named in `slots`; a slot of None is idle, and a copy of the first replica."""
        known = {replica: self._one(replica) for replica in slots if replica is not None}
        first = next(iter(known.values()))
        each = [first if replica is None else known[replica] for replica in slots]
        x, up_y, down_y, up_orders, down_orders = (
            None if column[0] is None else torch.stack(column)
            for column in zip(*(one.shared for one in each), strict=True)
        )
        assert x is not None
        assert up_y is not None
        assert down_y is not None
        parameters, new = (
            tuple(torch.stack(column) for column in zip(*drawn, strict=True))
            for drawn in ([one.init for one in each], [one.new for one in each])
        )
        n, end = up_y.shape[1], self._rows - self._held_out
        # torch's own memory, which is aligned: a product of matrices may round differently where it isn't.
        parts = [part.clone(memory_format=torch.contiguous_format) for part in (x[:, :n], x[:, n:end], x[:, end:])]
        return TransferInputs(
            upstream=Inputs(parts[0], up_y, parameters, up_orders),
            downstream=Inputs(parts[1], down_y[:, : end - n].contiguous(), parameters, down_orders),
            held_out=(parts[2], down_y[:, end - n :].contiguous()) if self._held_out else None,
            init=parameters,
            new=new,
        )

    def upstream_rows(self, replica: int) -> np.ndarray:
        """The rows (n, …) that a replica is trained on upstream."""
        return self._all_rows(replica)[0][: self._rows - self._held_out - self._downstream_rows]

    def _all_rows(self, replica: int) -> tuple[np.ndarray, np.ndarray | None]:
        x = np.empty((self._rows, *self.row))
        return x, self._source.draw(self.streams.at(Purpose.DATA, replica), x)

    def _whole(self) -> Setting:
        """A setting whose rows are those of both trainings, with real labels where either has them."""
        one = self.upstream if self.upstream.labels.kind == "real" else self.downstream
        return msgspec.structs.replace(
            one,
            data=msgspec.structs.replace(one.data, samples=self._rows),
            training=msgspec.structs.replace(one.training, batch_size="full"),
        )

    def _labeller(self, setting: Setting, real: np.ndarray | None) -> Labeller:
        return open_labels(setting, self.population, real if setting.labels.kind == "real" else None, self.streams)

    def _one(self, replica: int) -> _Drawn:
        streams, up, down = self.streams, self.upstream, self.downstream
        x, picked = self._all_rows(replica)
        n = self._rows - self._held_out - self._downstream_rows
        first, second = (None, None) if picked is None else (picked[:n], picked[n:])
        labels = (
            self._upstream_labels.draw(streams.at(Purpose.LABELS, replica), x[:n], first),
            self._downstream_labels.draw(streams.at(Purpose.DOWNSTREAM_LABELS, replica), x[n:], second),
        )
        orders = tuple(
            torch.from_numpy(draw_orders(setting, streams.at(purpose, replica))) if ordered(setting) else None
            for setting, purpose in ((up, Purpose.ORDER), (down, Purpose.DOWNSTREAM_ORDER))
        )
        init, new = (self._init(streams.at(purpose, replica)) for purpose in (Purpose.INIT, Purpose.NEW_INIT))
        return _Drawn((torch.from_numpy(x), *(torch.tensor(y) for y in labels), *orders), init, new)

    def _init(self, generator: np.random.Generator) -> list[Tensor]:
        bias = self.upstream.network.bias
        arrays = [np.empty(shape) for w in self.shapes for shape in ((w, w[:1]) if bias else (w,))]
        draw_parameters(self.upstream.network, generator, arrays)
        return [torch.from_numpy(array) for array in arrays]


@dataclass(frozen=True, eq=False)
class _Drawn:
    """One replica: (rows, labels, labels, batches, batches), init, second init."""

    shared: tuple[Tensor | None, ...]
    init: list[Tensor]
    new: list[Tensor]


def _classes(labels: Labeller) -> bool:
    """Whether labels are classes, however they are written."""
    if labels.real is not None:
        return labels.real.ndim == 1
    return labels.law.kind == "classes"
