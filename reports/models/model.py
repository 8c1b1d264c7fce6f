"""`check` for whole models: every layer that can be checked, its input read while the data pass through once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from reports.check.array_names import plain_name
from reports.check.judge import judge_layer
from reports.check.moments import DataMoment
from reports.models.agop import agreement
from reports.models.batches import batches_of
from reports.models.chain import chain, dense_steps
from reports.models.collect import collect
from reports.models.initial import initial_layers, vectors
from reports.models.layers import Layer, Tap, Unchecked, chosen, taps
from reports.models.moments import Stream
from reports.models.results import LayerCheck, ModelCheck
from reports.models.sensitivity import sensitivities
from theory.errors import InvalidInput

LARGEST = 1152  # the most dimensions of a layer that is checked, by default: 128 channels of 3 × 3
_SAME = 1e-6  # relative difference of moments of the same data


def check_model(
    model: Any,
    data: Any,
    *,
    layers: str | Sequence[str] | None = None,
    largest: int = LARGEST,
    device: Any = None,
    forward: Callable[[Any, Any], Any] | str | None = None,
    center: bool = False,
    ridge: float = 0.0,
    seed: int = 0,
    initial: Any = None,
    notes: Sequence[str] = (),
    against: str = "data",
    progress: bool = False,
) -> ModelCheck:
    """Test every layer of a trained model against its own input.

    The model runs on the data once, in evaluation mode; only second moments of the layers' inputs are kept. For the
    AGOP it runs once more, with gradients.

    Parameters
    ----------
    model : module or state dict, or a list of them
        Several are independent trainings of one architecture. Layers with the same input in all of them, such as first
        layers, are judged together; others one by one.
    data : see `batches_of`
    layers : str or list of str, optional
        Names, or patterns such as "conv*". All by default.
    largest : int
        Layers of more dimensions are left out unless `layers` names them.
    device : optional
        The device on which the model runs; by default, the device of its weights.
    forward : callable or str, optional
        (model, batch) → runs the model, for batches that it does not take as they are. For a state dict, the steps of
        the model in words, as `reports.models.chain` describes them.
    center, ridge, seed
        Options as for one layer.
    initial : module or state dict, or a list of them
        The models before training, one for each; the result then says how much of every layer's Σ_w stems from them.
    notes : sequence of str
        What was assumed about the model, kept with the result.
    against : "data" or "agop"
        What layers are compared with. With "agop", dense layers and convolutions are also compared with the average
        outer product of the gradients of the model's outputs with respect to their inputs: `LayerCheck.aligned_with` is
        data, AGOP, both or neither.
    progress : bool
        Show progress bars on stderr.

    Raises
    ------
    InvalidInput
        If the model cannot be run on the data, a pattern matches nothing, models differ in their layers, or initial
        weights are those of another model.
    """
    if against not in ("data", "agop"):
        raise InvalidInput("against", against, "must be 'data' or 'agop'")
    given = list(model) if isinstance(model, (list, tuple)) else [model]
    if not given:
        raise InvalidInput("model", (), "at least one model is needed")
    said = list(notes)
    if isinstance(given[0], Mapping) and forward is None:
        said.append(
            f"a state dict does not say what is between its layers: {' '.join(dense_steps(given[0]))} is assumed"
        )
    models = [unwrapped(each, forward) for each in given]
    run = forward if callable(forward) else None
    selected = [_selected(each, layers, largest) for each in models]
    kept, unchecked = selected[0]
    for other, _ in selected[1:]:
        _check_alike([tap.layer for tap in kept], [tap.layer for tap in other])
    if not kept:
        return ModelCheck((), tuple(unchecked), 0, len(models), tuple(said), against)
    earlier = _earlier(models, given, initial, forward)
    _check_initial(earlier, [tap.layer for tap in kept])
    batches = batches_of(data, kept[0].module, getattr(models[0], "batch", None))
    if (len(models) > 1 or against == "agop") and not batches.again:
        rule = "can be read once only; several models, and the AGOP, need a list or a DataLoader"
        raise InvalidInput("data", "a generator", rule)
    runs = [
        collect(each, chosen_taps, batches, device=device, forward=run, shares=len(models), progress=progress)
        for each, (chosen_taps, _) in zip(models, selected, strict=True)
    ]
    seen = [
        sensitivities(each, chosen_taps, batches, device=device, forward=run, seed=seed) if against == "agop" else []
        for each, (chosen_taps, _) in zip(models, selected, strict=True)
    ]
    found: list[LayerCheck] = []
    judged = tqdm(
        list(zip(*(streams for streams, _ in runs), strict=True)),
        unit=" layers", disable=None if progress else True, delay=1, leave=False,
    )  # fmt: skip
    for place, streams in enumerate(judged):
        layer = streams[0].layer
        gradients = [each[place] for each in seen if each]
        try:
            before = [each[layer.name] for each in earlier]
            found += _judged(streams, gradients, before, center=center, ridge=ridge, seed=seed)
        except InvalidInput as error:
            unchecked.append(Unchecked(layer.name, layer.kind, error.rule))
    return ModelCheck(tuple(found), tuple(unchecked), runs[0][1], len(models), tuple(said), against)


def unwrapped(model: Any, forward: Any = None) -> Any:
    """A model without the wrappers of torch.compile and data parallelism; a state dict as a model of its steps.

    Raises
    ------
    InvalidInput
        If the model is anything but a module that can be run; the message says what to pass instead.
    """
    if isinstance(model, Mapping):
        if callable(forward):
            raise InvalidInput("forward", "a function", "must be the steps of the model in words, for a state dict")
        return chain({plain_name(key): value for key, value in model.items()}, forward)
    if isinstance(forward, str):
        raise InvalidInput("forward", forward, "is for state dicts: a module knows its steps")
    if isinstance(model, torch.jit.ScriptModule):
        rule = "cannot be seen into: pass the model that it was made from, or its state_dict()"
        raise InvalidInput("model", "a TorchScript module", rule)
    if not isinstance(model, torch.nn.Module):
        raise InvalidInput("model", type(model).__name__, "must be a torch.nn.Module")
    while True:
        inner = getattr(model, "_orig_mod", None)
        parallel = isinstance(model, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel))
        if inner is None and parallel:
            inner = model.module
        if not isinstance(inner, torch.nn.Module):
            return model
        model = inner


def _selected(model: Any, wanted: str | Sequence[str] | None, largest: int) -> tuple[list[Tap], list[Unchecked]]:
    """The layers to check, and those that are left out although they were not deselected."""
    found, unchecked = taps(model)
    names = set(chosen([tap.layer.name for tap in found], wanted))
    kept = []
    for tap in found:
        layer = tap.layer
        if layer.name not in names:
            continue
        if wanted is None and layer.dimension > largest:
            rule = f"{layer.dimension:,} dimensions: above {largest:,} a layer is checked only if it is named"
            unchecked.append(Unchecked(layer.name, layer.kind, rule))
        else:
            kept.append(tap)
    return kept, unchecked if wanted is None else []


def _check_alike(first: Sequence[Layer], other: Sequence[Layer]) -> None:
    for a, b in zip(first, other, strict=False):
        if (a.name, a.filters, a.dimension) != (b.name, b.filters, b.dimension):
            rule = f"must have the same layers: {a.name} ({a.filters} × {a.dimension}) is another one in one of them"
            raise InvalidInput("model", f"{b.name} ({b.filters} × {b.dimension})", rule)
    if len(first) != len(other):
        raise InvalidInput("model", (len(first), len(other)), "must have the same layers")


def _earlier(models: Sequence[Any], given: Sequence[Any], initial: Any, forward: Any) -> list[dict[str, Layer]]:
    """The layers of the initial models; a state dict belongs to the module, or to the steps of `forward`."""
    if initial is None:
        return []
    several = list(initial) if isinstance(initial, (list, tuple)) else [initial]
    modules = [
        each if isinstance(each, Mapping) and not isinstance(after, Mapping) else unwrapped(each, forward)
        for each, after in zip(several, [*given, *[None] * len(several)], strict=False)
    ]
    return initial_layers(models, modules)


def _check_initial(earlier: Sequence[Mapping[str, Layer]], layers: Sequence[Layer]) -> None:
    for each in earlier:
        for layer in layers:
            before = each.get(layer.name)
            if before is None or (before.filters, before.dimension) != (layer.filters, layer.dimension):
                found = "no such layer" if before is None else f"{before.filters} × {before.dimension}"
                rule = f"must have the layer {layer.name} of {layer.filters} × {layer.dimension}"
                raise InvalidInput("initial", found, rule)


def _judged(
    streams: Sequence[Stream],
    gradients: Sequence[np.ndarray | None],
    initial: Sequence[Layer],
    *,
    center: bool,
    ridge: float,
    seed: int,
) -> Iterator[LayerCheck]:
    """One check of all networks if they see the same input, otherwise one per network.

    `gradients` are the networks' K, None for a layer that has none, and empty if they were not requested; `initial` are
    the layers before training, if given.
    """
    layer = streams[0].layer
    for stream in streams:
        if stream.failure or not stream.reached:
            raise InvalidInput("data", layer.name, stream.failure or "the data never reach it")
    moments = [stream.moment() for stream in streams]
    weights = [vectors(stream.layer) for stream in streams]
    together = len(streams) == 1 or all(_same(moments[0], other) for other in moments[1:])
    every = slice(None)
    cases = [(every, moments[0], None)] if together else [
        (slice(number - 1, number), moment, number) for number, moment in enumerate(moments, 1)
    ]  # fmt: skip
    for which, moment, network in cases:
        trained, before, note = weights[which], initial[which], layer.note
        seen = moment.centre() if center else moment
        try:
            check = judge_layer(trained, seen, ridge=ridge, seed=seed, initial=[vectors(each) for each in before])
        except InvalidInput as error:
            if not before:
                raise
            check = judge_layer(trained, seen, ridge=ridge, seed=seed)
            note = "; ".join(filter(None, (note, f"nothing is said of its initial weights, which {error.rule}")))
        known = [k for k in gradients[which] if k is not None]
        agop = agreement([each.vectors for each in trained], known, seed=seed) if len(known) == len(trained) else None
        yield LayerCheck(layer.name, layer.kind, check, network, note, agop)


def _same(first: DataMoment, other: DataMoment) -> bool:
    if not np.array_equal(first.varies, other.varies):
        return False
    a, b = first.second_moment, other.second_moment
    return bool(np.abs(a - b).max() <= _SAME * np.abs(a).max())
