"""Alignment along training as a figure, an HTML page, and the part of it that notebooks show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from reports.check.stored_array import printable
from reports.findings import Figure, Panel, Series
from reports.models.over import Course
from reports.models.results import LayerCheck
from reports.typesetting.environments import html_environment
from reports.typesetting.figures import inline_svg, render
from reports.views.models import html_table, unchecked
from reports.views.over import table

TITLE = "How does alignment change along training?"
_LAYERS = 24  # drawn at most


def html(course: Course, sources: Sequence[str] = ()) -> str:
    """The page; `sources` are the names of what was checked."""
    drawn = figure(course)
    return (
        html_environment()
        .get_template("models.html.jinja2")
        .render(
            title=TITLE,
            sources=[printable(source, 200) for source in sources],
            summary=course.checks[-1].summary,
            table=Markup(_table(course)),
            drawing=Markup(inline_svg(render(drawn).svg, "f", drawn.caption)) if course.layers else None,
            caption=drawn.caption,
            left=unchecked(course.checks[-1].unchecked),
            notes=course.checks[-1].notes,
        )
    )


def fragment(course: Course) -> str:
    """Table and figure for a notebook."""
    drawn = figure(course)
    drawing = inline_svg(render(drawn).svg, f"f{id(course)}", drawn.caption) if course.layers else ""
    return f"{_table(course)}{drawing}"


def figure(course: Course) -> Figure:
    """A panel per layer: the effect at every checkpoint with its 95 % interval."""
    panels = tuple(_panel(name, points) for name, points in list(course.layers.items())[:_LAYERS])
    caption = "The orientation of each layer at every checkpoint, in their order, with 95 % intervals: 1 is alignment."
    return Figure("along-training", caption, panels)


def _panel(name: str, points: Sequence[LayerCheck | None]) -> Panel:
    places = np.arange(1, len(points) + 1)
    found = [point.check.orientation if point else None for point in points]
    effect = np.array([np.nan if each is None else each.effect for each in found])
    low, high = (
        np.array([np.nan if each is None or each.interval is None else each.interval[end] for each in found])
        for end in (0, 1)
    )
    series = (
        Series("effect", places, effect, style="both"),
        Series("95 % interval", places, low, style="dashed"),
        Series("95 % interval", places, high, style="dashed"),
    )
    return Panel(printable(name, 30), "checkpoint", "orientation", series)


def _table(course: Course) -> str:
    return html_table(table(course)) if course.layers else ""
