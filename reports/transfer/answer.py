"""The answer to a transfer experiment, treatment by treatment: does it help, how much, and what did the theory predict?

Measurement and prediction are separate: `predict_effect` takes only the condition, which is known before anything is
trained downstream, and `answers` takes the study, with or without predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reports.transfer.condition import Condition
from reports.transfer.fresh_task import BEST, FreshTask
from reports.transfer.study import TransferStudy, TreatmentStudy
from theory.setting import Experiment
from theory.testing import MeanRatio, PairedMean, mean_ratio, paired_mean
from theory.transfer import KernelNumbers, MeanGain, kernel_change

Effect = Literal["helps", "hurts", "absent", "undecided"]
ACCURACY, LOSS = "mean accuracy", "mean loss"
# The largest gain that counts as none, in accuracy or as a share of the loss from scratch: an interval within it says
# that there is no effect.
ABSENT = 0.01


@dataclass(frozen=True, eq=False)
class KernelRatios:
    """How the tangent kernel of treated networks differs from the kernel at their initial weights.

    Attributes
    ----------
    trace, effective_rank : MeanRatio or None
        Ratios of means over networks, after to before, with Fieller's intervals; None for a single network, or if the
        kernels before may be 0.
    """

    trace: MeanRatio | None
    effective_rank: MeanRatio | None


@dataclass(frozen=True, eq=False)
class PredictedEffect:
    """The prediction of the theory for one treatment.

    Attributes
    ----------
    treatment : str
    measure : str
        "mean accuracy", or "mean loss" if labels are not classes.
    effect : "helps", "hurts", "undecided" or None
        The effect according to the interval over networks, or to the sign alone for a single network; None if there is
        no prediction.
    gain : PairedMean or None
        The gain, positive if the treatment helps; its interval covers the variation between networks, not the neglected
        terms.
    single : float or None
        The gain for a single network, which has no interval.
    loss : PairedMean or None
        The gain in loss, even if accuracy is the measure.
    by_kernels : float or None
        The gain with f_0 := 0: the effect of the tangent kernels alone.
    kernels : KernelRatios or None
    fresh_task : FreshTask or None
        The best condition that needs no task; None if `kernels` is unknown for a reason other than a single network.
    broken : tuple of str
        Hypotheses of the theory that the experiment violates, in words.
    text : str
        The prediction in words, without `fresh_task`, which has its own text.
    """

    treatment: str
    measure: str
    effect: Effect | None
    gain: PairedMean | None
    single: float | None
    loss: PairedMean | None
    by_kernels: float | None
    kernels: KernelRatios | None
    fresh_task: FreshTask | None
    broken: tuple[str, ...]
    text: str

    @property
    def mean(self) -> float | None:
        """The gain, with an interval or without."""
        return self.single if self.gain is None else self.gain.mean


@dataclass(frozen=True, eq=False)
class Answer:
    """The measurement for one treatment, together with the prediction.

    Attributes
    ----------
    treatment, measure : str
    effect : "helps", "hurts", "absent" or "undecided"
        The effect according to the interval of paired differences from scratch: on one side of 0; within `bound` of it;
        or neither.
    gain : PairedMean or None
        The gain, positive if the treatment helps; None for a single replica.
    bound : float
        The size below which an effect counts as absent.
    predicted : PredictedEffect or None
    agrees : bool or None
        Whether the predicted effect agrees with the measured one, if both are decided.
    text : str
    """

    treatment: str
    measure: str
    effect: Effect
    gain: PairedMean | None
    bound: float
    predicted: PredictedEffect | None
    agrees: bool | None
    text: str


def predict_effect(experiment: Experiment, found: Condition) -> PredictedEffect:
    """The prediction for one treatment, in numbers and in words."""
    gain, single = _estimate(found.gain)
    loss, _ = _estimate(found.loss)
    measure = ACCURACY if found.accuracy is not None else LOSS
    effect = _effect(gain, None) if gain is not None else None if single is None else _sign(single)
    by_kernels = None if found.by_kernels is None else found.by_kernels.mean
    linear = experiment.downstream.training.optimizer == "sgd"
    kernels = _change(found.before, found.after) if linear else None
    cheap = _fresh_task(found.before, found.after) if linear else None
    broken = tuple(_broken(experiment, found))
    return PredictedEffect(
        treatment=found.treatment,
        measure=measure,
        effect=effect,
        gain=gain,
        single=single,
        loss=loss,
        by_kernels=by_kernels if linear else None,
        kernels=kernels,
        fresh_task=cheap,
        broken=broken,
        text=_foretold(found, measure, gain, single, by_kernels if linear else None, kernels, broken),
    )


def answers(study: TransferStudy, foretold: Sequence[PredictedEffect] | None = None) -> tuple[Answer, ...]:
    """An answer for every treatment but scratch, in order; `foretold` contains their predictions, if any."""
    known = {each.treatment: each for each in foretold or ()}
    scratch = study["scratch"]
    return tuple(
        _answer(scratch, treatment, known.get(treatment.name))
        for treatment in study.treatments
        if treatment.name != "scratch"
    )


def _answer(scratch: TreatmentStudy, treatment: TreatmentStudy, foretold: PredictedEffect | None) -> Answer:
    measure = ACCURACY if any(each.name == ACCURACY for each in treatment.measures) else LOSS
    bound = ABSENT if measure == ACCURACY else ABSENT * scratch[LOSS].estimate.mean
    difference = treatment[measure].difference
    gain = difference if difference is None or measure == ACCURACY else _negated(difference)
    effect: Effect = "undecided" if gain is None else _effect(gain, bound)
    expected = None if foretold is None else foretold.effect
    decided = {"helps", "hurts"}
    agrees = effect == expected if effect in decided and expected in decided else None
    words = _measured(treatment.name, measure, effect, gain)
    if foretold is not None:
        words += f" {foretold.text}{_held(agrees, effect, gain, foretold)}{of_any_task(foretold)}"
    return Answer(treatment.name, measure, effect, gain, bound, foretold, agrees, words)


def of_any_task(foretold: PredictedEffect) -> str:
    """The sentence about tasks of any kind, after a space; empty if it is unknown."""
    return "" if foretold.fresh_task is None else f" {foretold.fresh_task}"


def _effect(gain: PairedMean, bound: float | None) -> Effect:
    if not gain.estimable:
        return "absent" if bound is not None and gain.mean == 0 else "undecided"
    if gain.low > 0:
        return "helps"
    if gain.high < 0:
        return "hurts"
    return "absent" if bound is not None and max(-gain.low, gain.high) <= bound else "undecided"


def _sign(gain: float) -> Effect:
    return "helps" if gain > 0 else "hurts" if gain < 0 else "undecided"


def _negated(found: PairedMean) -> PairedMean:
    """The opposite sign: losses fall if a treatment helps."""
    return PairedMean(
        -found.mean, found.standard_error, -found.high, -found.low, found.pvalue, found.replicas, found.confidence
    )


def _estimate(found: MeanGain | None) -> tuple[PairedMean | None, float | None]:
    """The mean over networks with finite trainings, with Student's interval, or the value of a single network."""
    if found is None:
        return None, None
    each = found.each[np.isfinite(found.each)]
    return (paired_mean(each), None) if len(each) > 1 else (None, float(each[0]))


