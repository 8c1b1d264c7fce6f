"""How far an ensemble is from alignment, for A3: M, estimated and against random bases, in tables and figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reports.claims.alignment.evidence import TrainedEnsemble
from reports.findings import Panel, Series, Table, number, table_of, text
from reports.judging.estimate import tau_with_error
from reports.judging.intervals import root_bars
from simulate.results import SimulatedReading
from theory.eigenspaces import Eigenspaces
from theory.testing import misalignment_interval, random_basis_test

DRAWS = 199  # the number of random bases per reading
BAND = (0.025, 0.5, 0.975)  # the quantiles of M over random bases that are shown


@dataclass(frozen=True)
class BasisDistance:
    """M at one reading, against the data eigenvectors and against random orthonormal bases.

    Attributes
    ----------
    step : int
    misalignment : float
        M of the mean second moment against the data eigenvectors.
    random : (float, float, float)
        The median against random bases, between the ends of the band that holds 95 % of them.
    pvalue : float
        The p-value of the hypothesis that the basis is a random one.
    """

    step: int
    misalignment: float
    random: tuple[float, float, float]
    pvalue: float

    @property
    def median(self) -> float:
        return self.random[1]

    @property
    def effect(self) -> float:
        """1 − M / median over random bases: 1 at alignment, 0 where the basis is as good as a random one."""
        return 1 - self.misalignment / self.median


@dataclass(frozen=True, eq=False)
class VarianceCurve:
    """τ (k,) and its standard errors (k,) at one reading, which rest on so many blocks."""

    step: int
    tau: np.ndarray
    tau_se: np.ndarray
    blocks: int


@dataclass(frozen=True, eq=False)
class DistanceFromAlignment:
    """M of the last reading, M along training, and the weight variances before and after.

    Attributes
    ----------
    dimension : int
        d.
    misalignment, floor, low, high : float
        M of the sample, the M that its noise gives under perfect alignment, and a 95 % interval for M of Σ_w.
    corrected : float
        M without what sampling contributes, and not below 0.
    along : tuple of BasisDistance, one per reading
    sigma : ndarray, shape (k,)
    before, after : VarianceCurve
        The variances at the first and at the last reading.
    """

    dimension: int
    misalignment: float
    floor: float
    low: float
    high: float
    corrected: float
    along: tuple[BasisDistance, ...]
    sigma: np.ndarray
    before: VarianceCurve
    after: VarianceCurve

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval from `low` to `high`; None where nothing bounds M above."""
        return (self.low, self.high) if np.isfinite(self.high) else None


def measure_distance(trained: TrainedEnsemble) -> DistanceFromAlignment:
    """Estimate M, take off what sampling gives, and hold every reading against random bases."""
    readings, spaces, last = trained.simulation.readings, trained.spaces, trained.reading
    interval = misalignment_interval(spaces, last.second_moments, counts=last.counts, seed=trained.seed)
    return DistanceFromAlignment(
        dimension=spaces.dimension,
        misalignment=interval.misalignment,
        floor=interval.null_floor**0.5,
        low=interval.low,
        high=interval.high,
        corrected=max(interval.squared - interval.null_floor, 0.0) ** 0.5,
        along=tuple(_against_random(spaces, reading, trained.seed) for reading in readings),
        sigma=np.sqrt(np.maximum(spaces.eigenvalues, 0)),
        before=_curve(spaces, readings[0]),
        after=_curve(spaces, last),
    )


def _against_random(spaces: Eigenspaces, reading: SimulatedReading, seed: int) -> BasisDistance:
    test = random_basis_test(spaces, reading.second_moment, draws=DRAWS, seed=seed)
    low, median, high = np.quantile(test.null_distribution, BAND).tolist()
    return BasisDistance(reading.step, test.misalignment, (low, median, high), test.pvalue)


def _curve(spaces: Eigenspaces, reading: SimulatedReading) -> VarianceCurve:
    return VarianceCurve(reading.step, *tau_with_error(reading, spaces), len(reading.counts))


def distance_table(name: str, caption: str, rows: Iterable[tuple[str, DistanceFromAlignment]]) -> Table:
    """Misalignment beside its floor and a random basis, a row per case and its distance."""
    return table_of(
        name,
        caption,
        rows,
        text("case", lambda row: row[0]),
        number("$d$", "count", lambda row: row[1].dimension),
        number("$M$", "1", lambda row: row[1].misalignment),
        number("floor", "1", lambda row: row[1].floor),
        text("95 % interval", lambda row: _ends(row[1])),
        number("random basis", "1", lambda row: row[1].along[-1].median),
        number("effect", "1", lambda row: row[1].along[-1].effect),
    )


def _ends(distance: DistanceFromAlignment) -> str:
    if distance.interval is None:
        return f"{distance.low:.3f} and above, unbounded"
    return f"{distance.low:.3f} to {distance.high:.3f}"


def transfer_panel(title: str, distance: DistanceFromAlignment, *, decades: bool) -> Panel:
    """f(σ) before and after training; σ on a logarithmic axis where it spans decades."""
    series = []
    for curve in (distance.before, distance.after):
        half = root_bars(curve.tau, curve.tau_se, curve.blocks - 1)
        style: Literal["both", "dashed"] = "both" if curve.step else "dashed"
        series.append(Series(f"step {curve.step}", distance.sigma, np.sqrt(curve.tau), half, style))
    return Panel(title, r"$\sigma$", r"$f(\sigma)$", tuple(series), xlog=decades, from_zero=True)


def misalignment_panel(title: str, distance: DistanceFromAlignment) -> Panel:
    """M along training against the data eigenvectors and against random bases (the paper's Fig. 2)."""
    steps = np.array([each.step for each in distance.along])
    own = np.array([each.misalignment for each in distance.along])
    random = np.array([each.random for each in distance.along])
    half = (random[:, 2] - random[:, 0]) / 2
    series = (
        Series("data eigenvectors", steps, own, style="both"),
        Series("random bases", steps, random[:, 1], half, "band"),
    )
    return Panel(title, "step", "misalignment $M$", series)
