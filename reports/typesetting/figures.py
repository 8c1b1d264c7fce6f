"""A `Figure` drawn at print size, as PDF and as SVG: the same record gives the same bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.findings import Figure, Panel, Picture, Series
from reports.typesetting.markup import to_label, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

WIDTH = 6.69  # the text width of report.tex in inches: 170 mm
_BESIDE, _LETTER = 35, 4.6  # points: what stands left of a panel's axes, and a letter of its title
_HEIGHTS = {1: 2.9, 2: 2.6, 3: 2.25}
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (3, 1)), (0, (1, 2)))
# Okabe and Ito's colours, yellow left out: it vanishes on white.
# Okabe and Ito's, which are told apart by the colour-blind; older versions of matplotlib do not know them by name.
_PALETTE = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
_ORDER = (5, 6, 3, 7, 2, 1, 0)
_STYLE: Mapping[str, Any] = {
    "font.family": ["STIXGeneral", "DejaVu Serif", "DejaVu Sans"],
    "mathtext.fontset": "stix",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.direction": "out",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.8,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "eigenalign",
    "savefig.transparent": True,
    "path.simplify": True,
}


@dataclass(frozen=True)
class DrawnFigure:
    """A figure as PDF, fonts embedded as TrueType, and as SVG, letters as paths."""

    pdf: bytes
    svg: bytes


def render(figure: Figure) -> DrawnFigure:
    """Both forms of a figure, whatever the user's matplotlibrc says; no global state is changed."""
    import matplotlib.style

    with matplotlib.style.context(["default", dict(_STYLE)]):
        drawing = draw_figure(figure)
        return DrawnFigure(
            _saved(drawing, "pdf", {"CreationDate": None, "ModDate": None}), _saved(drawing, "svg", {"Date": None})
        )


def inline_svg(svg: bytes, prefix: str, caption: str) -> str:
    """An SVG as an element of an HTML page: no XML head, its ids made unique by `prefix`, described by `caption`."""
    text = svg.decode()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    label = to_plain(caption).replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).strip()


