"""Data as batches for a model: from a DataLoader, a Dataset, arrays and tensors, generators, files and folders."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reports.check.data import open_samples
from reports.check.files import stored
from reports.check.weights import WeightVectors
from theory.errors import InvalidInput

BATCH = 64  # the number of samples in a batch, where the data do not come in batches


@dataclass(frozen=True)
class DataBatches:
    """Batches in order, and the number of samples, None if it is not known beforehand.

    `again` says whether they can be read more than once.
    """

    batches: Iterable[Any]
    samples: int | None = None
    again: bool = True


def batches_of(data: Any, first: Any = None, batch: int | None = None) -> DataBatches:
    """The batches of data of any supported kind.

    Parameters
    ----------
    data : any of these
        A tensor or an array, samples on the first axis; a Dataset, collated in order as a DataLoader does; FILE[:KEY]
        as for one layer, or a folder of images of one size, scaled to [0, 1]; a DataLoader, a list or a generator of
        batches as the model takes them: a tensor, a pair (inputs, labels), or a dictionary of arguments.
    first : optional
        The model's first layer: its `in_channels` or `in_features` decide how images in a folder are read.
    batch : int, optional
        The only number of samples on which the model can be run, for data that do not come in batches; the rest is left
        out.

    Raises
    ------
    InvalidInput
        If the data are anything else or empty, or files cannot be read.
    """
    if isinstance(data, (str, Path)):
        return _from_file(str(data), first, batch)
    if isinstance(data, np.ndarray):
        if data.dtype.kind not in "fiub":
            raise InvalidInput("data", str(data.dtype), "must hold real numbers")
        return _sliced(data.shape, lambda start, stop: torch.from_numpy(np.ascontiguousarray(data[start:stop])), batch)
    if isinstance(data, torch.Tensor):
        return _sliced(tuple(data.shape), lambda start, stop: data[start:stop], batch)
    if isinstance(data, torch.utils.data.DataLoader):
        return DataBatches(data, _length(data))
    if isinstance(data, torch.utils.data.IterableDataset):
        return DataBatches(torch.utils.data.DataLoader(data, batch_size=batch or BATCH, drop_last=batch is not None))
    if isinstance(data, torch.utils.data.Dataset):
        loader = torch.utils.data.DataLoader(data, batch_size=batch or BATCH, drop_last=batch is not None)
        return DataBatches(loader, _length(loader))
    if isinstance(data, Mapping) or not isinstance(data, Iterable):
        rule = "must be a DataLoader, a Dataset, a tensor, an array, a file, a folder, or batches"
        raise InvalidInput("data", type(data).__name__, rule)
    return DataBatches(data, again=not isinstance(data, Iterator))


def prepared(
    model: Callable[..., Any], batch: Any, device: Any, dtype: Any, forward: Callable[[Any, Any], Any] | None
) -> tuple[Callable[[], Any], int]:
    """A call of the model on a batch, and how many samples the batch holds.

    The input is the first entry of a pair, or the entries of a dictionary that are arguments of the model.
    Floating-point inputs are converted to `dtype`, that of the model's weights. `forward(model, batch)` replaces all
    that.
    """
    moved = _moved(batch, device, dtype)
    if forward is not None:
        return partial(forward, model, moved), _count(moved)
    if isinstance(moved, Mapping):
        accepted = _accepted(model)
        arguments = {key: value for key, value in moved.items() if accepted is None or key in accepted}
        return partial(model, **arguments), _count(arguments)
    if isinstance(moved, list) and moved:
        moved = moved[0]
    if not isinstance(moved, torch.Tensor):
        raise InvalidInput("data", type(moved).__name__, "a batch must be a tensor, a pair, or a dictionary")
    return partial(model, moved), _count(moved)


def _count(batch: Any) -> int:
    if isinstance(batch, torch.Tensor):
        return len(batch) if batch.ndim else 1
    entries = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, (list, tuple)) else ()
    return next((len(entry) for entry in entries if isinstance(entry, torch.Tensor) and entry.ndim), 1)


def _accepted(model: Any) -> set[str] | None:
    """The names of a model's arguments; None if it takes any."""
    parameters = inspect.signature(getattr(model, "forward", model)).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in parameters}


def _moved(batch: Any, device: Any, dtype: Any) -> Any:
    if isinstance(batch, np.ndarray) and batch.dtype.kind in "fiub":
        batch = torch.from_numpy(batch)
    if isinstance(batch, torch.Tensor):
        return batch.to(device, dtype) if batch.is_floating_point() and dtype is not None else batch.to(device)
    if isinstance(batch, Mapping):
        return {key: _moved(value, device, dtype) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return [_moved(value, device, dtype) for value in batch]
    return batch


def _sliced(shape: tuple[int, ...], read: Callable[[int, int], torch.Tensor], batch: int | None = None) -> DataBatches:
    if len(shape) < 1 or not all(shape):
        raise InvalidInput("data.shape", shape, "the first axis must be samples, and none must be empty")
    count = shape[0] if batch is None else shape[0] // batch * batch
    if not count:
        raise InvalidInput("data.shape", shape, f"must have at least {batch} samples, for which the model was exported")
    return DataBatches(_Slices(count, batch or BATCH, read), count)


@dataclass(frozen=True)
class _Slices:
    """An array in blocks, which can be read repeatedly."""

    count: int
    step: int
    read: Callable[[int, int], torch.Tensor]

    def __iter__(self) -> Iterator[torch.Tensor]:
        for start in range(0, self.count, self.step):
            yield self.read(start, min(start + self.step, self.count))


def _length(loader: Any) -> int | None:
    try:
        return len(loader.dataset)
    except TypeError:  # a dataset without a length
        return None


def _from_file(source: str, first: Any, batch: int | None) -> DataBatches:
    """FILE[:KEY] or a folder of images."""
    if Path(source).is_dir():
        stream = open_samples(source, _sees(first))
        if stream.shape is None:
            raise InvalidInput("data", source, "all images must have one size, for a model")
        return _sliced((stream.count, *stream.shape), lambda start, stop: _tensor(stream.read(start, stop)), batch)
    array = stored(source, "data", (2, 3, 4, 5))
    return _sliced(array.shape, lambda start, stop: _tensor(array.read(start, stop)), batch)


def _tensor(block: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(block))  # a copy: maps of files are read-only


def _sees(first: Any) -> WeightVectors:
    """What the first layer sees of an image, for `open_samples`: its channels, or all its numbers."""
    channels = getattr(first, "in_channels", None)
    if channels is not None:
        return WeightVectors(np.zeros((1, channels)), (channels, 1, 1))
    features = getattr(first, "in_features", None)
    if features is None:
        raise InvalidInput("data", "a folder", "the model's first layer does not take images")
    return WeightVectors(np.zeros((1, features)), None)
