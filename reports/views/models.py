"""`eigenalign check --model`: one table of all layers, a summary, the layers left out, the notes they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from typing import Any

from reports.check.judge import Check
from reports.check.stored_array import printable
from reports.models.layers import Layer, Unchecked
from reports.models.results import LayerCheck, ModelCheck
from reports.record import to_builtins
from reports.views.check import view as view_of_layer
from reports.views.view import Grid, Notes, Section, View, grid, wrapped

WRITTEN = "written by training"
HEADS = ("layer", "m × d", "effect", "from", "to", "p", "verdict", "f")
AGOP_HEADS = ("AGOP", "p of AGOP", "aligned with")
FRESH = (
    "eigenalign fresh tells in a second whether these weights learn a fresh task faster than the initial ones, if the "
    "model is a stack of dense layers, or of filters and dense layers"
)


def html_table(shown: Grid) -> str:
    """A grid as an HTML table; names from files are escaped, and their control characters are shown."""
    head = "".join(f"<th>{escape(printable(name.strip()))}</th>" for name in shown.head)
    rows = ("".join(f"<td>{escape(str(cell).strip())}</td>" for cell in row) for row in shown.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table>"


def view(found: ModelCheck) -> View:
    """The view of a model's check; a layer's `check` is what `check` of that layer alone prints."""
    value = {
        "networks": found.networks,
        "samples": found.samples,
        "layers": [_record(layer, found.against) for layer in found.layers],
        "unchecked": _reasons(found.unchecked),
        "notes": found.notes,
        "verdicts": dict(found.verdicts),
        "summary": found.summary,
    }
    sections: list[Section] = [
        wrapped(found.summary),
        [table(found)] if found.layers else [],
        unchecked(found.unchecked),
        [Notes(notes(found))],
    ]
    return View(to_builtins(value), sections)


def table(found: ModelCheck) -> Grid:
    """A row per layer: orientation with its 95 % interval, verdict, shape of f; names are aligned on the left."""
    width = max(len(named(layer)) for layer in found.layers)
    told = any(layer.check.composition is not None for layer in found.layers)
    rows = []
    for layer in found.layers:
        check = layer.check
        low, high = check.orientation.interval or (None, None)
        numbers = (_short(check.orientation.effect), _short(low), _short(high), _short(check.orientation.pvalue))
        size = f"{check.filters} × {check.dimension}"
        more = ([_written(check)] if told else []) + [*_agop(found, layer)]
        rows.append((named(layer).ljust(width), size, *numbers, check.verdict, check.shape or "undecided", *more))
    heads = ([WRITTEN] if told else []) + [*(AGOP_HEADS if found.against == "agop" else ())]
    return Grid((HEADS[0].ljust(width), *HEADS[1:], *heads), tuple(rows))


def _written(check: Check) -> str:
    """The share of Σ_w that training has written, with its interval."""
    if check.composition is None:
        return "-"
    share, low, high = check.composition.share
    return f"{_short(share)} ({_short(low)} to {_short(high)})"


def _agop(found: ModelCheck, layer: LayerCheck) -> tuple[str, ...]:
    """The cells of `AGOP_HEADS`, where that was asked for."""
    if found.against != "agop":
        return ()
    if layer.agop is None:
        return (_short(None), _short(None), layer.aligned_with)
    low, high = layer.agop.interval or (None, None)
    effect = f"{_short(layer.agop.effect)} ({_short(low)} to {_short(high)})"
    return (effect, _short(layer.agop.pvalue), layer.aligned_with)


def unchecked(left: tuple[Unchecked, ...]) -> list[str]:
    """The layers that were left out, one line per reason."""
    reasons: dict[str, list[str]] = {}
    for entry in left:
        reasons.setdefault(f"{entry.kind}: {entry.reason}", []).append(entry.name)
    lines = [f"left out: {_some(names)} ({reason})" for reason, names in reasons.items()]
    return [line for text in lines for line in wrapped(text)]


def notes(found: ModelCheck) -> tuple[str, ...]:
    """The caveats of all layers, each once, with the layers that it concerns unless these are all."""
    by_text: dict[str, list[str]] = {}
    for layer in found.layers:
        for text in (*layer.check.warnings, *([layer.note] if layer.note else [])):
            by_text.setdefault(text, []).append(named(layer))
    every = len(found.layers)
    shared = [text for text, names in by_text.items() if len(names) == every]
    single = Counter(name for text, names in by_text.items() if len(names) < every for name in names)
    if single:
        shared.append(f"{sum(single.values())} more notes concern single layers: print(result[name]), or --json")
    if any(layer.check.composition is not None for layer in found.layers):
        shared.append(FRESH)
    return (*found.notes, *shared)


def listing(layers: list[Layer], left: list[Unchecked]) -> View:
    """What `--list` prints: the layers that would be checked, and those that would not."""
    value = {
        "layers": [
            {"layer": layer.name, "kind": layer.kind, "filters": layer.filters, "dimension": layer.dimension}
            for layer in layers
        ],
        "unchecked": _reasons(tuple(left)),
    }
    columns: dict[str, Any] = {
        "layer": [layer.name for layer in layers],
        "m × d": [f"{layer.filters} × {layer.dimension}" for layer in layers],
        "kind": [layer.kind for layer in layers],
    }
    return View(
        to_builtins(value), [[grid(columns)] if layers else ["no layer can be checked"], unchecked(tuple(left))]
    )


def stored(shapes: Mapping[str, tuple[int, ...]]) -> View:
    """What `--list` prints of a file of weights: the names that steps may use, and the shapes of the weights."""
    value = {"layers": [{"layer": name, "shape": shape} for name, shape in shapes.items()], "unchecked": []}
    sizes = [" × ".join(map(str, shape)) for shape in shapes.values()]
    hint = "a file of weights does not say how its layers follow each other: name the steps with --forward"
    return View(to_builtins(value), [[grid({"layer": list(shapes), "shape": sizes})], wrapped(hint)])


def _record(layer: LayerCheck, against: str) -> dict[str, Any]:
    check = layer.check
    agop = {"agop": layer.agop and asdict(layer.agop), "aligned_with": layer.aligned_with} if against == "agop" else {}
    low, high = check.orientation.interval or (None, None)
    return {
        "layer": layer.name,
        "kind": layer.kind,
        "network": layer.network,
        "filters": check.filters,
        "dimension": check.dimension,
        "effect": check.orientation.effect,
        "low": low,
        "high": high,
        "pvalue": check.orientation.pvalue,
        "verdict": check.verdict,
        "shape": check.shape,
        "note": layer.note,
        "written": None if check.composition is None else check.composition.share[0],
        **agop,
        "check": view_of_layer(check).value,
    }


def _short(value: float | None) -> str:
    """The value to two digits, or a dash."""
    return "-" if value is None else f"{value:.2g}"


def _reasons(left: tuple[Unchecked, ...]) -> list[dict[str, str]]:
    return [{"layer": entry.name, "kind": entry.kind, "reason": entry.reason} for entry in left]


def named(layer: LayerCheck) -> str:
    """A layer's name, with the number of the network where each has a row of its own."""
    return layer.name if layer.network is None else f"{layer.name} [{layer.network}]"


def _some(names: list[str]) -> str:
    listed = ", ".join(names[:6])
    return f"{listed} and {len(names) - 6} more" if len(names) > 6 else listed
