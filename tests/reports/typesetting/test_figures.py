"""Figures: the same bytes each time, no state left behind, and nothing that a user can plot makes them fail."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

from reports.findings import Figure, Panel, Picture, Series
from reports.typesetting.figures import boundary, draw_figure, render
from tests.reports.typesetting.samples import sample_report

FIGURES = [figure for claim in sample_report().claims for figure in claim.figures]
X = np.array([1.0, 2.0, 5.0])


@pytest.fixture(scope="module")
def transfer():
    return render(FIGURES[0])


def test_the_same_record_gives_the_same_bytes(transfer):
    assert render(FIGURES[0]) == transfer


def test_bytes_depend_neither_on_process_nor_users_settings_and_no_state_is_left(transfer):
    code = """
import sys, matplotlib
matplotlib.rcParams.update({"font.size": 20, "svg.hashsalt": "x", "axes.grid": True})
before = matplotlib.rcParams.copy()
from tests.reports.typesetting.samples import sample_report
from reports.typesetting.figures import render
sys.stdout.buffer.write(render(sample_report().claims[0].figures[0]).svg)
assert matplotlib.rcParams.copy() == before
assert "matplotlib.pyplot" not in sys.modules
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert run.stdout == transfer.svg


def test_pdf_embeds_truetype_and_no_date(transfer):
    assert b"/CreationDate" not in transfer.pdf
    assert b"/Type3" not in transfer.pdf
    assert b"/CIDFontType2" in transfer.pdf or b"/TrueType" in transfer.pdf


def test_svg_is_print_size_and_well_formed(transfer):
    svg = ElementTree.fromstring(transfer.svg)
    assert 470 < float(svg.get("width").removesuffix("pt")) < 490


@pytest.mark.parametrize("count", [7, 8])
def test_many_panels_leave_room_for_the_caption_on_a_page(count):
    panel = Panel("", series=(Series("", X, X),))
    assert draw_figure(Figure("f", "", (panel,) * count)).get_figheight() < 8  # inches; a page of text has 9.9


def test_the_legend_names_each_series_once_and_lies_below_the_axes():
    drawing = draw_figure(FIGURES[0])
    (legend,) = drawing.legends
    assert [text.get_text() for text in legend.get_texts()] == ["exact", "first order in 1/m", "measured"]
    renderer = FigureCanvasAgg(drawing).get_renderer()
    bottom = min(axes.get_tightbbox(renderer).y0 for axes in drawing.axes)
    assert legend.get_window_extent(renderer).y1 <= bottom


def test_a_series_keeps_its_look_in_all_panels():
    colors = [[line.get_color() for line in axes.lines[:2]] for axes in draw_figure(FIGURES[0]).axes]
    assert colors[0] == colors[1] == colors[2]
    assert colors[0][0] != colors[0][1]


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=0, max_size=5),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["line", "points", "both", "dashed", "band"]),
    st.booleans(),
)
@settings(max_examples=12)
def test_any_numbers_can_be_drawn(values, xlog, ylog, style, with_error):
    values = np.clip(np.array(values, dtype=float), -1e30, 1e30)
    error = np.abs(values) if with_error else None
    series = (Series("a", values, values[::-1], error, style), Series("b", values, values, None, style, xerror=error))
    draw_figure(Figure("f", "", (Panel("t", "x", "y", series, xlog=xlog, ylog=ylog),)))


@pytest.mark.parametrize("count", [1, 3, 4, 10])
def test_any_number_of_panels_and_pictures(count):
    panel = Panel(
        r"$\begin{bad}$ $5", "σ ≥ 0", "日", (Series("", X, X),), tuple(Picture("", np.eye(2)) for _ in range(count))
    )
    panels = tuple(Panel("t", series=(Series(f"label {i}", X, X + i),)) for i in range(count))
    if count < 5:
        with pytest.warns(UserWarning, match="missing"):  # no font of matplotlib has the letter
            draw_figure(Figure("f", "", (panel,)))
    assert len(draw_figure(Figure("f", "", panels)).axes) == count


def test_pictures_share_one_symmetric_scale():
    pictures = (Picture("a", np.array([[1.0, -4.0]])), Picture("b", np.array([[np.nan, 0.0]])))
    drawing = draw_figure(
        Figure("f", "", (Panel("", pictures=pictures), Panel("", pictures=(Picture("0", np.zeros((2, 2))),))))
    )
    limits = [image.get_clim() for axes in drawing.axes for image in axes.images]
    assert limits == [(-4.0, 4.0), (-4.0, 4.0), (-1.0, 1.0)]


def test_the_boundary_lies_where_neighbours_differ_in_sign():
    """A disc of 1 in a square of −1, with a cell of 0 that parts nothing: its edges by plain loops."""
    i, j = np.mgrid[:7, :7]
    values = np.where((i - 3) ** 2 + (j - 3) ** 2 <= 4, 1.0, -1.0)
    values[6, 6] = 0.0
    expected = []
    for row in range(7):
        for column in range(7):
            for down, across in ((0, 1), (1, 0)):
                neighbour = values[row + down : row + down + 1, column + across : column + across + 1]
                if values[row, column] * neighbour.sum() < 0:  # an empty sum beyond the last row or column
                    y, x = row + down / 2, column + across / 2
                    expected.append(((x - down / 2, x + down / 2), (y - across / 2, y + across / 2)))
    found = boundary(values)
    assert sorted(found) == sorted(expected)
    assert len(found) == 20  # the perimeter of the disc
    assert boundary(np.ones((3, 3))) == []
    flipped = values.copy()
    flipped[0, 0] = 1.0
    assert len(boundary(flipped)) == 22


def test_marks_stand_in_their_cells():
    marks = np.array([[1.0, -0.5], [0.0, np.nan]])
    picture = Picture("a", np.array([[1.0, 2.0], [3.0, 4.0]]), marks)
    axes = next(axes for axes in draw_figure(Figure("f", "", (Panel("", pictures=(picture,)),))).axes if axes.images)
    assert {text.get_position(): text.get_text() for text in axes.texts} == {(0, 0): "+", (1, 0): "−"}
    (line,) = axes.lines
    assert (tuple(line.get_xdata()), tuple(line.get_ydata())) == ((0.5, 0.5), (-0.5, 0.5))
