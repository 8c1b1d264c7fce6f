"""A model from a state dict and a line of words: layers by their names in the file, operations from a fixed list.

A state dict has weights but does not say what is between the layers. Nothing in the words or the file is run as code:
every word is the name of weights, or one of `OPERATIONS`.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch

from theory.errors import InvalidInput, nearest

_F = torch.nn.functional
_STEP = re.compile(r"([\w.-]+)(?:\(([^()]*)\))?")
_MOST_STEPS = 10_000


class Operation(torch.nn.Module):
    """A step without weights to check."""

    def __init__(self, run: Callable[..., torch.Tensor], **options: Any) -> None:
        super().__init__()
        self._run, self._options = run, options

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self._run(values, **self._options)


def _max_pool(values: torch.Tensor, size: int = 2, stride: int | None = None, padding: int = 0) -> torch.Tensor:
    return _pool("max_pool", values)(values, size, stride or size, padding)


def _avg_pool(values: torch.Tensor, size: int = 2, stride: int | None = None, padding: int = 0) -> torch.Tensor:
    return _pool("avg_pool", values)(values, size, stride or size, padding)


def _pool(name: str, values: torch.Tensor) -> Callable[..., torch.Tensor]:
    axes = values.ndim - 2
    if axes not in (1, 2, 3):
        raise InvalidInput("forward", name, f"needs images, not a tensor of shape {tuple(values.shape)}")
    return getattr(_F, f"{name}{axes}d")


def _global_pool(values: torch.Tensor) -> torch.Tensor:
    return values.flatten(2).mean(2)


# The functions that the words of a chain stand for, each with the names of its options in order.
OPERATIONS: Mapping[str, tuple[Callable[..., torch.Tensor], tuple[str, ...]]] = {
    "relu": (_F.relu, ()),
    "leaky_relu": (_F.leaky_relu, ("negative_slope",)),
    "gelu": (_F.gelu, ()),
    "silu": (_F.silu, ()),
    "elu": (_F.elu, ("alpha",)),
    "selu": (_F.selu, ()),
    "softplus": (_F.softplus, ()),
    "tanh": (torch.tanh, ()),
    "sigmoid": (torch.sigmoid, ()),
    "erf": (torch.erf, ()),
    "max_pool": (_max_pool, ("size", "stride", "padding")),
    "avg_pool": (_avg_pool, ("size", "stride", "padding")),
    "global_pool": (_global_pool, ()),
    "flatten": (lambda values: values.flatten(1), ()),
}


def chain(state: Mapping[str, Any], forward: str | None = None) -> Any:
    """A module that runs the layers of a state dict one after the other.

    Parameters
    ----------
    state : mapping of str to tensor
    forward : str, optional
        Steps in their order, separated by spaces: names of layers, with `stride`, `padding`, `dilation` and `groups` of
        convolutions in brackets, and words of `OPERATIONS`, as in "conv1(padding=1) relu max_pool(2) flatten fc". The
        end of a name will do if only one layer has it, "conv1" for "net.conv1". By default the dense layers of a file
        that has no others, if each fits the one before, with relu between them.

    Raises
    ------
    InvalidInput
        If there are no steps or too many, a word is neither a layer nor one of `OPERATIONS`, or an option is not one of
        its step, not a number or out of range; without `forward`, if there are layers other than dense ones, they do
        not fit each other, or two networks have the same layers.

    Examples
    --------
    >>> state = {"a.weight": torch.ones(3, 2), "b.weight": torch.ones(1, 3)}
    >>> chain(state, "a relu b")(torch.tensor([[1.0, -3.0]])), len(chain(state))
    (tensor([[0.]]), 3)
    """
    words = dense_steps(state) if forward is None else forward.split()
    if len(words) > _MOST_STEPS:
        raise InvalidInput("forward", len(words), f"may have {_MOST_STEPS} steps at most")
    if not words:
        raise InvalidInput("forward", forward, "must name at least one step")
    steps: OrderedDict[str, Any] = OrderedDict()
    for word in words:
        name, options = _parsed(word)
        place = name.replace(".", "·")  # a module's name has no dots
        while place in steps:
            place += "'"
        steps[place] = _step(state, name, options)
    return Chain(steps)


class Chain(torch.nn.Sequential):
    """A sequence of steps whose layers have the names in the file."""

    def named_modules(self, *args: Any, **kwargs: Any) -> Any:
        for name, module in super().named_modules(*args, **kwargs):
            yield name.replace("·", "."), module


def _parsed(word: str) -> tuple[str, dict[str, str]]:
    match = _STEP.fullmatch(word)
    if not match:
        raise InvalidInput("forward", word, "must be a name, or a name with options in brackets: conv1(stride=2)")
    options: dict[str, str] = {}
    for place, part in enumerate(filter(None, (match[2] or "").split(","))):
        key, equals, value = part.partition("=")
        options[key.strip() if equals else str(place)] = (value if equals else key).strip()
    return match[1], options


def _step(state: Mapping[str, Any], name: str, options: dict[str, str]) -> Any:
    if f"{name}.weight" in state:
        return _layer(state, name, options)
    if name in OPERATIONS:
        run, known = OPERATIONS[name]
        return Operation(run, **_numbers(name, options, known))
    longer = [key for key in state if key.endswith(f".{name}.weight")]
    if len(longer) == 1:
        return _layer(state, longer[0][: -len(".weight")], options)
    layers = [key.removesuffix(".weight") for key in state if key.endswith(".weight")]
    guess = nearest(name, [*layers, *(layer.rpartition(".")[2] for layer in layers), *OPERATIONS])
    rule = f"is neither a layer ({_listed(state)}) nor an operation ({', '.join(OPERATIONS)}){guess}"
    raise InvalidInput("forward", name, rule)


def _layer(state: Mapping[str, Any], name: str, options: dict[str, str]) -> Any:
    weight, bias = state[f"{name}.weight"], state.get(f"{name}.bias")
    if f"{name}.running_mean" in state:
        eps = _numbers(name, options, ("eps",)).get("eps", 1e-5)
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return Operation(lambda x: _F.batch_norm(x, mean, variance, weight, bias, eps=eps))
    if weight.ndim == 1:
        eps = _numbers(name, options, ("eps",)).get("eps", 1e-5)
        return Operation(lambda x: _F.layer_norm(x, weight.shape, weight, bias, eps))
    if weight.ndim == 2:
        _numbers(name, options, ())
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    elif weight.ndim in (3, 4, 5):
        numbers = _numbers(name, options, ("stride", "padding", "dilation", "groups"))
        kind = getattr(torch.nn, f"Conv{weight.ndim - 2}d")
        channels = weight.shape[1] * numbers.get("groups", 1)
        layer = kind(channels, weight.shape[0], weight.shape[2:], bias=bias is not None, device="meta", **numbers)
    else:
        raise InvalidInput("forward", name, f"its weights of shape {tuple(weight.shape)} are no layer that is known")
    layer.weight = torch.nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        layer.bias = torch.nn.Parameter(bias, requires_grad=False)
    return layer


def _numbers(name: str, options: dict[str, str], known: tuple[str, ...]) -> dict[str, Any]:
    """Options as numbers, by name or by place."""
    found: dict[str, Any] = {}
    for key, text in options.items():
        named = known[int(key)] if key.isdecimal() and int(key) < len(known) else key
        if named not in known:
            raise InvalidInput("forward", f"{name}({key}={text})", f"has the options: {', '.join(known) or 'none'}")
        try:
            found[named] = float(text) if named in ("eps", "alpha", "negative_slope") else int(text)
        except ValueError:
            raise InvalidInput("forward", f"{name}({named}={text})", "must be a number") from None
    if any(not 0 <= value < 2**20 for value in found.values()):
        raise InvalidInput("forward", name, "options must not be negative, nor above a million")
    return found


def dense_steps(state: Mapping[str, Any]) -> list[str]:
    """The layers of a file that contains only dense layers, in an order in which each fits the one before."""
    names = sorted((key[: -len(".weight")] for key in state if key.endswith(".weight")), key=_natural)
    twins = _twins(names, state)
    if twins:
        rule = f"{' and '.join(twins)} have the same layers: choose one of them, as FILE:{twins[0]}, or name the steps"
        raise InvalidInput("forward", None, rule)
    shapes = [tuple(state[f"{name}.weight"].shape) for name in names]
    fits = all(len(shape) == 2 for shape in shapes) and all(first[0] == then[1] for first, then in pairwise(shapes))
    others = [key for key in state if not key.endswith((".weight", ".bias"))]
    if not names or not fits or others:
        raise InvalidInput(
            "forward",
            None,
            "a state dict does not say what is between its layers: name the steps, such as "
            f"'conv1(padding=1) relu max_pool(2) flatten fc1'; it holds {_listed(state)}",
        )
    return [word for name in names for word in (name, "relu")][:-1]


def _twins(names: Sequence[str], state: Mapping[str, Any]) -> list[str]:
    """Networks of several layers that differ in the first part of their names alone, such as a model and its mean."""
    networks: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for name in names:
        first, _, rest = name.partition(".")
        networks.setdefault(first, []).append((rest, tuple(state[f"{name}.weight"].shape)))
    alike = Counter(tuple(layers) for layers in networks.values() if len(layers) > 1)
    return [first for first, layers in networks.items() if alike[tuple(layers)] > 1]


def _natural(name: str) -> list[Any]:
    """A key that sorts layer 10 after layer 2."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _listed(state: Mapping[str, Any]) -> str:
    keys = sorted((key for key in state if key.endswith(".weight")), key=_natural)
    shown = ", ".join(f"{key[: -len('.weight')]} {tuple(state[key].shape)}" for key in keys[:12])
    return f"{shown} and {len(keys) - 12} more" if len(keys) > 12 else shown or "no layers"
