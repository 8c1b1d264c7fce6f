"""How much the weights of ReLU networks grow altogether: the law of `theory.network.trace_law` against networks.

The law is a difference of what fitting the labels adds and what unlearning the initial output takes away,

    m (E|w|² − d s_0²) = L − U,    L = C Σ_a A_a s_y² (1 − r_a),    U = C Σ_a A_a N_aa (1 + r_a).

Its error budget is that of the theory of order 1/m, c ε^p of the sizes of its terms, not of their sum, in which they
may cancel: c ε^p (L + U). It is sharper than what the budgets of single directions add up to. These are c ε^p S each,
S the largest entry on the diagonals of |T_1| + |T_2| + |T_3|, and

    L + U <= tr T_1 + |tr T_2| <= d S,

since tr T_1 − |tr T_2| = L − U, and both hold C Σ_a κ_a A_a² N_aa besides. T_3 has no trace. Where the law holds within
its budget, so does the sum over directions within theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

import simulate
from reports.claims.forms.lazy_evidence import WidthEvidence
from reports.findings import OUTSIDE, Judgement, Table, Verdict, number, table_of, text
from reports.judging.intervals import detected, half_width
from reports.judging.rules import POWER, asymptotic_verdict
from theory.network.lazy import LARGEST_DISPLACEMENT, kernel_limit, stretches
from theory.network.model import model_of
from theory.network.trace_law import recovery_times, trace_law
from theory.setting import Setting


@dataclass(frozen=True, eq=False)
class TraceByModes:
    """What every mode of the tangent kernel adds to m (E|w|² − d s_0²) by the last reading.

    Attributes
    ----------
    lengthening : ndarray, shape (n,)
        What each mode adds by fitting the labels.
    shortening : ndarray, shape (n,)
        What each mode takes away by unlearning the initial output, as a positive number; the mode adds `lengthening`
        less this.
    recovery : ndarray, shape (n,)
        The times ηt at which modes of a flow begin to lengthen weights on balance, infinite where they never do.
    """

    lengthening: np.ndarray
    shortening: np.ndarray
    recovery: np.ndarray

    @property
    def total(self) -> float:
        """The sum over all modes: the law."""
        return float(np.sum(self.lengthening - self.shortening))

    @property
    def size(self) -> float:
        """L + U, of which the theory may miss a share."""
        return float(np.sum(self.lengthening + self.shortening))

    @property
    def lengthen(self) -> int:
        """How many modes lengthen the weights on balance."""
        return int(np.sum(self.lengthening > self.shortening))

    @property
    def shorten(self) -> int:
        """How many shorten them."""
        return int(np.sum(self.lengthening < self.shortening))

    @property
    def never(self) -> int:
        """How many would shorten them however long training lasts: output varies more than labels do in these modes."""
        return int(np.sum(np.isinf(self.recovery) & (self.lengthening < self.shortening)))


def trace_by_modes(setting: Setting) -> TraceByModes | None:
    """The law on the rows of a setting; None unless it is exact: ReLUs, of whose layers the first alone is trained."""
    if setting.network.activation != "relu" or setting.network.train != "first":
        return None
    rows = simulate.rows(setting)
    model, felt = model_of(setting, rows)
    limit = kernel_limit(felt, model.activation, model.s0, model.sa, both=False)
    *_, (_, stretch) = stretches(setting.training, limit.kappa, len(rows))
    unlearning = trace_law(limit, stretch, 0.0, model.outputs)  # without labels nothing lengthens weights
    return TraceByModes(
        lengthening=trace_law(limit, stretch, model.sy, model.outputs) - unlearning,
        shortening=-unlearning,
        recovery=len(rows) * recovery_times(limit, model.sy),
    )


def trace_judgement(law: TraceByModes, inside: WidthEvidence, diverged: int) -> Judgement:
    """The measured trace by its 95 % interval, against the law and its budget."""
    budget, half = (
        inside.prediction.share * law.size,
        float(half_width(inside.trace_se, degrees=inside.measured.degrees)),
    )
    low, high = inside.trace - half, inside.trace + half
    smallest = detected(inside.trace_se, degrees=inside.measured.degrees)
    verdict: Verdict = asymptotic_verdict(low - law.total, high - law.total, budget, diverged)
    if inside.prediction.displacement > LARGEST_DISPLACEMENT:
        verdict = OUTSIDE
    modes = f"{law.lengthen} modes lengthen weights, {law.shorten} shorten them, {law.never} of these for good"
    return Judgement(
        quantity=rf"$m(E|w|^2 - d s_0^2)$ by the modes of the tangent kernel, $m = {inside.measured.width}$",
        prediction=law.total,
        measurement=inside.trace,
        standard_error=inside.trace_se,
        interval=(low, high),
        power=f"detects an error of {smallest:.2g} with {POWER:.0%} power",
        verdict=verdict,
        note=rf"within {budget:.2g}; displacement $\varepsilon = {inside.prediction.displacement:.2f}$; {modes}",
    )


@dataclass(frozen=True)
class TraceRow:
    """A row of the table: a family, and its networks of the width that is judged."""

    name: str
    law: TraceByModes
    inside: WidthEvidence


def trace_table(rows: Iterable[TraceRow]) -> Table:
    """The law, its two effects, and the modes behind them, beside the measured trace."""
    return table_of(
        "f4-trace-law",
        "How much the weights of ReLU networks grow in total, $m(E|w|^2 - d s_0^2)$, by an exact law of the theory of "
        "order $1/m$: fitting the labels lengthens weights, unlearning the initial output shortens them, mode by mode "
        "of the tangent kernel. Also given: the measured trace, and the error declared beforehand, as a share of both "
        "effects. A mode shortens weights for good where the output varies more than the labels do.",
        rows,
        text("networks", lambda row: row.name),
        number("$m$", "count", lambda row: row.inside.measured.width),
        number("by labels", "1", lambda row: float(row.law.lengthening.sum())),
        number("by unlearning", "1", lambda row: -float(row.law.shortening.sum())),
        number("law", "1", lambda row: row.law.total),
        number("measured", "1", lambda row: (row.inside.trace, row.inside.trace_se)),
        number("budget", "1", lambda row: row.inside.prediction.share * row.law.size, digits=2),
        number("modes that lengthen", "count", lambda row: row.law.lengthen),
        number("shorten", "count", lambda row: row.law.shorten),
        number("for good", "count", lambda row: row.law.never),
    )
