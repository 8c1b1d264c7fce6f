"""The signs on the maps of claim C3: those predicted by linearised training against those that are seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reports.claims.claim import Measurement
from reports.claims.transfer.map_effects import MappedEffects
from reports.claims.transfer.sign_counts import RealisedSigns, SignCount, count_signs, shuffled_shares
from reports.findings import Judgement
from reports.judging.needed import by_share, with_need
from reports.judging.rules import SHARE, Ruling, share_verdict
from reports.probability import in_words
from theory.testing import PairedMean, paired_mean

CHANCE = 0.01  # the bound on the probability that shuffled predictions do as well, which must be smaller
WHY_SQUARED_ERROR_FAILS = (
    "The squared error depends first of all on the size of the outputs when training begins, which does not matter for "
    "accuracy: its sign is that of the change of $\\|f_0\\|$."
)


def judge_maps(found: Sequence[MappedEffects]) -> tuple[Judgement, ...]:
    """The signs of all points: in accuracy, in loss, by the kernels alone, and by the control."""
    accuracy = realised_signs([measured.difference("pretrained") for measured in found], found)
    loss = realised_signs([paired_mean(measured.loss_gains) for measured in found], found)
    predicted = [measured.linearised for measured in found]
    return (
        _judge("accuracy that linearised training predicts", [each.accuracy.mean for each in predicted], accuracy),
        _judge("loss that linearised training predicts", [each.loss.mean for each in predicted], loss),
        _judge(
            "accuracy that linearised training with $f_0:=0$ predicts",
            [each.by_kernels.mean for each in predicted],
            accuracy,
        ),
        _judge_control([float(measured.by_squared_error.mean()) for measured in found], accuracy),
    )


def realised_signs(gains: Sequence[PairedMean], found: Sequence[Measurement]) -> RealisedSigns:
    """The gains of points, of decided sign where their 95 % interval excludes 0."""
    return RealisedSigns(
        gains=np.array([gain.mean for gain in gains]),
        errors=np.array([gain.standard_error for gain in gains]),
        signs=np.array([float(gain.low > 0) - float(gain.high < 0) for gain in gains]),
        replicas=sum(measured.replicas for measured in found),
        diverged=sum(measured.diverged for measured in found),
    )


def condition_verdict(predicted: np.ndarray, realised: RealisedSigns) -> Ruling:
    """The rule for a condition that predicts signs: the share right, against `SHARE`, chance and constants.

    Holds where Clopper and Pearson's lower end of the share that is right among decided signs exceeds `SHARE`, shuffled
    predictions do as well with a probability below `CHANCE`, and more signs are right than by always saying the
    commoner one. Refuted where the share is surely below `SHARE`; a diverged replica forbids "holds".
    """
    counted = count_signs(predicted, realised)
    ruling = share_verdict(1.0, counted.interval, realised.diverged)
    if ruling != "holds":
        return ruling
    _, associated = shuffled_shares(predicted, realised)
    return "holds" if associated < CHANCE and counted.right > best_constant(realised) else "undecided"


def best_constant(realised: RealisedSigns) -> int:
    """How many decided signs are right by saying always "positive", or always "negative", whichever is better."""
    return max(int((realised.signs > 0).sum()), int((realised.signs < 0).sum()))


def judge_condition(quantity: str, predicted: np.ndarray, realised: RealisedSigns, *, about: str) -> Judgement:
    """The share of decided signs that a condition has right, by the rule of `condition_verdict`."""
    counted, verdict = count_signs(predicted, realised), condition_verdict(predicted, realised)
    needed = by_share(counted.right, counted.decided, counted.settings, "points")
    return Judgement(
        about=about,
        kind="asymptotic",
        quantity=f"share of decided signs of the gain {quantity}",
        prediction=f"more than {SHARE:g}",
        measurement="no sign is decided" if counted.share is None else counted.share,
        interval=counted.interval,
        verdict=verdict,
        power=f"{counted.settings} points, {counted.settings - counted.decided} of them undecided",
        note=with_need(_note(counted, predicted, realised), verdict, needed),
    )


def _judge(what: str, predicted: Sequence[float], realised: RealisedSigns) -> Judgement:
    return judge_condition(f"in {what}", np.array(predicted), realised, about="all points of the line and of the maps")


def _judge_control(predicted: Sequence[float], realised: RealisedSigns) -> Judgement:
    """The squared error's condition has to fail: its share is surely below `SHARE`."""
    numbers = np.array(predicted)
    counted = count_signs(numbers, realised)
    failed = counted.interval is not None and counted.interval[1] < SHARE
    return Judgement(
        about="all points of the line and of the maps",
        kind="control",
        quantity="share of decided signs of the gain in accuracy that the squared error of tangent kernels predicts",
        prediction=f"less than {SHARE:g}",
        measurement="no sign is decided" if counted.share is None else counted.share,
        interval=counted.interval,
        verdict="holds" if failed and not realised.diverged else "undecided",
        power=f"{counted.settings} points, {counted.settings - counted.decided} of them undecided",
        note=f"{_note(counted, numbers, realised)}. {WHY_SQUARED_ERROR_FAILS}",
    )


def _note(counted: SignCount, predicted: np.ndarray, realised: RealisedSigns) -> str:
    note = f"{counted.right} of {counted.decided} right; {int((predicted > 0).sum())} points are predicted positive"
    if not counted.decided:
        return note
    chance, associated = shuffled_shares(predicted, realised)
    return (
        f"{note}; {best_constant(realised)} right by the better constant; a share of {chance:.2f} by shuffled "
        f"predictions, "
        f"which do as well with probability {in_words(associated)}"
    )
