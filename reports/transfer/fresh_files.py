"""Would a fresh task be learned faster than from scratch? For whole networks in files, of dense layers and filters.

Arguments give what a file does not contain: the activation, and how many layers of filters there are between two
poolings. Everything else, such as normalisation or skip connections, needs the code of the network: use
`fresh_task_of_modules`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reports.check.data import open_samples
from reports.check.files import contents
from reports.check.stored_array import StoredArray, printable
from reports.check.weights import filters
from reports.transfer.fresh_task import FreshTask, fresh_task
from theory.errors import InvalidInput
from theory.setting import Network

ROWS = 20  # the default number of rows: the condition was scored on as many
OTHERWISE = "in Python, reports.transfer.fresh_task_of_modules takes any torch module"


@dataclass(frozen=True, eq=False)
class StoredChain:
    """A network read from a file.

    Attributes
    ----------
    network : Network
    parameters : tuple of ndarray
        Weights (out, in), filters flattened, then with `network.bias` biases (out,); first layer first.
    first : ndarray
        The first layer's weights as they are stored, (m, d) or (m, C, kh, kw).
    """

    network: Network
    parameters: tuple[np.ndarray, ...]
    first: np.ndarray


def fresh_task_of_files(
    before: Sequence[str],
    after: Sequence[str],
    data: str,
    *,
    activation: str = "relu",
    blocks: Sequence[int] = (),
    rows: int = ROWS,
    channels_last: bool = False,
) -> FreshTask:
    """`fresh_task` for networks in files, pair by pair.

    Parameters
    ----------
    before, after : sequence of str
        Files of whole networks, before and after pre-training: .npz, .safetensors, PyTorch checkpoints. Nothing in them
        is run.
    data : str
        FILE[:KEY] or a folder of images: the input of the first layer. Rows are taken from the whole of it.
    activation : "relu", "tanh", "erf" or "identity"
    blocks : sequence of int
        How many layers of 3 × 3 filters, padded to keep the size of an image, precede each 2 × 2 pooling. Without
        `blocks`, the networks have dense layers only, or one layer of filters before them, neither padded nor pooled.
    rows : int
        Number of rows on which the kernels are compared.
    channels_last : bool
        Images are stored as (n, H, W, C).

    Raises
    ------
    InvalidInput
        If files are not such networks, have different architectures, or do not fit the data.
    """
    if len(before) != len(after) or not before:
        raise InvalidInput("after", len(after), f"must be as many files as before ({len(before)}), at least one")
    if rows < 2:
        raise InvalidInput("rows", rows, "must be at least 2")
    read = {
        name: [read_chain(source, name, activation=activation, blocks=blocks) for source in sources]
        for name, sources in (("before", before), ("after", after))
    }
    one = read["before"][0]
    for name, sources in (("before", before), ("after", after)):
        for source, chain in zip(sources, read[name], strict=True):
            if [w.shape for w in chain.parameters] != [w.shape for w in one.parameters]:
                raise InvalidInput(name, source, f"must be a network of the shapes of {before[0]}")
    x = _rows(data, one.first, rows, channels_last)
    scratch, pretrained = (
        [np.stack(layer) for layer in zip(*(chain.parameters for chain in chains), strict=True)]
        for chains in read.values()
    )
    return fresh_task(one.network, scratch, pretrained, x)


def read_chain(source: str, argument: str, *, activation: str = "relu", blocks: Sequence[int] = ()) -> StoredChain:
    """The network in a file; see `fresh_task_of_files`.

    Layers are ordered by the numbers in their names, filters before dense layers.
    """
    layers: dict[str, dict[str, StoredArray]] = {}
    for array in contents(Path(source), argument):
        layer, _, kind = array.name.rpartition(".")
        ndims = {"weight": (2, 4), "bias": (1,)}.get(kind, ())
        if len(array.shape) not in ndims or not array.numbers or 0 in array.shape:
            rule = f"{array.describe()} is not a weight or bias of a dense layer or of filters; {OTHERWISE}"
            raise InvalidInput(argument, source, rule)
        layers.setdefault(layer, {})[kind] = array
    if not layers:
        raise InvalidInput(argument, source, "contains no array")
    for layer, arrays in layers.items():
        if "weight" not in arrays:
            raise InvalidInput(argument, source, f"there is a bias of {printable(layer)}, and no weight")
    bias = {"bias" in arrays for arrays in layers.values()}
    if len(bias) != 1:
        raise InvalidInput(argument, source, f"must have a bias in every layer, or in none; {OTHERWISE}")
    order = sorted(layers, key=lambda layer: (len(layers[layer]["weight"].shape) == 2, _natural(layer)))
    weights = [_read(layers[layer]["weight"]) for layer in order]
    network = _network(source, argument, weights, activation, tuple(blocks), bias.pop())
    parameters: list[np.ndarray] = []
    for layer, w in zip(order, weights, strict=True):
        parameters.append(w.reshape(len(w), -1))
        if network.bias:
            parameters.append(_read(layers[layer]["bias"]))
    return StoredChain(network, tuple(parameters), weights[0])


def _read(array: StoredArray) -> np.ndarray:
    return np.asarray(array.read(0, array.shape[0]), dtype=np.float64)


def _natural(name: str) -> list[tuple[int, str]]:
    """Numbers in a name count as numbers: layer 10 follows layer 2."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def _network(
    source: str, argument: str, weights: Sequence[np.ndarray], activation: str, blocks: tuple[int, ...], bias: bool
) -> Network:
    convolved = [w for w in weights if w.ndim == 4]
    dense = weights[len(convolved) :]
    if not dense:
        raise InvalidInput(argument, source, f"must end in a dense layer; {OTHERWISE}")
    for above, below in zip(dense[1:], dense, strict=False):
        if above.shape[1] != len(below):
            shapes = ", ".join(" × ".join(map(str, w.shape)) for w in weights)
            raise InvalidInput(argument, source, f"layers of {shapes} do not follow each other; {OTHERWISE}")
    if sum(blocks) != len(convolved) and (blocks or len(convolved) > 1):
        rule = f"must count the {len(convolved)} layers of filters between poolings"
        raise InvalidInput("blocks", blocks, rule)
    keys: dict[str, Any] = {"activation": activation, "bias": bias, "hidden": tuple(len(w) for w in dense[:-1])}
    if blocks:
        counts = iter([len(w) for w in convolved])
        if any(w.shape[2:] != (3, 3) for w in convolved):
            raise InvalidInput(argument, source, f"filters between poolings must be 3 × 3; {OTHERWISE}")
        return Network(kind="vgg", blocks=tuple(tuple(next(counts) for _ in range(k)) for k in blocks), **keys)
    if convolved:
        (first,) = convolved
        return Network(kind="conv", filters=len(first), kernel=(first.shape[2], first.shape[3]), **keys)
    return Network(kind="mlp", **keys) if len(dense) > 1 else Network(kind="linear", bias=bias)


def _rows(data: str, first: np.ndarray, count: int, channels_last: bool) -> np.ndarray:
    """Evenly spaced samples of the data, since files are often sorted by class."""
    stream = open_samples(data, filters(first), channels_last=channels_last)
    if stream.shape is None:
        raise InvalidInput("data", data, "images must be of one size")
    if first.ndim == 4 and len(stream.shape) != 3:
        raise InvalidInput("data.shape", stream.shape, "must be images (n, C, H, W): the first layer has filters")
    if stream.count < 2:
        raise InvalidInput("data", data, "must hold two samples at least")
    places = np.unique(np.linspace(0, stream.count - 1, min(count, stream.count)).round().astype(int))
    found = np.concatenate([stream.read(place, place + 1) for place in places.tolist()]).astype(np.float64)
    if not np.isfinite(found).all():
        raise InvalidInput("data", "nan or inf", "must be finite")
    return found


def parse_blocks(text: str | None) -> tuple[int, ...]:
    """N,N,… as numbers; empty if nothing is given."""
    parts = [] if text is None else text.split(",")
    if not all(part.strip().isdecimal() and int(part) for part in parts):
        raise InvalidInput("blocks", text, "must be numbers of layers, such as 2,2,3")
    return tuple(map(int, parts))
