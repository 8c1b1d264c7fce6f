"""The layers of a model that can be checked: their weight vectors and the inputs of these.

A layer can be checked if its output is w·x plus a bias: dense layers, convolutions, the projections of
attention, embeddings (x is a unit vector), the input weights of recurrent layers. The last axis of a dense layer's
input is the features; all others are rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import torch

from reports.models.geometry import Geometry, one_hot, patches, pixels, rows
from theory.errors import InvalidInput, nearest

MOST_GROUPS = 8  # the most groups of channels that are checked one by one

Take = Callable[[Sequence[Any], Mapping[str, Any]], Any]


@dataclass(frozen=True, eq=False)
class Layer:
    """The weight vectors of one layer and their inputs.

    Attributes
    ----------
    name, kind : str
    filters, dimension : int
        m and d.
    weights : callable
        () → the weight vectors as they are now, a tensor (m, d).
    seen : callable
        The layer's input, samples on the first axis → strips (rows, d) of the inputs x in w·x.
    note : str
        What the numbers do not show; empty for most layers.
    """

    name: str
    kind: str
    filters: int
    dimension: int
    weights: Callable[[], torch.Tensor]
    seen: Callable[[torch.Tensor], Iterator[torch.Tensor]]
    note: str = ""


@dataclass(frozen=True)
class Unchecked:
    """A layer with weights that is not checked, and why."""

    name: str
    kind: str
    reason: str


@dataclass(frozen=True, eq=False)
class Tap:
    """Where a layer's input is read: `take` gets it from the arguments of `module`, with samples on the first axis."""

    layer: Layer
    module: Any
    take: Take


def dense(name: str, weights: Callable[[], torch.Tensor], kind: str = "dense") -> Layer:
    """A matrix (m, d) that is multiplied with the last axis of its input."""
    m, d = weights().shape
    return Layer(name, kind, m, d, weights, rows)


