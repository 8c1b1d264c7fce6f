"""Tables and figures of claim C8: slopes over tasks, remedies by rank, and gains seen and predicted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reports.claims.transfer.effects import in_words
from reports.claims.transfer.plasticity_effects import PlasticityEffects, slopes
from reports.claims.transfer.plasticity_judging import course_of, foretold, realised
from reports.claims.transfer.plasticity_points import ANEW, NONE, RATES, READ, WIDTHS, TaskPoint
from reports.findings import Cell, Cells, Figure, Panel, Series, Table, number, table_of, text
from reports.judging.intervals import means_and_halves, sample_mean
from theory.testing import PairedMean

TaskRow = tuple[TaskPoint, PlasticityEffects]
Found = Mapping[TaskPoint, PlasticityEffects]


def _point() -> tuple[Cells[TaskRow], ...]:
    """What a point of the map is, in three slim columns."""
    return (
        number("upper width", "count", lambda row: row[0].width),
        number("init factor", "1", lambda row: row[0].factor, digits=2),
        number("learning rate", "1", lambda row: row[0].rate, digits=1),
    )


def slopes_table(found: Found) -> Table:
    """Every point: accuracy in the first and last task, the slope and what it says, the loss, units alive."""
    return table_of(
        "c8-slopes",
        "Train accuracy at the end of the first and of the tenth task, and its slope over tasks by least squares, in "
        "accuracy per task; the slope of the loss; the share of units of the upper layer that are alive where the "
        "tenth task begins; and the slope of networks that begin every task anew. Means over replicas with standard "
        "errors.",
        found.items(),
        *_point(),
        number("accuracy, first task", "1", lambda row: sample_mean(row[1].accuracy[0][:, 0])),
        number("accuracy, last task", "1", lambda row: sample_mean(row[1].accuracy[0][:, -1])),
        number("slope", "per task", lambda row: _with_error(row[1].slope())),
        text("95 % interval", lambda row: in_words(row[1].slope(), 4)),
        text("plasticity", lambda row: course_of(row[1].slope())),
        number("slope of loss", "per task", lambda row: sample_mean(slopes(row[1].loss[0]))),
        number("share alive", "1", lambda row: sample_mean(row[1].alive[0][:, -1])),
        number("slope, anew", "per task", lambda row: _with_error(row[1].slope(ANEW.name))),
    )


def remedies_table(found: Found) -> Table:
    """Every remedy at every point where they are compared, the most helpful first."""
    return table_of(
        "c8-remedies",
        "Remedies by rank: train accuracy at the end of a task, averaged over tasks from the second on, with the "
        "paired difference to no remedy; the slope over tasks; and the share of units of the upper layer that are "
        "alive where the tenth task begins. A new network per task is not a remedy: it keeps nothing.",
        ((point, each, name) for point, each in found.items() for name in ranking(each)),
        text("point", lambda row: row[0].name, once=True),
        text("remedy", lambda row: row[2]),
        number("accuracy", "1", lambda row: sample_mean(row[1].accuracy[row[1].of(row[2]), :, 1:].mean(axis=1))),
        number("minus none", "1", lambda row: _help(row[1], row[2])),
        text("95 % interval", lambda row: None if row[2] == NONE.name else in_words(row[1].help(row[2], NONE.name), 4)),
        number("slope", "per task", lambda row: _with_error(row[1].slope(row[2]))),
        number("share alive", "1", lambda row: sample_mean(row[1].alive[row[1].of(row[2]), :, -1])),
    )


def ranking(measured: PlasticityEffects) -> list[str]:
    """The remedies, by the accuracy reached from the second task on."""
    reached = measured.accuracy[:, :, 1:].mean(axis=(1, 2))
    return [measured.remedies[i] for i in np.argsort(-reached, kind="stable")]


def next_gains_table(found: Found) -> Table:
    """Every point: the gain over a new network in the tasks of `READ`, as it is seen and as it is predicted."""

    def of_task(k: int) -> tuple[Cells[TaskRow], Cells[TaskRow]]:
        seen: Cells[TaskRow] = number(f"gain, task {READ[k]}", "1", lambda row: sample_mean(row[1].gains[k]))
        return seen, number(
            f"predicted, task {READ[k]}", "1", lambda row: float(foretold([row[1]], slice(k, k + 1))[0])
        )

    columns: list[Cells[TaskRow]] = [*_point()]
    for k in range(len(READ)):
        columns += of_task(k)
    return table_of(
        "c8-gains",
        "Gain in mean train accuracy over a new network in three of the tasks: means over replicas with standard "
        "errors, and what linearised training of the same networks predicts.",
        found.items(),
        *columns,
    )


def tasks_figure(found: Found) -> Figure:
    """Accuracy over tasks by remedy."""
    panels = []
    for point, each in found.items():
        tasks = np.arange(1, each.accuracy.shape[2] + 1)
        series = tuple(
            Series(name, tasks, *means_and_halves(each.accuracy[each.of(name)]), "band") for name in ranking(each)
        )
        panels.append(Panel(point.name, "task", "train accuracy at the end", series))
    return Figure(
        "c8-tasks",
        "Train accuracy at the end of successive random-label tasks on the same rows, by remedy (bands: 95 % intervals "
        "of the mean over replicas).",
        tuple(panels),
    )


def map_figure(found: Found) -> Figure:
    """Slopes over the design, and gains as they are seen against those that are predicted."""
    panels = []
    for rate in RATES:
        series = []
        for width in WIDTHS:
            line = {point.factor: each.slope() for point, each in found.items()
                    if (point.width, point.rate) == (width, rate)}  # fmt: skip
            if line:
                half = np.array([(each.high - each.low) / 2 for each in line.values()])
                means = np.array([each.mean for each in line.values()])
                series.append(Series(f"upper width {width}", np.log2(list(line)), means, half, "both"))
        panels.append(Panel(f"learning rate {rate:g}", r"$\log_2$ init factor", "slope per task", tuple(series)))
    each = tuple(found.values())
    points = []
    for k, task in enumerate(READ):
        seen, here = realised(each, slice(k, k + 1)), foretold(each, slice(k, k + 1))
        points.append(Series(f"task {task}", here, seen.gains, 2 * np.nan_to_num(seen.errors)))
    panels.append(Panel("gain over a new network", "predicted", "observed", tuple(points)))
    return Figure(
        "c8-map",
        "The slope of the accuracy reached over ten tasks against the factor on He's standard deviation (95 % "
        "intervals); gains in mean train accuracy over a new network, as linearised training predicts them and as "
        "observed (two standard errors).",
        tuple(panels),
    )


def _with_error(found: PairedMean) -> Cell:
    return found.mean, None if not found.estimable else found.standard_error


def _help(measured: PlasticityEffects, name: str) -> Cell:
    return None if name == NONE.name else _with_error(measured.help(name, NONE.name))
