"""`python -m reports.equivariance FILE.svg` prints the table of the guide, in minutes, and draws its picture."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import optim

from reports.equivariance.ensemble import TrainedAlignment, alignment_after
from reports.equivariance.study import equivariance
from reports.files import write_atomically
from reports.findings import Figure, Panel, Series
from reports.judging.intervals import bars
from reports.typesetting.figures import render
from simulate.ingredients import INGREDIENTS, Ingredient, clip_by_value, train_with
from theory.symmetry import haar

ROWS, UNITS, STEPS, NETWORKS = 24, 12, 30, 1000
SPECTRUM = (0.2, 0.4, 0.7, 1.0, 1.5, 2.0)
COLUMNS = ("training", "misses by", "aligned to", "p", "of the rest, along the axes")
# Small initial weights and large rates, so that most of Σ_w is learned
SGD = partial(optim.SGD, lr=0.2)
TRAININGS: Mapping[str, Ingredient] = {
    "SGD": replace(INGREDIENTS["SGD"], optimizer=SGD),
    **{name: INGREDIENTS[name] for name in ("Muon", "Adam", "AdamW", "NAdam", "Adagrad", "RMSprop", "Adafactor")},
    "SGD, clipped by value": replace(INGREDIENTS["SGD, clipped by value"], optimizer=SGD, clip=clip_by_value(0.02)),
    **{
        name: replace(INGREDIENTS[name], optimizer=SGD)
        for name in (
            "RMS norm of inputs, gains",
            "layer norm of inputs",
            "batch norm of inputs",
            "dropout of inputs",
            "L1 penalty",
            "group lasso by inputs",
        )
    },
}


@dataclass(frozen=True)
class Row:
    """A training, by how much it misses the symmetry, and what is left of alignment."""

    name: str
    misses: float
    found: TrainedAlignment


def measured(name: str, ingredient: Ingredient, basis: np.ndarray) -> Row:
    """One training on Gaussian rows whose eigenvectors are the columns of `basis`."""
    train = partial(train_with, ingredient, steps=STEPS)
    root = basis * np.sqrt(SPECTRUM)
    x = np.random.default_rng(0).standard_normal((ROWS, len(SPECTRUM))) @ root.T
    moved = equivariance(train, torch.from_numpy(x), (UNITS, len(SPECTRUM)), precisions=("float64",))
    found = alignment_after(
        train, root @ root.T, rows=ROWS, units=UNITS, init_variance=0.02, networks=NETWORKS, level=1e-6
    )  # fmt: skip
    return Row(name, moved.precisions[0].symmetry, found)


def line(row: Row) -> str:
    """A line of the table; shares of noise are left out."""
    found = row.found
    aligned = f"{found.aligned:.2f} ± {bars(found.aligned_error):.2f}" if np.isfinite(found.aligned_error) else ""
    axes = f"{100 * found.axes:.0f} ± {100 * bars(found.axes_error):.0f} %" if found.broken else ""
    return f"| {row.name} | {row.misses:.1e} | {aligned} | {found.pvalue:.1g} | {axes} |"


def picture(rows: list[Row]) -> Figure:
    """Where alignment is broken: how much of it is left, and how much of the rest lies along the axes."""
    broken = [row for row in rows if row.found.broken and np.isfinite(row.found.aligned_error)]
    points = [
        Series(
            row.name,
            np.array([row.found.aligned]),
            np.array([100 * row.found.axes]),
            100 * bars(np.array([row.found.axes_error])),
            xerror=bars(np.array([row.found.aligned_error])),
        )
        for row in broken
    ]
    chance = 100 * rows[0].found.chance
    level = Series("by chance", np.array([0.0, 1.0]), np.full(2, chance), style="dashed")
    panel = Panel(
        "", r"how far $\Sigma_w$ is aligned with the data", "of the rest, along the axes, %", (*points, level)
    )
    return Figure("axes", "", (panel,))


def main(path: Path) -> None:
    """Print a line per training, then draw."""
    torch.set_num_threads(1)
    basis = haar(np.random.default_rng(1), len(SPECTRUM), 1)[0]
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    rows = []
    for name, ingredient in TRAININGS.items():
        rows.append(measured(name, ingredient, basis))
        print(line(rows[-1]), flush=True)
    write_atomically(path, render(picture(rows)).svg)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
