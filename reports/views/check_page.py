"""A check as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from markupsafe import Markup

from reports.check.judge import Check
from reports.check.stored_array import printable
from reports.findings import Column, Figure, Panel, Series, Table
from reports.typesetting.environments import html_environment
from reports.typesetting.figures import inline_svg, render
from reports.views.check import HEADS, facts, function_table

TITLE = "Is the layer aligned with its data?"
_SYMBOLS = {HEADS["sigma"]: r"data standard deviation $\sigma$", HEADS["f"]: r"weight standard deviation $f$"}
_TONES = {"aligned": "holds", "partly aligned": "undecided", "not aligned": "refuted", "undecided": "undecided"}


def html(check: Check, sources: Sequence[str] = ()) -> str:
    """The page; `sources` are the names of what was checked."""
    drawn = figure(check)
    return (
        html_environment()
        .get_template("check.html.jinja2")
        .render(
            title=TITLE,
            sources=[printable(source, 200) for source in sources],
            check=check,
            tone=_TONES[check.verdict],
            facts=facts(check).items,
            drawing=Markup(inline_svg(render(drawn).svg, "f", drawn.caption)),
            caption=drawn.caption,
            table=table(check),
        )
    )


def fragment(check: Check) -> str:
    """Verdict, numbers and figure for a notebook."""
    rows = "".join(f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>" for label, text in facts(check).items)
    drawn = figure(check)
    return (
        f"<p><b>{escape(check.verdict)}</b>: {escape(check.explanation)}</p><table>{rows}</table>"
        f"{inline_svg(render(drawn).svg, f'f{id(check)}', drawn.caption)}"
    )


def figure(check: Check) -> Figure:
    """f with its intervals."""
    f = check.transfer_function
    sigma = np.where(f.sigma > 0, f.sigma, np.nan)
    interval = "95 % interval"
    series = (
        Series("$f$", sigma, f.f, style="both"),
        Series(interval, sigma, f.low, style="dashed"),
        Series(interval, sigma, f.high, style="dashed"),
    )
    known = f.sigma[f.sigma > 0]
    wide = known.size > 0 and bool(known[-1] > 20 * known[0])
    panel = Panel("", r"data standard deviation $\sigma$", r"weight standard deviation $f(\sigma)$", series, xlog=wide)
    shape = f"it {check.shape}" if check.shape in ("falls", "rises", "rises, then falls") else "its shape is undecided"
    caption = (
        f"The transfer function $f$ on {len(f.f)} eigenspaces of the data, with 95 % intervals: "
        f"{'other shapes than the theory’s three' if check.shape == 'other' else shape}."
    )
    return Figure("transfer-function", caption, (panel,))


def table(check: Check) -> Table:
    """f eigenspace by eigenspace."""
    listed = function_table(check)
    columns = tuple(Column(_SYMBOLS.get(name, name)) for name in listed.head)
    return Table("transfer-function", "The transfer function with its 95 % intervals.", columns, listed.rows)
