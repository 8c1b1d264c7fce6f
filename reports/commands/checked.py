"""What `eigenalign check` does with its kinds of input: one layer's weights, a model, checkpoints of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from reports.check import check_files
from reports.check.files import split
from reports.check.verdict import LayerVerdict
from reports.check.weights import parse_group
from reports.models import check_model
from reports.models.files import load_model, read_layers, read_state
from reports.models.layers import taps
from reports.models.over import check_files_over
from reports.models.program_file import is_program
from reports.views import check, check_page, models, models_page, over, over_page
from reports.views.view import View
from theory.errors import InvalidInput

_OF_ONE_LAYER = ("transposed", "channels_last", "dilation", "group")
_OF_WEIGHTS = (*_OF_ONE_LAYER, "initial")
_OF_RUNS = ("forward", "layers", "largest", "device")
_OF_MODELS = (*_OF_RUNS, "against")
_SHARED = ("center", "ridge", "seed")
_DEFAULTS: Mapping[str, Any] = {"dilation": 1, "group": "1/1", "against": "data"}


@dataclass(frozen=True)
class CheckedCommand:
    """What was found: its view, its verdicts, and its page for given names of sources."""

    view: View
    verdicts: frozenset[str]
    page: Callable[[Sequence[str]], str]


def judge(
    weights: Sequence[str],
    model_files: Sequence[str],
    checkpoints: Sequence[str],
    data: str,
    options: Mapping[str, Any],
    *,
    progress: bool,
) -> CheckedCommand:
    """The check of whichever of the three kinds of files there are."""
    if model_files:
        return judge_model(model_files, data, options, progress=progress)
    if checkpoints:
        return judge_checkpoints(checkpoints, data, options, progress=progress)
    return judge_weights(weights, data, options, progress=progress)


def judge_weights(weights: Sequence[str], data: str, options: Mapping[str, Any], *, progress: bool) -> CheckedCommand:
    """The check of one layer."""
    _refuse(options, _OF_MODELS, "model")
    given = {name: options[name] for name in (*_OF_WEIGHTS, *_SHARED)}
    found = check_files(weights, data, progress=progress, **{**given, "group": parse_group(given["group"])})
    return CheckedCommand(
        check.view(found), frozenset([found.verdict]), lambda sources: check_page.html(found, sources)
    )


def judge_model(sources: Sequence[str], data: str, options: Mapping[str, Any], *, progress: bool) -> CheckedCommand:
    """The check of every layer of a model; no verdict at all is not the one expected."""
    _refuse(options, _OF_ONE_LAYER, "weights")
    loaded = [load_model(source, options["forward"]) for source in sources]
    given = {name: options[name] for name in _SHARED} | {name: options[name] for name in ("largest",) if options[name]}
    found = check_model(
        [model for model, _ in loaded],
        data,
        layers=options["layers"] or None,
        device=options["device"],
        initial=[_before(source, options["forward"], sources[0]) for source in options["initial"]] or None,
        notes=loaded[0][1],
        against=options["against"],
        progress=progress,
        **given,
    )
    return CheckedCommand(
        models.view(found), frozenset(found.verdicts or ["none"]), lambda names: models_page.html(found, names)
    )


def _before(source: str, forward: str | None, model: str) -> Any:
    """A model before training, as the trained one is read; of an exported program its weights are enough."""
    path, prefix = split(source)
    if is_program(split(model)[0]) and not is_program(path):
        return read_state(path, prefix)
    return load_model(source, forward)[0]


def judge_checkpoints(files: Sequence[str], data: str, options: Mapping[str, Any], *, progress: bool) -> CheckedCommand:
    """The checks of one run's checkpoints; the verdicts are those of the last."""
    _refuse(options, _OF_WEIGHTS, "weights")
    _refuse(options, ("against",), "model")
    given = {name: options[name] for name in (*_OF_RUNS, *_SHARED)}
    found = check_files_over(files, data, progress=progress, **given)
    verdicts = frozenset(found.checks[-1].verdicts or ["none"])
    return CheckedCommand(over.view(found), verdicts, lambda names: over_page.html(found, names))


def list_layers(sources: Sequence[str], forward: str | None) -> View:
    """The layers of a model, and those that cannot be checked; of weights without steps, what the steps may name."""
    if not sources:
        raise InvalidInput("list", True, "lists the layers of a --model")
    path, prefix = split(sources[0])
    if forward is None and not is_program(path):
        state = read_layers(path, prefix)
        shapes = {key.removesuffix(".weight"): tuple(state[key].shape) for key in state if key.endswith(".weight")}
        return models.stored(shapes)
    found, left = taps(load_model(sources[0], forward)[0])
    return models.listing([tap.layer for tap in found], left)


def expected(strict: bool, verdict: str | None) -> str | None:
    """The verdict that --strict asks for; None without it."""
    if not strict:
        if verdict is not None:
            raise InvalidInput("expect", verdict, "belongs to --strict")
        return None
    known = get_args(LayerVerdict)
    if verdict is not None and verdict not in known:
        raise InvalidInput("expect", verdict, f"must be one of: {', '.join(known)}")
    return verdict or "aligned"


def _refuse(options: Mapping[str, Any], names: Sequence[str], owner: str) -> None:
    for name in names:
        if options[name] != _DEFAULTS.get(name) and options[name]:
            raise InvalidInput(name, options[name], f"belongs to --{owner}")
