"""The weights that a model's layers had before training, from an earlier copy of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reports.check.array_names import plain_name
from reports.check.weights import WeightVectors, filters
from reports.models.layers import Layer, taps
from reports.models.program import Program
from theory.errors import InvalidInput


def vectors(layer: Layer) -> WeightVectors:
    """Weight vectors as filters of one pixel, which avoids warnings about the layout: a module's layout is known."""
    found = filters(layer.weights().detach().contiguous())
    return replace(found, kernel=(layer.dimension, 1, 1))


def initial_layers(models: Sequence[Any], initial: Sequence[Any]) -> list[dict[str, Layer]]:
    """The layers of every initial model by their names; `initial` holds modules, or state dicts of `models`.

    Raises
    ------
    InvalidInput
        If there is not one per model, or a state dict does not fit its model.
    """
    if len(initial) != len(models):
        rule = f"must be given for each of {len(models)} models, in their order"
        raise InvalidInput("initial", len(initial), rule)
    earlier = [
        _loaded(model, given) if isinstance(given, Mapping) else given
        for model, given in zip(models, initial, strict=True)
    ]
    return [{tap.layer.name: tap.layer for tap in taps(model)[0]} for model in earlier]


def _loaded(model: Any, state: Mapping[str, Any]) -> Any:
    """A copy of a model with the parameters of a state dict."""
    state = {plain_name(key): value for key, value in state.items()}
    if isinstance(model, Program):
        return model.with_weights(state)
    earlier = copy.deepcopy(model)
    try:
        earlier.load_state_dict(state)
    except (RuntimeError, AttributeError) as error:
        lines = [line.strip() for line in str(error).splitlines()]
        raise InvalidInput("initial", "a state dict", f"does not fit the model ({' '.join(lines[1:])[:200]})") from None
    return earlier