def _change(before: KernelNumbers | None, after: KernelNumbers | None) -> KernelRatios | None:
    if before is None or after is None or len(before.trace) < 2:
        return None
    return KernelRatios(mean_ratio(after.trace, before.trace), mean_ratio(after.effective_rank, before.effective_rank))


def _fresh_task(before: KernelNumbers | None, after: KernelNumbers | None) -> FreshTask | None:
    if before is None or after is None:
        return None
    return FreshTask(np.asarray(getattr(kernel_change(before, after), BEST.name)))


def _broken(experiment: Experiment, found: Condition) -> list[str]:
    training, network = experiment.downstream.training, experiment.upstream.network
    words = []
    if found.gain is None:
        words.append(
            f"linearised training must converge, and at the rate {training.learning_rate:g} that of every network "
            "diverges, although real training, whose gates move, may converge"
        )
    elif found.gain.diverged:
        words.append(
            f"linearised training must converge, and that of {found.gain.diverged} of {found.replicas} networks "
            "diverges: they do not count"
        )
    elif found.unstable:
        words.append(
            f"linearised training must settle, and the loss of {found.unstable} of {found.replicas} ends above where "
            f"it began: the rate is too large for a constant curvature"
        )
    if training.optimizer != "sgd":
        words.append(
            f"updates must be linear in the gradient for tangent kernels to govern training, and those of "
            f"{training.optimizer} are not: kernels give no reason here"
        )
    elif found.before is None:
        words.append(
            "kernels must be centred over outputs, and there is one output"
            if found.accuracy is None
            else f"tangent kernels must be computed, and those of {network.kind} networks of this size are too large"
        )
    return words


