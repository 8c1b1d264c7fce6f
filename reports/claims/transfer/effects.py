"""What claims C1 to C4 read of a transfer experiment, how gains are judged, and how they are shown.

A gain is a treatment's mean train accuracy downstream less that of training from scratch, replica by replica: averaged
over all steps from the switch to the last reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.claims.claim import Case, Context
from reports.claims.transfer.treatment_words import legend
from reports.findings import Cell, Judgement, Panel, Series, Table, number, table_of, text
from reports.judging.intervals import effect_found, means_and_halves, sample_mean
from reports.judging.needed import by_interval, with_need
from reports.judging.rules import CONFIDENCE, POWER, Sign, asymptotic_verdict, sign_verdict
from simulate.transfer import TransferResult
from theory.errors import Diverged, InvalidInput
from theory.testing import MeanRatio, PairedMean, mean_ratio, paired_mean


@dataclass(frozen=True, eq=False)
class Effects:
    """What is read of an experiment, replica by replica; T treatments, K readings, L − 1 hidden layers.

    Attributes
    ----------
    treatments : tuple of str, length T
    steps : ndarray of int, shape (K,)
    curves : ndarray, shape (T, R, K)
        Train accuracy.
    accuracy : ndarray, shape (T, R)
        The mean train accuracy over steps.
    active : ndarray, shape (T, R, K, L − 1)
        The share of active units of every hidden layer.
    upstream_accuracy, upstream_steps : ndarray, shape (R,)
    fitted, replicas, diverged : int
        How many replicas fitted all upstream rows, were trained, and gave numbers that are not finite.
    """

    treatments: tuple[str, ...]
    steps: np.ndarray
    curves: np.ndarray
    accuracy: np.ndarray
    active: np.ndarray
    upstream_accuracy: np.ndarray
    upstream_steps: np.ndarray
    fitted: int
    replicas: int
    diverged: int

    def of(self, treatment: str) -> np.ndarray:
        """The mean accuracy after one treatment, (R,)."""
        return np.asarray(self.accuracy[self.treatments.index(treatment)])

    def difference(self, treatment: str, other: str = "scratch", *, confidence: float = CONFIDENCE) -> PairedMean:
        """The difference of mean accuracies, with Student's interval; there must be two replicas."""
        return paired_mean(self.of(treatment) - self.of(other), confidence=confidence)

    def share(self, treatment: str, whole: str, *, confidence: float = CONFIDENCE) -> MeanRatio | None:
        """The gain of a treatment as a share of another's, with Fieller's interval; None where that may be zero."""
        scratch = self.of("scratch")
        return mean_ratio(self.of(treatment) - scratch, self.of(whole) - scratch, confidence=confidence)

    def active_at_switch(self, treatment: str) -> np.ndarray:
        """The share of active units of every hidden layer when downstream training begins, (R, L − 1)."""
        return np.asarray(self.active[self.treatments.index(treatment), :, 0])


def measure_effects(case: Case[Any], context: Context) -> Effects:
    """Run the experiment of a case, or read from the context's store what another claim has run."""
    return effects_of(context.transfer(case.experiment))


def effects_of(result: TransferResult) -> Effects:
    """What claims read of a result whose labels, upstream and downstream, are classes.

    Raises
    ------
    Diverged
        If fewer than two replicas are finite throughout.
    InvalidInput
        If labels are not classes.
    """
    end, treated = result.upstream, result.treated
    if end.accuracy is None:
        raise InvalidInput("upstream.labels", "reals", "must be classes for an accuracy to exist")
    if len(end.accuracy) < 2:
        rule = f"leaves {len(end.accuracy)} of {result.replicas} replicas finite, and at least 2 are needed"
        raise Diverged("downstream.training.learning_rate", result.experiment.downstream.training.learning_rate, rule)
    accuracy = np.stack([each.curves.mean_accuracy() for each in treated])
    curves = [each.curves.train_accuracy for each in treated if each.curves.train_accuracy is not None]
    return Effects(
        treatments=tuple(each.treatment.name for each in treated),
        steps=treated[0].curves.steps,
        curves=np.stack(curves),
        accuracy=accuracy,
        active=np.stack([each.layers.active for each in treated]),
        upstream_accuracy=end.accuracy,
        upstream_steps=end.steps,
        fitted=int((end.accuracy == 1).sum()),
        replicas=result.replicas,
        diverged=result.diverged,
    )


