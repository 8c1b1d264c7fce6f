"""The tables and the figure of claim C5: right signs by horizon and by family, predicted against realised gains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from reports.claims.transfer.condition_cheap import cheap_table
from reports.claims.transfer.condition_design import HORIZONS, SHORT
from reports.claims.transfer.condition_networks import MeasuredTransfer
from reports.claims.transfer.condition_predictions import PredictedTransfer
from reports.claims.transfer.condition_signs import FAR, SignScores, score_signs
from reports.claims.transfer.map_signs import best_constant
from reports.claims.transfer.sign_counts import shuffled_shares
from reports.findings import Cells, Exhibits, Figure, Panel, Series, Table, number, table_of, text
from reports.judging.intervals import bars


@dataclass(frozen=True, eq=False)
class ScoredRow:
    """The scores of some settings at one horizon."""

    name: str
    horizon: int
    scores: SignScores


def exhibit(predicted: PredictedTransfer, measured: MeasuredTransfer, families: list[str]) -> Exhibits:
    """All tables and the figure; `families` names that of every setting, in their order."""
    named = np.array(families)
    return Exhibits(
        (
            _horizons(predicted, measured),
            _families(predicted, measured, named),
            cheap_table(predicted, measured),
            *_magnitudes(predicted, measured),
        ),
        (_gains(predicted, measured, named),),
    )


def _horizons(predicted: PredictedTransfer, measured: MeasuredTransfer) -> Table:
    rows = [
        ScoredRow(what, horizon, score_signs(getattr(predicted, what)[:, h], getattr(measured, what)[:, h]))
        for what in ("accuracy", "loss")
        for h, horizon in enumerate(HORIZONS)
    ]

    def chance(row: ScoredRow) -> float:
        return shuffled_shares(row.scores.predicted, row.scores.realised)[1]

    return table_of(
        "c5-horizons",
        "Signs of the gain, averaged over training downstream up to a horizon: how many are decided as positive and "
        "as negative, how many of these linearised training predicts, and their share with the lower end of Clopper "
        f"and Pearson's 95 % interval. “Beyond” counts the settings whose |predicted gain|, in units of its spread "
        f"between networks, is above {FAR:g} times the median. The last two columns say how many signs the better "
        "constant predicts, and the probability that shuffled predictions do as well as linearised training. The "
        "last two horizons are in larger budgets alone, in every eighth and sixteenth round of the design.",
        (row for row in rows if row.scores.count.settings),
        text("gain in", lambda row: row.name, once=True),
        number("epochs", "count", lambda row: row.horizon),
        *_counts(),
        number("decided beyond", "count", lambda row: row.scores.beyond.decided),
        number("right beyond", "count", lambda row: row.scores.beyond.right),
        number(
            "share beyond, from",
            "1",
            lambda row: row.scores.beyond.interval and row.scores.beyond.interval[0],
            digits=3,
        ),
        number("right by the better constant", "count", lambda row: best_constant(row.scores.realised)),
        number("shuffled", "p", chance),
    )


def _counts() -> tuple[Cells[ScoredRow], ...]:
    return (
        number("settings", "count", lambda row: row.scores.count.settings),
        number("positive", "count", lambda row: int((row.scores.realised.signs > 0).sum())),
        number("negative", "count", lambda row: int((row.scores.realised.signs < 0).sum())),
        number("right", "count", lambda row: row.scores.count.right),
        number("share right", "1", lambda row: row.scores.count.share),
        number("from", "1", lambda row: row.scores.count.interval and row.scores.count.interval[0], digits=3),
    )


def _families(predicted: PredictedTransfer, measured: MeasuredTransfer, named: np.ndarray) -> Table:
    def rows() -> Iterator[ScoredRow]:
        for name in dict.fromkeys(named.tolist()):
            for h, horizon in enumerate(HORIZONS[:SHORT]):
                here = named == name
                yield ScoredRow(name, horizon, score_signs(predicted.accuracy[here, h], measured.accuracy[here, h]))

    return table_of(
        "c5-families",
        "Signs of the gain in accuracy by family of settings.",
        (row for row in rows() if row.scores.count.settings),
        text("family", lambda row: row.name, once=True),
        number("epochs", "count", lambda row: row.horizon),
        *_counts(),
    )


@dataclass(frozen=True, eq=False)
class _Magnitude:
    """Predicted and realised gains (m,) from the first epoch to a horizon."""

    by: str
    horizon: int
    predicted: np.ndarray
    realised: np.ndarray

    @property
    def error(self) -> float:
        return float(np.sqrt(np.mean((self.predicted - self.realised) ** 2)))

    @property
    def slope(self) -> float:
        """The slope of the realised on the predicted gain, through the origin: 1 where magnitudes are right."""
        return float(self.predicted @ self.realised / (self.predicted @ self.predicted))


def _magnitudes(predicted: PredictedTransfer, measured: MeasuredTransfer) -> tuple[Table, ...]:
    """The gain after the first epoch, by networks linearised where training begins, and again after that epoch.

    No table where no network was linearised again.
    """
    rows = []
    for h, horizon in enumerate(HORIZONS[1:], start=1):
        once, seen = (_rest(each, h) for each in (predicted.accuracy, measured.accuracy))
        again = predicted.again_accuracy[:, h]
        there = np.isfinite(once).all(axis=1) & np.isfinite(again).all(axis=1) & np.isfinite(seen).all(axis=1)
        if not there.any():
            continue
        for by, values in (("once", once), ("again after an epoch", again)):
            rows.append(_Magnitude(by, horizon, values[there].mean(axis=1), seen[there].mean(axis=1)))
    if not rows:
        return ()
    table = table_of(
        "c5-magnitudes",
        "Whether linearising again corrects magnitudes: gains in accuracy from the first epoch to a horizon, in the "
        "settings of every fourth round: root mean square of the error and of the realised gain, and the slope of "
        "realised on predicted gains, 1 where magnitudes are right.",
        rows,
        number("epochs", "count", lambda row: row.horizon),
        text("linearised", lambda row: row.by),
        number("settings", "count", lambda row: len(row.predicted)),
        number("rms error", "1", lambda row: row.error),
        number("rms gain", "1", lambda row: float(np.sqrt(np.mean(row.realised**2)))),
        number("slope", "1", lambda row: row.slope),
        number("correlation", "1", lambda row: float(np.corrcoef(row.predicted, row.realised)[0, 1])),
    )
    return (table,)


def _rest(gains: np.ndarray, h: int) -> np.ndarray:
    """Gains (k, H, R), averaged from the start to horizons, from the first epoch to horizon h, (k, R)."""
    length = HORIZONS[h]
    return np.asarray((length * gains[:, h] - gains[:, 0]) / (length - 1))


def _gains(predicted: PredictedTransfer, measured: MeasuredTransfer, named: np.ndarray) -> Figure:
    def panel(h: int) -> Panel:
        scores = score_signs(predicted.accuracy[:, h], measured.accuracy[:, h])
        names = named[scores.places]
        series = []
        for name in dict.fromkeys(named.tolist()):
            some = scores.within(names == name)
            if not some.count.settings:
                continue
            replicas = predicted.accuracy.shape[2]
            wide = bars(some.spread / np.sqrt(replicas), degrees=replicas - 1)
            high = bars(some.realised.errors, degrees=replicas - 1)
            series.append(Series(name, some.predicted, some.realised.gains, high, xerror=wide))
        ends = np.array([scores.predicted.min(), scores.predicted.max()]) if len(names) else np.zeros(2)
        title = f"{HORIZONS[h]} epoch{'s' if HORIZONS[h] > 1 else ''}"
        return Panel(
            title, "predicted gain", "realised gain", (Series("as predicted", ends, ends, style="dashed"), *series)
        )

    return Figure(
        name="c5-gains",
        caption="The gain in accuracy through pretraining that linearised training of the same networks predicts, "
        "and the realised one, setting by setting, averaged over training downstream up to a horizon; 95 % "
        "intervals of the means over networks, both ways. Dashed: as predicted.",
        panels=tuple(panel(h) for h in range(SHORT)),
    )