def _foretold(
    found: Condition,
    measure: str,
    gain: PairedMean | None,
    single: float | None,
    by_kernels: float | None,
    kernels: KernelRatios | None,
    broken: Sequence[str],
) -> str:
    mean = single if gain is None else gain.mean
    if mean is None:
        return f"The theory does not apply: {'; '.join(broken)}."
    words = f"The linearised training predicts {_amount(mean, measure)}{_interval(gain, measure)}"
    if gain is not None and _effect(gain, None) == "undecided":
        words += ", which allows both signs"
    elif by_kernels is not None:
        words += f": {_because(mean, measure, by_kernels)}"
    words += f"{_changed(kernels)}."
    return f"{words} Not covered: {'; '.join(broken)}." if broken else words


def _because(mean: float, measure: str, by_kernels: float) -> str:
    """The mechanism: the effect of the tangent kernels alone, and whether it is most of the gain."""
    alone = f"with outputs starting at 0 it predicts {_amount(by_kernels, measure)}"
    if mean * by_kernels > 0 and 2 * abs(by_kernels) >= abs(mean):
        return f"mostly through the tangent kernel; {alone}"
    return f"mostly through the outputs that training starts with; {alone}"


def _changed(kernels: KernelRatios | None) -> str:
    if kernels is None or kernels.trace is None:
        return ""
    words = f"; the tangent kernel's centred trace is {_ratio(kernels.trace)} times that of the fresh network's"
    if kernels.effective_rank is None:
        return words
    return f"{words}, its effective rank {_ratio(kernels.effective_rank)} times"


def _measured(name: str, measure: str, effect: Effect, gain: PairedMean | None) -> str:
    if gain is None:
        return f"{name}: undecided, a single replica has no interval."
    if not gain.estimable:
        return f"{name}: {effect}, the difference is {_amount(gain.mean, measure)} in all replicas."
    amount, interval = _amount(gain.mean, measure), _interval(gain, measure)
    if effect == "absent":
        return f"{name}: absent within {max(-gain.low, gain.high):.2g} in {measure}: {amount}{interval}."
    if effect == "undecided":
        return f"{name}: undecided, {amount}{interval} allows both signs."
    return f"{name} {effect}: {amount}{interval}, in pairs of replicas."


def _held(agrees: bool | None, effect: Effect, gain: PairedMean | None, foretold: PredictedEffect) -> str:
    """Whether the prediction was right, in sign and in size."""
    if agrees is None or gain is None:
        return ""
    if not agrees:
        return f" That sign is wrong: the treatment {effect}. The theory neglects that ReLU gates change."
    known = foretold.gain
    if known is not None and known.estimable and (known.high < gain.low or known.low > gain.high):
        return " The sign is right, the size is not: the theory neglects that ReLU gates change."
    return " The sign is right."


def _amount(gain: float, measure: str) -> str:
    """A gain in words: for a loss, the reduction."""
    return f"{gain:+.4f} in mean accuracy" if measure == ACCURACY else f"{-gain:+.4g} in mean loss"


def _interval(gain: PairedMean | None, measure: str) -> str:
    if gain is None or not gain.estimable:
        return ""
    low, high = (gain.low, gain.high) if measure == ACCURACY else (-gain.high, -gain.low)
    return f" [{low:+.4f}, {high:+.4f}]" if measure == ACCURACY else f" [{low:+.4g}, {high:+.4g}]"


def _ratio(found: MeanRatio) -> str:
    return f"{found.ratio:.3g} [{found.low:.3g}, {found.high:.3g}]"