def _saved(drawing: Drawing, kind: str, metadata: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    drawing.savefig(out, format=kind, metadata=metadata)
    return out.getvalue()


def draw_figure(figure: Figure) -> Drawing:
    """The figure as matplotlib's, laid out, in the style of the current rcParams."""
    from matplotlib.figure import Figure as Drawing

    panels = _single(figure.panels)
    count = len(panels)
    columns = 1 if count == 1 else 2 if count in {2, 4} else 3  # rows of two panels are high: four fill a page
    rows = -(-count // columns)
    width = 0.72 * WIDTH if count == 1 else WIDTH
    drawing = Drawing(figsize=(width, rows * _HEIGHTS[columns] + 0.3), layout="constrained")
    labels = [series.label for panel in panels for series in panel.series]
    looks = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    handles: dict[str, Any] = {}
    grid = drawing.add_gridspec(rows, columns)
    for i, panel in enumerate(panels):
        cell = grid[i // columns, i % columns]
        if panel.pictures:
            _draw_pictures(drawing, cell, panel)
        else:
            axes = drawing.add_subplot(cell)
            _draw_panel(axes, panel, looks, handles)
            axes.set_title(_title(panel.title, width * 72 / columns - _BESIDE), loc="left")
    shown = {label: handle for label, handle in handles.items() if label}
    if len(shown) > 1:
        names = [to_label(label) for label in shown]
        per_line = max(1, int(width * 72 / (max(map(len, names)) * 4.6 + 34)))
        lines = -(-len(names) // per_line)
        # Outside the axes: a legend inside hides data sooner or later.
        drawing.legend(list(shown.values()), names, loc="outside lower center", ncols=-(-len(names) // lines))
        drawing.set_size_inches(width, drawing.get_figheight() + 0.17 * lines)
    layout = drawing.get_layout_engine()
    assert layout is not None
    layout.execute(drawing)
    drawing.set_layout_engine(None)  # laid out once for all formats: each would lay out anew
    return drawing


def _title(title: str, room: float) -> str:
    """A title in lines of about `room` points, so that it ends where its panel does; math stays in one line."""
    return to_label(title if "$" in title else fill(title, max(10, int(room / _LETTER))))


def _single(panels: tuple[Panel, ...]) -> list[Panel]:
    """Panels that hold curves or pictures, not both."""
    found = []
    for panel in panels:
        if panel.series and panel.pictures:
            found.append(replace(panel, pictures=()))
            found.append(Panel("", pictures=panel.pictures))
        else:
            found.append(panel)
    return found


def _draw_panel(axes: Axes, panel: Panel, looks: Mapping[str, int], handles: dict[str, Any]) -> None:
    drawn = [_visible(series, panel) for series in panel.series]
    if panel.xlog and any(np.any(x > 0) for x, *_ in drawn):
        axes.set_xscale("log")
    if panel.ylog and any(np.any(y > 0) for _, y, *_ in drawn):
        axes.set_yscale("log", nonpositive="clip")
    for scale, limit, values in (
        (axes.get_xscale(), axes.set_xlim, [x for x, *_ in drawn]),
        (axes.get_yscale(), axes.set_ylim, [y for _, y, *_ in drawn]),
    ):
        positive = np.unique(np.concatenate(values)) if values else np.zeros(0)
        if scale == "log" and positive.size == 1:  # a single value spans no decade
            limit(positive[0] / 2, positive[0] * 2)
    for series, (x, y, error, xerror) in zip(panel.series, drawn, strict=True):
        handle = _draw_series(axes, series, x, y, error, xerror, looks[series.label])
        handles.setdefault(series.label, handle)
    axes.set_xlabel(to_label(panel.xlabel))
    axes.set_ylabel(to_label(panel.ylabel))
    axes.grid(color="0.88", linewidth=0.5)
    axes.margins(x=0.03, y=0.06)
    if panel.from_zero and not panel.ylog:
        axes.set_ylim(bottom=0)


DrawnSeries = tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]


def _visible(series: Series, panel: Panel) -> DrawnSeries:
    """The points that can be drawn, with their errors: finite, and positive on a logarithmic axis, as float64."""
    x, y = np.asarray(series.x, dtype=float), np.asarray(series.y, dtype=float)
    shown = np.isfinite(x) & np.isfinite(y)
    if panel.xlog and np.any(x[shown] > 0):
        shown &= x > 0
    if panel.ylog and np.any(y[shown] > 0):
        shown &= y > 0
    error, xerror = (
        None if each is None else np.nan_to_num(np.broadcast_to(np.asarray(each, dtype=float), y.shape)[shown])
        for each in (series.error, series.xerror)
    )
    return x[shown], y[shown], error, xerror


def _draw_series(
    axes: Axes,
    series: Series,
    x: np.ndarray,
    y: np.ndarray,
    error: np.ndarray | None,
    xerror: np.ndarray | None,
    look: int,
) -> Any:
    color = _PALETTE[_ORDER[look % len(_ORDER)]]
    marker, dash = _MARKERS[look % len(_MARKERS)], _DASHES[(look // len(_ORDER)) % len(_DASHES)]
    if series.style in {"points", "both"}:
        line = dash if series.style == "both" else "none"
        return axes.errorbar(
            x, y, xerr=xerror, yerr=error, color=color, marker=marker, linestyle=line,
            markerfacecolor="white", markeredgewidth=1.0, elinewidth=0.9, capsize=1.8, capthick=0.7, zorder=4,
        )  # fmt: skip
    band = None
    if error is not None:
        band = axes.fill_between(x, y - error, y + error, color=color, alpha=0.22, linewidth=0, zorder=2)
    (line2d,) = axes.plot(x, y, color=color, linestyle="--" if series.style == "dashed" else dash, zorder=3)
    return (band, line2d) if band is not None else line2d


def _draw_pictures(drawing: Drawing, cell: Any, panel: Panel) -> None:
    """Matrices side by side on one symmetric scale, so that their colours compare and white is zero."""
    part = drawing.add_subfigure(cell)
    height, width = np.shape(np.atleast_2d(panel.pictures[0].values))
    columns = _columns(len(panel.pictures), width / height)
    grid = part.add_gridspec(-(-len(panel.pictures) // columns), columns)
    largest = max(_largest(picture) for picture in panel.pictures) or 1.0
    all_axes = []
    image = None
    for i, picture in enumerate(panel.pictures):
        axes = part.add_subplot(grid[i // columns, i % columns])
        values = np.atleast_2d(np.asarray(picture.values, dtype=float))
        image = axes.imshow(values, cmap="RdBu_r", vmin=-largest, vmax=largest, interpolation="nearest")
        axes.set_xticks(range(len(picture.xticks)), picture.xticks, fontsize=7.0)
        axes.set_yticks(range(len(picture.yticks)), picture.yticks, fontsize=7.0)
        axes.tick_params(length=0)
        axes.set_xlabel(to_label(picture.xlabel), fontsize=8.0)
        axes.set_ylabel(to_label(picture.ylabel), fontsize=8.0)
        for spine in axes.spines.values():
            spine.set_visible(True)
            spine.set_linewidth(0.4)
        axes.set_title(to_label(picture.label), fontsize=8.0)
        if picture.marks is not None:
            _draw_marks(axes, picture.marks, values)
        all_axes.append(axes)
    if image is not None:
        bar = part.colorbar(image, ax=all_axes, fraction=0.05, pad=0.02, shrink=0.85)
        bar.ax.tick_params(labelsize=7.0, width=0.4)
        bar.outline.set_linewidth(0.4)
    part.suptitle(to_label(panel.title), x=0.02, ha="left", fontsize=9.5)


def _draw_marks(axes: Axes, marks: np.ndarray, values: np.ndarray) -> None:
    """Signs in the cells of an image, ringed where they are not those of the values, and the boundary between them."""
    for sign, letter in ((1, "+"), (-1, "\N{MINUS SIGN}")):
        for i, j in np.argwhere(np.sign(marks) == sign).tolist():
            ring = 1.2 if np.sign(values[i, j]) == -sign else 0.0
            ground = {"boxstyle": "circle,pad=0.12", "facecolor": "white", "edgecolor": "black", "linewidth": ring}
            axes.text(j, i, letter, ha="center", va="center", fontsize=9.0, bbox=ground)
    for x, y in boundary(marks):
        axes.plot(x, y, color="black", linewidth=1.4, solid_capstyle="butt")


def boundary(values: np.ndarray) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The edges (x, x), (y, y) between neighbouring cells of opposite signs, cell (i, j) having its middle at (j, i).

    >>> boundary(np.array([[1.0, -2.0]]))
    [((0.5, 0.5), (-0.5, 0.5))]
    """
    signs = np.sign(values)
    upright, level = signs[:, 1:] * signs[:, :-1] < 0, signs[1:] * signs[:-1] < 0
    return [((j + 0.5, j + 0.5), (i - 0.5, i + 0.5)) for i, j in np.argwhere(upright).tolist()] + [
        ((j - 0.5, j + 0.5), (i + 0.5, i + 0.5)) for i, j in np.argwhere(level).tolist()
    ]


def _columns(count: int, aspect: float = 1.0) -> int:
    """The columns of a grid of pictures, width over height `aspect`, that makes them largest, with few places empty."""

    def size(columns: int) -> tuple[float, int]:
        rows = -(-count // columns)
        return min(1.3 / columns / aspect, 1.0 / rows), -(rows * columns - count)

    return max(range(1, count + 1), key=size)


def _largest(picture: Picture) -> float:
    values = np.asarray(picture.values, dtype=float)
    finite = values[np.isfinite(values)]
    return float(np.abs(finite).max()) if finite.size else 0.0