def judge_sign(found: PairedMean, sign: Sign, diverged: int, *, quantity: str, note: str = "") -> Judgement:
    """A paired difference, judged by its sign; undecided where it does not vary between replicas."""
    if not found.estimable:
        return Judgement(
            quantity=quantity,
            prediction=sign,
            measurement=found.mean,
            verdict="undecided",
            power="not estimable: the difference is the same in all replicas",
            note=note,
        )
    verdict = sign_verdict(found.low, found.high, sign, diverged)
    smallest = effect_found(found.standard_error, (1 - found.confidence) / 2, degrees=found.replicas - 1)
    return Judgement(
        quantity=quantity,
        prediction=sign,
        measurement=found.mean,
        standard_error=found.standard_error,
        interval=(found.low, found.high),
        verdict=verdict,
        power=f"detects a difference of {smallest:.2g} with {POWER:.0%} power",
        note=with_need(note, verdict, by_interval(found.replicas, found.low, found.high, (0.0,))),
    )


def judge_absent(found: PairedMean, smallest: float, diverged: int, *, quantity: str, note: str = "") -> Judgement:
    """A paired difference that is predicted to be smaller than the smallest that matters, on either side of 0."""
    verdict = asymptotic_verdict(found.low, found.high, smallest, diverged) if found.estimable else "undecided"
    return Judgement(
        quantity=quantity,
        prediction=f"within {smallest:g} of 0",
        measurement=found.mean,
        standard_error=found.standard_error if found.estimable else None,
        interval=(found.low, found.high) if found.estimable else None,
        verdict=verdict,
        power="the whole 95 % interval must lie within"
        if found.estimable
        else "not estimable: the difference is the same in all replicas",
        note=with_need(note, verdict, by_interval(found.replicas, found.low, found.high, (-smallest, smallest))),
    )


def in_words(found: PairedMean, decimals: int) -> str:
    """The interval of a difference."""
    return f"[{found.low:+.{decimals}f}, {found.high:+.{decimals}f}]" if found.estimable else "not estimable"


def gains_table(name: str, caption: str, found: Mapping[str, Effects]) -> Table:
    """Mean accuracy and gain after every treatment, with standard errors, by the names of cases."""

    def gain(row: tuple[str, Effects, str]) -> PairedMean | None:
        _, effects, treatment = row
        return effects.difference(treatment) if treatment != "scratch" else None

    def mean(row: tuple[str, Effects, str]) -> Cell:
        each = gain(row)
        return None if each is None else (each.mean, each.standard_error)

    def interval(row: tuple[str, Effects, str]) -> Cell:
        each = gain(row)
        return None if each is None else in_words(each, 4)

    return table_of(
        name,
        f"{caption} {legend(name for effects in found.values() for name in effects.treatments)}",
        ((case, effects, treatment) for case, effects in found.items() for treatment in effects.treatments),
        text("case", lambda row: row[0], once=True),
        text("treatment", lambda row: row[2]),
        number("mean accuracy", "1", lambda row: sample_mean(row[1].of(row[2]))),
        number("minus scratch", "1", mean),
        text("95 % interval", interval),
    )


def curves_panel(title: str, effects: Effects, treatments: Sequence[str], labels: Sequence[str] = ()) -> Panel:
    """Train accuracy downstream, with bands of 95 % for the mean over replicas."""
    series = []
    for treatment, label in zip(treatments, labels or treatments, strict=True):
        values = effects.curves[effects.treatments.index(treatment)]
        series.append(Series(label, effects.steps, *means_and_halves(values), "band"))
    return Panel(title, "step", "train accuracy", tuple(series))
