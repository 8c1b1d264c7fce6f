"""How claim C8 is judged: slopes over tasks, what the design's axes do to them, and the signs of gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from scipy.stats import t as student

from reports.claims.transfer.effects import judge_sign
from reports.claims.transfer.map_signs import judge_condition, realised_signs
from reports.claims.transfer.plasticity_effects import PlasticityEffects
from reports.claims.transfer.plasticity_points import ANEW, READ, Fate, TaskPoint
from reports.claims.transfer.sign_counts import RealisedSigns, count_signs
from reports.findings import Judgement
from reports.judging.intervals import simultaneous
from reports.judging.needed import by_interval, with_need
from reports.judging.rules import CONFIDENCE, Ruling, Sign, asymptotic_verdict
from theory.testing import PairedMean, paired_mean

What = Literal["accuracy", "loss"]  # the measure in which a gain is read
SMALLEST = 0.005  # the smallest slope that counts, in accuracy per task: 4.5 points between the first and the tenth
AXES: dict[str, Sign] = {"width": "positive", "factor": "negative", "rate": "negative"}
# Pairs of remedies, the one that should help more first.
RANKED = (
    ("rescaled", "none"),
    ("revived", "none"),
    ("decay 0.03", "none"),
    ("revived", "rescaled"),
    ("decay 0.03", "revived"),
)


def course_of(slope: PairedMean) -> Fate:
    """What an interval says of a slope; where it lies within ± `SMALLEST`, nothing is lost or gained that counts."""
    if not slope.estimable:
        return "undecided"
    if slope.low >= -SMALLEST and slope.high <= SMALLEST:
        return "kept"
    return "lost" if slope.high < 0 else "gained" if slope.low > 0 else "undecided"


def course_verdict(found: Fate, expected: Fate, diverged: int) -> Ruling:
    """Holds where the course is the expected one, is refuted where it is another; undecided where none is known."""
    if found == "undecided":
        return "undecided"
    if found != expected:
        return "refuted"
    return "undecided" if diverged else "holds"


def judge_slope(measured: PlasticityEffects, expected: Fate) -> Judgement:
    """The slope of accuracy over tasks without a remedy."""
    slope = measured.slope()
    verdict = course_verdict(course_of(slope), expected, measured.diverged)
    first, last = measured.accuracy[0].mean(axis=0)[[0, -1]]
    note = f"{course_of(slope)}: accuracy {first:.3f} in the first task, {last:.3f} in the last"
    # decided by fewer replicas: that it is not 0, or that it is smaller than what counts
    bounds = (0.0,) if abs(slope.mean) > SMALLEST / 2 else (-SMALLEST, SMALLEST)
    needed = by_interval(len(measured.accuracy[0]), slope.low, slope.high, bounds) if slope.estimable else ""
    return Judgement(
        quantity="slope of the accuracy reached over tasks, per task",
        prediction=expected,
        measurement=slope.mean,
        standard_error=slope.standard_error if slope.estimable else None,
        interval=(slope.low, slope.high) if slope.estimable else None,
        verdict=verdict,
        power=f"slopes within ± {SMALLEST:g} do not count",
        note=with_need(note, verdict, needed),
    )


def judge_remedies(measured: PlasticityEffects) -> tuple[Judgement, ...]:
    """Each remedy against none, and the ranked ones against each other, by simultaneous intervals."""
    return tuple(
        judge_sign(
            measured.help(remedy, other, confidence=simultaneous(len(RANKED))),
            "positive",
            measured.diverged,
            quantity=f"accuracy reached in tasks 2 to {measured.accuracy.shape[2]}, {remedy} minus {other}",
            note=" and ".join(
                f"{measured.accuracy[measured.of(name), :, 1:].mean():.3f} with {name}" for name in (remedy, other)
            ),
        )
        for remedy, other in RANKED
    )


def judge_axes(found: Mapping[TaskPoint, PlasticityEffects]) -> tuple[Judgement, ...]:
    """The mean slope at one end of an axis of the design less that at the other, over the other two axes."""
    diverged = sum(each.diverged for each in found.values())
    ends = {axis: slopes_at_ends(axis, found) for axis in AXES}
    return tuple(_judge_axis(axis, *sides, diverged) for axis, sides in ends.items() if sides[0])


def slopes_at_ends(
    axis: str, found: Mapping[TaskPoint, PlasticityEffects]
) -> tuple[list[PairedMean], list[PairedMean]]:
    """Slopes at the least and at the largest value of an axis, of points that are alike in the others.

    Empty where there are no such pairs.
    """
    ends = min(getattr(point, axis) for point in found), max(getattr(point, axis) for point in found)
    if ends[0] == ends[1]:
        return [], []
    low, high = (
        {_others(axis, point): each for point, each in found.items() if getattr(point, axis) == end} for end in ends
    )
    both = sorted(low.keys() & high.keys())
    return [low[others].slope() for others in both], [high[others].slope() for others in both]


def _others(axis: str, point: TaskPoint) -> tuple[float, ...]:
    return tuple(getattr(point, each) for each in AXES if each != axis)


def _judge_axis(axis: str, low: Sequence[PairedMean], high: Sequence[PairedMean], diverged: int) -> Judgement:
    count = len(low)
    found = mean_of_means([*high, *low], [1 / count] * count + [-1 / count] * count, len(AXES))
    judged = judge_sign(
        found,
        AXES[axis],
        diverged,
        quantity=f"slope over tasks at the largest {axis} minus that at the smallest",
        note=f"{np.mean([each.mean for each in high]):+.4f} against {np.mean([each.mean for each in low]):+.4f} "
        f"per task, over {count} points each",
    )
    return replace(judged, about="all points of the map", kind="asymptotic")


def mean_of_means(means: Sequence[PairedMean], weights: Sequence[float], tests: int = 1) -> PairedMean:
    """A weighted sum of independent means, with Student's interval by the degrees of Welch and Satterthwaite.

    One of `tests` intervals that hold together; means whose replicas are all equal have no spread.
    """
    parts = (np.array(weights) * np.array([np.nan_to_num(each.standard_error) for each in means])) ** 2
    total = float(np.dot(weights, [each.mean for each in means]))
    error, confidence = float(np.sqrt(parts.sum())), simultaneous(tests)
    replicas = sum(each.replicas for each in means)
    if error == 0:
        return PairedMean(total, np.nan, np.nan, np.nan, np.nan, replicas, confidence)
    degrees = parts.sum() ** 2 / np.sum(parts**2 / (np.array([each.replicas for each in means]) - 1))
    half = float(student.ppf((1 + confidence) / 2, degrees)) * error
    pvalue = float(2 * student.sf(abs(total) / error, degrees))
    return PairedMean(total, error, total - half, total + half, pvalue, replicas, confidence)


def judge_anew(found: Mapping[TaskPoint, PlasticityEffects]) -> Judgement:
    """Networks that begin every task anew have nothing to lose: their mean slope is 0."""
    slopes = [each.slope(ANEW.name) for each in found.values()]
    mean = mean_of_means(slopes, [1 / len(slopes)] * len(slopes))
    diverged = sum(each.diverged for each in found.values())
    verdict = asymptotic_verdict(mean.low, mean.high, SMALLEST, diverged) if mean.estimable else "undecided"
    return Judgement(
        about="all points of the map",
        kind="asymptotic",
        quantity="slope of the accuracy reached over tasks, a new network per task",
        prediction=0.0,
        measurement=mean.mean,
        standard_error=mean.standard_error if mean.estimable else None,
        interval=(mean.low, mean.high) if mean.estimable else None,
        verdict=verdict,
        power=f"budget ± {SMALLEST:g}",
        note="the control of all slopes: nothing is carried over",
    )


def judge_next_signs(found: Mapping[TaskPoint, PlasticityEffects]) -> tuple[Judgement, ...]:
    """The signs of gains over new networks in loss and in accuracy, in the mean over the tasks in `READ`."""
    each = tuple(found.values())
    return tuple(_judge_next(each, what) for what in ("loss", "accuracy"))


def _judge_next(found: Sequence[PlasticityEffects], what: What) -> Judgement:
    judged = judge_condition(
        f"in {what} over a new network that linearised training predicts",
        foretold(found, slice(None), what),
        realised(found, slice(None), what),
        about="all points of the map",
    )
    return replace(judged, note=f"{_task_by_task(found, what)}; in the mean of these tasks: {judged.note}")


def _task_by_task(found: Sequence[PlasticityEffects], what: What) -> str:
    counts = [
        count_signs(foretold(found, slice(k, k + 1), what), realised(found, slice(k, k + 1), what))
        for k in range(len(READ))
    ]
    return "; ".join(
        f"task {task}: {each.right} of {each.decided} right" for task, each in zip(READ, counts, strict=True)
    )


def realised(found: Sequence[PlasticityEffects], tasks: slice, what: What = "accuracy") -> RealisedSigns:
    """The gains of points, averaged over some of the tasks in `READ`; decided where the 95 % interval excludes 0."""
    gains = [each.gains if what == "accuracy" else each.loss_gains for each in found]
    return realised_signs([paired_mean(each[tasks].mean(axis=0), confidence=CONFIDENCE) for each in gains], found)


def foretold(found: Sequence[PlasticityEffects], tasks: slice, what: What = "accuracy") -> np.ndarray:
    """The mean gains that are predicted of the same; nan where all linearised trainings diverge."""
    predicted = [each.predicted if what == "accuracy" else each.predicted_loss for each in found]
    means = [each[tasks].mean(axis=0) for each in predicted]
    return np.array([values[np.isfinite(values)].mean() if np.isfinite(values).any() else np.nan for values in means])
