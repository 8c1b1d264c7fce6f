"""Tables and figures of claim C3: all points, the line of widths, the maps, and the tangent kernels behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from reports.claims.transfer.effects import Effects, in_words
from reports.claims.transfer.map_effects import MappedEffects
from reports.claims.transfer.map_points import EPOCHS, HURT, LINE, MapGrid, MapPoint
from reports.findings import Figure, Panel, Picture, Series, Table, number, table_of, text
from reports.judging.intervals import mean_and_half, means_and_halves, sample_mean
from reports.transfer.condition import KERNEL_ROWS
from theory.transfer import KernelNumbers


def points_table(found: Mapping[MapPoint, MappedEffects], names: Mapping[MapPoint, str]) -> Table:
    """Every point: how far upstream training came, the gain, active units, and the gain that is predicted."""

    def gain(measured: Effects) -> tuple[float, float]:
        each = measured.difference("pretrained")
        return each.mean, each.standard_error

    def interval(measured: Effects) -> str:
        each = measured.difference("pretrained")
        return in_words(each, 3)

    return table_of(
        "c3-points",
        "Every point of the line of widths and of the maps: the train accuracy reached on random labels, the "
        "gain in mean train accuracy over 6 epochs of real labels, the share of active units of the upper layer at "
        f"the switch, and the gain that linearised training of the same networks predicts.{_change(found)}",
        found.items(),
        text("point", lambda row: names[row[0]]),
        number("upstream accuracy", "1", lambda row: float(row[1].upstream_accuracy.mean())),
        number("pretrained minus scratch", "1", lambda row: gain(row[1])),
        text("95 % interval", lambda row: interval(row[1])),
        number("active, upper layer", "1", lambda row: sample_mean(row[1].active_at_switch("pretrained")[:, 1])),
        number("predicted gain", "1", lambda row: float(row[1].linearised.accuracy.mean)),
    )


def _change(found: Mapping[MapPoint, Effects]) -> str:
    """What the widest upper layer changes, in words; nothing where networks of either width have diverged."""
    narrow, widest = MapPoint(), LINE[-1]
    if not {narrow, widest} <= found.keys():
        return ""
    small, wide = (found[point].difference("pretrained") for point in (narrow, widest))
    error = float(np.hypot(small.standard_error, wide.standard_error))
    return (
        f" From width {narrow.width} to {widest.width} the gain changes by ${wide.mean - small.mean:+.3f} "
        f"\\pm {error:.3f}$ (standard error; replicas are independent)."
    )


def switch_figure(found: Mapping[MapPoint, Effects]) -> Figure:
    """The gain against the upper width, active units at the switch, and active units around it."""
    line = [found[point] for point in LINE if point in found]
    widths = np.log2([point.width for point in LINE if point in found])
    ends = np.log2([LINE[0].width, LINE[-1].width])
    gains = [Series("no gain", ends, np.zeros(2), style="dashed")]
    for kind in ("pretrained", "rescaled"):
        each = [measured.difference(kind) for measured in line]
        half = np.array([gain.high - gain.mean for gain in each])
        gains.append(Series(f"{kind} minus scratch", widths, np.array([gain.mean for gain in each]), half, "both"))
    shares = []
    for layer in (0, 1):
        values = [means_and_halves(measured.active_at_switch("pretrained")) for measured in line]
        mean, half = (np.array([value[part][layer] for value in values]) for part in (0, 1))
        shares.append(Series(f"layer {layer + 1}, pretrained", widths, mean, half, "both"))
    narrow = found.get(MapPoint())
    along = (
        []
        if narrow is None
        else [
            Series(
                f"layer {layer + 1}, {kind}",
                narrow.steps,
                *means_and_halves(narrow.active[narrow.treatments.index(kind), :, :, layer]),
                "band",
            )
            for layer in (0, 1)
            for kind in ("pretrained", "scratch")
        ]
    )
    return Figure(
        name="c3-switch",
        caption=f"At init factor {HURT:g}, {EPOCHS} epochs upstream: the gain in mean train accuracy against the width "
        "of the upper layer; the share of active units at the switch; and that share along downstream training at "
        f"width {MapPoint().width}, where step 0 from scratch is the network before upstream training. 95 % intervals.",
        panels=(
            Panel("gain", r"$\log_2$ upper width", "minus scratch", tuple(gains)),
            Panel("active at the switch", r"$\log_2$ upper width", "share of active units", tuple(shares)),
            Panel("around the switch", "step", "share of active units", tuple(along)),
        ),
    )


def maps_figure(found: Mapping[MapPoint, MappedEffects], grid: MapGrid) -> Figure:
    """Gains by init factor and learning rate, and by width and length, with the signs that are predicted."""

    def picture(label: str, rows: Sequence[Sequence[MapPoint]], **axes: Any) -> Panel:
        gains, predicted = np.full((2, len(rows), len(rows[0])), np.nan)
        for i, row in enumerate(rows):
            for j, point in enumerate(row):
                if point in found:
                    gains[i, j] = found[point].difference("pretrained").mean
                    predicted[i, j] = found[point].linearised.accuracy.mean
        return Panel("", pictures=(Picture(label, gains, predicted, **axes),))

    def ticks(numbers: Sequence[float]) -> tuple[str, ...]:
        return tuple(f"{number:g}" for number in numbers)

    narrow = MapPoint()
    return Figure(
        name="c3-maps",
        caption="Where pretraining on random labels helps (red) and hurts (blue): gain in mean train accuracy over six "
        "epochs. Signs in the cells, and the lines between them, are predicted by linearised training of the same "
        "networks; a ring marks a sign that differs from the observed one.",
        panels=(
            picture(
                f"upper width {narrow.width}, {narrow.epochs} epochs",
                grid.scale,
                xlabel="learning rate",
                ylabel="init factor",
                xticks=ticks(grid.rates),
                yticks=ticks(grid.factors),
            ),
            picture(
                f"init factor {narrow.factor:g}, learning rate {narrow.rate:g}",
                grid.length,
                xlabel="epochs upstream",
                ylabel="upper width",
                xticks=ticks(grid.epochs),
                yticks=ticks(grid.widths),
            ),
        ),
    )


def mechanism_figure(found: Mapping[MapPoint, MappedEffects]) -> Figure:
    """Size and spread of tangent kernels before and after upstream training, along the line of widths."""
    line = [found[point] for point in LINE if point in found]
    widths = np.log2([point.width for point in LINE if point in found])

    def panel(title: str, ylabel: str, read: Callable[[KernelNumbers], np.ndarray]) -> Panel:
        series = []
        for label, numbers in (("before", [e.before for e in line]), ("at the switch", [e.after for e in line])):
            mean, half = np.array([mean_and_half(read(each)) for each in numbers if each is not None]).T
            series.append(Series(label, widths, mean, half, "both"))
        return Panel(title, r"$\log_2$ upper width", ylabel, tuple(series), ylog=True)

    return Figure(
        name="c3-mechanism",
        caption=f"Why transfer is negative at init factor {HURT:g}: upstream training shrinks the tangent kernel of "
        f"networks with a narrow upper layer, and concentrates it on few directions. Mean over networks, on "
        f"{KERNEL_ROWS} downstream rows, of the kernel centred over rows and outputs. 95 % intervals.",
        panels=(
            panel("size", "centred trace per row and output", lambda numbers: numbers.trace),
            panel("spread", "effective rank", lambda numbers: numbers.effective_rank),
        ),
    )
