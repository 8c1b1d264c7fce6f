"""What a number that costs no training is worth: conditions on tangent kernels alone, scored on the design of C5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.claims.transfer.condition_design import HORIZONS
from reports.claims.transfer.condition_networks import MeasuredTransfer
from reports.claims.transfer.condition_predictions import PredictedTransfer
from reports.claims.transfer.condition_signs import score_signs
from reports.claims.transfer.map_signs import best_constant
from reports.claims.transfer.sign_counts import SignCount, shuffled_shares
from reports.findings import Table, number, table_of, text

CHEAP: Mapping[str, str] = {
    "trace": "log ratio of centred traces",
    "geometric_mean": "log ratio of geometric-mean eigenvalues",
    "effective_rank": "log ratio of effective ranks",
    "active": "change of the share of active units, last hidden layer",
}


@dataclass(frozen=True, eq=False)
class _Row:
    """One condition at one horizon."""

    condition: str
    horizon: int
    count: SignCount
    constant: int
    chance: float


def cheap_table(predicted: PredictedTransfer, measured: MeasuredTransfer) -> Table:
    """Every cheap condition at the horizons that all settings have, beside linearised training."""
    rows = []
    for h in range(3):
        gains = measured.accuracy[:, h]
        by = {words: getattr(predicted, name) for name, words in CHEAP.items()}
        by["linearised training"] = predicted.accuracy[:, h]
        by["squared error"] = predicted.squared
        for words, values in by.items():
            scores = score_signs(values, gains)
            _, associated = shuffled_shares(scores.predicted, scores.realised)
            rows.append(_Row(words, HORIZONS[h], scores.count, best_constant(scores.realised), associated))
    return table_of(
        "c5-cheap",
        "How well numbers that take a second to compute predict signs: the share of decided signs of the gain in "
        "accuracy that the sign of each number predicts, with Clopper and Pearson's 95 % interval, and the "
        "probability that the number does as well when shuffled over settings. Kernels are of twenty rows, without "
        "labels. Linearised training and the squared error's condition are given for comparison.",
        rows,
        number("epochs", "count", lambda row: row.horizon),
        text("condition", lambda row: row.condition),
        number("decided", "count", lambda row: row.count.decided),
        number("right", "count", lambda row: row.count.right),
        number("share right", "1", lambda row: row.count.share),
        number("from", "1", lambda row: row.count.interval and row.count.interval[0], digits=2),
        number("to", "1", lambda row: row.count.interval and row.count.interval[1], digits=2),
        number("right by the better constant", "count", lambda row: row.constant),
        number("shuffled", "p", lambda row: row.chance),
    )
