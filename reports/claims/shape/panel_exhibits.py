"""What B5 shows: published values beside those of networks, as curves and as numbers, and the misfit along training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from reports.claims.shape.published_panels import PUBLISHED, READING_ERROR
from reports.claims.shape.read_panels import LEFT_STOP, STOP, PanelOutcomes, ReadPanel, best, off, stop
from reports.findings import Exhibits, Figure, Panel, Series, Table, number, table_of, text
from reports.judging.intervals import means_and_halves, sample_mean
from reports.judging.misfit import Misfit
from theory.linear.paper_panels import PanelName


def panel_exhibits(outcomes: PanelOutcomes) -> Exhibits:
    """Published values beside those of the networks, as curves and as numbers, and the misfit along training."""
    usable = [outcome for outcome in outcomes if outcome.measurement.networks >= 2]
    shown = tuple(sorted(usable, key=lambda outcome: _place(outcome.case.study)))
    figure = Figure(
        name="b5-panels",
        caption="The transfer function in the three panels of Figure 20 of the paper: values read off it "
        f"(points; bars: reading error of {READING_ERROR:g}), and networks of the paper's widths, their diagonal as "
        "standard deviations; where variances were trained, those too, after as many updates as fit best. Bands: 95 % "
        "intervals of the mean over networks; dashed: initial weights.",
        panels=tuple(_axes(name, shown) for name in PUBLISHED if any(o.case.study.panel.name == name for o in shown)),
    )
    return Exhibits((misfit_table(shown), values_table(shown)), (figure,) if shown else ())


def _place(study: ReadPanel) -> tuple[int, int]:
    """Where a panel stands in tables: deviations before variances, panels as in the paper."""
    return study.reading == "variance", [*PUBLISHED].index(study.panel.name)


def _axes(name: PanelName, outcomes: PanelOutcomes) -> Panel:
    published = PUBLISHED[name]
    sigma, f = np.array(published.sigma), np.array(published.f)
    series = [Series("published", sigma, f, np.full(len(f), READING_ERROR))]
    at = STOP
    for outcome in outcomes:
        study, measured = outcome.case.study, outcome.measurement
        if study.panel.name == name:
            updates = best(outcome)[1]
            if study.reading == "deviation":
                at = updates = stop(study, measured.updates)
            curve = measured.f[measured.updates.index(updates)]
            series.append(Series(f"networks, {study.reading}s", measured.sigma, *means_and_halves(curve), "band"))
            start = Series(
                "initial weights", measured.sigma, np.full(len(measured.sigma), measured.initial), None, "dashed"
            )
    return Panel(f"{name}, {at} updates", r"$\sigma$", r"$f(\sigma)$", (*series, start))


@dataclass(frozen=True)
class _Misfitting:
    """A panel in one reading after so many updates."""

    study: ReadPanel
    networks: int
    updates: int
    misfit: Misfit


def misfit_table(outcomes: PanelOutcomes) -> Table:
    """The misfit to the published values at every reading."""

    def rows() -> Iterator[_Misfitting]:
        for outcome in outcomes:
            measured = outcome.measurement
            for updates, each in zip(measured.updates, off(outcome.case.study, measured), strict=True):
                yield _Misfitting(outcome.case.study, measured.networks, updates, each)

    return table_of(
        "b5-misfit",
        "The root mean square difference between $f$ of the networks and the published values along training, "
        "corrected for the noise of the networks, with its 95 % interval; and that noise. The learning rate and the "
        f"updates at which deviations are compared, {STOP}, were fitted to the middle panel on other networks; in a "
        f"pilot the left one was closest after {LEFT_STOP}.",
        rows(),
        text("diagonal", lambda row: f"as {row.study.reading}s", once=True),
        text("panel", lambda row: row.study.panel.name, once=True),
        number("networks", "count", lambda row: row.networks),
        number("updates", "count", lambda row: row.updates),
        number("difference", "1", lambda row: row.misfit.rms, 2),
        text("95 % interval", lambda row: f"[{row.misfit.low:.4f}, {row.misfit.high:.4f}]"),
        number("noise", "1", lambda row: row.misfit.noise, 2),
    )


@dataclass(frozen=True)
class _Value:
    """f of a panel at one σ: published, and of networks with the diagonal as deviations."""

    panel: str
    sigma: float
    published: float
    mean: float
    error: float


def values_table(outcomes: PanelOutcomes) -> Table:
    """Published values beside those of the networks, the diagonal as deviations."""

    def rows() -> Iterator[_Value]:
        for outcome in outcomes:
            study, measured = outcome.case.study, outcome.measurement
            if study.reading == "deviation":
                published = PUBLISHED[study.panel.name]
                beyond = published.off(
                    measured.sigma, measured.f[measured.updates.index(stop(study, measured.updates))]
                )
                for place, (sigma, value) in enumerate(zip(published.sigma, published.f, strict=True)):
                    mean, error = sample_mean(beyond[:, place])
                    yield _Value(study.panel.name, sigma, value, value + mean, error)

    return table_of(
        "b5-values",
        f"The published values of $f$, read off by eye ($\\pm$ {READING_ERROR:g}), and those of networks of the "
        "paper's widths, the diagonal as standard deviations, with standard errors over networks.",
        rows(),
        text("panel", lambda row: row.panel, once=True),
        number(r"$\sigma$", "1", lambda row: row.sigma),
        number("published $f$", "1", lambda row: row.published, 4),
        number("$f$ of networks", "1", lambda row: (row.mean, row.error)),
        number("difference", "1", lambda row: (row.mean - row.published, row.error)),
    )