def convolutions(name: str, weights: Callable[[], torch.Tensor], geometry: Geometry, groups: int) -> Iterator[Layer]:
    """Filters (m, C/g, …): one layer per group of channels; all groups as one where there are many.

    Groups taken as one see the patches of every group's channels together: every filter has as many numbers, and the
    moments of the data are averages over groups.
    """
    m, channels, *kernel = weights().shape
    size = " × ".join(map(str, kernel))
    d = channels * int(torch.tensor(kernel).prod())
    if groups > MOST_GROUPS:
        word = "depthwise" if channels == 1 else f"{groups} groups"
        note = f"all {groups} groups of channels together: the data are the average over groups"
        yield Layer(
            name,
            f"convolution {size}, {word}",
            m,
            d,
            lambda: weights().flatten(1),
            lambda x: patches(x.reshape(len(x) * groups, channels, *x.shape[2:]), geometry),
            note,
        )
        return
    for j in range(groups):
        part, seen = slice(j * m // groups, (j + 1) * m // groups), slice(j * channels, (j + 1) * channels)
        yield Layer(
            name if groups == 1 else f"{name} ({j + 1}/{groups})",
            f"convolution {size}",
            m // groups,
            d,
            lambda part=part: weights()[part].flatten(1),  # type: ignore[misc]
            lambda x, seen=seen: patches(x[:, seen], geometry),  # type: ignore[misc]
        )


def transposed_convolutions(name: str, weights: Callable[[], torch.Tensor], groups: int) -> Iterator[Layer]:
    """Filters (C, m/g, …) of a transposed convolution, which multiply the C/g channels at every position of the input.

    Each position contributes to as many outputs as the kernel has entries, so there are m/g · Π kernel vectors of C/g
    numbers.
    """
    channels, m, *kernel = weights().shape
    size, d = " × ".join(map(str, kernel)), channels // groups
    for j in range(groups):
        part = slice(j * d, (j + 1) * d)
        yield Layer(
            name if groups == 1 else f"{name} ({j + 1}/{groups})",
            f"transposed convolution {size}",
            m * int(torch.tensor(kernel).prod()),
            d,
            lambda part=part: weights()[part].flatten(1).T,  # type: ignore[misc]
            lambda x, part=part: pixels(x[:, part]),  # type: ignore[misc]
        )


def embedding(name: str, weights: Callable[[], torch.Tensor]) -> Layer:
    """A table (V, m): every column is a weight vector, multiplied with the unit vector of an index."""
    classes, m = weights().shape
    return Layer(name, "embedding", m, classes, lambda: weights().T, partial(one_hot, classes=classes))


def taps(model: Any) -> tuple[list[Tap], list[Unchecked]]:
    """The layers of a module that can be checked, in the order of its modules, and those with weights that cannot."""
    if hasattr(model, "taps"):  # an exported program
        return model.taps()
    found: list[Tap] = []
    left: list[Unchecked] = []
    inside: set[int] = set()  # modules that another one uses without calling them
    for name, module in model.named_modules():
        if id(module) in inside or "parametrizations" in name.split("."):
            continue
        kind, called = type(module).__name__, name or type(module).__name__
        own = [key for key, p in module.named_parameters(recurse=False) if _uninitialised(p) or p.ndim > 1]
        # parametrised weights, such as those of weight_norm, are properties
        if not own and not hasattr(module, "parametrizations"):
            continue
        if any(_uninitialised(p) for p in module.parameters(recurse=False)):
            left.append(Unchecked(called, kind, "it has no weights yet: run the model once"))
            continue
        layers, reasons = _layers_of(called, module)
        found += layers
        left += [Unchecked(*reason) for reason in reasons]
        if isinstance(module, torch.nn.MultiheadAttention):
            inside.add(id(module.out_proj))
    return found, left


def chosen(names: Sequence[str], wanted: str | Sequence[str] | None) -> list[str]:
    """The `names` that match a name or a pattern such as "conv*"; all of them for None.

    Raises
    ------
    InvalidInput
        If a pattern matches none of them.

    Examples
    --------
    >>> chosen(["conv1", "conv2 (1/2)", "fc"], ["conv2", "f*"])
    ['conv2 (1/2)', 'fc']
    """
    if wanted is None:
        return list(names)
    patterns = [wanted] if isinstance(wanted, str) else list(wanted)
    kept: set[str] = set()
    for pattern in patterns:
        matching = {name for name in names if any(fnmatchcase(part, pattern) for part in (name, name.split(" (")[0]))}
        if not matching:
            listed = ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
            guess = nearest(pattern, names)
            there = f"{guess} There are" if guess else "; there are"
            raise InvalidInput("layers", pattern, f"matches no layer that can be checked{there} {listed or 'none'}")
        kept |= matching
    return [name for name in names if name in kept]


def _uninitialised(parameter: Any) -> bool:
    return bool(torch.nn.parameter.is_lazy(parameter))


def _layers_of(name: str, module: Any) -> tuple[list[Tap], list[tuple[str, str, str]]]:
    """The layers in one module, and its weights that are not checked: (name, kind, reason)."""
    nn, kind = torch.nn, type(module).__name__

    def weights() -> torch.Tensor:
        return module.weight

    def all_of(layers: Iterator[Layer]) -> list[Tap]:
        return [Tap(layer, module, _first) for layer in layers]

    if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return all_of(convolutions(name, weights, _geometry(module), module.groups)), []
    if isinstance(module, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
        return all_of(transposed_convolutions(name, weights, module.groups)), []
    if isinstance(module, nn.Linear):
        return [Tap(dense(name, weights), module, _first)], []
    if isinstance(module, nn.Embedding):
        return [Tap(embedding(name, weights), module, _first)], []
    if isinstance(module, nn.MultiheadAttention):
        return _attention(name, module), [(f"{name}.out_proj", "dense", "its input stays inside the attention")]
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return _recurrent(name, module)
    if kind == "Conv1D" and hasattr(module, "nf") and module.weight.ndim == 2:  # of Hugging Face: x @ weight
        return [Tap(dense(name, lambda: module.weight.T), module, _first)], []
    return [], [(name, kind, "not a known kind of layer")]


def _geometry(module: Any) -> Geometry:
    if module.padding == "same":
        reach = [dilation * (side - 1) for dilation, side in zip(module.dilation, module.kernel_size, strict=True)]
        padding = tuple((total // 2, total - total // 2) for total in reach)
    elif module.padding == "valid":
        padding = ((0, 0),) * len(module.kernel_size)
    else:
        padding = tuple((side, side) for side in module.padding)
    return Geometry(module.kernel_size, module.stride, module.dilation, padding, module.padding_mode)


def _attention(name: str, module: Any) -> list[Tap]:
    """The projections of queries, keys and values."""
    width = module.embed_dim

    def take(place: int, key: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        value = args[place] if len(args) > place else kwargs[key]
        return value if module.batch_first or value.ndim < 3 else value.transpose(0, 1)

    found = []
    for place, key in enumerate(("query", "key", "value")):

        def weights(place: int = place, key: str = key) -> torch.Tensor:
            if module.in_proj_weight is not None:
                return module.in_proj_weight[place * width : (place + 1) * width]
            return getattr(module, f"{key[0]}_proj_weight")

        found.append(Tap(dense(f"{name}.{key}", weights, "attention"), module, partial(take, place, key)))
    return found


def _recurrent(name: str, module: Any) -> tuple[list[Tap], list[tuple[str, str, str]]]:
    """The weights of a recurrent layer that see its input; states and inner layers stay inside the module."""
    cell = isinstance(module, torch.nn.RNNCellBase)
    own = [key for key, value in module.named_parameters(recurse=False) if value.ndim == 2]
    outer = [key for key in own if key in ("weight_ih", "weight_ih_l0", "weight_ih_l0_reverse")]

    def take(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        value = _first(args, kwargs)
        if isinstance(value, torch.nn.utils.rnn.PackedSequence):
            return value.data
        return value if cell or module.batch_first or value.ndim < 3 else value.transpose(0, 1)

    found = [
        Tap(dense(f"{name}.{key}", lambda key=key: getattr(module, key), "recurrent"), module, take)  # type: ignore[misc]
        for key in outer
    ]
    inner = [(f"{name}.{key}", "recurrent", "it sees states inside the module") for key in own if key not in outer]
    return found, inner


def _first(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    return args[0] if args else next(iter(kwargs.values()))
