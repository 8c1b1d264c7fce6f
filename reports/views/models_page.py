"""A model's check as HTML: one self-contained page, and the part of it that notebooks show."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from markupsafe import Markup

from reports.check.stored_array import printable
from reports.findings import Figure, Panel, Series
from reports.models.results import LayerCheck, ModelCheck
from reports.typesetting.environments import html_environment
from reports.typesetting.figures import inline_svg, render
from reports.views.models import html_table, named, notes, table, unchecked

TITLE = "Are the layers aligned with what they see?"
_PANELS = 24  # drawn at most
_WIDEST = 100.0  # ratio of the ends of an interval that is drawn


def html(found: ModelCheck, sources: Sequence[str] = ()) -> str:
    """The page; `sources` are the names of what was checked."""
    drawn = figure(found)
    return (
        html_environment()
        .get_template("models.html.jinja2")
        .render(
            title=TITLE,
            sources=[printable(source, 200) for source in sources],
            summary=found.summary,
            table=Markup(_table(found)),
            drawing=Markup(inline_svg(render(drawn).svg, "f", drawn.caption)) if found.layers else None,
            caption=drawn.caption,
            left=unchecked(found.unchecked),
            notes=notes(found),
        )
    )


def fragment(found: ModelCheck) -> str:
    """Summary, table and figure for a notebook."""
    drawn = figure(found)
    drawing = inline_svg(render(drawn).svg, f"f{id(found)}", drawn.caption) if found.layers else ""
    return f"<p>{escape(found.summary)}</p>{_table(found)}{drawing}"


def figure(found: ModelCheck) -> Figure:
    """The transfer functions of all layers, a panel each, with 95 % intervals."""
    panels = tuple(_panel(layer) for layer in found.layers[:_PANELS])
    more = f" The first {_PANELS} of {len(found.layers)} layers." if len(found.layers) > _PANELS else ""
    caption = f"The transfer functions $f$ of the layers, with 95 % intervals where these are bounded.{more}"
    return Figure("transfer-functions", caption, panels)


def _panel(layer: LayerCheck) -> Panel:
    f = layer.check.transfer_function
    known = (f.sigma > 0) & (f.f > 0)
    sigma, height = f.sigma[known], f.f[known]
    drawn = f.high[known] < _WIDEST * f.low[known]  # wider intervals would hide the curve
    low, high = (np.where(drawn, end[known], np.nan) for end in (f.low, f.high))
    series = (
        Series("$f$", sigma, height, style="both"),
        Series("95 % interval", sigma, low, style="dashed"),
        Series("95 % interval", sigma, high, style="dashed"),
    )
    wide = bool(sigma.size and sigma[-1] > 20 * sigma[0])
    return Panel(printable(named(layer), 30), r"$\sigma$", r"$f(\sigma)$", series, xlog=wide)


def _table(found: ModelCheck) -> str:
    return html_table(table(found)) if found.layers else ""
