"""Exported programs as modules: the calls of a graph, each from a fixed list of functions without side effects.

A call of any other function is refused when the file is read. The functions on the list compute tensors from tensors:
they open no file and run no code, but a hostile program may require much time or memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from reports.check.stored_array import printable
from reports.models.functions import called_by_name, function_of
from reports.models.geometry import Geometry
from reports.models.layers import Layer, Tap, Unchecked, convolutions, dense, embedding, transposed_convolutions
from reports.models.program_file import TYPES, Written, read_program
from theory.errors import InvalidInput

_MEMORY = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d, 4: torch.preserve_format}


class Call(torch.nn.Module):
    """One call of a graph; hooks see its arguments, by name, as one mapping."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        super().__init__()
        self._function, self.called = function, name

    def forward(self, arguments: Mapping[str, Any]) -> Any:
        return self._function(**arguments)


class Program(torch.nn.Module):
    """An exported program that can be run: its parameters, and calls in their order."""

    def __init__(self, written: Written) -> None:
        super().__init__()
        self.batch = written.batch
        self._written = written
        self._places = {key: f"tensor_{number}" for number, key in enumerate(written.tensors)}
        for key, tensor in written.tensors.items():
            if key in written.names and tensor.is_floating_point():
                self.register_parameter(self._places[key], torch.nn.Parameter(tensor, requires_grad=False))
            else:
                self.register_buffer(self._places[key], tensor)
        self._calls = [_call(node) for node in written.nodes]
        for number, call in enumerate(self._calls):
            if isinstance(call, Call):
                self.add_module(f"call_{number}", call)

    def with_weights(self, state: Mapping[str, torch.Tensor]) -> Program:
        """The same program with the parameters of a state dict, by their names in the model.

        Raises
        ------
        InvalidInput
            If one of them is missing or has a different shape.
        """
        found = Program(self._written)
        for key, name in self._written.names.items():
            place, new = self._places[key], state.get(name)
            old = getattr(self, place)
            if new is None or new.shape != old.shape:
                is_there = "it is not there" if new is None else f"it has the shape {tuple(new.shape)}"
                raise InvalidInput("initial", printable(name), f"must have the shape {tuple(old.shape)}: {is_there}")
            if isinstance(old, torch.nn.Parameter):
                setattr(found, place, torch.nn.Parameter(new.to(old), requires_grad=False))
        return found

    def forward(self, *inputs: torch.Tensor) -> None:
        """Run every call; nothing is returned, since only the hooks need the results."""
        if len(inputs) != len(self._written.inputs):
            raise InvalidInput("data", len(inputs), f"the program takes {len(self._written.inputs)} inputs")
        values: dict[str, Any] = {key: getattr(self, place) for key, place in self._places.items()}
        values |= dict(zip(self._written.inputs, inputs, strict=True))
        for node, call in zip(self._written.nodes, self._calls, strict=True):
            if call is None:
                continue
            arguments = {entry["name"]: self._value(entry["arg"], values) for entry in node["inputs"]}
            if isinstance(call, Call):
                for flag in ("train", "training"):
                    if flag in arguments:
                        arguments[flag] = False
                result = call(arguments)
            else:
                result = call(*arguments.values())
            _keep(node["outputs"], result, values)

    def taps(self) -> tuple[list[Tap], list[Unchecked]]:
        """The layers of the graph; weights are those of a parameter, by its name in the model."""
        found: list[Tap] = []
        left: list[Unchecked] = []
        for node, call in zip(self._written.nodes, self._calls, strict=True):
            if not isinstance(call, Call):
                continue
            layers, reasons = self._layers(node, call)
            found += [tap for tap in layers if tap.layer.name not in {each.layer.name for each in found}]
            left += reasons
        return found, left

    def _layers(self, node: Mapping[str, Any], call: Call) -> tuple[list[Tap], list[Unchecked]]:
        given = {entry["name"]: entry["arg"] for entry in node["inputs"]}
        if call.called in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
            key = (given.get("params") or {}).get("as_tensors", [{}])[0].get("name")
            name = self._written.names.get(key, "recurrent").removesuffix(".weight_ih_l0")
            return [], [
                Unchecked(name, call.called, "recurrent layers are checked in models, not in exported programs")
            ]
        key = given.get("weight", {}).get("as_tensor", {}).get("name")
        if key not in self._written.names or self._written.tensors[key].ndim < 2:
            return [], []
        name = self._written.names[key].removesuffix(".weight")

        def weights() -> torch.Tensor:
            return getattr(self, self._places[key])

        options = {entry: self._value(given[entry], {}) for entry in given if _constant(given[entry])}
        return [
            Tap(layer, call, _take("indices" if call.called == "embedding" else "input"))
            for layer in _layers_of(call.called, name, weights, options)
        ], []

    def _value(self, argument: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
        """An argument as a Python value: tensors and sizes from `values`, constants unchanged."""
        ((kind, value),) = argument.items()
        if kind in ("as_tensor", "as_optional_tensor"):
            return None if "as_none" in value else values[value.get("name") or value["as_tensor"]["name"]]
        if kind == "as_tensors":
            return [values[each["name"]] for each in value]
        if kind == "as_optional_tensors":
            return [None if "as_none" in each else values[each["as_tensor"]["name"]] for each in value]
        if kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
            return _size(value, values)
        if kind in ("as_sym_ints", "as_sym_bools", "as_sym_floats"):
            return [_size(each, values) for each in value]
        if kind == "as_none":
            return None
        if kind in ("as_int", "as_float", "as_bool", "as_string", "as_ints", "as_floats", "as_bools", "as_strings"):
            return value
        if kind == "as_scalar_type":
            return TYPES[value]
        if kind == "as_memory_format":
            return _MEMORY[value]
        if kind == "as_layout":
            return torch.strided
        if kind == "as_device":
            return next(self.parameters()).device
        raise InvalidInput("model", printable(kind), "is a kind of argument that is not known")


def load_program(path: Path) -> Program:
    """The program in a .pt2 file; see `read_program` for what is refused."""
    return Program(read_program(path))


def _call(node: Mapping[str, Any]) -> Any:
    """What a node calls: a Call, a function of numbers, or None for a condition; InvalidInput for any other."""
    target = str(node["target"])
    name, function = function_of(target)
    return Call(function, name) if function is not None and called_by_name(target) else function


def _layers_of(
    called: str, name: str, weights: Callable[[], torch.Tensor], options: Mapping[str, Any]
) -> Iterator[Layer]:
    if called == "linear":
        yield dense(name, weights)
    elif called == "embedding":
        yield embedding(name, weights)
    elif called in ("conv1d", "conv2d", "conv3d") or (called == "convolution" and not options.get("transposed")):
        kernel = tuple(weights().shape[2:])
        one, none = [1] * len(kernel), [0] * len(kernel)
        dilation = _each(options.get("dilation", one), kernel)
        yield from convolutions(
            name,
            weights,
            Geometry(
                kernel,
                _each(options.get("stride", one), kernel),
                dilation,
                _padding(options.get("padding", none), kernel, dilation),
            ),
            int(options.get("groups", 1)),
        )
    elif called.startswith("conv_transpose") or called == "convolution":
        yield from transposed_convolutions(name, weights, int(options.get("groups", 1)))


def _padding(given: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    if given == "valid":
        given = [0] * len(kernel)
    if given == "same":
        reach = [step * (side - 1) for side, step in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in reach)
    return tuple((side, side) for side in _each(given, kernel))


def _each(values: Sequence[int], kernel: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(values) * (len(kernel) if len(values) == 1 else 1)


def _constant(argument: Mapping[str, Any]) -> bool:
    return bool({"as_int", "as_ints", "as_bool", "as_string"} & set(argument))


def _take(key: str) -> Callable[[Sequence[Any], Mapping[str, Any]], Any]:
    return lambda args, kwargs: args[0][key]


def _size(value: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    return values[value["as_name"]] if "as_name" in value else next(iter(value.values()))


def _keep(outputs: Sequence[Mapping[str, Any]], result: Any, values: dict[str, Any]) -> None:
    """Name the results of a call."""
    if len(outputs) == 1 and "as_tensors" in outputs[0]:
        names = [each["name"] for each in outputs[0]["as_tensors"]]
        values |= dict(zip(names, result, strict=True))
        return
    results = result if len(outputs) > 1 else [result]
    for output, each in zip(outputs, results, strict=True):
        ((kind, entry),) = output.items()
        if kind == "as_none":
            continue
        values[entry["name"] if kind == "as_tensor" else entry["as_name"]] = each
