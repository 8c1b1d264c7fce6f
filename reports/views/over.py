"""`eigenalign check --over`: a row per layer, a column per checkpoint, and each layer's verdicts."""

from __future__ import annotations

from reports.counted import counted
from reports.models.over import Course
from reports.models.results import LayerCheck
from reports.record import to_builtins
from reports.views.check import view as view_of_layer
from reports.views.models import unchecked
from reports.views.view import Grid, Section, View, wrapped

_COLUMNS = 8  # checkpoints in a table on a terminal


def view(course: Course) -> View:
    """The effects through time; `check` holds what `check` of that layer alone prints."""
    value = {
        "checkpoints": course.labels,
        "layers": [
            {
                "layer": name,
                "course": [_point(label, point) for label, point in zip(course.labels, points, strict=True)],
            }
            for name, points in course.layers.items()
        ],
    }
    last = course.checks[-1]
    sections: list[Section] = [
        wrapped(
            f"{counted(len(course.layers), 'layer')} at {counted(len(course.labels), 'checkpoint')}; "
            f"at the last: {last.summary}"
        ),
        [table(course)] if course.layers else [],
        unchecked(last.unchecked),
    ]
    return View(to_builtins(value), sections)


def table(course: Course) -> Grid:
    """The effect (1 at alignment, 0 in a random basis) at each checkpoint, and the last verdict."""
    count = len(course.labels)
    kept = (
        sorted({round(i * (count - 1) / (_COLUMNS - 1)) for i in range(_COLUMNS)}) if count > _COLUMNS else range(count)
    )
    width = max(map(len, course.layers))
    head = ("layer".ljust(width), *(course.labels[i] for i in kept), "last interval", "last verdict")
    rows = tuple(
        (name.ljust(width), *(_effect(points[i]) for i in kept), _ends(points[-1]), _verdict(points[-1]))
        for name, points in course.layers.items()
    )
    return Grid(head, rows)


def _point(label: str, point: LayerCheck | None) -> dict[str, object]:
    if point is None:
        return {"checkpoint": label, "effect": None, "low": None, "high": None, "verdict": None, "check": None}
    orientation = point.check.orientation
    low, high = orientation.interval or (None, None)
    return {
        "checkpoint": label,
        "effect": orientation.effect,
        "low": low,
        "high": high,
        "verdict": point.check.verdict,
        "check": view_of_layer(point.check).value,
    }


def _effect(point: LayerCheck | None) -> str:
    return "-" if point is None else f"{point.check.orientation.effect:.2g}"


def _ends(point: LayerCheck | None) -> str:
    interval = point.check.orientation.interval if point else None
    return f"{interval[0]:.2g} to {interval[1]:.2g}" if interval else "-"


def _verdict(point: LayerCheck | None) -> str:
    return point.check.verdict if point else "-"
